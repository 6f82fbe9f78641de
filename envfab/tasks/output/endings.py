"""The closing summary of a rollout: how many ended how, and what went wrong with which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from envfab.config.slices import Slice
from envfab.deployment.notes import still_running
from envfab.deployment.result import BAD, Deployment, Ending
from envfab.planning.plan import anywhere
from envfab.tasks.output.plans import counted, several, slice_title

NAMED_BAD = 12
OUTPUT_LINES = 12


def show_endings(deployments: Sequence[Deployment], part: Slice | None = None) -> Text:
    """The closing summary: how many ended how, and what went wrong with which.

    If nothing was begun, the plans that were just shown have told what is wrong.
    """
    text = Text()
    for group in _bad(deployments) if any(one.id is not None for one in deployments) else []:
        text.append_text(_show_bad(group))
    for what, names, targets in _migrations(deployments):
        text.append(several(targets), "bold")
        text.append(f"   {what} {', '.join(names)}\n")
    for verdict, targets in _verdicts(deployments):
        text.append(several(targets), "bold")
        text.append(f"   {verdict}\n", "yellow")
    for deployment in deployments:
        for line in still_running(deployment.lingering):
            text.append(str(deployment.target), "bold")
            text.append(f"   {line}\n", "yellow")
    text.append(slice_title(part) + counted([one.spoken for one in deployments]), "bold")
    return text


def _migrations(deployments: Sequence[Deployment]) -> Iterator[tuple[str, Sequence[str], list[str]]]:
    """What became of migrations: (words, their names, the targets of which that is so), each list of names once."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in deployments:
        applied = "migrations applied, and not reversed:" if one.ending in BAD else "migrated"
        for what, names in (
            (applied, one.migrated),
            ("migrations that may or may not have run:", one.uncertain),
            ("migrations that failed or were never begun:", one.unapplied),
        ):
            if names:
                found.setdefault((what, names), []).append(str(one.target))
    return ((what, names, targets) for (what, names), targets in found.items())


def _verdicts(deployments: Sequence[Deployment]) -> Iterator[tuple[str, list[str]]]:
    """What is wrong with migrations that were applied, and the targets that applied them."""
    found: dict[str, list[str]] = {}
    for one in deployments:
        for verdict in one.verdicts if one.ending not in BAD else ():
            found.setdefault(str(verdict), []).append(str(one.target))
    return ((verdict, targets) for verdict, targets in found.items())


def _bad(deployments: Sequence[Deployment]) -> list[list[Deployment]]:
    """Those that did not end well, in groups of those of which the same is to be told."""
    groups: dict[tuple[object, ...], list[Deployment]] = {}
    for one in deployments:
        if one.ending in BAD and one.error is not None:
            told = (anywhere(text, one.target) for text in (str(one.error), one.output, one.left_open))
            groups.setdefault((one.spoken, one.done, *told), []).append(one)
    return [*groups.values()]


def _show_bad(group: Sequence[Deployment]) -> Text:
    deployment = group[0]
    text = Text(f"{deployment.target}   ", "bold")
    text.append(deployment.spoken, "bold red")
    message = str(deployment.error).removeprefix(f"{deployment.target}: ")
    text.append("".join(f"\n    {line.strip()}" for line in message.splitlines()))
    for line in deployment.output.rstrip().splitlines()[-OUTPUT_LINES:]:
        text.append(f"\n    | {line}", "dim")
    if deployment.ending in (Ending.FAILED, Ending.ROLLED_BACK):
        text.append(f"\n    completed: {', '.join(deployment.done) or 'nothing'}")
    if deployment.left_open:
        text.append(f"\n    {deployment.left_open}", "yellow")
    if len(group) > 1:
        others = [str(one.target) for one in group[1:]]
        names = ", ".join(others[:NAMED_BAD]) + (" …, --json names all" if len(others) > NAMED_BAD else "")
        text.append(f"\n    the same for {len(others)} more: {names}", "dim")
    text.append("\n")
    return text
