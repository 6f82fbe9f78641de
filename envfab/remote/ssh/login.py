"""Who logs in to a host: asked for names on a command line too, where nothing is contacted."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from envfab.config.host import Host
from envfab.errors import Unreachable

if TYPE_CHECKING:
    from fabric import Config

    from envfab.remote.ssh.config import SSHConfiguration


def login(host: Host, config: Config, ssh: SSHConfiguration) -> str:
    """A host's `user`, else the SSH config's, else Fabric's, which is the local user unless set."""
    if host.local:
        return getpass.getuser()
    if host.user:
        return host.user
    try:
        configured = ssh.lookup(host.name).user
    except Unreachable:
        # whoever connects is told; the others' names must not be lost over it
        configured = None
    return configured or str(config.user)
