"""The findings of an audit, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from envfab.audit.acceptances import Acceptance
from envfab.audit.end_of_life import MADE, is_stale
from envfab.audit.findings import AuditedVirtualenv, Finding, FindingKind, FindingState
from envfab.audit.osv import OSVExport
from envfab.audit.remedies import Remedies
from envfab.audit.remedy import Remedy, RemedyKind
from envfab.audit.severity import Rating, Severity
from envfab.audit.vex import VEXStatement
from envfab.config.fleet import Fleet
from envfab.tasks.output.console import Console
from envfab.tasks.output.target_error import show_error
from envfab.tasks.shared.command_line import command, flags
from envfab.util.counts import count

SHOWN_SUMMARY = 90
# the file that a command to copy saves a plan in
PLAN = "mend.json"
NO_VERSION = "its version does not follow PEP 440"


def show_audit(
    console: Console, rows: Sequence[AuditedVirtualenv], export: OSVExport, least: Severity, now: datetime
) -> None:
    """Print each virtualenv's findings, and how old it is what they come from."""
    age = export.age(now)
    for row in rows:
        if row.found.error is not None:
            show_error(console, row.found.member.target, row.found.error)
        else:
            _show_virtualenv(console, row, age)
    below = sum(one.state is FindingState.BELOW for row in rows for one in row.findings)
    if below:
        console.print(f"{count(below, 'finding')} below {least.value} not listed (--min-severity)", "yellow")
    console.print(f"{count(export.records, 'record')}, {age}", "dim")
    if is_stale(now.date()):
        console.warning(f"the ends of life of Python versions are as of {MADE}, more than a year old: update envfab")


def show_commands(
    console: Console,
    fleet: Fleet,
    rows: Sequence[AuditedVirtualenv],
    remedies: Remedies,
    selected: Sequence[str] | None,
) -> None:
    """Print the commands that mend what counts, each once for all targets that need it.

    `selected` are names that select all of `rows`, and nothing else; None if there are none.
    """
    deployed: dict[tuple[str, ...], list[str]] = {}
    fetched: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        target = str(row.found.member.target)
        for findings in _deployments(row, remedies):
            deployed.setdefault(tuple(dict.fromkeys(one.shown_as for one in findings)), []).append(target)
        lacking = tuple(dict.fromkeys(f"{one.shown_as}=={version}" for one, version in _with(RemedyKind.FETCH, row)))
        if lacking:
            fetched.setdefault(lacking, []).append(target)

    def names(targets: list[str]) -> Sequence[str]:
        return selected if selected is not None and len(targets) == len(rows) else targets

    for wheels, targets in fetched.items():
        words = [*wheels, *flags(name=names(targets))]
        console.command("fetch what is missing with: ", command(fleet, "fetch_wheels", *words))
    # with approvers, nothing but a saved plan can be deployed
    task, out = ("deploy", []) if fleet.approvers is None else ("plan", ["--out", PLAN])
    for packages, targets in deployed.items():
        words = [*flags(upgrade=packages), *out]
        console.command("mend with: ", command(fleet, task, *words, names=names(targets)))


def _deployments(row: AuditedVirtualenv, remedies: Remedies) -> list[list[Finding]]:
    """The findings that a deployment mends: all in one if that is possible, else one a package."""
    by_package: dict[str, list[Finding]] = {}
    for one, _version in _with(RemedyKind.DEPLOY, row):
        by_package.setdefault(one.name, []).append(one)
    each = list(by_package.values())
    together = [finding for findings in each for finding in findings]
    return [together] if len(each) > 1 and remedies.work_together(row, together) else each


def _with(kind: RemedyKind, row: AuditedVirtualenv) -> list[tuple[Finding, str]]:
    """The findings that count and have this kind of remedy, with the version that mends them."""
    return [
        (one, one.remedy.version)
        for one in row.counted
        if one.remedy is not None and one.remedy.kind is kind and one.remedy.version is not None
    ]


def show_unused(console: Console, unused: Sequence[Acceptance]) -> None:
    """Print the acceptances that nothing was found for."""
    for one in unused:
        console.print(f"{one.where}: {one.id} is accepted and was not found: remove the line", "yellow")


def _show_virtualenv(console: Console, row: AuditedVirtualenv, age: str) -> None:
    console.print(f"{row.found.member.target}   {_summary(row)}", "bold")
    for there in row.unchecked:
        console.print(f"    {there.shown_as} {there.version_text}   not checked: {NO_VERSION}", "yellow")
    for one in row.findings:
        if one.state is not FindingState.BELOW:
            _show_finding(console, one, age)


