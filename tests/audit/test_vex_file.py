"""VEX documents of others: OpenVEX and CycloneDX."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from envfab.audit.vex import VEXStatement, VEXStatements, VEXStatus
from envfab.audit.vex_file import HINT, read
from envfab.errors import SupplyError

DJANGO = canonicalize_name("django")
PURL = "pkg:pypi/django@5.1"


def openvex(*statements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A document with these statements."""
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/1",
        "author": "us",
        "timestamp": "2026-11-01T00:00:00Z",
        "version": 1,
        "statements": list(statements),
        **fields,
    }


def statement(status: str = "not_affected", product: Any = None, **fields: Any) -> dict[str, Any]:
    """A statement of OpenVEX on Django 5.1."""
    why = {"justification": "component_not_present"} if status == "not_affected" else {}
    products = [product if product is not None else {"@id": PURL}]
    return {"vulnerability": {"name": "CVE-1"}, "products": products, "status": status, **why, **fields}


def cyclonedx(*vulnerabilities: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A document with these vulnerabilities."""
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.4",
        "version": 1,
        "metadata": {"timestamp": "2026-11-01T00:00:00Z"},
    }
    return {**made, "vulnerabilities": list(vulnerabilities), **fields}


def vulnerability(state: str = "not_affected", affects: Any = None, **fields: Any) -> dict[str, Any]:
    """A vulnerability of CycloneDX in Django 5.1."""
    return {"id": "CVE-1", "analysis": {"state": state}, "affects": [affects or {"ref": PURL}], **fields}


def read_back(folder: Path, document: object) -> list[VEXStatement]:
    """The statements in a document."""
    file = folder / "vex.json"
    file.write_text(json.dumps(document))
    return read(file)


def status_of(folder: Path, document: object, id: str = "CVE-1", version: str = "5.1") -> VEXStatus | None:
    """What a document says of a vulnerability of Django."""
    found = VEXStatements(read_back(folder, document)).about([id], DJANGO, version)
    return found.status if found is not None else None


@pytest.mark.parametrize(
    ("ours", "theirs", "settles"),
    [
        ("not_affected", ["not_affected", "false_positive"], True), ("fixed", ["resolved", "resolved_with_pedigree"], True),
        ("affected", ["exploitable"], False), ("under_investigation", ["in_triage"], False),
    ],
)  # fmt: skip
def test_the_statuses_of_both_formats(tmp_path: Path, ours: str, theirs: list[str], settles: bool) -> None:
    """Only what is not affected, or fixed, silences a finding."""
    assert status_of(tmp_path, openvex(statement(ours))) is VEXStatus(ours)
    assert VEXStatus(ours).settles is settles
    for state in theirs:
        assert status_of(tmp_path, cyclonedx(vulnerability(state))) is VEXStatus(ours)


def test_a_statement_is_about_all_names_of_a_vulnerability(tmp_path: Path) -> None:
    """Aliases in OpenVEX, references in CycloneDX; in whatever case."""
    named = {"name": "CVE-1", "aliases": ["GHSA-a"]}
    references = [{"id": "GHSA-a", "source": {"name": "GitHub"}}]
    for document in (openvex(statement(vulnerability=named)), cyclonedx(vulnerability(references=references))):
        assert status_of(tmp_path, document, "ghsa-A") is VEXStatus.NOT_AFFECTED
        assert status_of(tmp_path, document, "CVE-2") is None


@pytest.mark.parametrize(
    ("product", "versions"),
    [
        ({"@id": "pkg:pypi/Django"}, ["5.1", "5.2"]),
        ({"@id": "https://example.org/django", "identifiers": {"purl": "pkg:pypi/django@5.2"}}, ["5.2"]),
        ({"@id": "pkg:npm/django@5.1"}, []),
        ({"@id": "pkg:oci/shop", "subcomponents": [{"@id": "pkg:pypi/django@5.1"}]}, []),
        ({"@id": "pkg:pypi/django@5.1", "subcomponents": [{"@id": "pkg:pypi/asgiref"}]}, []),
    ],
)
def test_products_of_openvex(tmp_path: Path, product: dict[str, Any], versions: list[str]) -> None:
    """By package URL, with a version or without; what is said of a part of another product is not said of the part."""
    document = openvex(statement(product=product))
    assert [one for one in ("5.1", "5.2") if status_of(tmp_path, document, version=one)] == versions


@pytest.mark.parametrize(
    ("affects", "versions"),
    [
        ({"ref": "django"}, ["5.1"]),
        ({"ref": "shop"}, []),
        ({"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:pypi/django@5.2"}, ["5.2"]),
        ({"ref": "django", "versions": [{"version": "5.2", "status": "unaffected"}, {"version": "5.1"}]}, ["5.2"]),
        ({"ref": "django", "versions": [{"range": "vers:pypi/>=5", "status": "unaffected"}]}, []),
    ],
)
def test_components_of_cyclonedx(tmp_path: Path, affects: dict[str, Any], versions: list[str]) -> None:
    """By reference, by package URL, by BOM-Link; of listed versions those that are called unaffected."""
    document = cyclonedx(vulnerability(affects=affects), components=[{"bom-ref": "django", "purl": PURL}])
    assert [one for one in ("5.1", "5.2") if status_of(tmp_path, document, version=one)] == versions


def test_what_was_not_analysed_says_nothing(tmp_path: Path) -> None:
    """A bill of materials with vulnerabilities is not a VEX document, but no mistake."""
    assert read_back(tmp_path, cyclonedx({"id": "CVE-1", "affects": [{"ref": PURL}]})) == []
    assert read_back(tmp_path, cyclonedx(vulnerability(), affects=[])) != []


def test_the_latest_statement_overrides(tmp_path: Path) -> None:
    """By its own time, else its document's; of equal ones the last."""
    old, new = "2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"
    settled, open_ = statement(), statement("affected", action_statement="x")
    assert status_of(tmp_path, openvex(settled, open_)) is VEXStatus.AFFECTED
    assert status_of(tmp_path, openvex(settled | {"timestamp": new}, open_)) is VEXStatus.NOT_AFFECTED
    assert status_of(tmp_path, openvex(settled, open_ | {"timestamp": old})) is VEXStatus.NOT_AFFECTED
    later = vulnerability("exploitable", updated=new)
    assert status_of(tmp_path, cyclonedx(later, vulnerability())) is VEXStatus.AFFECTED


def test_what_people_are_told(tmp_path: Path) -> None:
    """The reason, on one line that no terminal obeys; the label; the time; where it stands."""
    (one,) = read_back(tmp_path, openvex(statement(impact_statement="a\x1b[2J\nb")))
    assert (one.justification, one.text) == ("component_not_present", "a [2J b")
    assert one.at == datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert one.document == str(tmp_path / "vex.json")
    (other,) = read_back(
        tmp_path, cyclonedx(vulnerability(analysis={"state": "not_affected", "justification": "code_not_reachable"}))
    )
    assert (other.justification, other.text) == ("vulnerable_code_not_in_execute_path", "code not reachable")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a VEX document: Expecting value: line 1 column 1 (char 0)"),
        ("[]", "is not a VEX document: it must be an object, not a list"),
        ("[" * 9000, "is not a VEX document: it is nested too deeply"),
        ("{}", "is not a VEX document: it is neither an OpenVEX nor a CycloneDX document"),
        ('<bom xmlns="http://cyclonedx.org/schema/bom/1.5"/>', "is not a VEX document: Expecting value: "),
        (openvex(statement("safe")), "is not a VEX document: statement 1: 'status' must be one of not_affected, affected, "),
        (openvex(statement(justification="x")), "is not a VEX document: statement 1: 'justification' must be a label of OpenVEX, not 'x'"),
        (openvex(statement("not_affected") | {"justification": None}), "is not a VEX document: statement 1: 'justification' must be a text, not null"),
        (openvex({"vulnerability": {"name": "CVE-1"}, "products": [], "status": "not_affected"}),
         "is not a VEX document: statement 1: 'not_affected' needs a 'justification' or an 'impact_statement'"),
        (openvex({"vulnerability": "CVE-1", "products": [PURL], "status": "fixed"}),
         "is not a VEX document: statement 1: 'vulnerability' must be an object, not a text"),
        (openvex(statements=5), "is not a VEX document: 'statements' must be a list, not a number"),
        (openvex(timestamp="yesterday"), "is not a VEX document: Invalid isoformat string: 'yesterday'"),
        (openvex(statement(product=5)), "is not a VEX document: statement 1: an entry of 'products' must be an object, not a number"),
        (cyclonedx(specVersion="1.3"), "is not a VEX document: it is CycloneDX '1.3': VEX came with 1.4"),
        (cyclonedx(vulnerability("fine")), "is not a VEX document: vulnerability 1: 'state' must be one of "),
        (cyclonedx({"id": 5, "analysis": {}, "affects": [{"ref": PURL}]}),
         "is not a VEX document: vulnerability 1: 'id' must be a text, not a number"),
    ],
)  # fmt: skip
def test_what_is_not_a_document_is_told_in_one_message(tmp_path: Path, content: Any, message: str) -> None:
    """With the file, what is wrong, and what is taken."""
    file = tmp_path / "vex.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(SupplyError, match=re.escape(f"{file}: {message}")) as caught:
        read(file)
    assert str(caught.value).endswith(f"\n  {HINT}")
    assert str(caught.value).count("\n") == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, another encoding."""
    (tmp_path / "latin").write_bytes(b'{"\xe9": 1}')
    for name, message in {
        "none": "cannot be read: No such file",
        ".": "cannot be read: Is a directory",
        "latin": "must be a text in UTF-8",
    }.items():
        with pytest.raises(SupplyError, match=message):
            read(tmp_path / name)


def broken(value: Any) -> Iterator[Any]:
    """A document with each of its parts replaced by something else, or left out."""
    yield from (None, 5, True, "x", "", [], [1], {}, {"x": 1})
    if isinstance(value, dict):
        for key in value:
            yield {name: one for name, one in value.items() if name != key}
            yield from ({**value, key: one} for one in broken(value[key]))
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from ([*value[:number], other, *value[number + 1 :]] for other in broken(one))


def test_whatever_a_document_is_it_is_read_or_refused(tmp_path: Path) -> None:
    """Nothing but a message with the file comes of it."""
    full = statement(
        vulnerability={"name": "CVE-1", "aliases": ["a"]}, timestamp="2026-01-01T00:00:00Z", impact_statement="x"
    )
    full["products"].append({"@id": "x", "identifiers": {"purl": PURL}, "subcomponents": [{"@id": "x"}]})
    theirs = vulnerability(
        affects={"ref": "django", "versions": [{"version": "1", "status": "unaffected"}]},
        references=[{"id": "x"}],
        updated="2026-01-01",
    )
    refused = []
    for whole in (openvex(full), cyclonedx(theirs, components=[{"bom-ref": "django", "purl": PURL}])):
        read_back(tmp_path, whole)
        for one in broken(whole):
            try:
                read_back(tmp_path, one)
            except SupplyError as error:
                refused.append(error.where)
    assert len(refused) > 100
    assert set(refused) == {str(tmp_path / "vex.json")}
