"""The slice of the fleet that a task works on (`--slice`), and what cannot be combined with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from envfab.config.slices import Slice, fingerprint, unlabelled
from envfab.config.target import Member, Target
from envfab.errors import UsageError
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count

if TYPE_CHECKING:
    from envfab.deployment.plan_file import SavedPlan

SHOWN = 3
SETTING = "the setting batch"


def select_slice(run: TaskContext, names: Sequence[str], part: Slice | None) -> tuple[Member, ...]:
    """Return the members that `names` select and that lie in `part`, and say how many these are.

    Without `part` these are all that are selected. Raises `UsageError` for names that select nothing, and for a slice
    that is empty whatever is selected.
    """
    if part is None:
        return run.select(names)
    hosts = part.hosts_of(run.fleet.all_hosts())
    members = run.select(names, hosts)
    if members:
        run.console.print(f"slice {part}   {count(len(members), 'virtualenv')} on {count(_hosts(members), 'host')}")
    return members


def _hosts(members: Sequence[Member]) -> int:
    return len({member.host.name for member in members})


def nothing_selected(run: TaskContext, part: Slice, document: Any, what: str = "selected virtualenv") -> None:
    """Say that a task has nothing to do in this slice; with `--json` print the `document` that says the same."""
    run.console.print(f"nothing to do in slice {part}: no {what} is in it")
    if run.console.as_json:
        run.console.json(document)


def given_waves(run: TaskContext, canary: Sequence[str], batch: str) -> list[str]:
    """Return the flags that ask for waves: `--canary`, and `--batch` unless it says `none`."""
    return ["--canary"] * bool(canary) + ["--batch"] * bool(batch and run.settings.batch is not None)


def canary_targets(run: TaskContext, names: Sequence[str], members: Sequence[Member]) -> frozenset[Target]:
    """Return the targets to deploy to first; raises `UsageError` for one that is not among the `members`."""
    first = run.select(names) if names else ()
    chosen = {member.target for member in members}
    strangers = [str(member.target) for member in first if member.target not in chosen]
    if strangers:
        raise UsageError(f"not among the chosen targets: {', '.join(strangers)}", where="--canary")
    return frozenset(member.target for member in first)


def refuse_waves(part: Slice | None, given: Sequence[str]) -> None:
    """Raise `UsageError` for a slice together with what is `given`: `--canary`, `--batch` or the setting."""
    if part is None or not given:
        return
    raise UsageError(
        f"--slice cannot be combined with {' and '.join(given)}: slices do not wait for each other,"
        " so each would begin waves of its own at the same time",
        hint="let a plan of the whole fleet have the waves: fab plan --canary NAME --batch N --out FILE,"
        f" then fab deploy --plan FILE --slice {part}"
        + ("; --batch none does without waves" if SETTING in given else ""),
    )


def slice_of(saved: SavedPlan | None, text: str) -> Slice | None:
    """Return the slice that `--slice` names, or else the one that the saved plan is for.

    Raises `UsageError` if these are two slices, or if the saved plan cannot be divided into slices.
    """
    part = Slice.parse(text) if text else None
    if saved is None:
        return part
    if part is not None and saved.slice is not None and part != saved.slice:
        raise UsageError(f"the saved plan is for slice {saved.slice}, not for {part}", where="--slice")
    part = part or saved.slice
    if part is not None and saved.fleet is None:
        raise UsageError(
            "the saved plan does not say which fleet it was made for, and cannot be divided into slices",
            where="--slice",
            hint="make a new plan: fab plan --out FILE",
        )
    return part


def fingerprint_of(run: TaskContext) -> str:
    """Return the fingerprint of the fabfile's fleet."""
    return fingerprint(run.fleet.members(run.login))


def refuse_other_fleet(run: TaskContext, saved: SavedPlan) -> None:
    """Raise `UsageError` if the fabfile's fleet is not the one that the saved plan was made for."""
    if saved.fleet != fingerprint_of(run):
        raise UsageError(
            "the saved plan was made for another fleet, which is divided into other slices:"
            " hosts, virtualenvs, their owners or databases differ",
            where="--slice",
            hint="run all slices with the fabfile that made the plan, or make a new one: fab plan --out FILE",
        )


def warn_of_unlabelled(run: TaskContext, part: Slice) -> None:
    """Warn of databases that two slices may migrate at the same time, since nothing says whether they are shared."""
    found = unlabelled(run.fleet.all_hosts(), part.hosts_of(run.fleet.all_hosts()))
    if found:
        shown = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        run.console.warning(
            f"other slices migrate {shown} too: if hosts share its database, two slices may do so at the same time;"
            f" say which it is, Project({found[0]!r}, database=…)"
        )
