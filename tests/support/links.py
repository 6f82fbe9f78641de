"""Links to hosts that are no SSH connections, with which nothing is opened later or asked."""

from __future__ import annotations

from abc import abstractmethod

from envfab.config.host import Host
from envfab.remote.process import HostConnection


class PlainLinks:
    """All that `remote.probe.Links` wants beside the link itself."""

    __slots__ = ()

    @abstractmethod
    def link(self, host: Host, /) -> HostConnection:
        """As `Links` says."""

    def link_later(self, host: Host) -> HostConnection:
        """As `Links` says: these links cost nothing."""
        return self.link(host)

    def ask_nobody(self) -> None:
        """As `Links` says: they never ask."""

    def close(self) -> None:
        """As `Links` says."""
