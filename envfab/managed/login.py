"""Who logs in to a host: asked for names on a command line too, where nothing is contacted and Paramiko not needed."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from envfab.fleet import Host

if TYPE_CHECKING:
    from fabric import Config


def login(host: Host, config: Config) -> str:
    """A host's `user`, else the SSH config's, else the local user."""
    if host.local:
        return getpass.getuser()
    if host.user:
        return host.user
    return str(config.base_ssh_config.lookup(host.name).get("user", config.user))
