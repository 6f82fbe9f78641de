"""The rules of sudoers(5) that deployments to a host need, from what the fabfile says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from envfab.config.target import Member
from envfab.deployment.privileges import planned_commands
from envfab.remote.sudo_advice import sudoers_line


@dataclass(frozen=True, slots=True)
class SudoNeed:
    """What `login` has to run as `user`: a program with its `arguments`, or any command, by a shell (None)."""

    login: str
    user: str
    arguments: tuple[str, ...] | None

    def rule(self, programs: Mapping[str, str]) -> str:
        """Return the line of sudoers(5); `programs` has the full paths of programs."""
        if self.arguments is None:
            return sudoers_line(self.login, self.user, None)
        program, *others = self.arguments
        return sudoers_line(self.login, self.user, (programs.get(program, program), *others))


def sudo_needs(members: Sequence[Member], login: Callable[[str], str]) -> dict[str, list[SudoNeed]]:
    """Return what deployments need on each host, by its name: each once, without what another of them covers.

    `login` returns who logs in to a host of that name: commands that take a host out of service may run on another one.
    Raises `EnvfabError` if a callable of the fabfile fails.
    """
    found: dict[str, dict[SudoNeed, None]] = {}
    for member in members:
        of_host = found.setdefault(member.host.name, {})
        owner = member.target.owner
        for user in (owner, *(project.user or owner for project in member.virtualenv.projects)):
            of_host[SudoNeed(member.login, user, None)] = None
        for _, command in planned_commands(member):
            where = command.on or member.host.name
            who = member.login if where == member.host.name else login(where)
            found.setdefault(where, {})[SudoNeed(who, command.user or who, command.arguments)] = None
    return {host: list(_uncovered(needs)) for host, needs in found.items()}


def _uncovered(needs: Collection[SudoNeed]) -> Iterator[SudoNeed]:
    """Yield those that need sudo, without programs of users as whom any command has to be allowed."""
    for one in needs:
        shell = SudoNeed(one.login, one.user, None)
        if one.user != one.login and (one == shell or shell not in needs):
            yield one
