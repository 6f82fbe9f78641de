"""Host keys while Paramiko connects: which kinds to ask for, and whether to go on with the one that comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import paramiko

from envfab.managed import host_keys


class Policy(paramiko.MissingHostKeyPolicy):
    """Asked for every host, since the client is given no keys to compare with."""

    def __init__(
        self,
        rule: str,
        known_as: str,
        known: Sequence[host_keys.KnownKey],
        alias: str,
        files: Sequence[Path],
        remembering: threading.Lock,
    ) -> None:
        self._rule = rule
        self._known_as = known_as
        self._known = known
        self._alias = alias
        self._files = files
        self._remembering = remembering

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        kind, blob = key.get_name(), key.asbytes()
        if host_keys.check(self._rule, self._known_as, kind, blob, self._known, self._alias) and self._files:
            with self._remembering:
                host_keys.remember(self._files[0], self._known_as, kind, blob, self._alias)


def transport_preferring(known: Sequence[host_keys.KnownKey]) -> Callable[..., paramiko.Transport]:
    """Paramiko's transport, which asks first for the types of key that can be checked."""

    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        security.key_types = tuple(host_keys.preferred(security.key_types, known))
        return transport

    return make
