"""What is registered of a virtualenv: a probe as a registration. Pure."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from envfab.config.target import Member
from envfab.errors import RegistrationError
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.registration.difio.protocol import Registration
from envfab.registration.difio.variables import Variables
from envfab.registration.identity import known_as

VIRTUALENV = canonicalize_name("virtualenv")


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
