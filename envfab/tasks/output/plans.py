"""How plans and what became of them are shown, to people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.text import Text

from envfab.config.slices import Slice
from envfab.deployment.plan_file import Waves
from envfab.deployment.proposal import Proposal, proposal_json
from envfab.deployment.result import Deployment, outcome_json
from envfab.errors import EnvfabError
from envfab.planning.plan import UNPLANNABLE, Action, ActionKind, Newer, Plan, Status
from envfab.planning.plan_json import plan_key, to_json
from envfab.util.counts import count
from envfab.util.untrusted import one_line

SIGNS = {
    ActionKind.INSTALL: "+",
    ActionKind.REMOVE: "-",
    ActionKind.UPGRADE: "↑",
    ActionKind.DOWNGRADE: "↓",
    ActionKind.REINSTALL: "↻",
}
STYLES = {
    ActionKind.INSTALL: "green",
    ActionKind.REMOVE: "red",
    ActionKind.UPGRADE: "",
    ActionKind.DOWNGRADE: "yellow",
    ActionKind.REINSTALL: "yellow",
}
SHOWN_TARGETS = 3
SHOWN_NEWER = 6


def alike(proposals: Sequence[Proposal]) -> list[list[Proposal]]:
    """The proposals in groups of those that show the same plan, in the order of each group's first."""
    groups: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        groups.setdefault(likeness(proposal), []).append(proposal)
    return list(groups.values())


def likeness(proposal: Proposal) -> str:
    """Equal for those that show the same plan."""
    return plan_key(proposal.plan)


def show_group(group: Sequence[Proposal]) -> Text:
    """The plan of virtualenvs that have the same one, with their names."""
    proposal = group[0]
    plan, probe = proposal.plan, proposal.probe
    text = Text()
    text.append(str(plan.target), "bold")
    facts = [fact for fact in (probe.interpreter.title, _packages(group)) if fact] if probe else []
    if plan.status is not Status.CHANGES:
        facts.append(plan.status.value)
    elif plan.generation is not None:
        facts.append(f"back to generation {plan.generation}")
    if facts:
        text.append("   " + " · ".join(facts), "bold red" if plan.status in UNPLANNABLE else "dim")
    for line in _lines(plan):
        text.append("\n")
        text.append_text(line)
    for command in _commands(group):
        text.append(f"\n    {command}", "dim")
    if len(group) > 1:
        text.append("\n    " + _the_same(group), "dim")
    return text


def _commands(group: Sequence[Proposal]) -> list[str]:
    """What the fabfile wants run: `reload: systemctl reload shop   as root`."""
    lines = []
    for field in dict.fromkeys(field for proposal in group for field, _ in proposal.commands):
        of_each = [[shown for one, shown in proposal.commands if one == field] for proposal in group]
        lines += [f"{field}: {shown}" for shown in of_each[0]]
        if any(commands != of_each[0] for commands in of_each):
            lines.append(f"{field}: differs for others, fab plan --json lists all")
    return lines


def _packages(group: Sequence[Proposal]) -> str:
    """How many are installed: `6 packages`; nothing where that differs in a group."""
    numbers = {len(proposal.probe.distributions) for proposal in group if proposal.probe}
    return count(numbers.pop(), "package") if len(numbers) == 1 else ""


def _the_same(group: Sequence[Proposal]) -> str:
    others = [str(proposal.plan.target) for proposal in group[1:]]
    return f"the same for {len(others)} more: {several(others)}"


def several(targets: Sequence[str]) -> str:
    """Name all of a few targets, the first and the last of many."""
    return ", ".join(targets) if len(targets) <= SHOWN_TARGETS else f"{targets[0]} … {targets[-1]}"


