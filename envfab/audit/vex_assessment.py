"""Findings in the words of VEX: one assessment for each vulnerability of a version of a package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envfab.audit.findings import Finding, FindingKind, FindingState
from envfab.audit.severity import Rating
from envfab.audit.vex import VEXStatus
from envfab.sbom.virtualenv_bill import package_url

UNDECIDED = "not decided yet"


@dataclass(frozen=True, slots=True)
class Assessment:
    """A vulnerability in a version of a package, with its status; `text` says why, `remedy` what would mend it.

    `accepted` is whether it was accepted at all targets that have it.
    """

    ids: tuple[str, ...]
    purl: str
    shown_as: str
    version: str
    status: VEXStatus
    text: str
    justification: str | None
    summary: str
    rating: Rating
    remedy: str
    accepted: bool


def assessments(findings: Iterable[Finding]) -> list[Assessment]:
    """The assessments of the vulnerabilities among findings; old interpreters are none, and are left out.

    A risk that was accepted is `affected`: it is there, and what is done about it is nothing, for a reason. It is not
    `not_affected`, which only a VEX statement says. What is left is `under_investigation`.
    """
    groups: dict[tuple[tuple[str, ...], str], list[Finding]] = {}
    for one in findings:
        if one.kind is FindingKind.VULNERABILITY:
            groups.setdefault((one.ids, package_url(one.shown_as, one.version)), []).append(one)
    return [_assessment(name, group) for (_ids, name), group in sorted(groups.items())]


def _assessment(name: str, group: Sequence[Finding]) -> Assessment:
    first = group[0]
    status, text = _status(group)
    return Assessment(
        first.ids,
        name,
        first.shown_as,
        first.version,
        status,
        text,
        first.statement.justification if first.statement is not None else None,
        first.summary,
        first.rating,
        next((one.remedy.text for one in group if one.remedy is not None), ""),
        all(one.state is FindingState.ACCEPTED for one in group),
    )


def _status(group: Sequence[Finding]) -> tuple[VEXStatus, str]:
    """The status of the same finding at several targets: a statement is on the version, and the same at all of them."""
    statement = group[0].statement
    if statement is not None and statement.status.settles:
        return statement.status, statement.text
    if any(one.state is FindingState.ACCEPTED for one in group):
        return VEXStatus.AFFECTED, _decisions(group)
    if statement is not None and statement.status is VEXStatus.AFFECTED:
        return VEXStatus.AFFECTED, statement.text or UNDECIDED
    return VEXStatus.UNDER_INVESTIGATION, statement.text if statement is not None else ""


def _decisions(group: Sequence[Finding]) -> str:
    """What was decided, for whom where it is not the same for all: `accepted until 2027-01-31: …`."""
    by_text: dict[str, list[str]] = {}
    for one in group:
        by_text.setdefault(_decision(one), []).append(str(one.target))
    if len(by_text) == 1:
        return next(iter(by_text))
    return "; ".join(f"{', '.join(targets)}: {text}" for text, targets in by_text.items())


def _decision(one: Finding) -> str:
    if one.acceptance is None or one.state is not FindingState.ACCEPTED:
        return UNDECIDED
    return f"accepted until {one.acceptance.until}: {one.acceptance.reason}"
