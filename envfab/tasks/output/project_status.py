"""Projects that are not active in a package index, to people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from envfab.index.project_status import ProjectStatus
from envfab.tasks.output.console import Console


def warn_of_statuses(console: Console, statuses: Mapping[str, ProjectStatus]) -> None:
    """Warn of each project, by its name as published."""
    for name, status in statuses.items():
        console.warning(f"the project {name} {status.told}")


def status_json(statuses: Mapping[str, ProjectStatus]) -> list[dict[str, str]]:
    """Return the same as JSON."""
    return [{"name": name, "status": one.marker, "reason": one.reason} for name, one in statuses.items()]