def _lines(plan: Plan) -> list[Text]:
    lines = [Text(f"    {one_line(note)}", "yellow") for note in plan.notes]
    lines += _actions(plan.actions)
    for ahead in plan.ahead:
        newest = f"the wheelhouse has {ahead.available}" if ahead.available else "the wheelhouse has none that fits"
        lines.append(Text(f"    {ahead.shown_as} {ahead.installed} is ahead: {newest}", "yellow"))
    if plan.newer:
        lines.append(_newer(plan.newer))
    for missing in plan.missing:
        lines.append(Text(f"    {missing.requirement}   {missing.required_by}", "red"))
        lines += [Text(f"        {line}") for line in missing.why.splitlines()]
    for conflict in plan.conflicts:
        lines += [Text(f"    {line}", "red") for line in conflict.splitlines()]
    lines += [Text(f"    warning: {one_line(warning)}", "yellow") for warning in plan.warnings]
    if plan.error:
        lines += [Text(f"    {line.strip()}", "red") for line in _without_target(plan).splitlines()]
    return lines


def _newer(found: Sequence[Newer]) -> Text:
    """What is newer and was not asked for, with the command that takes it."""
    there = [f"{one.shown_as} {one.available} ({one.installed} is installed)" for one in found[:SHOWN_NEWER]]
    more = [f"and {len(found) - SHOWN_NEWER} more"] if len(found) > SHOWN_NEWER else []
    name = f" {found[0].shown_as}" if len(found) == 1 else ""
    takes = "takes it" if len(found) == 1 else "takes them"
    return Text(
        f"    newer versions available: {', '.join([*there, *more])}; fab deploy --upgrade{name} {takes}", "dim"
    )


def _without_target(plan: Plan) -> str:
    """The error, whose first words would only say the target again."""
    return (plan.error or "").removeprefix(f"{plan.target}: ")


def _actions(actions: Sequence[Action]) -> list[Text]:
    if not actions:
        return []
    name = max(len(action.shown_as) for action in actions)
    old = max(len(action.installed or "") for action in actions)
    new = max(len(str(action.version or "")) for action in actions)
    lines = []
    for action in actions:
        arrow = "→" if action.installed and action.version else " "
        line = Text(f"  {SIGNS[action.kind]} {action.shown_as:<{name}}   ", STYLES[action.kind])
        line.append(f"{one_line(action.installed or ''):>{old}} {arrow} ", "dim")
        line.append(f"{action.version or ''!s:<{new}}", STYLES[action.kind])
        line.append(f"   {one_line(action.reason)}", "dim")
        lines.append(line)
    return lines


def summary(proposals: Sequence[Proposal], part: Slice | None = None) -> str:
    """How many have which status: `3 with changes, 17 current`, after the slice if there is one."""
    titles = {Status.CHANGES: "with changes", Status.CURRENT: "current"}
    return slice_title(part) + counted(
        [titles.get(proposal.plan.status, proposal.plan.status.value) for proposal in proposals]
    )


def counted(words: Sequence[str]) -> str:
    """How often each word is there: `2 deployed, 1 failed`."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "no virtualenv"


def slice_title(part: Slice | None) -> str:
    """The slice before a count, if there is one: `slice 3/8: `."""
    return "" if part is None else f"slice {part}: "


def plans_json(
    proposals: Sequence[Proposal], part: Slice | None = None, fleet: str | None = None, waves: Waves | None = None
) -> dict[str, Any]:
    """What `plan --json` prints: with the slice, the fleet's fingerprint, and the waves of a saved plan."""
    return {
        "format": 1,
        "rollout": None,
        "slice": _slice_json(part),
        "fleet": fleet,
        "waves": waves.to_json() if waves is not None else None,
        "virtualenvs": [proposal_json(one) for one in proposals],
    }


def _slice_json(part: Slice | None) -> str | None:
    return None if part is None else str(part)


def rollout_json(
    rollout: str | None,
    deployments: Sequence[Deployment],
    part: Slice | None = None,
    log: Path | None = None,
    out_of_service: Mapping[str, EnvfabError | None] = MappingProxyType({}),
) -> Mapping[str, Any]:
    """What `deploy --json` prints; without a `rollout` nothing was to be deployed to.

    `log` is the folder of its log, None if it has none; `out_of_service` are hosts that may still be that, and why.
    """
    return {
        "format": 1,
        "rollout": rollout,
        "slice": _slice_json(part),
        "log": str(log) if log is not None else None,
        "out_of_service": [{"host": host, "why": why and str(why)} for host, why in out_of_service.items()],
        "virtualenvs": [to_json(one.plan) | outcome_json(one) for one in deployments],
    }
