"""The user's SSH configuration, looked through once for each host."""

from __future__ import annotations

from copy import copy

from fabric import Config
from paramiko import SSHConfig
from paramiko.config import SSHConfigDict


class Lookups(SSHConfig):
    """Keeps what it found: a lookup goes through every block, and three are made for a connection."""

    def __init__(self, read: SSHConfig) -> None:
        super().__init__()
        # the blocks that were read, which Fabric copies out of here, too
        vars(self).update(vars(read))
        self._found: dict[str, SSHConfigDict] = {}

    def lookup(self, hostname: str) -> SSHConfigDict:
        """What is said of a host."""
        if hostname not in self._found:
            self._found[hostname] = super().lookup(hostname)
        return copy(self._found[hostname])


def keep_lookups(config: Config) -> None:
    """Let a configuration keep what it finds."""
    if not isinstance(config.base_ssh_config, Lookups):
        config._set(base_ssh_config=Lookups(config.base_ssh_config))
