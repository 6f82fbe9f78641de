"""Policy on host keys while Paramiko connects: which types to prefer, and whether to accept the server's key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import paramiko

from envfab.errors import HostKeyError
from envfab.remote.ssh import known_hosts
from envfab.remote.ssh.host_config import HostConfig
from envfab.remote.ssh.keepalive import LiveTransport
from envfab.remote.ssh.known_hosts import UnknownHostKey

NOWHERE = Path("/dev/null")
# Paramiko's names for what ssh_config(5) configures
SECURITY_OPTIONS = {"ciphers": "ciphers", "macs": "digests", "kexalgorithms": "kex", "hostkeyalgorithms": "key_types"}
KNOWN_ALGORITHMS = {"ciphers": "cipher", "digests": "mac", "kex": "kex", "key_types": "key"}


class Policy(paramiko.MissingHostKeyPolicy):
    """The policy on a host's key; Paramiko calls it for every host, since it is given no known keys.

    Raises `HostKeyError` for a key that must not be trusted.
    """

    def __init__(
        self,
        rule: str,
        known_as: str,
        known: Sequence[known_hosts.KnownKey],
        ssh: HostConfig,
        remembering: threading.Lock,
    ) -> None:
        self._rule = rule
        self._known_as = known_as
        self._known = known
        self._ssh = ssh
        self._remembering = remembering

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        kind, blob = key.get_name(), key.asbytes()
        files, alias = self._ssh.user_known_hosts, self._ssh.name
        try:
            new = known_hosts.check(self._rule, self._known_as, kind, blob, self._known, alias)
        except UnknownHostKey as unknown:
            if hint := _why_ssh_does_not_mind(self._ssh):
                raise HostKeyError(unknown.what, where=alias, hint=hint) from None
            raise
        if new and files and files[0] != NOWHERE:
            with self._remembering:
                known_hosts.remember(files[0], self._known_as, kind, blob, alias)


def _why_ssh_does_not_mind(ssh: HostConfig) -> str:
    """A hint if logging in by hand would not record the key, because of the SSH config; else empty."""
    if ssh.strict_host_keys == "no":
        said = "your SSH config has StrictHostKeyChecking no, which applies to ssh only"
        return f"{said}; to apply it to fab, set envfab.host_keys to off"
    if ssh.user_known_hosts[:1] in ((NOWHERE,), ()):
        return "your SSH config keeps no host keys (UserKnownHostsFile): name a file, or set envfab.host_keys to off"
    return ""


def transport_preferring(
    known: Sequence[known_hosts.KnownKey], algorithms: Mapping[str, tuple[str, ...]]
) -> Callable[..., paramiko.Transport]:
    """Return a factory of Paramiko transports with the configured algorithms, which prefers types of known host keys.

    The factory raises `SSHException` if Paramiko has none of the configured algorithms.
    """

    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = LiveTransport(sock, **options)
        security = transport.get_security_options()
        for keyword, attribute in SECURITY_OPTIONS.items():
            if keyword in algorithms:
                setattr(security, attribute, _available(transport, attribute, algorithms[keyword], keyword))
        security.key_types = tuple(known_hosts.preferred(security.key_types, known))
        return transport

    return make


def _available(transport: paramiko.Transport, attribute: str, wanted: Sequence[str], keyword: str) -> tuple[str, ...]:
    """Those of the configured algorithms that Paramiko has, in the configured order."""
    has = getattr(transport, f"_{KNOWN_ALGORITHMS[attribute]}_info")
    found = tuple(name for name in wanted if name in has)
    if not found:
        raise paramiko.SSHException(f"none of the configured {keyword} is available: {', '.join(wanted)}")
    return found
