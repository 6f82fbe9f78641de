"""The registry of registration servers: a kind is a folder beside this module, and one entry in `KINDS`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envfab.config.servers import Server
from envfab.errors import ConfigurationError
from envfab.registration.dependency_track.server import DependencyTrack
from envfab.registration.difio.server import Difio
from envfab.registration.servers import RegistrationServer

Kind = type[RegistrationServer[Any]]

KINDS: tuple[Kind, ...] = (Difio, DependencyTrack)


def kinds_of(servers: Iterable[RegistrationServer[Any]]) -> tuple[Kind, ...]:
    """The registered kinds, and those of `servers` that a fabfile defines itself."""
    own = (type(server) for server in servers if not isinstance(server, KINDS))
    return tuple(dict.fromkeys((*KINDS, *own)))


def servers_for(
    configured: Iterable[Server], environment: Mapping[str, str], *, one_virtualenv: bool = False
) -> tuple[RegistrationServer[Any], ...]:
    """The servers to register at: those that the fabfile configures, as the environment's variables change them.

    Raises `UsageError` where a variable is wrong.
    """
    servers = tuple(_implemented(server) for server in configured)
    for kind in kinds_of(servers):
        servers = kind.with_environment(servers, environment, one_virtualenv=one_virtualenv)
    return servers


def _implemented(server: Server) -> RegistrationServer[Any]:
    if isinstance(server, RegistrationServer):
        return server
    raise ConfigurationError(
        f"{type(server).__name__} does not implement envfab.registration.servers.RegistrationServer",
        where="Fleet.registration",
    )