def _summary(row: AuditedVirtualenv) -> str:
    vulnerable = sum(one.kind is FindingKind.VULNERABILITY for one in row.counted)
    said = [f"{vulnerable} known to be vulnerable"] if vulnerable else []
    said += ["Python past its end of life"] if len(row.counted) > vulnerable else []
    accepted = sum(one.state is FindingState.ACCEPTED for one in row.findings)
    said += [f"{accepted} accepted"] if accepted else []
    dismissed = sum(one.state is FindingState.NOT_AFFECTED for one in row.findings)
    said += [f"{dismissed} not affected"] if dismissed else []
    said = said or ["nothing known"]
    return ", ".join([*said, *([f"{len(row.unchecked)} not checked"] if row.unchecked else [])])


def _show_finding(console: Console, one: Finding, age: str) -> None:
    """Print a finding; of one that does not count, no more than why, and what would mend it at once."""
    first, *others = one.ids
    facts = [first + (f" ({', '.join(others)})" if others else ""), rating_text(one.rating)]
    if one.kind is FindingKind.VULNERABILITY:
        facts += [f"fixed in {', '.join(one.fixed)}" if one.fixed else "no fix known", age]
    counts = one.state is FindingState.OPEN
    console.print(f"    {one.shown_as} {one.version}   {' · '.join(facts)}", "red" if counts else "dim")
    if one.summary and counts:
        console.print(f"        {one.summary[:SHOWN_SUMMARY]}")
    if one.remedy is not None and (counts or one.remedy.kind is RemedyKind.DEPLOY):
        console.print(f"        {one.remedy.text}", "" if counts else "dim")
    if one.statement is not None:
        console.print(f"        {_said(one.statement)}", "dim")
    if one.acceptance is not None:
        until = f"accepted until {one.acceptance.until}"
        if one.expired:
            console.print(f"        {until}: expired ({one.acceptance.where})", "yellow")
        else:
            console.print(f"        {until}: {one.acceptance.reason} ({one.acceptance.where})", "dim")


def _said(statement: VEXStatement) -> str:
    why = [text for text in ((statement.justification or "").replace("_", " "), statement.text) if text]
    return f"{statement.status.value.replace('_', ' ')}: {', '.join([*why, statement.document])}"


def rating_text(rating: Rating) -> str:
    """A rating in words: `high 7.5`."""
    if rating.severity is Severity.UNKNOWN:
        return "severity unknown"
    return f"{rating.severity.value}{'' if rating.score is None else f' {rating.score}'}"


def audit_json(rows: Sequence[AuditedVirtualenv], export: OSVExport, unused: Sequence[Acceptance]) -> dict[str, Any]:
    """Return the same as JSON."""
    as_of = export.as_of.isoformat() if export.as_of else None
    return {
        "format": 1,
        "as_of": as_of,
        "virtualenvs": [_virtualenv_json(row, as_of) for row in rows],
        "end_of_life_as_of": MADE.isoformat(),
        "unused_acceptances": [_acceptance_json(one) for one in unused],
    }


def _virtualenv_json(row: AuditedVirtualenv, as_of: str | None) -> dict[str, Any]:
    found = row.found
    by_kind = {kind: [one for one in row.findings if one.kind is kind] for kind in FindingKind}
    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "vulnerabilities": [_finding_json(one, as_of) for one in by_kind[FindingKind.VULNERABILITY]],
        "not_checked": [
            {"name": one.shown_as, "version": one.version_text, "why": NO_VERSION} for one in row.unchecked
        ],
        "end_of_life": [_finding_json(one, MADE.isoformat()) for one in by_kind[FindingKind.END_OF_LIFE]],
    }


def _finding_json(one: Finding, as_of: str | None) -> dict[str, Any]:
    return {
        "name": one.shown_as,
        "version": one.version,
        "id": one.ids[0],
        "aliases": list(one.ids[1:]),
        "severity": one.vulnerability.severity if one.vulnerability is not None else None,
        "fixed": list(one.fixed),
        "summary": one.summary,
        "as_of": as_of,
        "kind": one.kind.value,
        "state": one.state.value,
        "rating": one.rating.severity.value,
        "score": one.rating.score,
        "vector": one.rating.vector,
        "remedy": _remedy_json(one.remedy) if one.remedy is not None else None,
        "vex": _statement_json(one.statement) if one.statement is not None else None,
        "accepted": _acceptance_json(one.acceptance) | {"expired": one.expired} if one.acceptance else None,
    }


def _acceptance_json(one: Acceptance) -> dict[str, Any]:
    return {
        "id": one.id,
        "until": one.until.isoformat(),
        "reason": one.reason,
        "package": one.package,
        "target": one.selector,
        "where": one.where,
    }


def _statement_json(one: VEXStatement) -> dict[str, Any]:
    return {
        "status": one.status.value,
        "justification": one.justification,
        "text": one.text,
        "document": one.document,
    }


def _remedy_json(one: Remedy) -> dict[str, Any]:
    return {"kind": one.kind.value, "version": one.version, "text": one.text}
