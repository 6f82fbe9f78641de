"""Fabric's connection as envfab uses it: with ProxyCommands run as OpenSSH runs them, and closed entirely."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import paramiko
from fabric import Connection
from paramiko import SSHConfig
from paramiko.config import SSHConfigDict

from envfab.remote.process import GOODBYE
from envfab.remote.ssh.channel import GONE
from envfab.remote.ssh.config import SSHConfiguration
from envfab.remote.ssh.host_config import expand_tokens, expander
from envfab.remote.ssh.proxy_command import ProxyCommand


class Addresses(SSHConfig):
    """What Fabric is told of the SSH configuration: addresses alone; all else is given to its connections."""

    def __init__(self, ssh: SSHConfiguration) -> None:
        super().__init__()
        self._ssh = ssh

    def lookup(self, hostname: str) -> SSHConfigDict:
        return SSHConfigDict(hostname=self._ssh.lookup(hostname).hostname)


class FabricConnection(Connection):  # type: ignore[misc] # Fabric has no annotations
    """Fabric's connection, with a ProxyCommand run as OpenSSH runs it."""

    proxy: ProxyCommand | None

    def open_gateway(self) -> Any:
        if not isinstance(self.gateway, str):
            return super().open_gateway()
        expand = expander(self.original_host, self.host, self.port, self.user)
        # a plain assignment would be a setting to Fabric
        self._set(proxy=ProxyCommand(expand_tokens(self.gateway, expand)))
        return self.proxy

    def proxy_s_end(self) -> str:
        """How the ProxyCommand ended, where it did; else empty."""
        proxy = vars(self).get("proxy")
        if proxy is None or proxy.process.poll() is None:
            return ""
        words = proxy.last_words()
        return f"its ProxyCommand ended with status {proxy.process.returncode}{words and ': '}{words}"


def close_connection(connection: Connection) -> None:
    """End a connection, and the ProxyCommand that it goes through, which Paramiko leaves half-closed."""
    transport = connection.client.get_transport()
    # what leads through a jump host says good-bye to it, which may be gone
    with suppress(*GONE):
        connection.client.close()
    proxy = getattr(transport, "sock", None)
    if transport is not None and isinstance(proxy, paramiko.ProxyCommand):
        # its thread ends the program too, and must find it
        transport.join(GOODBYE)
        give_up(proxy)


def give_up(sock: Any) -> None:
    """End what a connection would have gone through."""
    if isinstance(sock, paramiko.ProxyCommand):
        sock.process.kill()
        sock.process.communicate()
        sock.close()
    else:
        with suppress(*GONE):
            sock.close()
