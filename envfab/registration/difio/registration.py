"""What is registered of a virtualenv: a probe as a registration. Pure."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from envfab.config.fleet import Member, Target
from envfab.config.servers import Difio, Secret, Server
from envfab.errors import ConfigurationError, RegistrationError, UsageError
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.registration.difio.protocol import Registration

VIRTUALENV = canonicalize_name("virtualenv")


@dataclass(frozen=True, slots=True)
class Variables:
    """The `DIFIO_` variables, without the empty ones. All but `url` and `user_id` describe one virtualenv."""

    url: str | None = None
    user_id: int | None = None
    uuid: str | None = None
    app_name: str | None = None
    app_url: str | None = None
    virtualenv_version: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Variables:
        """What an environment says; raises `UsageError` where `DIFIO_USER_ID` is no number."""

        def value(name: str) -> str | None:
            return environment.get(f"DIFIO_{name}", "").strip() or None

        user_id = value("USER_ID")
        if user_id is not None and not (user_id.isascii() and user_id.isdigit()):
            raise UsageError(f"{user_id!r} is no whole number", where="DIFIO_USER_ID")
        return cls(
            value("URL"),
            int(user_id) if user_id is not None else None,
            value("UUID"),
            value("APP_NAME"),
            value("APP_URL"),
            value("VIRTUALENV_VERSION"),
        )

    def for_a_fleet(self) -> Variables:
        """Those that hold for more than one virtualenv."""
        return Variables(self.url, self.user_id)

    def servers(self, configured: Sequence[Server]) -> tuple[Server, ...]:
        """Where to register: at the configured servers, with `DIFIO_URL` in place of those that speak Difio's protocol.

        A token goes to the server that it was configured for, and to no other. Raises `UsageError`.
        """
        if self.url is None:
            return tuple(
                self._mine(one.url, one.user_id, one.token) if isinstance(one, Difio) else one for one in configured
            )
        difios = [one for one in configured if isinstance(one, Difio)]
        known = next((one for one in difios if one.url == self.url), None)
        user_id = (known or difios[0]).user_id if difios else 0
        mine = self._mine(self.url, user_id, known.token if known else None)
        return (mine, *(one for one in configured if not isinstance(one, Difio)))

    def _mine(self, url: str, user_id: int, token: Secret) -> Difio:
        try:
            return Difio(url, user_id if self.user_id is None else self.user_id, token)
        except ConfigurationError:
            # the value may hold a password
            raise UsageError("it is no http or https URL", where="DIFIO_URL") from None


def registration(member: Member, probe: Probe, user_id: int, variables: Variables | None = None) -> Registration:
    """What is registered of a member that was probed; raises `RegistrationError`."""
    said = variables or Variables()
    target = probe.target
    try:
        return Registration(
            user_id,
            said.uuid or uuid_of(member, probe),
            said.app_name or posixpath.basename(target.path) or target.path,
            said.app_url or f"http://{probe.node or target.host}",
            app_type(probe.interpreter),
            tuple(_packages(probe, said.virtualenv_version)),
        )
    except RegistrationError as error:
        raise RegistrationError(error.what, where=str(target)) from None


def uuid_of(member: Member, probe: Probe) -> str:
    """The UUID of a target, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"envfab:{known_as(member, probe)}"))


def known_as(member: Member, probe: Probe) -> Target:
    """A target as the world knows it: every machine is somebody's localhost, so there its own name counts."""
    target = probe.target
    return Target(target.owner, probe.node, target.path) if member.host.local and probe.node else target


def app_type(interpreter: Interpreter) -> str:
    """`python-3.11.7`: three numbers, also of a pre-release."""
    version = interpreter.version
    return f"python-{version.major}.{version.minor}.{version.micro}"


def _packages(probe: Probe, virtualenv_version: str | None) -> Iterator[tuple[str, str]]:
    """The virtualenv's own, as published, by name; and virtualenv itself, where the environment sees one."""
    for name in sorted(probe.distributions):
        there = probe.distributions[name]
        yield there.shown_as, there.version_text
    if VIRTUALENV not in probe.distributions:
        seen = probe.outside.get(VIRTUALENV)
        version = seen.version_text if seen else virtualenv_version
        if version:
            yield "virtualenv", version
