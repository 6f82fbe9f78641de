"""Taking hosts out of service while their virtualenvs are switched: commands of a host, or of all hosts of a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from envfab.config.command import Command, check_commands
from envfab.config.validation import check_text, configuration, wrong

# a callable takes the host
HostCommandLike = str | Command | Callable[[Any], Any] | Sequence[Any]
SETTLE = 10.0


@configuration
class Group:
    """A group of hosts, and how each of them is taken out of service; what a host says itself comes first.

    `drain`, `undrain` and `settle` are as `Host` has them.
    """

    name: str
    drain: HostCommandLike = ()
    undrain: HostCommandLike = ()
    settle: float | None = None

    def __post_init__(self) -> None:
        check_text(self, "name")
        check_drain(self)
        if not self.drain:
            wrong(self, "drain", "a group needs the commands that take its hosts out of service")


@dataclass(frozen=True, slots=True)
class Drain:
    """How a host is taken out of service, and put back; `settle` are the seconds to wait before it counts as out."""

    out: tuple[Command, ...]
    back: tuple[Command, ...]
    settle: float


def check_drain(owner: Any) -> None:
    """Check the fields `drain`, `undrain` and `settle` of a host or group; raises `ConfigurationError`."""
    check_commands(owner, "drain")
    check_commands(owner, "undrain")
    if bool(owner.drain) != bool(owner.undrain):
        given, other = ("drain", "undrain") if owner.drain else ("undrain", "drain")
        wrong(owner, other, f"must be given with {given}: what takes a host out of service has to put it back")
    if owner.settle is None:
        return
    if not isinstance(owner.settle, (int, float)) or isinstance(owner.settle, bool) or not 0 <= owner.settle < 3600:
        wrong(owner, "settle", f"must be seconds from 0 to 3600, not {owner.settle!r}")
    if not owner.drain:
        wrong(owner, "settle", "needs drain and undrain")
