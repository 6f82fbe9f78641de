"""What one call of a task works with: the fleet, settings, console and connections."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.selectors import select
from envfab.config.settings import Settings, obsolete, refuse_unknown_variables
from envfab.config.target import Member
from envfab.remote.ssh.login import login
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.shared.command_line import Speech
from envfab.tasks.shared.signing_key import log_signers
from envfab.tasks.shared.usage_recording import note_targets

if TYPE_CHECKING:
    from envfab.remote.host_commands import HostCommands
    from envfab.remote.probe import ProbeResult
    from envfab.remote.ssh.config import SSHConfiguration
    from envfab.remote.ssh.connections import Connections
    from envfab.tasks.output.console import Console
    from envfab.wheelhouse.release_log.log_signers import LogSigners
    from envfab.wheelhouse.wheelhouse import Wheelhouse


class TaskContext:
    """Made by a task from its Invoke context; what takes time is made on request."""

    def __init__(self, fleet: Fleet, context: Context, as_json: bool = False, **given: str) -> None:
        """`given` are settings of the command line; empty ones stay as configured. Raises `ConfigurationError`."""
        from envfab.remote.ssh.config import SSHConfiguration
        from envfab.tasks.output.console import Console

        refuse_unknown_variables(os.environ)
        self.fleet = fleet
        self.settings = Settings.from_mapping(
            context.config.envfab, {key: value for key, value in given.items() if value}, os.environ
        )
        self.console: Console = Console(as_json, Speech(fleet))
        for line in obsolete(context.config.envfab, os.environ):
            self.console.warning(line)
        self._config = context.config
        self._ssh: SSHConfiguration = SSHConfiguration.of(self._config)

    def open_wheelhouse(self) -> Wheelhouse:
        """Open the fleet's wheelhouse; its folder and log are read at the first question."""
        from envfab.wheelhouse.wheelhouse import Wheelhouse

        return Wheelhouse(
            self.fleet.at(self.fleet.wheels), self.fleet.at(self.fleet.release_log), signers=self.log_signers()
        )

    def log_signers(self) -> LogSigners | None:
        """Return who must have signed the release log, and how this user signs; None if nothing need be signed."""
        return log_signers(self.fleet, self.console.can_ask)

    def advisories(self) -> str:
        """Return the path of the fleet's advisory export; empty if the fabfile names none."""
        return str(self.fleet.at(self.fleet.advisories)) if self.fleet.advisories is not None else ""

    def check_release_log(self) -> None:
        """Raise `WheelhouseError` if the release log must be signed and is not."""
        from envfab.wheelhouse.release_log.storage import LogFile

        signers = self.log_signers()
        if signers is not None:
            LogFile(self.fleet.at(self.fleet.release_log), signers).read()

    @contextmanager
    def connections(self, to: Sequence[Member] = ()) -> Iterator[Connections]:
        """Give connections to the hosts, and close them at the end; open those of the members in `to` at once."""
        from envfab.remote.probe_processes import number_of_processes
        from envfab.remote.ssh.connections import Connections

        self._fit_into_limits()
        settings = self.settings
        made = Connections(
            self._config.clone(),
            settings.host_keys,
            settings.connect_timeout,
            self._ssh,
            parallel=settings.parallel,
            jump_parallel=settings.jump_parallel,
        )
        close = made.close
        try:
            # processes are forked before there are connections
            if number_of_processes(settings, to) == 1:
                made.open_ahead(member.host for member in to)
            yield made
        except KeyboardInterrupt:
            close = made.close_in_a_hurry
            raise
        finally:
            close()
            for note in self._ssh.notes:
                self.console.warning(note)

    def _fit_into_limits(self) -> None:
        """Raise the limit on open files as far as needed; lower `parallel` if that is not far enough, and warn."""
        from envfab.remote.descriptor_limit import make_room_for

        wanted = self.settings.parallel
        possible = make_room_for(wanted)
        if possible < wanted:
            self.settings = replace(self.settings, parallel=possible)
            self.console.warning(
                f"envfab.parallel: {possible} hosts at once instead of {wanted}, since this program may not open more"
                f" files (ulimit -Hn)"
            )

    def passwords(self) -> Iterator[str]:
        """Yield the passwords of the configuration: of logins, keys and sudo."""
        given = self._config.get("connect_kwargs") or {}
        for value in (given.get("password"), given.get("passphrase"), self._config.sudo.password):
            if isinstance(value, str):
                yield value

    def probe(self, members: Sequence[Member], links: Connections) -> list[ProbeResult]:
        """Probe the members; an error of one is in its result."""
        from envfab.remote.probe import probe_all

        with probe_all(members, links, self.settings, self.console, look=lambda found: found) as finds:
            return finds.all()

    def probe_to_register(self, members: Sequence[Member], links: Connections, materials: bool) -> list[ProbeResult]:
        """Probe the members, and what differs in them from what was deployed; with `materials` those of their bills.

        Warns where one of these is not known.
        """
        from envfab.remote.drift import with_drift
        from envfab.remote.materials import with_materials_or_warning
        from envfab.remote.probe import probe_all

        def look(found: ProbeResult) -> ProbeResult:
            found = with_drift(found, self.console)
            return with_materials_or_warning(found, self.console) if materials else found

        with probe_all(members, links, self.settings, self.console, look=look) as finds:
            return finds.all()

    def probe_with_materials(self, members: Sequence[Member], links: Connections) -> list[ProbeResult]:
        """Probe the members, and the materials of their bills."""
        from envfab.remote.materials import with_materials
        from envfab.remote.probe import probe_all

        with probe_all(members, links, self.settings, self.console, look=with_materials) as finds:
            return finds.all()

    def host_commands(self, links: Connections) -> HostCommands:
        """Return how commands are run on hosts apart from deployments."""
        from envfab.remote.host_commands import HostCommands

        return HostCommands(links, self.login, {host.name: host for host in self.fleet.all_hosts()})

    def login(self, host: Host) -> str:
        """Return the name of the user who logs in to a host."""
        return login(host, self._config, self._ssh)

    def select(self, names: Sequence[str], within: Container[str] | None = None) -> tuple[Member, ...]:
        """Return the members that `names` and `fab -H` select, `within` some hosts; raises `SelectorError`."""
        chosen = select(names, self.fleet.members(self.login), command_line_hosts())
        for line in self.fleet.empty_groups():
            self.console.warning(line)
        if within is not None:
            chosen = tuple(member for member in chosen if member.host.name in within)
        note_targets(len(chosen))
        self._ssh.refuse_if_useless((one.host.name, one.host.user) for one in chosen if not one.host.local)
        return chosen
