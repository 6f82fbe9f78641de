"""Taking a host out of service while its virtualenvs are switched, and putting it back whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from envfab.config.command import Command
from envfab.config.drain import Drain
from envfab.config.host import Host
from envfab.deployment.context import DeploymentContext, RolloutContext
from envfab.deployment.run_commands import execute, observed
from envfab.errors import DeploymentError, EnvfabError
from envfab.remote import agent_sources
from envfab.remote.agent_session import OperationFailed
from envfab.remote.process import Silence
from envfab.remote.run_command import CommandResult
from envfab.util.times import now

NOTHING = Drain((), (), 0)


class HostDrain:
    """A host that is taken out of service once for all of its virtualenvs in a wave, by the first that is switched.

    Each virtualenv gets a note of that before, which is removed when the host was put back: whatever ends this process,
    the next run knows.
    """

    def __init__(self, host: Host, around: RolloutContext) -> None:
        """Raises `EnvfabError` if a callable of the fabfile fails."""
        self._drain = host.how_to_drain() or NOTHING
        self._host = host
        self._around = around
        self._turn = threading.Lock()
        self._noted: list[DeploymentContext] = []
        # the deployments whose notes are this run's to remove: its own, and those of runs that were cut off
        self._deployments: set[str] = set()
        self._is_out = self._is_back = False
        self._failure: EnvfabError | None = None

    @property
    def is_configured(self) -> bool:
        """Whether the fabfile says how to take the host out of service."""
        return self._drain is not NOTHING

    @property
    def is_open(self) -> bool:
        """Whether the host was, or may have been, taken out of service, and not put back."""
        return bool(self._noted) and not self._is_back

    def take_out(self, work: DeploymentContext) -> None:
        """Take the host out of service, unless it is; if that fails, raises `EnvfabError` for each virtualenv."""
        with self._turn:
            self._note(work)
            if self._failure is not None:
                what = f"{self._host.name} could not be taken out of service: {self._failure.what}"
                raise DeploymentError(what, where=work.where)
            if not self._is_out:
                try:
                    for command in self._drain.out:
                        work.says(f"drain: {command.shown}")
                        self._run("drain", command, [work])
                except EnvfabError as error:
                    self._failure = error
                    raise
                self._settle(work)
                self._is_out = True

    def _settle(self, work: DeploymentContext) -> None:
        if self._drain.settle:
            work.says(f"waiting {self._drain.settle:g} s for {self._host.name} to be out of service")
            time.sleep(self._drain.settle)

    def _note(self, work: DeploymentContext) -> None:
        """Write the note into a virtualenv, before anything is done to its host."""
        caller = self._around.caller
        work.agent.load(agent_sources.DRAINED)
        note = {"format": 1, "deployment": work.id, "who": caller.who, "from": caller.origin, "since": now()}
        work.agent.ask("drained", note=note)
        self._deployments.add(work.id)
        if work not in self._noted:
            self._noted.append(work)

    def was_left_out(self, work: DeploymentContext) -> None:
        """Take over from an earlier run, whose note is in this virtualenv: the host will be put back."""
        with self._turn:
            self._noted.append(work)
            if work.probe.drained is not None and work.probe.drained.deployment is not None:
                self._deployments.add(work.probe.drained.deployment)

    def put_back(self) -> None:
        """Put the host back, and remove the notes; raises `EnvfabError` if it is not known to be in service.

        The deployments must have left their places on the connection.
        """
        if not self.is_configured:
            self._around.reporter.warning(
                f"{self._host.name} may still be out of service, and the fabfile no longer says how to put it back"
            )
        for command in self._drain.back:
            self._around.reporter.working(self._host.name, f"undrain: {command.shown}")
            self._run("undrain", command, self._noted)
        for work in self._noted:
            agent = work.site.agent()
            try:
                agent.load(agent_sources.DRAINED)
                agent.ask("undrained", deployments=sorted(self._deployments))
            finally:
                work.site.leave()
        self._is_back = True

    def _run(self, title: str, command: Command, works: Sequence[DeploymentContext]) -> None:
        """Run a command; raises `OperationFailed` if it fails, and other `EnvfabError`."""
        try:
            with observed(works, title, command) as ran:
                ran.outcome = self._outcome(title, command, works[0])
        except Silence as error:
            what = f"the {title} command {command.shown!r} failed: {error.what}"
            raise OperationFailed(what, where=self._host.name, kind=title, output=error.output) from None
        if ran.outcome.status != 0:
            what = f"the {title} command {command.shown!r} ended with status {ran.outcome.status}"
            raise OperationFailed(what, where=self._host.name, kind=title, output=ran.outcome.output)

    def _outcome(self, title: str, command: Command, work: DeploymentContext) -> CommandResult:
        timeout = self._around.settings.command_timeout
        if command.on is None and title == "drain":
            # the deployment has places on the connection, and there may be no others
            return execute(work, command, self._host.name, timeout)
        commands = self._around.host_commands
        if commands is None:
            raise DeploymentError("internal error: no way to other hosts", where=self._host.name)
        return commands.run(command.on or self._host.name, command, timeout)
