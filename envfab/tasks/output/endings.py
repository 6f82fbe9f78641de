"""The closing summary of a rollout: how many ended how, and what went wrong with which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from envfab.config.slices import Slice
from envfab.deployment.notes import still_running
from envfab.deployment.result import BAD, Deployment, Ending
from envfab.planning.plan_json import anywhere
from envfab.tasks.output.plans import counted, several, slice_title
from envfab.util.counts import count

NAMED_BAD = 12
OUTPUT_LINES = 12
# of each output, where much failed
FEW_LINES = 3
# about a screen: lines about what failed, and about migrations and about processes
BAD_LINES = 40
OTHER_LINES = 6
JSON = "--json"


def show_endings(deployments: Sequence[Deployment], part: Slice | None = None, rest: str = JSON) -> Text:
    """The closing summary: how many ended how, and what went wrong with which; about a screen of it.

    `rest` is what names all if that is not enough. If nothing was begun, the plans that were just shown have told what
    is wrong.
    """
    text = Text()
    if any(one.id is not None for one in deployments):
        text.append_text(_show_all_bad(_bad(deployments), rest))
    lines = [
        Text.assemble((several(targets), "bold"), f"   {what} {', '.join(names)}\n")
        for what, names, targets in _migrations(deployments)
    ]
    text.append_text(_first(lines, "lists of migrations", rest))
    lines = [
        Text.assemble((several(targets), "bold"), (f"   {verdict}\n", "yellow"))
        for verdict, targets in _verdicts(deployments)
    ]
    text.append_text(_first(lines, "verdicts on migrations", "--json"))
    lines = [
        Text.assemble((str(one.target), "bold"), (f"   {line}\n", "yellow"))
        for one in deployments
        for line in still_running(one.lingering)
    ]
    text.append_text(_first(lines, "virtualenvs with processes of the previous generation", rest))
    text.append(slice_title(part) + counted([one.spoken for one in deployments]), "bold")
    return text


def _first(lines: Sequence[Text], what: str, rest: str) -> Text:
    """The first of many lines, and how many more there are of `what`."""
    text = Text().join(lines[:OTHER_LINES])
    if len(lines) > OTHER_LINES:
        text.append(f"and {len(lines) - OTHER_LINES} more {what}: {rest} names all\n", "dim")
    return text


def _show_all_bad(groups: Sequence[Sequence[Deployment]], rest: str) -> Text:
    """What failed, in groups; if that is more than a screen, with less of their output, or the largest of them."""
    shown: list[Text] = []
    for output_lines in (OUTPUT_LINES, FEW_LINES):
        shown = [_show_bad(group, rest, output_lines) for group in groups]
        if sum(map(_lines, shown)) <= BAD_LINES:
            return Text().join(shown)
    text, left = Text(), BAD_LINES
    by_size = sorted(range(len(groups)), key=lambda number: -len(groups[number]))
    told = 0
    for number in by_size:
        left -= _lines(shown[number])
        if left < 0 and told:
            break
        told += 1
        text.append_text(shown[number])
    others = [groups[number] for number in by_size[told:]]
    if others:
        many = count(sum(map(len, others)), "virtualenv")
        ways = "another way" if len(others) == 1 else f"{len(others)} other ways"
        text.append(f"{many} failed in {ways}: {rest} names all\n", "bold red")
    return text


def _lines(text: Text) -> int:
    return text.plain.count("\n")


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


def _show_bad(group: Sequence[Deployment], rest: str, output_lines: int) -> Text:
    deployment = group[0]
    text = Text(f"{deployment.target}   ", "bold")
    text.append(deployment.spoken, "bold red")
    message = str(deployment.error).removeprefix(f"{deployment.target}: ")
    text.append("".join(f"\n    {line.strip()}" for line in message.splitlines()))
    for line in deployment.output.rstrip().splitlines()[-output_lines:]:
        text.append(f"\n    | {line}", "dim")
    if deployment.ending in (Ending.FAILED, Ending.ROLLED_BACK):
        text.append(f"\n    completed: {', '.join(deployment.done) or 'nothing'}")
    if deployment.left_open:
        text.append(f"\n    {deployment.left_open}", "yellow")
    if len(group) > 1:
        others = [str(one.target) for one in group[1:]]
        names = ", ".join(others[:NAMED_BAD]) + (f" …, {rest} names all" if len(others) > NAMED_BAD else "")
        text.append(f"\n    the same for {len(others)} more: {names}", "dim")
    text.append("\n")
    return text
