"""The registration of a virtualenv, made of a probe. Pure."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from envfab.config.target import Member, Target
from envfab.errors import RegistrationError
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.registration.difio.drift import registered_drift
from envfab.registration.difio.protocol import Registration
from envfab.registration.difio.variables import Variables
from envfab.registration.identity import known_as

VIRTUALENV = canonicalize_name("virtualenv")


def registration(member: Member, probe: Probe, user_id: int, variables: Variables | None = None) -> Registration:
    """The registration of a member, of its probe; raises `RegistrationError` where it cannot be registered."""
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
            probe.digest,
            registered_drift(probe.drift) if probe.drift is not None else None,
            siblings_of(target.path) if probe.digest is not None else None,
        )
    except RegistrationError as error:
        raise RegistrationError(error.what, where=str(target)) from None


def uuid_of(member: Member, probe: Probe) -> str:
    """The UUID of a member (version 5, RFC 9562): always the same."""
    return uuid_of_target(known_as(member, probe))


def uuid_of_target(target: Target) -> str:
    """The UUID of a target as it is known to others (version 5, RFC 9562)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"envfab:{target}"))


def siblings_of(path: str) -> str:
    """The UUID that virtualenvs at one path have in common, on whatever hosts (version 5, RFC 9562)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"envfab:{path}"))


def app_type(interpreter: Interpreter) -> str:
    """`python-3.11.7`: three numbers, for pre-releases, too."""
    version = interpreter.version
    return f"python-{version.major}.{version.minor}.{version.micro}"


def _packages(probe: Probe, virtualenv_version: str | None) -> Iterator[tuple[str, str]]:
    """The virtualenv's own packages by name, as published; and virtualenv itself, where the environment sees it."""
    for name in sorted(probe.distributions):
        there = probe.distributions[name]
        yield there.shown_as, there.version_text
    if VIRTUALENV not in probe.distributions:
        seen = probe.outside.get(VIRTUALENV)
        version = seen.version_text if seen else virtualenv_version
        if version:
            yield "virtualenv", version
