"""The task `history`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import at_least, ours
from envfab.util.untrusted import one_line

if TYPE_CHECKING:
    from rich.text import Text

    from envfab.deployment.journal import Record
    from envfab.remote.probe import ProbeResult

SHOWN_CHANGES = 6


def task(fleet: Fleet) -> Any:
    """`history` for `fleet`."""

    @ours(limit="how many deployments of each virtualenv (default: 10)")
    def history(c: Context, name: Iterable[str] = (), limit: int = 10, json: bool = False) -> None:
        """Show what was deployed to each virtualenv, newest first, as its own history tells."""
        from envfab.deployment.rollback import histories

        run = TaskContext(fleet, c, json)
        at_least(1, "--limit", limit)
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            with histories(members, links, run.settings, console) as arrivals:
                found = arrivals.all()
                for find, records in found:
                    console.print(_shown(find, records[::-1], limit))
            if json:
                console.json({"format": 1, "virtualenvs": [_json(find, records, limit) for find, records in found]})
        if any(find.error for find, _ in found):
            raise Exit(code=1)

    return history


def _shown(found: ProbeResult, records: Sequence[Record], limit: int) -> Text:
    """The newest `limit` of a virtualenv's `records`, and how many more there are."""
    from packaging.utils import canonicalize_name
    from rich.text import Text

    from envfab.deployment.notes import spoken
    from envfab.planning.plan import Status, status_without

    text = Text(str(found.member.target), "bold")
    if found.error is not None:
        what = str(found.error).removeprefix(f"{found.member.target}: ")
        status = status_without(found.error)
        text.append(f"   {'unreadable' if status is Status.BLOCKED else status.value}", "bold red")
        text.append("".join(f"\n    {line.strip()}" for line in what.splitlines()))
    elif not records:
        text.append("   nothing was deployed yet", "dim")
    for record in records[:limit]:
        text.append(f"\n  {one_line(record.deployment)}", "bold")
        about = f"{spoken(record.ended or record.began)}   {record.who} from {record.origin}   {_ended_as(record)}"
        text.append(f"   {one_line(about)}")
        if record.upgrade:
            published = {canonicalize_name(change.name): change.name for change in record.changes}
            named = [published.get(canonicalize_name(name), name) for name in record.upgrade if name != "*"]
            upgraded = " ".join(["--upgrade", *named])
            text.append(f"\n      {one_line(upgraded)}", "dim")
        for change in record.changes[:SHOWN_CHANGES]:
            what = f"{change.name}   {change.installed or '-'} → {change.version or '-'}"
            text.append(f"\n      {one_line(what)}", "dim")
        if len(record.changes) > SHOWN_CHANGES:
            text.append(f"\n      and {len(record.changes) - SHOWN_CHANGES} more", "dim")
        if record.migrated:
            text.append(f"\n      migrated: {one_line(', '.join(record.migrated))}", "dim")
        for names, what in (
            (record.uncertain, "migrations that may or may not have run"),
            (record.unapplied, "migrations that failed or were never begun"),
        ):
            if names:
                text.append(f"\n      {what}: {one_line(', '.join(names))}", "yellow")
        if record.error:
            text.append(f"\n      {one_line(record.error)}", "red")
    if len(records) > limit:
        text.append(f"\n  {len(records) - limit} more: --limit {len(records)}", "dim")
    return text


def _ended_as(record: Record) -> str:
    """How a deployment ended, or where it stands."""
    if record.status == "deployed":
        return f"rolled back {record.undoes}" if record.undoes else "deployed"
    if record.status in ("failed", "interrupted", "under way"):
        return f"{record.status} at {record.step}"
    return str(record.status)


def _json(found: ProbeResult, records: Sequence[Record], limit: int) -> dict[str, Any]:
    from envfab.deployment.journal import to_json

    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "deployments": [to_json(record) for record in records[::-1][:limit]],
        "more": max(0, len(records) - limit),
    }
