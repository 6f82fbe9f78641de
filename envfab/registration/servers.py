"""The protocol of registration servers, which each kind implements; `registry` lists the kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from envfab.config.servers import Secret, Server

if TYPE_CHECKING:
    from envfab.config.target import Member
    from envfab.models.probe import Probe
    from envfab.util.http import WebSession


class Payload(Protocol):
    """What a server is sent about one virtualenv."""

    @property
    def key(self) -> str:
        """What identifies the virtualenv at its server: a newer payload replaces an older one with the same key."""

    @property
    def name(self) -> str:
        """What the virtualenv is called at its server."""

    @property
    def uuid(self) -> str | None:
        """The virtualenv's UUID at its server; None where this kind of server uses none."""

    @property
    def package_count(self) -> int:
        """How many packages it lists."""


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server's answer to a payload; an exit code of 0 means that the server took it.

    A `token` means that the server goes on processing what it took, and can be asked about that.
    """

    message: str
    exit_code: int = 0
    token: str = ""


class RegistrationServer(Server, ABC, Generic[P]):
    """A server that virtualenvs are registered at. Each kind is a subclass, decorated with `@configuration`.

    Its fields are the options that a fabfile gives it. Whatever fails raises `RegistrationError`; an error that
    concerns the whole server, and not just one payload, raises its subclass `registration.http.NoAnswer`.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """What its answers are labelled with: `Difio`."""
    secret_name: ClassVar[str]
    """What messages call its secret: `token`."""
    payload_noun: ClassVar[tuple[str, str]] = ("registration", "registrations")
    """What messages call one payload, and several."""
    payload_takes_long: ClassVar[bool] = False
    """Whether payloads take time to make: after a deployment, none is begun once the time for registering is over."""
    retry_key: ClassVar[str]
    """Under which key a payload is kept in the retry file; no two kinds have the same."""

    @abstractmethod
    def configured_secret(self) -> Secret:
        """The secret as the fabfile gives it; None where there is none."""

    @abstractmethod
    def payload_maker(self, release_log: Path | None) -> Callable[[Member, Probe], P]:
        """A function that makes the payload of a virtualenv.

        `release_log` says which wheels are installed. Raises `EnvfabError` where this machine lacks what payloads are
        made with; the function raises `RegistrationError` where a virtualenv cannot be registered.
        """

    @abstractmethod
    def send(self, session: WebSession, secret: str | None, payload: P) -> ServerAnswer:
        """Send a payload and return the server's answer; raises `RegistrationError` for anything but an answer."""

    def is_processing(self, session: WebSession, secret: str | None, token: str, timeout: float) -> bool:
        """Whether the server still processes what it answered with `token`; waits for `timeout` seconds at most.

        Asked only where an answer of `send` has a token.
        """
        raise NotImplementedError(f"{self.kind} answers with a token, but cannot be asked about it")

    @classmethod
    @abstractmethod
    def format_payload(cls, payload: P) -> Any:
        """A payload as JSON, for the retry file."""

    @classmethod
    @abstractmethod
    def parse_payload(cls, kept: Any) -> P:
        """A payload from the retry file; raises `ValueError`, `KeyError`, `TypeError` or `RegistrationError`."""

    @classmethod
    def with_environment(
        cls,
        servers: tuple[RegistrationServer[Any], ...],
        environment: Mapping[str, str],  # noqa: ARG003 - for kinds that read variables
        *,
        one_virtualenv: bool,  # noqa: ARG003 - for kinds that read variables
    ) -> tuple[RegistrationServer[Any], ...]:
        """All servers to register at, with those of this kind changed or added as variables of the environment say.

        `one_virtualenv`: exactly one is registered, so that variables may describe it. Raises `UsageError`.
        """
        return servers
