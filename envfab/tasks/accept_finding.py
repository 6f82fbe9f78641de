"""The task `accept_finding`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import shlex
from collections.abc import Iterable
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext

if TYPE_CHECKING:
    from envfab.audit.acceptances import Acceptance


def task(fleet: Fleet) -> Any:
    """`accept_finding` for `fleet`."""

    @ours(
        "finding",
        True,
        finding="an ID that `fab audit` shows: CVE-2026-1234, GHSA-…, python-3.8-eol; repeatable",
        reason="why it is accepted, for whoever reads the file",
        until="the last day on which it is accepted, such as 2027-01-31; at most a year ahead",
        package="accept it in this package alone",
        target="accept it in these virtualenvs alone: host, user@host:/path, %group, globs",
    )
    def accept_finding(
        c: Context,
        finding: Iterable[str] = (),
        reason: str = "",
        until: str = "",
        package: str = "",
        target: str = "",
        json: bool = False,
    ) -> None:
        """Accept a finding of `audit` up to a day, by a line in the file of accepted findings."""
        from envfab.audit.acceptances import append

        run = TaskContext(fleet, c, json)
        ids, today = list(finding), datetime.now(timezone.utc).date()
        _refuse_missing(ids, reason, until)
        if target:
            run.select([target])
        made = [_acceptance(one, until, reason, (package, target), today) for one in ids]
        path = fleet.at(fleet.accepted_findings)
        with run.console as console:
            append(path, made, today)
            for one in made:
                console.print(f"{path.name}: {one.line()}")
            if json:
                console.json(
                    {"format": 1, "file": str(path),
                     "accepted": [{"id": one.id, "until": one.until.isoformat(), "reason": one.reason,
                                   "package": one.package, "target": one.selector} for one in made]}
                )  # fmt: skip

    return accept_finding


def _refuse_missing(ids: list[str], reason: str, until: str) -> None:
    example = "--reason TEXT --until YYYY-MM-DD"
    if not ids:
        raise UsageError("accept_finding needs a finding", hint=f"fab accept_finding CVE-2026-1234 {example}")
    named = f"fab accept_finding {shlex.join(ids)} {example}"
    if not reason.strip():
        raise UsageError("accept_finding needs a reason", hint=named)
    if not until.strip():
        raise UsageError("accept_finding needs the last day on which the finding is accepted", hint=named)


def _acceptance(id: str, until: str, reason: str, place: tuple[str, str], today: date) -> Acceptance:
    """Make one of a finding; raises `UsageError`."""
    from envfab.audit.acceptances import Acceptance, check_until

    package, target = place
    try:
        made = Acceptance.build(id, until, reason, package or None, target or None)
        check_until(made.until, today)
    except ValueError as error:
        raise UsageError(str(error), where="accept_finding") from None
    if made.is_expired(today):
        raise UsageError(f"{made.until} has gone by: name a day to come", where="--until")
    return made
