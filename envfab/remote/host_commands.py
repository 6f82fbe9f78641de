"""Commands that run on a host apart from its virtualenvs, as the fabfile says: on any host of it, or any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envfab.config.command import Command
from envfab.config.host import Host
from envfab.remote import sudo
from envfab.remote.probe import Links
from envfab.remote.run_command import CommandResult, run_command
from envfab.remote.startup import Identity


@dataclass(frozen=True, slots=True)
class HostCommands:
    """Runs commands on hosts: `hosts` are those of the fabfile by name, `login` returns who logs in to one."""

    links: Links
    login: Callable[[Host], str]
    hosts: Mapping[str, Host]

    def run(self, name: str, command: Command, timeout: float | None) -> CommandResult:
        """Run a command on the host of that name, for at most `timeout` seconds.

        Raises `SudoError` if sudo does not allow it, `Unreachable`, `Disconnected` and `Silence`.
        """
        host = self.hosts.get(name) or Host(name)
        login = self.login(host)
        user = None if command.user in (None, login) else command.user
        identity = Identity(user, self.links.sudo_password)
        with self.links.link(host).reserve(1) as places:
            by_password = False
            if user is not None and command.arguments is not None:
                by_password = sudo.test(places, identity, command.arguments, where=name, login=login).by_password
            return run_command(
                places, command.text, where=name, identity=identity, timeout=timeout, by_password=by_password
            )
