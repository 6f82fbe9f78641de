"""Virtualenvs of a fabfile, and the commands that it gives them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from envfab.config.command import Command, check_commands, flat_commands
from envfab.config.project import Project
from envfab.config.validation import (
    check_files,
    check_instances,
    check_strings,
    check_text,
    check_truth,
    check_user,
    configuration,
    put,
    wrong,
)
from envfab.util.untrusted import one_line

CommandLike = str | Command | Callable[["Virtualenv"], Any] | Sequence[Any]


@configuration
class Virtualenv:
    """A managed environment at a full path, with what it must satisfy and what runs in it.

    `groups` and `extras` choose among those of lock files (PEP 751) and of pyproject.toml files in `requirements`;
    `groups=None` is a lock file's default groups. `smoke` runs before the new generation becomes current, with
    its programs. With `pinned` a process keeps the generation that it started with.
    """

    path: str
    user: str | None = None
    requirements: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ()
    packages: Sequence[str] = ()
    python: str = "python3"
    system_site_packages: bool = False
    projects: Sequence[Project] = ()
    before: CommandLike = ()
    reload: CommandLike = ()
    check: CommandLike = ()
    groups: Sequence[str] | None = None
    extras: Sequence[str] = ()
    smoke: CommandLike = ()
    pinned: bool = False

    def __post_init__(self) -> None:
        check_text(self, "path", "python")
        check_user(self, "user")
        check_truth(self, "system_site_packages")
        check_truth(self, "pinned")
        if not self.path.startswith("/") or one_line(self.path) != self.path.strip():
            wrong(self, "path", f"must be a full path, not {self.path!r}", "start it with a slash: '/srv/shop/venv'")
        put(self, "path", os.path.normpath("/" + self.path.lstrip("/")))
        check_files(self, "requirements")
        check_strings(self, "packages")
        check_strings(self, "extras")
        if self.groups is not None:
            check_strings(self, "groups")
        if (self.groups or self.extras) and not self.requirements:
            chosen = "groups" if self.groups else "extras"
            wrong(self, chosen, "needs a requirements file to choose from", "name it as requirements=…")
        check_instances(self, "projects", Project)
        for name in ("before", "reload", "check", "smoke"):
            check_commands(self, name)

    def commands(self, name: str) -> tuple[Command, ...]:
        """The commands of the field `name` (`before`, `reload`, `check`, `smoke`), in order, callables called."""
        return tuple(flat_commands(getattr(self, name), self))
