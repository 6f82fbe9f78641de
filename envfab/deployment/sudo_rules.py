"""The rules of sudoers(5) that deployments to a host need, from what the fabfile says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def needs_of(member: Member) -> Iterator[SudoNeed]:
    """Yield what a deployment to a virtualenv needs: for its owner, its projects' users, and its commands.

    Raises `EnvfabError` if a callable of the fabfile fails.
    """
    owner = member.target.owner
    for user in (owner, *(project.user or owner for project in member.virtualenv.projects)):
        yield SudoNeed(member.login, user, None)
    for _, command in planned_commands(member):
        yield SudoNeed(member.login, command.user or member.login, command.arguments)


def sudo_needs(members: Sequence[Member]) -> list[SudoNeed]:
    """Return what deployments to virtualenvs of one host need, each once, without what another of them covers.

    Raises `EnvfabError` if a callable of the fabfile fails.
    """
    found = {need: None for member in members for need in needs_of(member) if need.user != need.login}
    return [one for one in found if one.arguments is None or SudoNeed(one.login, one.user, None) not in found]
