"""VEX documents out of findings: OpenVEX and CycloneDX."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from envfab.audit import cyclonedx_vex, openvex
from envfab.audit.findings import Finding, FindingKind
from envfab.audit.remedy import Remedy, RemedyKind
from envfab.audit.severity import Rating, Severity
from envfab.audit.triage import Triage
from envfab.audit.vex import VEXStatement, VEXStatus
from envfab.audit.vex_assessment import Assessment, assessments
from envfab.audit.vex_file import read
from tests.audit.test_severity import V2, V3, V4
from tests.audit.test_triage import TODAY, WEB1, WEB2, acceptance, finding
from tests.audit.test_vex_file import openvex as document_of
from tests.audit.test_vex_file import read_back, statement

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
# the fields that OpenVEX 0.2.0 knows, and those that it requires
DOCUMENT = {"@context", "@id", "author", "timestamp", "version", "statements"}
STATEMENT = {
    "vulnerability",
    "products",
    "status",
    "justification",
    "impact_statement",
    "action_statement",
    "status_notes",
}


def assess(
    *findings: Finding, acceptances: tuple[Any, ...] = (), statements: tuple[VEXStatement, ...] = ()
) -> list[Assessment]:
    """What findings come to after the decisions."""
    triage = Triage.of(TODAY, Severity.NONE, acceptances, [WEB1, WEB2], statements)
    return assessments(map(triage.decide, findings))


def test_what_was_accepted_is_affected() -> None:
    """The risk is there; what is done about it is told, for whom if it is not the same everywhere."""
    (one,) = assess(finding(), finding(member=WEB2), acceptances=(acceptance(),))
    assert one.accepted
    assert (one.status, one.text) == (VEXStatus.AFFECTED, "accepted until 2026-11-27: until 2026-11-27")
    (one,) = assess(finding(), finding(member=WEB2), acceptances=(acceptance(selector="web2"),))
    assert not one.accepted
    assert one.status is VEXStatus.AFFECTED
    assert (
        one.text
        == "shop@web1:/srv/shop: not decided yet; shop@web2:/srv/shop: accepted until 2026-11-27: until 2026-11-27"
    )


def test_what_was_not_decided_is_under_investigation() -> None:
    """Also what was accepted for too short a time; an old interpreter is not a vulnerability."""
    (one,) = assess(finding(), acceptances=(acceptance(until="2026-10-01"),))
    assert (one.status, one.text) == (VEXStatus.UNDER_INVESTIGATION, "")
    old = Finding(
        WEB1.target,
        FindingKind.END_OF_LIFE,
        finding().name,
        "CPython",
        "3.8",
        ("python-3.8-eol",),
        "",
        Rating(Severity.HIGH),
    )
    assert assess(old) == []


def test_what_others_said_is_passed_on(tmp_path: Path) -> None:
    """Not affected, with the label or the reason; affected, with the action."""
    for fields, expected in (
        ({}, ("not_affected", "component_not_present", "")),
        ({"status": "affected", "action_statement": "wait"}, ("affected", None, "wait")),
        ({"status": "under_investigation", "status_notes": "soon"}, ("under_investigation", None, "soon")),
    ):
        said = read_back(tmp_path, document_of(statement(**{"status": "not_affected", **fields})))
        (one,) = assess(finding(), statements=tuple(said))
        assert (one.status.value, one.justification, one.text) == expected


@pytest.fixture
def several(tmp_path: Path) -> list[Assessment]:
    """One of each status, with each kind of vector."""
    said = read_back(tmp_path, document_of(
        statement(vulnerability={"name": "CVE-2"}), statement("fixed", vulnerability={"name": "CVE-3"}),
        statement(vulnerability={"name": "CVE-4"}) | {"impact_statement": "not here"},
    ))  # fmt: skip
    ratings = [Rating(Severity.CRITICAL, 9.8, V3), Rating(Severity.CRITICAL, 9.3, V4), Rating(Severity.HIGH, 10.0, V2)]
    findings = [
        Finding(WEB1.target, FindingKind.VULNERABILITY, finding().name, "Django", "5.1", (f"CVE-{number}", f"GHSA-{number}"), "Loses data",
                rating, remedy=Remedy(RemedyKind.NONE, "no version is known to mend it"))
        for number, rating in enumerate([*ratings, *[Rating(Severity.UNKNOWN)] * 2], 1)
    ]  # fmt: skip
    return assess(*findings, acceptances=(acceptance("CVE-1"),), statements=tuple(said))


def test_an_openvex_document_is_one(several: list[Assessment]) -> None:
    """The fields of version 0.2.0, those that each status requires, and no others."""
    made = openvex.document(several, "me@here", "envfab 1", NOW)
    assert made.keys() == DOCUMENT | {"tooling"}
    assert (made["@context"], made["version"], made["timestamp"]) == (
        "https://openvex.dev/ns/v0.2.0", 1, "2026-11-27T12:00:00+00:00",
    )  # fmt: skip
    assert made["@id"].startswith("urn:uuid:")
    by_name = {one["vulnerability"]["name"]: one for one in made["statements"]}
    assert all(one.keys() <= STATEMENT for one in by_name.values())
    assert all(
        one["products"] == [{"@id": "pkg:pypi/django@5.1", "identifiers": {"purl": "pkg:pypi/django@5.1"}}]
        for one in by_name.values()
    )
    assert by_name["CVE-1"]["vulnerability"]["aliases"] == ["GHSA-1"]
    assert {
        name: (one["status"], sorted(one.keys() - {"vulnerability", "products", "status"}))
        for name, one in by_name.items()
    } == {
        "CVE-1": ("affected", ["action_statement"]),
        "CVE-2": ("not_affected", ["justification"]),
        "CVE-3": ("fixed", []),
        "CVE-4": ("not_affected", ["justification"]),
        "CVE-5": ("under_investigation", []),
    }


def test_a_cyclonedx_document_follows_its_schema(several: list[Assessment]) -> None:
    """That of 1.6; each vulnerability leads to its component, which is named as in a bill of materials."""
    made = cyclonedx_vex.document(several, ("envfab", "1"), NOW)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    assert [one["bom-ref"] for one in made["components"]] == ["pkg:pypi/django@5.1"]
    told = {one["id"]: (one["analysis"]["state"], one["ratings"][0].get("method")) for one in made["vulnerabilities"]}
    assert told == {
        "CVE-1": ("exploitable", "CVSSv31"), "CVE-2": ("not_affected", "CVSSv4"), "CVE-3": ("resolved", "CVSSv2"),
        "CVE-4": ("not_affected", None), "CVE-5": ("in_triage", None),
    }  # fmt: skip
    first = made["vulnerabilities"][0]
    assert first["analysis"]["response"] == ["will_not_fix"]
    assert all("response" not in other["analysis"] for other in made["vulnerabilities"][1:])
    assert first["analysis"]["detail"] == "accepted until 2026-11-27: until 2026-11-27"
    assert [first["source"]["name"], *(one["source"]["name"] for one in first["references"])] == ["NVD", "GITHUB"]
    assert first["recommendation"] == "no version is known to mend it"
    assert cyclonedx_vex.document([], ("envfab", "1"), NOW)["vulnerabilities"] == []


def test_what_is_written_is_read_again(tmp_path: Path, several: list[Assessment]) -> None:
    """Both formats, with the same statuses."""
    expected = {one.ids[0].lower(): one.status for one in several}
    for made in (
        openvex.document(several, "me", "envfab 1", NOW),
        cyclonedx_vex.document(several, ("envfab", "1"), NOW),
    ):
        (tmp_path / "out.json").write_text(json.dumps(made))
        again = read(tmp_path / "out.json")
        assert {min(one.ids): one.status for one in again} == expected
        assert {one.justification for one in again if one.status is VEXStatus.NOT_AFFECTED} == {"component_not_present"}
