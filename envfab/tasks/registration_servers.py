"""The servers that registrations go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envfab.config.fleet import Fleet
from envfab.config.servers import Server
from envfab.errors import UsageError

if TYPE_CHECKING:
    from envfab.registration.difio.registration import Variables


def registration_servers(fleet: Fleet, variables: Variables) -> tuple[Server, ...]:
    """The servers of the variables, else of the fleet; raises `UsageError` where there is none."""
    servers = variables.servers(fleet.registration)
    if not servers:
        raise UsageError(
            "no registration server is configured", hint="say Fleet(registration=[Difio(URL)]), or set DIFIO_URL"
        )
    return servers
