"""Authentication: keys in OpenSSH's order, then the password, if one was given."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentKey
from paramiko.pkey import PublicBlob

from envfab.remote.ssh.host_config import HostConfig
from envfab.remote.ssh.keys import (
    Encrypted,
    KeyFiles,
    KeyIdentity,
    SocketAgent,
    UnusableKey,
    agent_keys,
    agent_socket,
    offered,
)

SECOND_FACTORS = {"keyboard-interactive", "password"}


class LoginRefused(paramiko.AuthenticationException):
    """Raised if no key and no password was accepted.

    `skipped` are texts about keys that could not be offered; `encrypted` says whether a passphrase is missing;
    `cut_off` after how many keys the server ended the connection; `allowed` the methods that it accepts, if it said so.
    """

    def __init__(self, skipped: Sequence[str], encrypted: bool, cut_off: int | None, allowed: Sequence[str]) -> None:
        super().__init__("no key or password was accepted")
        self.skipped = tuple(skipped)
        self.encrypted = encrypted
        self.cut_off = cut_off
        self.allowed = tuple(allowed)


class QuestionAsked(paramiko.AuthenticationException):
    """Raised where a server asks the user, who must not be asked."""


class Authentication:
    """The authentication of one login, as Paramiko's `auth_strategy`."""

    def __init__(
        self, config: HostConfig, user: str, kwargs: Mapping[str, Any], files: KeyFiles, may_ask: bool = True
    ) -> None:
        """Initialise; `kwargs` are Fabric's `connect_kwargs`: keys of the command line, passwords, what not to use.

        Unless it `may_ask`, it raises `QuestionAsked` where the server asks the user.
        """
        self._config = config
        self._user = user
        self._kwargs = kwargs
        self._files = files
        self._may_ask = may_ask
        self._skipped: list[str] = []
        self._encrypted = False
        self._allowed: list[str] = []

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Log in and return the methods that the server still demands; raises `LoginRefused`."""
        password = self._kwargs.get("password")
        tried = 0
        config = self._configured()
        agent = SocketAgent(agent_socket(config) if self._kwargs.get("allow_agent", True) else "")
        try:
            for key in self._keys(config, agent):
                tried += 1
                more = self._attempt(transport, key)
                if more is not None:
                    return self._second(transport, more, password)
                if not transport.is_active():
                    raise LoginRefused(self._skipped, self._encrypted, tried, self._allowed)
                if self._allowed:
                    # the server accepts no keys at all
                    break
        finally:
            agent.close()
        if password is not None:
            with suppress(paramiko.AuthenticationException):
                return transport.auth_password(self._user, password)
        cut_off = None if transport.is_active() else tried
        raise LoginRefused(self._skipped, self._encrypted, cut_off, self._allowed)

    def _configured(self) -> HostConfig:
        if self._config.default_identities and not self._kwargs.get("look_for_keys", True):
            return replace(self._config, identity_files=())
        return self._config

    def _keys(self, config: HostConfig, agent: SocketAgent) -> Any:
        given = self._kwargs.get("pkey")
        if given is not None:
            yield given
        if not config.public_keys:
            return
        named = self._named() + ([] if config.default_identities else [*config.identity_files])
        self._skipped += [f"{file} does not exist" for file in named if not self._files.exists(file)]
        for identity in offered(config, self._named(), agent_keys(agent), self._files):
            try:
                yield self._key(identity)
            except Encrypted as reason:
                self._encrypted = True
                self._skipped.append(str(reason))
            except UnusableKey as reason:
                self._skipped.append(str(reason))

    def _named(self) -> list[Path]:
        """The files of `fab -i`, or of `connect_kwargs.key_filename`."""
        named = self._kwargs.get("key_filename") or []
        return [Path(file).expanduser() for file in ([named] if isinstance(named, str) else named)]

    def _key(self, identity: KeyIdentity) -> paramiko.PKey:
        key: paramiko.PKey
        # a certificate is attached to a copy of the key, since the key may also be offered without it
        if identity.agent_key is not None:
            key = identity.agent_key
            if identity.certificate is not None:
                key = AgentKey(identity.agent_key.agent, identity.agent_key.blob, identity.agent_key.comment)
        else:
            assert identity.file is not None
            passphrase = self._kwargs.get("passphrase")
            if passphrase is None:
                passphrase = self._kwargs.get("password")
            key = self._files.private(identity.file, passphrase)
            if identity.certificate is not None:
                key = copy.copy(key)
        if identity.certificate is not None:
            key.public_blob = PublicBlob.from_message(paramiko.Message(identity.certificate))
        return key

    def _attempt(self, transport: paramiko.Transport, key: paramiko.PKey) -> list[str] | None:
        """Offer a key; return the methods that the server still demands, or None if it refuses the key."""
        try:
            return transport.auth_publickey(self._user, key)
        except paramiko.BadAuthenticationType as refused:
            self._allowed = refused.allowed_types
            return None
        except (paramiko.SSHException, EOFError):
            return None

    def _second(self, transport: paramiko.Transport, wanted: Sequence[str], password: str | None) -> list[str]:
        """Give the server what it demands beside a key: the password, or answers at the terminal."""
        if not SECOND_FACTORS & set(wanted):
            return []
        if password is not None:
            return transport.auth_password(self._user, password)
        if not self._may_ask:
            raise QuestionAsked
        return transport.auth_interactive_dumb(self._user)
