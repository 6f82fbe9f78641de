"""Servers that speak Difio's protocol, as a fabfile configures them."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envfab.config.servers import Secret
from envfab.config.validation import check_text, check_url, configuration, wrong
from envfab.errors import ConfigurationError, UsageError
from envfab.registration.difio.variables import Variables
from envfab.registration.servers import RegistrationServer, ServerAnswer

if TYPE_CHECKING:
    from envfab.config.target import Member
    from envfab.models.probe import Probe
    from envfab.registration.difio.protocol import Registration
    from envfab.util.http import WebSession


@configuration
class Difio(RegistrationServer["Registration"]):
    """A registration server that speaks Difio's protocol."""

    kind = "Difio"
    secret_name = "token"
    retry_key = "form"

    url: str
    user_id: int = 0
    token: Secret = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_url(self, "url")
        if not isinstance(self.user_id, int) or isinstance(self.user_id, bool):
            wrong(self, "user_id", f"must be a whole number, not {self.user_id!r}")
        if self.token is not None and not callable(self.token):
            check_text(self, "token")

    def configured_secret(self) -> Secret:
        return self.token

    def payload_maker(self, release_log: Path | None) -> Callable[[Member, Probe], Registration]:  # noqa: ARG002 - Difio lists no wheels
        return self._maker(Variables())

    def _maker(self, variables: Variables) -> Callable[[Member, Probe], Registration]:
        from envfab.registration.difio.registration import registration

        return lambda member, probe: registration(member, probe, self.user_id, variables)

    def send(self, session: WebSession, secret: str | None, payload: Registration) -> ServerAnswer:
        from envfab.registration.difio.client import post

        return post(session, self.url, secret, payload)

    @classmethod
    def format_payload(cls, payload: Registration) -> str:
        """The form as it is posted."""
        from envfab.registration.difio.protocol import format_registration

        return format_registration(payload).decode("ascii")

    @classmethod
    def parse_payload(cls, kept: Any) -> Registration:
        from envfab.registration.difio.protocol import parse_registration

        return parse_registration(str(kept).encode("utf-8", "replace"))

    @classmethod
    def with_environment(
        cls, servers: tuple[RegistrationServer[Any], ...], environment: Mapping[str, str], *, one_virtualenv: bool
    ) -> tuple[RegistrationServer[Any], ...]:
        """`DIFIO_URL` replaces all servers of this kind; a token goes only to the server that it is configured for."""
        variables = Variables.read(environment)
        describe = _describing(variables) if one_virtualenv else Difio
        if variables.url is None:
            return tuple(
                describe(one.url, _user_id(one, variables), one.token) if isinstance(one, Difio) else one
                for one in servers
            )
        own = [one for one in servers if isinstance(one, Difio)]
        known = next((one for one in own if one.url == variables.url), None)
        user_id = _user_id(known or (own[0] if own else None), variables)
        try:
            server = describe(variables.url, user_id, known.token if known else None)
        except ConfigurationError:
            # the value may hold a password
            raise UsageError("must be an http or https URL", where="DIFIO_URL") from None
        return (server, *(one for one in servers if not isinstance(one, Difio)))


@configuration
class DescribedDifio(Difio):
    """A server for one virtualenv, which the `DIFIO_` variables describe."""

    variables: Variables = field(default_factory=Variables)

    def payload_maker(self, release_log: Path | None) -> Callable[[Member, Probe], Registration]:  # noqa: ARG002 - Difio lists no wheels
        return self._maker(self.variables)


def _describing(variables: Variables) -> Callable[[str, int, Secret], Difio]:
    return lambda url, user_id, token: DescribedDifio(url, user_id, token, variables)


def _user_id(configured: Difio | None, variables: Variables) -> int:
    if variables.user_id is not None:
        return variables.user_id
    return configured.user_id if configured else 0
