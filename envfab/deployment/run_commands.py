"""Commands of the fabfile, run for deployments: as which user, how long, and what the observers hear of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from envfab.config.command import Command
from envfab.deployment.context import DeploymentContext
from envfab.deployment.observers import CommandEnded
from envfab.remote.agent_session import OperationFailed
from envfab.remote.process import Silence
from envfab.remote.run_command import CommandResult, run_command


def run_all(work: DeploymentContext, title: str, commands: tuple[Command, ...]) -> None:
    """Run commands of the fabfile in order; raises `OperationFailed` for the first that fails."""
    for command in commands:
        work.says(f"{title}: {command.shown}")
        try:
            status, output = run_one(work, title, command, work.around.settings.command_timeout)
            ending = f"ended with status {status}"
        except Silence as error:
            status, output, ending = None, error.output, f"failed: {error.what}"
        if status != 0:
            what = f"the {title} command {command.shown!r} {ending}"
            raise OperationFailed(what, where=work.where, kind=title, output=output)


def execute(work: DeploymentContext, command: Command, where: str, timeout: float | None) -> CommandResult:
    """Run a command of the fabfile as its user; raises `SudoError` if sudo is known not to allow it."""
    site = work.site
    by_password = command.arguments is not None and site.allowed(command.user, command.arguments).by_password
    return run_command(
        site,
        command.text,
        where=where,
        identity=site.as_user(command.user),
        timeout=timeout,
        by_password=by_password,
    )


def run_one(work: DeploymentContext, title: str, command: Command, timeout: float | None) -> tuple[int | None, str]:
    work.after = None
    with observed([work], title, command) as ran:
        ran.outcome = execute(work, command, work.where, timeout)
    return ran.outcome.status, ran.outcome.output


@dataclass(slots=True)
class CommandRun:
    """A command that runs; how it ended is not known yet."""

    outcome: CommandResult = field(default_factory=lambda: CommandResult(None, ""))


@contextmanager
def observed(works: Sequence[DeploymentContext], title: str, command: Command) -> Iterator[CommandRun]:
    """Tell the observers, at the end of the context, how a command ended that ran for some deployments."""
    ran, began = CommandRun(), time.monotonic()
    try:
        yield ran
    except Silence as error:
        ran.outcome = CommandResult(None, error.output)
        raise
    finally:
        status, output, seconds = ran.outcome.status, ran.outcome.output, time.monotonic() - began
        for work in works:
            target = work.proposal.member.target
            work.tell(CommandEnded(work.id, target, title, command.shown, command.user, status, output, seconds))
