"""Hosts of a fabfile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envfab.config.command import Command, check_commands
from envfab.config.validation import (
    check_instances,
    check_strings,
    check_text,
    check_truth,
    check_user,
    configuration,
    put,
    wrong,
)
from envfab.config.virtualenv import CommandLike, Virtualenv, flat_commands

LOCAL = "localhost"


@configuration
class Host:
    """A machine reached by SSH, or this one, with its virtualenvs."""

    name: str
    user: str | None = None
    groups: Iterable[str] = ()
    virtualenvs: Sequence[Virtualenv] = ()
    reload: CommandLike = ()
    reload_once: bool = False
    ssh: bool | None = None

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_user(self, "user")
        check_truth(self, "reload_once")
        if self.name.startswith("-") or any(character in self.name for character in "@:/, %*?[]\t\n"):
            wrong(
                self,
                "name",
                f"must be a host name, not {self.name!r}",
                "give the user as user=…, and port, address and jump hosts in your SSH config under a Host alias",
            )
        if isinstance(self.groups, str):
            put(self, "groups", (self.groups,))
        check_strings(self, "groups")
        put(self, "groups", frozenset(self.groups))
        check_instances(self, "virtualenvs", Virtualenv)
        check_commands(self, "reload")

    @property
    def local(self) -> bool:
        """Whether it is worked on without SSH."""
        return self.name == LOCAL and not self.ssh

    def reload_commands(self, virtualenv: Virtualenv) -> tuple[Command, ...]:
        """The host's own reload commands, for `virtualenv`."""
        return tuple(flat_commands(self.reload, virtualenv))
