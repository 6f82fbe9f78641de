"""OpenVEX 0.2.0 documents (https://github.com/openvex/spec): read, and written out of findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from envfab.audit.purl import PackageName, parse_purl
from envfab.audit.vex import MOST, VEXStatement, VEXStatus, ids_of, time_in
from envfab.audit.vex_assessment import Assessment
from envfab.util.json_fields import Fields

CONTEXT = "https://openvex.dev/ns"
JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)


def parse(document: Fields, where: str) -> list[VEXStatement]:
    """The statements of a document on projects of PyPI; raises `ValueError` for what the specification forbids."""
    inherited = time_in(document, "last_updated", "timestamp")
    found = []
    for number, fields in enumerate(document.objects("statements", MOST), 1):
        try:
            found.append(_statement(fields, inherited, where))
        except ValueError as error:
            raise ValueError(f"statement {number}: {error}") from None
    return [one for one in found if one.packages]


def _statement(fields: Fields, inherited: datetime | None, where: str) -> VEXStatement:
    vulnerability = fields.object("vulnerability")
    aliases = vulnerability.texts("aliases") if "aliases" in vulnerability.values else ()
    status = _status(fields.text("status"))
    justification = fields.text("justification") if "justification" in fields.values else None
    if justification not in (None, *JUSTIFICATIONS):
        raise ValueError(f"'justification' must be a label of OpenVEX, not {justification[:80]!r}")
    impact = fields.line("impact_statement") if "impact_statement" in fields.values else ""
    if status is VEXStatus.NOT_AFFECTED and not (justification or impact):
        raise ValueError("'not_affected' needs a 'justification' or an 'impact_statement'")
    said = [fields.line(name) for name in ("action_statement", "status_notes") if name in fields.values]
    return VEXStatement(
        ids_of(vulnerability.text("name"), aliases),
        tuple(_packages(fields)),
        status,
        justification,
        next((text for text in (impact, *said) if text), ""),
        time_in(fields, "last_updated", "timestamp") or inherited,
        where,
    )


def _status(text: str) -> VEXStatus:
    try:
        return VEXStatus(text)
    except ValueError:
        known = ", ".join(one.value for one in VEXStatus)
        raise ValueError(f"'status' must be one of {known}, not {text[:80]!r}") from None


def _packages(fields: Fields) -> list[PackageName]:
    """The products that are projects on PyPI. What is said of a part of another product is not said of the part."""
    found = []
    for product in fields.objects("products", MOST) if "products" in fields.values else ():
        if product.values.get("subcomponents"):
            continue
        names = [product.text("@id")] if "@id" in product.values else []
        if "identifiers" in product.values and "purl" in (identifiers := product.object("identifiers")).values:
            names.append(identifiers.text("purl"))
        found += [one for name in names if (one := parse_purl(name)) is not None]
    return list(dict.fromkeys(found))


def document(assessments: Sequence[Assessment], author: str, tool: str, now: datetime) -> dict[str, Any]:
    """Make a document; there must be at least one assessment, for OpenVEX knows no document without statements."""
    return {
        "@context": f"{CONTEXT}/v0.2.0",
        "@id": uuid4().urn,
        "author": author,
        "timestamp": now.isoformat(timespec="seconds"),
        "version": 1,
        "tooling": tool,
        "statements": [_statement_of(one) for one in assessments],
    }


def _statement_of(one: Assessment) -> dict[str, Any]:
    first, *others = one.ids
    made: dict[str, Any] = {
        "vulnerability": {"name": first, **({"aliases": others} if others else {})},
        "products": [{"@id": one.purl, "identifiers": {"purl": one.purl}}],
        "status": one.status.value,
    }
    if one.status is VEXStatus.NOT_AFFECTED:
        # the schema allows one of the two
        made |= {"justification": one.justification} if one.justification else {"impact_statement": one.text}
    elif one.status is VEXStatus.AFFECTED:
        made["action_statement"] = one.text
    elif one.text:
        made["status_notes"] = one.text
    return made
