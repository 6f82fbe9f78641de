"""The servers that registrations go to."""

from __future__ import annotations

import os
from typing import Any

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.registration.registry import servers_for
from envfab.registration.servers import RegistrationServer


def registration_servers(
    fleet: Fleet, *, one_virtualenv: bool = False, needed: bool = True
) -> tuple[RegistrationServer[Any], ...]:
    """Return the fleet's servers, as environment variables change them; raises `UsageError` if `needed` ones are
    missing."""
    servers = servers_for(fleet.registration, os.environ, one_virtualenv=one_virtualenv)
    if needed and not servers:
        raise UsageError(
            "no registration server is configured", hint="say Fleet(registration=[Difio(URL)]), or set DIFIO_URL"
        )
    return servers
