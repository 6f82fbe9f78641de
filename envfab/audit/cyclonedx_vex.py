"""VEX in CycloneDX (https://cyclonedx.org/capabilities/vex/): read from 1.4 on in JSON, and written as 1.6."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from envfab.audit.purl import PackageName, parse_purl
from envfab.audit.severity import Rating
from envfab.audit.vex import MOST, VEXStatement, VEXStatus, ids_of, time_in
from envfab.audit.vex_assessment import Assessment
from envfab.util.json_fields import Fields
from envfab.util.versions import version_or_none

# CycloneDX's states by those of VEX; the first is the one that is written
STATES = {
    VEXStatus.NOT_AFFECTED: ("not_affected", "false_positive"),
    VEXStatus.AFFECTED: ("exploitable",),
    VEXStatus.FIXED: ("resolved", "resolved_with_pedigree"),
    VEXStatus.UNDER_INVESTIGATION: ("in_triage",),
}
_STATUSES = {state: status for status, states in STATES.items() for state in states}
JUSTIFICATIONS = {
    "component_not_present": "requires_dependency",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
_LABELS = {theirs: label for label, theirs in JUSTIFICATIONS.items()}
_SOURCES = {
    "CVE": ("NVD", "https://nvd.nist.gov/vuln/detail/"),
    "GHSA": ("GITHUB", "https://github.com/advisories/"),
}
_METHODS = {"CVSS:3.0": "CVSSv3", "CVSS:3.1": "CVSSv31", "CVSS:4.0": "CVSSv4"}


def parse(document: Fields, where: str) -> list[VEXStatement]:
    """The statements of a document on projects of PyPI; raises `ValueError` for what is not CycloneDX from 1.4 on."""
    version = version_or_none(document.text("specVersion"))
    if version is None or version.release < (1, 4):
        raise ValueError(f"it is CycloneDX {document.text('specVersion')[:20]!r}: VEX came with 1.4")
    metadata = document.object("metadata") if "metadata" in document.values else Fields({})
    inherited = time_in(metadata, "timestamp")
    purls = dict(_components(document))
    found: list[VEXStatement] = []
    for number, fields in enumerate(_objects(document, "vulnerabilities"), 1):
        try:
            found += _statements(fields, purls, inherited, where)
        except ValueError as error:
            raise ValueError(f"vulnerability {number}: {error}") from None
    return found


def _statements(
    fields: Fields, purls: Mapping[str, PackageName], inherited: datetime | None, where: str
) -> Iterator[VEXStatement]:
    """The statement that a vulnerability makes: none where it was not analysed, or is about other packages alone."""
    if "analysis" not in fields.values:
        return
    analysis = fields.object("analysis")
    state = analysis.text("state") if "state" in analysis.values else "in_triage"
    if state not in _STATUSES:
        raise ValueError(f"'state' must be one of {', '.join(_STATUSES)}, not {state[:80]!r}")
    packages = [one for affected in _objects(fields, "affects") for one in _packages(affected, purls)]
    if not packages:
        return
    references = [one.text("id") for one in _objects(fields, "references")]
    justification = analysis.line("justification") if "justification" in analysis.values else ""
    detail = analysis.line("detail") if "detail" in analysis.values else ""
    yield VEXStatement(
        ids_of(fields.text("id"), references),
        tuple(packages),
        _STATUSES[state],
        _LABELS.get(justification),
        detail or justification.replace("_", " "),
        time_in(analysis, "lastUpdated", "firstIssued") or time_in(fields, "updated", "published") or inherited,
        where,
    )


def _components(document: Fields) -> Iterator[tuple[str, PackageName]]:
    """The projects on PyPI among the components, by their references."""
    for component in _objects(document, "components"):
        if "bom-ref" in component.values and "purl" in component.values:
            named = parse_purl(component.text("purl"))
            if named is not None:
                yield component.text("bom-ref"), named


def _packages(affected: Fields, purls: Mapping[str, PackageName]) -> Iterator[PackageName]:
    """What an entry of `affects` is about: the component, or those of its versions that are called unaffected."""
    reference = affected.text("ref")
    # a BOM-Link (`urn:cdx:SERIAL/1#REF`) ends with the reference in the other document
    named = purls.get(reference) or parse_purl(reference) or parse_purl(reference.partition("#")[2])
    if named is None:
        return
    if not affected.values.get("versions"):
        yield named
        return
    for one in _objects(affected, "versions"):
        if one.values.get("status") == "unaffected" and "version" in one.values:
            yield PackageName(named.name, one.text("version"))


def _objects(fields: Fields, name: str) -> list[Fields]:
    return fields.objects(name, MOST) if name in fields.values else []


def document(assessments: Sequence[Assessment], tool: tuple[str, str], now: datetime) -> dict[str, Any]:
    """Make a document; `tool` is the name and version of this program."""
    components = {one.purl: one for one in assessments}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid4().urn,
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "tools": {"components": [{"type": "application", "name": tool[0], "version": tool[1]}]},
        },
        "components": [
            {"type": "library", "bom-ref": purl, "name": one.shown_as, "version": one.version, "purl": purl}
            for purl, one in components.items()
        ],
        "vulnerabilities": [_vulnerability(one) for one in assessments],
    }


def _vulnerability(one: Assessment) -> dict[str, Any]:
    first, *others = one.ids
    analysis: dict[str, Any] = {"state": STATES[one.status][0], **({"detail": one.text} if one.text else {})}
    if one.accepted:
        analysis["response"] = ["will_not_fix"]
    if one.justification in JUSTIFICATIONS:
        analysis["justification"] = JUSTIFICATIONS[one.justification]
    made: dict[str, Any] = {
        "bom-ref": f"{first}/{one.purl}",
        "id": first,
        "source": _source(first),
        "ratings": [_rating(one.rating)],
        "analysis": analysis,
        "affects": [{"ref": one.purl}],
    }
    if others:
        made["references"] = [{"id": other, "source": _source(other)} for other in others]
    if one.summary:
        made["description"] = one.summary
    if one.remedy:
        made["recommendation"] = one.remedy
    return made


def _source(id: str) -> dict[str, str]:
    """The database that an ID is of, by the names that Dependency-Track has for them."""
    prefix = id.partition("-")[0]
    name, address = _SOURCES.get(prefix, ("OSV", "https://osv.dev/vulnerability/"))
    return {"name": name, "url": f"{address}{id}"}


def _rating(rating: Rating) -> dict[str, Any]:
    made: dict[str, Any] = {"severity": rating.severity.value}
    if rating.score is not None:
        made["score"] = rating.score
    if rating.vector is not None:
        made |= {"method": _METHODS.get(rating.vector[:8], "CVSSv2"), "vector": rating.vector}
    return made
