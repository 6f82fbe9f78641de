"""The login user of a host; names on a command line need it as well, without contacting the host."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from envfab.config.host import Host
from envfab.errors import Unreachable

if TYPE_CHECKING:
    from fabric import Config

    from envfab.remote.ssh.config import SSHConfiguration


def login(host: Host, config: Config, ssh: SSHConfiguration) -> str:
    """Return the login user: the host's `user`, else the SSH config's, else Fabric's (by default, the local user)."""
    if host.local:
        return getpass.getuser()
    if host.user:
        return host.user
    try:
        configured = ssh.lookup(host.name).user
    except Unreachable:
        # connecting raises the error; here the names of other hosts must still work
        configured = None
    return configured or str(config.user)
