"""The log of a rollout, to people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from rich.text import Text

from envfab.config.settings import Settings
from envfab.deployment.notes import spoken, still_running
from envfab.deployment.result import Ending, spoken_ending
from envfab.deployment.rollout_log.reader import LoggedCommand, LoggedRollout, LoggedStep, LoggedVirtualenv
from envfab.deployment.rollout_log.writer import settings_json
from envfab.models.probe import LingeringProcess
from envfab.planning.plan import ActionKind
from envfab.tasks.output.endings import OUTPUT_LINES
from envfab.tasks.output.plans import SIGNS, counted, several
from envfab.util.json_fields import Fields
from envfab.util.untrusted import harmless, one_line

SHOWN_CHANGES = 6
# endings of which the error is shown
WELL = ("deployed", "current", "skipped")
UNKNOWN = "not known"
MIGRATIONS = {
    "migrated": "migrated",
    "uncertain": "migrations that may or may not have run:",
    "unapplied": "migrations that failed or were never begun:",
}


def show_rollout(log: LoggedRollout, chosen: Sequence[LoggedVirtualenv]) -> Text:
    """Return what was asked, planned and done, for the `chosen` virtualenvs; alike ones are told once."""
    text = _show_asked(log)
    for group in _alike(chosen):
        text.append("\n")
        text.append_text(_show_group(group, str(log.asked["task"])))
    text.append("\n")
    text.append_text(_show_steps(chosen))
    for one in log.out_of_service:
        why = f": {one['why']}" if one["why"] else ""
        text.append(one_line(f"{one['host']} may still be out of service{why}") + "\n", "bold red")
    text.append(_summary(log, chosen), "bold")
    return text


def _show_asked(log: LoggedRollout) -> Text:
    asked = log.asked
    part = f"   slice {asked['slice']}" if asked.get("slice") else ""
    text = Text(one_line(str(asked["rollout"])), "bold")
    about = f"{asked['task']}   {spoken(asked['began'])}   {asked['who']} from {asked['origin']}{part}"
    text.append(f"   {one_line(about)}")
    if asked.get("approved_by"):
        text.append(f"\n  approved by {one_line(', '.join(asked['approved_by']))}")
    text.append(f"\n  {one_line(asked['command'])}", "dim")
    text.append(f"\n  {one_line(asked['fabfile'])}   {_show_settings(asked.get('settings'))}", "dim")
    return text


def _show_settings(settings: object) -> str:
    """The settings that differ from the defaults of this envfab."""
    if not isinstance(settings, Mapping):
        return ""
    usual = settings_json(Settings())
    return one_line(", ".join(f"{name}: {value}" for name, value in settings.items() if value != usual.get(name)))


def _alike(chosen: Sequence[LoggedVirtualenv]) -> list[list[LoggedVirtualenv]]:
    groups: dict[str, list[LoggedVirtualenv]] = {}
    for one in chosen:
        outcome = one.outcome or {}
        told = (outcome.get("status"), _changes(one), _errors(one), one.left_open, one.output, _after(one), one.waited)
        groups.setdefault(repr(told), []).append(one)
    return [*groups.values()]


def _show_group(group: Sequence[LoggedVirtualenv], task: str) -> Text:
    one = group[0]
    outcome = one.outcome or {}
    text = Text(one_line(one.target), "bold")
    text.append(f"   {_ending(one, task)}", "" if outcome.get("status") in WELL else "bold red")
    seconds = [float(each.outcome["seconds"]) for each in group if each.outcome and each.outcome.get("seconds")]
    if seconds:
        text.append(f"   {_span(seconds)}", "dim")
    changes = _changes(one)
    for line in changes[:SHOWN_CHANGES]:
        text.append(f"\n  {line}", "dim")
    if len(changes) > SHOWN_CHANGES:
        text.append(f"\n    and {len(changes) - SHOWN_CHANGES} more", "dim")
    for reason in one.waited:
        text.append(f"\n    waited: {one_line(reason)}", "yellow")
    for line in _errors(one):
        text.append(f"\n    {harmless(line.strip())}", "red")
    for line in one.output.rstrip().splitlines()[-OUTPUT_LINES:]:
        text.append(f"\n    | {harmless(line)}", "dim")
    for line in [one.left_open, *_after(one)]:
        text.append(f"\n    {one_line(line)}" if line else "", "yellow")
    if not one.outcome and one.done:
        text.append(f"\n    the last that is known: {one_line(_name(one.done[-1]))}", "yellow")
    if len(group) > 1:
        others = [one_line(each.target) for each in group[1:]]
        names = several(others) if outcome.get("status") in WELL else ", ".join(others)
        text.append(f"\n    the same for {len(others)} more: {names}", "dim")
    return text


def _ending(one: LoggedVirtualenv, task: str) -> str:
    """How it ended, in the words of the summary."""
    status = (one.outcome or {}).get("status")
    try:
        return spoken_ending(Ending(status), "" if task == "rollback" else None)
    except ValueError:
        return UNKNOWN


def _errors(one: LoggedVirtualenv) -> list[str]:
    """What went wrong, or blocks the plan."""
    lines = str((one.outcome or {}).get("error") or "").removeprefix(f"{one.target}: ").splitlines()
    for missing in _objects(one.plan, "missing"):
        lines.append(f"{missing.get('requirement')}: {missing.get('why')}".partition("\n")[0])
    conflicts = one.plan.get("conflicts")
    lines += [str(conflict) for conflict in (conflicts if isinstance(conflicts, list) else ())]
    return lines


def _after(one: LoggedVirtualenv) -> list[str]:
    """What a deployment left: migrations, and processes of the previous generation."""
    outcome = one.outcome or {}
    lines = [f"{what} {', '.join(map(str, names))}" for key, what in MIGRATIONS.items() if (names := outcome.get(key))]
    processes = [
        LingeringProcess(process["pid"], 0, str(process["name"])) for process in _objects(outcome, "lingering")
    ]
    return [*lines, *still_running(processes)]


def _objects(plan: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = plan.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _changes(one: LoggedVirtualenv) -> list[str]:
    lines = []
    for action in _objects(one.plan, "actions"):
        try:
            said = Fields(action)
            sign = SIGNS[ActionKind(said.text("action"))]
            before, after = said.text_or_none("installed"), said.text_or_none("version")
            lines.append(one_line(f"{sign} {said.text('name')}   {before or '-'} → {after or '-'}"))
        except ValueError:
            continue
    return lines


def _span(seconds: Sequence[float]) -> str:
    least, most = f"{min(seconds):.1f}", f"{max(seconds):.1f}"
    return f"{most} s" if least == most else f"{least} to {most} s"


def _show_steps(chosen: Sequence[LoggedVirtualenv]) -> Text:
    """How long each step took: the longest time and, of several, where that was, and the median."""
    times: dict[str, list[tuple[float, str]]] = {}
    for one in chosen:
        for step in one.steps:
            times.setdefault(step.name, []).append((step.seconds, one.target))
    text = Text()
    width = max(map(len, times), default=0)
    for name, found in times.items():
        longest, where = max(found)
        line = f"  {one_line(name):<{width}}   {longest:8.3f} s"
        if len(found) > 1:
            line += f" at {one_line(where)}; median {median(seconds for seconds, _ in found):.3f} s"
        text.append(f"{line}\n", "dim")
    return text


def _summary(log: LoggedRollout, chosen: Sequence[LoggedVirtualenv]) -> str:
    said = counted([_ending(one, str(log.asked["task"])) for one in chosen])
    if log.seconds is None:
        return f"{said}; the rollout has not ended, or was killed"
    return f"{said}; {log.seconds:.1f} s" + (", given up by a second Ctrl-C" if log.given_up else "")


def _name(done: LoggedStep | LoggedCommand) -> str:
    return f"step {done.name}" if isinstance(done, LoggedStep) else f"{done.title} {done.command}"


def show_output(one: LoggedVirtualenv, task: str) -> Text:
    """Return the steps and commands of one virtualenv, in order, with all that the commands printed."""
    text = Text(one_line(one.target), "bold")
    text.append(f"   {_ending(one, task)}")
    for done in one.done:
        if isinstance(done, LoggedStep):
            failed = "   failed" if done.failed else ""
            text.append(f"\n  {one_line(done.name)}   {done.seconds:.3f} s{failed}", "dim")
        else:
            text.append_text(_show_command(done))
    if one.output and all(command.output != one.output for command in one.commands):
        text.append("".join(f"\n    | {harmless(line)}" for line in one.output.splitlines()))
    return text


def _show_command(done: LoggedCommand) -> Text:
    user = f"   as {done.user}" if done.user else ""
    status = "did not end" if done.status is None else f"status {done.status}"
    text = Text(f"\n  {one_line(f'{done.title}: {done.command}{user}')}")
    text.append(f"   {status}, {done.seconds:.3f} s", "dim" if done.status == 0 else "red")
    if done.cut:
        text.append("\n    (only the end was kept)", "yellow")
    text.append("".join(f"\n    | {harmless(line)}" for line in done.output.splitlines()))
    return text


def rollout_log_json(log: LoggedRollout, chosen: Sequence[LoggedVirtualenv]) -> dict[str, Any]:
    """Return the same as JSON: what was asked, the plan as `plan --json`, the summary as `deploy --json`, and all that
    was done."""
    part = {"rollout": log.asked["rollout"], "slice": log.asked.get("slice")}
    return {
        "format": 1,
        "asked": {key: value for key, value in log.asked.items() if key != "format"},
        "log": str(log.folder),
        "plan": {"format": 1, **part, "rollout": None, "virtualenvs": [one.plan for one in chosen]},
        "summary": {
            "format": 1,
            **part,
            "virtualenvs": [_plan_alone(one) | one.outcome for one in chosen if one.outcome],
            "out_of_service": list(log.out_of_service),
        },
        "seconds": log.seconds,
        "given_up": log.given_up,
        "virtualenvs": [_done_json(one) for one in chosen],
    }


def _plan_alone(one: LoggedVirtualenv) -> dict[str, Any]:
    """The plan without what `plan --json` tells of the virtualenv beside it."""
    return {key: value for key, value in one.plan.items() if key not in ("commands", "digest", "drift")}


def _done_json(one: LoggedVirtualenv) -> dict[str, Any]:
    return {
        "target": one.target,
        "deployment": one.deployment,
        "status": (one.outcome or {}).get("status"),
        "waited": list(one.waited),
        "left_open": one.left_open,
        "output": one.output,
        "done": list(_all_done(one)),
    }


def _all_done(one: LoggedVirtualenv) -> Iterator[dict[str, Any]]:
    for done in one.done:
        if isinstance(done, LoggedStep):
            yield {"step": done.name, "seconds": done.seconds, "failed": done.failed}
        else:
            yield {
                "command": done.command,
                "of": done.title,
                "user": done.user,
                "status": done.status,
                "seconds": done.seconds,
                "output": done.output,
                "cut": done.cut,
            }
