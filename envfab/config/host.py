"""Hosts of a fabfile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envfab.config.command import Command, check_commands, flat_commands
from envfab.config.drain import SETTLE, Drain, HostCommandLike, check_drain
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
from envfab.config.virtualenv import CommandLike, Virtualenv

LOCAL = "localhost"


@configuration
class Host:
    """A machine reached by SSH, or this one, with its virtualenvs.

    `drain` takes it out of service before the first of its virtualenvs is switched, `undrain` puts it back after the
    last check; `settle` are the seconds to wait in between, 10 unless it is given.
    """

    name: str
    user: str | None = None
    groups: Iterable[str] = ()
    virtualenvs: Sequence[Virtualenv] = ()
    reload: CommandLike = ()
    reload_once: bool = False
    ssh: bool | None = None
    drain: HostCommandLike = ()
    undrain: HostCommandLike = ()
    settle: float | None = None

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
        check_drain(self)

    @property
    def local(self) -> bool:
        """Whether it is worked on without SSH."""
        return self.name == LOCAL and not self.ssh

    def how_to_drain(self) -> Drain | None:
        """How it is taken out of service and put back; None where the fabfile does not say."""
        if not self.drain:
            return None
        settle = SETTLE if self.settle is None else float(self.settle)
        return Drain(
            tuple(flat_commands(self.drain, self, elsewhere=True)),
            tuple(flat_commands(self.undrain, self, elsewhere=True)),
            settle,
        )

    def reload_commands(self, virtualenv: Virtualenv) -> tuple[Command, ...]:
        """The host's own reload commands, for `virtualenv`."""
        return tuple(flat_commands(self.reload, virtualenv))
