"""Fabric's own reading of SSH configurations, which envfab's tasks do not need (see `envfab.remote.ssh.config`).

Fabric lets Paramiko parse the files before any task runs, and prints a traceback where Paramiko fails. If only envfab's
tasks are called, nothing is parsed; if others are called as well, an error is one line.
"""

from __future__ import annotations

import os

import fabric
import paramiko
from invoke.exceptions import Exit


def take_over(config: fabric.Config, needed_by_others: bool) -> None:
    """Change how `config` loads SSH files; `needed_by_others` tells that other tasks are called as well.

    Loading raises `Exit` for a missing file of `-S`, or one that Paramiko cannot parse.
    """
    load = config._load_ssh_files

    def load_if_needed() -> None:
        path = config._runtime_ssh_path
        if path is not None and not os.path.exists(os.path.expanduser(path)):
            raise Exit(f"envfab: -S {path}: there is no such SSH configuration", code=1)
        if not needed_by_others:
            return
        try:
            load()
        except (paramiko.SSHException, ValueError, OSError) as error:
            what = f"Fabric cannot read your SSH configuration: {error}"
            hint = "envfab's tasks do not need it: call them in a separate command"
            raise Exit(f"envfab: {what}\n  {hint}", code=1) from None

    config._set(_load_ssh_files=load_if_needed)
