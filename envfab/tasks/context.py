"""What one call of a task works with: the fleet, settings, console and connections."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.selectors import select
from envfab.config.settings import Settings, obsolete, refuse_unknown_variables
from envfab.config.target import Member
from envfab.remote.ssh.login import login
from envfab.tasks.command_line import Speech
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.usage_recording import note_targets

if TYPE_CHECKING:
    from envfab.remote.probe import ProbeResult
    from envfab.remote.ssh.config import SSHConfiguration
    from envfab.remote.ssh.connections import Connections
    from envfab.tasks.output.console import Console
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
            context.config.envfab, {key: value for key, value in given.items() if value}
        )
        self.console: Console = Console(as_json, Speech(fleet))
        for line in obsolete(context.config.envfab, os.environ):
            self.console.warning(line)
        self._config = context.config
        self._ssh: SSHConfiguration = SSHConfiguration.of(self._config)

    def open_wheelhouse(self) -> Wheelhouse:
        """Open the fleet's wheelhouse; its folder and log are read at the first question."""
        from envfab.wheelhouse.wheelhouse import Wheelhouse

        return Wheelhouse(self.fleet.at(self.fleet.wheels), self.fleet.at(self.fleet.release_log))

    @contextmanager
    def connections(self, to: Sequence[Member] = ()) -> Iterator[Connections]:
        """Give connections to the hosts, and close them at the end; open those of the members in `to` at once."""
        from envfab.remote.ssh.connections import Connections

        made = Connections(self._config.clone(), self.settings.host_keys, self.settings.connect_timeout, self._ssh)
        close = made.close
        try:
            made.open_ahead([member.host for member in to], self.settings.parallel)
            yield made
        except KeyboardInterrupt:
            close = made.close_in_a_hurry
            raise
        finally:
            close()
            for note in self._ssh.notes:
                self.console.warning(note)

    def probe(self, members: Sequence[Member], links: Connections) -> list[ProbeResult]:
        """Probe the members; an error of one is in its result."""
        from envfab.remote.probe import survey

        settings = self.settings
        with survey(
            members,
            links,
            self.console,
            parallel=settings.parallel,
            timeout=settings.command_timeout,
            look=lambda found: found,
        ) as finds:
            return finds.all()

    def login(self, host: Host) -> str:
        """Return the name of the user who logs in to a host."""
        return login(host, self._config, self._ssh)

    def select(self, names: Sequence[str]) -> tuple[Member, ...]:
        """Return the members that `names` and `fab -H` select; raises `SelectorError`."""
        chosen = select(names, self.fleet.members(self.login), command_line_hosts())
        note_targets(len(chosen))
        self._ssh.refuse_if_useless((one.host.name, one.host.user) for one in chosen if not one.host.local)
        return chosen
