"""`/pypi/NAME/json`: what the wheelhouse has of a project, in the shape of PyPI's JSON API.

Servers that look for latest versions there, Dependency-Track for one, find them here where no index is reachable.
Files are described, not served: they have no address.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any

from flask import Blueprint, Response, request
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

from envfab.collector.jobs.latest_versions import WheelhouseFile
from envfab.collector.service import Service
from envfab.errors import EnvfabError

log = logging.getLogger(__name__)


def endpoints(service: Service) -> Blueprint:
    """The endpoint below `/pypi/`, for any spelling of a name."""
    routes = Blueprint("pypi", __name__)

    @routes.get("/pypi/<name>/json")
    def project(name: str) -> Response:
        if service.wheelhouse is None:
            return _answer({"message": "this collector has no wheelhouse"}, 404)
        try:
            service.wheelhouse.refresh()
            files = service.wheelhouse.files(canonicalize_name(name, validate=True))
        except InvalidName:
            files = ()
        except EnvfabError as error:
            log.warning("%s", error)
            return _answer({"message": "the wheelhouse cannot be read just now"}, 503)
        if not files:
            return _answer({"message": "Not Found"}, 404)
        answer = _answer(document(files), 200)
        answer.add_etag()
        answer.make_conditional(request)
        return answer

    return routes


def document(files: Sequence[WheelhouseFile]) -> dict[str, Any]:
    """The document of a project: its latest release, and the files of all, in the order in which they came."""
    by_version: dict[Version, list[WheelhouseFile]] = {}
    for file in sorted(files, key=_arrival):
        by_version.setdefault(file.release.wheel.version, []).append(file)
    releases = [_Standing(version, tuple(by_version[version])) for version in sorted(by_version)]
    latest = max(releases, key=lambda one: one.rank)
    first = latest.files[0]
    return {
        "info": {
            "name": first.release.wheel.shown_as,
            "version": str(latest.version),
            "summary": first.summary,
            "requires_python": first.requires_python,
            "yanked": latest.yanked,
            "yanked_reason": first.release.yanked_reason if latest.yanked else None,
        },
        "releases": {str(one.version): [_file(file) for file in one.files] for one in releases},
        "urls": [_file(file) for file in latest.files],
    }


@dataclass(frozen=True, slots=True)
class _Standing:
    """A release, and how it stands when the latest is looked for."""

    version: Version
    files: tuple[WheelhouseFile, ...]

    @property
    def yanked(self) -> bool:
        """Whether all of it was withdrawn."""
        return all(file.release.yanked for file in self.files)

    @property
    def rank(self) -> tuple[bool, bool, Version]:
        """Withdrawn ones and then pre-releases only where there is nothing else."""
        return not self.yanked, not self.version.is_prerelease, self.version


def _file(file: WheelhouseFile) -> dict[str, Any]:
    release = file.release
    told: dict[str, Any] = {
        "filename": release.wheel.filename,
        "packagetype": "bdist_wheel",
        "digests": {"sha256": release.wheel.sha256} if release.wheel.sha256 else {},
        "size": file.size,
        "requires_python": file.requires_python,
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
    }
    if release.added is not None:
        at = release.added.astimezone(timezone.utc)
        told["upload_time"] = f"{at:%Y-%m-%dT%H:%M:%S}"
        told["upload_time_iso_8601"] = f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return told


def _arrival(file: WheelhouseFile) -> tuple[bool, str, str]:
    at = file.release.added
    return at is None, at.astimezone(timezone.utc).isoformat() if at else "", file.release.wheel.filename


def _answer(told: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(told), status, mimetype="application/json")
