"""Fabric's connection, with ProxyCommands run as OpenSSH runs them, and closing that leaves nothing behind."""

from __future__ import annotations

import socket
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
    """The SSH configuration that Fabric sees: only hosts' addresses; everything else is given to its connections."""

    def __init__(self, ssh: SSHConfiguration) -> None:
        super().__init__()
        self._ssh = ssh

    def lookup(self, hostname: str) -> SSHConfigDict:
        return SSHConfigDict(hostname=self._ssh.lookup(hostname).hostname)


class FabricConnection(Connection):  # type: ignore[misc] # Fabric has no annotations
    """Fabric's connection, with a ProxyCommand run as OpenSSH runs it."""

    proxy: ProxyCommand | None
    # Fabric sets it, and Invoke takes that for a change of the configuration, which all connections share: it would be
    # empty for a moment, in which other threads read it
    inline_ssh_env = None

    def open_gateway(self) -> Any:
        if not isinstance(self.gateway, str):
            return super().open_gateway()
        expand = expander(self.original_host, self.host, self.port, self.user)
        # Fabric would take a plain assignment for a setting
        self._set(proxy=ProxyCommand(expand_tokens(self.gateway, expand)))
        return self.proxy

    def proxy_s_end(self) -> str:
        """Return how the ProxyCommand ended; empty if it runs or there is none."""
        proxy = vars(self).get("proxy")
        if proxy is None or proxy.process.poll() is None:
            return ""
        words = proxy.last_words()
        return f"its ProxyCommand ended with status {proxy.process.returncode}{words and ': '}{words}"


def close_connection(connection: Connection) -> None:
    """Close a connection and its ProxyCommand, which Paramiko leaves half-closed."""
    transport = connection.client.get_transport()
    # closing sends a message through the jump host, which may be gone
    with suppress(*GONE):
        connection.client.close()
    proxy = getattr(transport, "sock", None)
    if transport is not None and isinstance(proxy, paramiko.ProxyCommand):
        # the transport's thread terminates the program as well, and needs its process for that
        transport.join(GOODBYE)
        give_up(proxy)


def end_connection(connection: Connection) -> None:
    """Close a connection, and return when its thread has ended, which otherwise looks at its socket a little longer."""
    transport = connection.client.get_transport()
    if transport is not None and isinstance(transport.sock, socket.socket):
        with suppress(OSError):
            transport.sock.shutdown(socket.SHUT_RDWR)
    close_connection(connection)
    if transport is not None:
        transport.join(GOODBYE)


def give_up(sock: Any) -> None:
    """Close the socket, or end the ProxyCommand, of a connection that is not made."""
    if isinstance(sock, paramiko.ProxyCommand):
        sock.process.kill()
        sock.process.communicate()
        sock.close()
    else:
        with suppress(*GONE):
            sock.close()
