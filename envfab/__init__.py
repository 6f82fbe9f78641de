"""Fabric tasks that keep many virtualenvs, on many hosts, in step with a directory of wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envfab.config.command import Command
from envfab.config.drain import Group
from envfab.config.events import Collector, Exec, Webhook
from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.servers import UsageStats
from envfab.config.virtualenv import Virtualenv
from envfab.registration.dependency_track.server import DependencyTrack
from envfab.registration.difio.server import Difio
from envfab.version import VERSION

if TYPE_CHECKING:
    from invoke.collection import Collection

__version__ = VERSION
__all__ = [
    "Collector",
    "Command",
    "DependencyTrack",
    "Difio",
    "Exec",
    "Fleet",
    "Group",
    "Host",
    "Project",
    "UsageStats",
    "Virtualenv",
    "Webhook",
    "collection",
]


def collection(fleet: Fleet | None = None) -> Collection:
    """The tasks for `fleet`, as a new Invoke collection: a fabfile's `ns`, or a part of it."""
    from envfab.tasks.collection import build

    return build(fleet if fleet is not None else Fleet())
