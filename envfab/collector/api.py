"""JSON: applications, packages, usage."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from flask import Blueprint, Response, jsonify
from packaging.utils import canonicalize_name
from werkzeug.exceptions import NotFound

from envfab.collector import lookups
from envfab.collector.lookups import Application
from envfab.collector.service import Service


def endpoints(service: Service) -> Blueprint:
    """The endpoints below `/api/`."""
    routes = Blueprint("api", __name__, url_prefix="/api")
    storage = service.storage

    @routes.before_request
    def catch_up() -> None:
        service.freshness.catch_up()

    @routes.get("/applications")
    def applications() -> Response:
        with storage.reading() as connection:
            found = lookups.list_applications(connection)
        return jsonify([_application(one) for one in found])

    @routes.get("/applications/<path:uuid>")
    def application(uuid: str) -> Response:
        with storage.reading() as connection:
            found = lookups.find_application(connection, uuid)
            if found is None:
                raise NotFound("no application has this uuid")
            packages = lookups.packages_of(connection, found)
        installed = [
            {"name": one.shown_as, "version": one.version, "newer": one.newer, "newer_house": one.newer_house}
            for one in packages
        ]
        return jsonify(_application(found) | {"installed": installed})

    @routes.get("/packages/<name>")
    def package(name: str) -> Response:
        with storage.reading() as connection:
            found = lookups.find_package(connection, canonicalize_name(name))
        if found is None:
            raise NotFound("no application has this package")
        users = [
            {"uuid": user.application.uuid, "name": user.application.name, "url": user.application.url,
             "version": user.version, "newer": user.newer}
            for user in found.users
        ]  # fmt: skip
        return jsonify({"name": found.shown_as, "applications": users})

    return routes


def _application(one: Application) -> dict[str, Any]:
    return {
        "uuid": one.uuid,
        "name": one.name,
        "url": one.url,
        "type": one.type,
        "user_id": one.user_id,
        "packages": one.packages,
        "behind": one.behind,
        "first_seen": _iso(one.first_seen),
        "last_seen": _iso(one.last_seen),
    }


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).isoformat(timespec="seconds")
