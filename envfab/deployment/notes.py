"""Notes that a plan shows about earlier deployments: one under way, interrupted, failed or rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.utils import canonicalize_name

from envfab.deployment.journal import FAILED, Record, from_json
from envfab.errors import FormatError
from envfab.models.drift import Drift, packages_and_files
from envfab.models.probe import LingeringProcess, Probe
from envfab.planning.plan import Plan, Status
from envfab.util.times import local_time, parse_time
from envfab.util.untrusted import one_line

SHOWN_NAMES = 3
SHOWN_TEXT = 40  # characters


def past(probe: Probe, left: Record | None, status: Status = Status.CHANGES) -> tuple[str, ...]:
    """Return notes on a virtualenv's earlier deployments, for a plan of that status.

    `left` is the deployment that was interrupted or failed.
    """
    return (*out_of_service(probe, status), *_earlier(probe, left))


def _earlier(probe: Probe, left: Record | None) -> tuple[str, ...]:
    if probe.holder is not None:
        who, origin = probe.holder.who or "another user", probe.holder.origin or "an unknown machine"
        return (f"{who} from {origin} is deploying to it now: this plan may be outdated soon",)
    if left is not None:
        if left.status == FAILED:
            return (
                f"deployment {left.deployment} by {left.who} from {left.origin} failed at {left.step},"
                f" {spoken(left.ended or left.began)}: {left.error}; deploy repairs it",
            )
        return (
            f"deployment {left.deployment} by {left.who} from {left.origin} was interrupted at {left.step},"
            f" {spoken(left.began)}; deploy finishes or repairs it",
        )
    try:
        last = from_json(probe.last, str(probe.target)) if probe.last is not None else None
    except FormatError:
        return ()
    if last is None or last.ended is None:
        return ()
    return (*_taken_back(last), *still_running(probe.lingering))


def out_of_service(probe: Probe, status: Status = Status.CHANGES) -> tuple[str, ...]:
    """Return a note if the virtualenv's host may still be out of service, else nothing."""
    note = probe.drained
    if note is None or probe.holder is not None:
        # whoever is deploying will put it back
        return ()
    by = f", taken out by {note.who or 'another user'} from {note.origin or 'an unknown machine'}"
    when = " once nothing blocks it" if status is Status.BLOCKED else ""
    since = spoken(note.since or "?")
    return (f"{probe.target.host} may still be out of service{by}, {since}; deploy puts it back{when}",)


def first_time(probe: Probe, plan: Plan) -> tuple[str, ...]:
    """Return a note if the plan gives the virtualenv its first generations, else nothing."""
    if not (probe.plain and plan.actions):
        return ()
    return ("packages and scripts move into .envfab and are replaced by links to them: see docs/generations.md",)


def changed_by_hand(drift: Drift | None, plan: Plan) -> tuple[str, ...]:
    """Return a note on what was changed since the last deployment, and what the plan makes of it; else nothing."""
    if not drift:
        return ()
    much = packages_and_files(len(drift.packages), drift.others)
    note = f"changed since the last deployment: {much}; fab verify tells which"
    if not plan.actions:
        return (note,)
    if plan.generation is not None:
        return (f"{note}; all of this stays behind in generation {drift.generation}",)
    names = {action.name for action in plan.actions}
    packages = [one.name for one in drift.packages if canonicalize_name(one.name) in names]
    files = sum(one.owner is not None and canonicalize_name(one.owner) in names for one in drift.files)
    parts = [
        (f"overwritten: {packages_and_files(len(packages), files)}", packages or files),
        (
            f"carried over: {packages_and_files(len(drift.packages) - len(packages), drift.others - files)}",
            len(drift.packages) > len(packages) or drift.others > files,
        ),
    ]
    return ("; ".join([note, *(text for text, is_there in parts if is_there)]),)


def still_running(processes: Sequence[LingeringProcess]) -> tuple[str, ...]:
    """Return a note that names the processes which still run the previous generation; nothing if there are none."""
    if not processes:
        return ()
    names = first_of([str(process) for process in processes])
    many = f"{len(processes)} processes still run" if len(processes) > 1 else "1 process still runs"
    return (f"{many} the previous generation: {names}",)


def _taken_back(last: Record) -> tuple[str, ...]:
    if last.ended is None:
        return ()
    if last.status == "rolled-back":
        names = [f"{change.name} {change.version}" for change in last.changes if change.version]
        when = f"by {last.who} from {last.origin}, {spoken(last.ended)}"
        return (f"the deployment of {first_of(names)} {when}, failed, and all is as it was before: {last.error}",)
    if last.undoes is not None:
        names = [f"{change.name} {change.installed}" for change in last.changes if change.installed]
        return (f"rolled back from {first_of(names)} by {last.who} from {last.origin}, {spoken(last.ended)}",)
    return ()


def first_of(names: Sequence[str]) -> str:
    """Name the first few, and how many more there are."""
    return ", ".join(names[:SHOWN_NAMES]) + (
        f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    )


def spoken(moment: str) -> str:
    """Format a recorded time in the local time zone: `Friday 2026-11-20 18:42 CET`.

    A text that is not an ISO 8601 time is shown as it is, shortened: a virtualenv's owner can write anything there.
    """
    try:
        at = parse_time(moment)
        return f"{at.astimezone():%A} {local_time(at)}"
    except (ValueError, OverflowError, OSError):
        return one_line(moment)[:SHOWN_TEXT]
