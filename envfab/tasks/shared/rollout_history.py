"""Logs of rollouts, as `history --rollout` prints them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from envfab.config.host import Host
from envfab.config.selectors import select
from envfab.config.target import Member, Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.rollout_log.places import Logs, logs_folder
from envfab.deployment.rollout_log.reader import LoggedRollout, LoggedVirtualenv, find_log, read_log
from envfab.errors import UsageError
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.output.rollout_log import rollout_log_json, show_output, show_rollout
from envfab.tasks.shared.command_line import command
from envfab.tasks.shared.context import TaskContext


def print_log(run: TaskContext, rollout: str, names: Sequence[str], output: str) -> None:
    """Print the log of a rollout, of the virtualenvs that `names` select, or the output of the one that `output` names.

    Raises `UsageError` if there is no such log, or no such virtualenv in it.
    """
    if output and names:
        raise UsageError("--output names the virtualenv, so --name cannot be given with it")
    folder = logs_folder(os.environ)
    if folder is None:
        raise UsageError("logs lie in the home folder, and the user has none", hint="set HOME or XDG_STATE_HOME")
    logs = Logs(folder)
    log = read_log(logs, find_log(logs, rollout))
    chosen = _chosen(log, [output] if output else names)
    if output and len(chosen) > 1:
        few = ", ".join(one.target for one in chosen[:3]) + (" …" if len(chosen) > 3 else "")
        raise UsageError(
            f"{output!r} matches {len(chosen)} virtualenvs: {few}", where="--output", hint="name one of them"
        )
    console = run.console
    with console:
        if console.as_json:
            console.json(rollout_log_json(log, chosen))
        elif output:
            console.print(show_output(chosen[0], str(log.asked["task"])))
        else:
            console.print(show_rollout(log, chosen))
            asked = command(run.fleet, "history", "--rollout", str(log.asked["rollout"]), "--output", "NAME")
            console.command("all that was printed for a virtualenv:", asked, "dim")
            console.print(f"log: {log.folder}", "dim")


def _chosen(log: LoggedRollout, names: Sequence[str]) -> Sequence[LoggedVirtualenv]:
    by_target = {
        Target(str(one.plan["user"]), str(one.plan["host"]), str(one.plan["path"])): one for one in log.virtualenvs
    }
    return [by_target[member.target] for member in select(names, list(map(_member, by_target)), command_line_hosts())]


def _member(target: Target) -> Member:
    """A virtualenv of a log, so that names select it as those of the fleet, which may have changed since."""
    virtualenv = Virtualenv(target.path)
    return Member(target, Host(target.host, virtualenvs=[virtualenv]), virtualenv, target.owner)


def refuse_without_rollout(output: str) -> None:
    """Raise `UsageError` for `--output` without a rollout."""
    if output:
        raise UsageError("--output needs --rollout ID", hint="fab history shows the ids")


def name_logs(run: TaskContext, rollouts: Sequence[str]) -> None:
    """Say how to see the log of the newest of these rollouts that has one here."""
    folder = logs_folder(os.environ)
    known = set(Logs(folder).ids()) & set(rollouts) if folder is not None else set()
    if known:
        to_show = command(run.fleet, "history", "--rollout", max(known))
        run.console.note_command("the log of a rollout:", to_show, "dim")
