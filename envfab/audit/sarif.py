"""Findings as SARIF 2.1.0 (OASIS), which code scanning services read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from envfab.audit.findings import AuditedVirtualenv, Finding, FindingKind, FindingState
from envfab.audit.severity import Rating, Severity

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# a severity that is not known may be the worst
_LEVELS = {
    Severity.NONE: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
    Severity.UNKNOWN: "error",
}
# Where there is no score, the middle of the range of CVSS v3.1: services sort by the number alone.
_SCORES = {Severity.NONE: 0.0, Severity.LOW: 2.0, Severity.MEDIUM: 5.5, Severity.HIGH: 8.0, Severity.CRITICAL: 9.5}
_ORIGIN = re.compile(r"(?P<file>.+):(?P<line>[1-9]\d{0,8})")


@dataclass(frozen=True, slots=True)
class SARIFTool:
    """The program that writes a document: its name, version, and the fabfile that it read, relative to its folder."""

    name: str
    version: str
    fabfile: str


def document(rows: Sequence[AuditedVirtualenv], tool: SARIFTool) -> dict[str, Any]:
    """Make a document with a rule for each vulnerability, and a result for each target that has it."""
    findings = [finding for row in rows for finding in row.findings]
    rules = list({one.ids[0]: _rule(one) for one in findings}.values())
    numbers = {rule["id"]: number for number, rule in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": tool.name, "version": tool.version, "rules": rules}},
                "invocations": [_invocation(rows)],
                "results": [_result(one, numbers[one.ids[0]], tool) for one in findings],
            }
        ],
    }


def _rule(one: Finding) -> dict[str, Any]:
    first = one.ids[0]
    made: dict[str, Any] = {
        "id": first,
        "shortDescription": {"text": f"{first} in {one.shown_as}"},
        "fullDescription": {"text": one.summary or first},
        "help": {"text": f"{', '.join(one.ids)}: {one.summary}" if one.summary else ", ".join(one.ids)},
        "defaultConfiguration": {"level": _LEVELS[one.rating.severity]},
        "properties": {"tags": ["security", one.kind.value], **_score(one.rating)},
    }
    if one.kind is FindingKind.VULNERABILITY:
        made["helpUri"] = f"https://osv.dev/vulnerability/{quote(first)}"
    return made


def _score(rating: Rating) -> dict[str, str]:
    score = rating.score if rating.score is not None else _SCORES.get(rating.severity)
    return {} if score is None else {"security-severity": f"{score:.1f}"}


def _result(one: Finding, rule: int, tool: SARIFTool) -> dict[str, Any]:
    identity = "\n".join((str(one.target), one.name, one.ids[0]))
    return {
        "ruleId": one.ids[0],
        "ruleIndex": rule,
        "level": _LEVELS[one.rating.severity],
        "message": {"text": _message(one)},
        "locations": [
            {
                "physicalLocation": _place(one, tool),
                "logicalLocations": [{"fullyQualifiedName": str(one.target), "kind": "resource"}],
            }
        ],
        # the version is not in it: an upgrade that does not mend is the same finding
        "partialFingerprints": {"envfab/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()},
        "suppressions": list(_suppressions(one)),
        "properties": {"state": one.state.value, "version": one.version},
    }


def _message(one: Finding) -> str:
    said = [f"{one.shown_as} {one.version} at {one.target}: {', '.join(one.ids)}"]
    said += [one.summary] if one.summary else []
    said += [one.remedy.text] if one.remedy is not None else []
    return ". ".join(said)


def _place(one: Finding, tool: SARIFTool) -> dict[str, Any]:
    """The line that requires the package, else the fabfile: services show no result without a file."""
    origin = _ORIGIN.fullmatch(one.declared)
    if origin is None:
        return {"artifactLocation": {"uri": _uri(tool.fabfile)}}
    return {"artifactLocation": {"uri": _uri(origin["file"])}, "region": {"startLine": int(origin["line"])}}


def _uri(path: str) -> str:
    return PurePath(path).as_uri() if PurePath(path).is_absolute() else quote(PurePath(path).as_posix())


def _suppressions(one: Finding) -> Iterator[dict[str, str]]:
    if one.state is FindingState.ACCEPTED and one.acceptance is not None:
        why = f"accepted until {one.acceptance.until}: {one.acceptance.reason} ({one.acceptance.where})"
        yield {"kind": "external", "status": "accepted", "justification": why}
    if one.state is FindingState.NOT_AFFECTED and one.statement is not None:
        why = ", ".join(filter(None, (one.statement.justification, one.statement.text)))
        said = f"{one.statement.status.value}: {why} ({one.statement.document})"
        yield {"kind": "external", "status": "accepted", "justification": said}


def _invocation(rows: Sequence[AuditedVirtualenv]) -> dict[str, Any]:
    """Whether all targets were looked at, and what was wrong with the others."""
    errors = [(row.found.member.target, row.found.error) for row in rows if row.found.error is not None]
    return {
        "executionSuccessful": not errors,
        "toolExecutionNotifications": [
            {"level": "error", "message": {"text": f"{target}: {str(error).removeprefix(f'{target}: ')}"}}
            for target, error in errors
        ],
    }
