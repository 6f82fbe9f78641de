"""Targets: virtualenvs by their full names, with what the fabfile says of them."""

from __future__ import annotations

from dataclasses import dataclass

from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A virtualenv as it is named on the command line: `owner@host:/full/path`."""

    owner: str
    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.owner}@{self.host}:{self.path}"


@dataclass(frozen=True, slots=True)
class Member:
    """A configured virtualenv of the fleet, with its host and its full name."""

    target: Target
    host: Host
    virtualenv: Virtualenv
    login: str

    @property
    def sudo(self) -> bool:
        """Whether the virtualenv belongs to another user than the one that logs in."""
        return self.login != self.target.owner
