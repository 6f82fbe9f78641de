"""JSON of rollouts, hosts, changes, and of what differs."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound

from envfab.collector.days import milliseconds_now
from envfab.collector.db import change_queries, differing, host_queries, rollout_queries
from envfab.collector.service import Service
from envfab.collector.template_filters import day_name
from envfab.collector.views import rollout_json
from envfab.collector.views.changes import asked_days, host_asked
from envfab.collector.views.dates import span_of
from envfab.collector.views.rollouts import asked

LATEST = 500  # rollouts
ALL = 2**31 - 1


def add_endpoints(routes: Blueprint, service: Service) -> None:
    """Add the endpoints of rollouts below `/api/`."""
    storage = service.storage

    @routes.get("/rollouts")
    def rollouts() -> Response:
        wanted, now = asked(), milliseconds_now()
        with storage.reading() as connection:
            found = rollout_queries.list_rollouts(connection, wanted, now, limit=LATEST)
        return jsonify([rollout_json.rollout_json(one, now) for one in found])

    @routes.get("/rollouts/<rollout>")
    def rollout(rollout: str) -> Response:
        with storage.reading() as connection:
            it = rollout_queries.find_rollout(connection, rollout)
            if it is None:
                raise NotFound("this collector was told of no rollout with this id")
            members = rollout_queries.members_of(connection, it.id)
            changes = rollout_queries.changes_of(connection, it.id, None)
            sets = rollout_queries.sets_of(connection, it.id)
        return jsonify(
            rollout_json.rollout_json(it, milliseconds_now())
            | {
                "changes": [rollout_json.change_json(one) for one in changes],
                "change_sets": sets,
                "virtualenvs": [rollout_json.member_json(one) for one in members],
            }
        )

    @routes.get("/hosts")
    def hosts() -> Response:
        with storage.reading() as connection:
            found = host_queries.list_hosts(connection)
        return jsonify([rollout_json.host_json(one) for one in found])

    @routes.get("/hosts/<path:name>")
    def host(name: str) -> Response:
        with storage.reading() as connection:
            return jsonify(_host(connection, name))

    @routes.get("/host")
    def host_by_query() -> Response:
        with storage.reading() as connection:
            return jsonify(_host(connection, request.args.get("host", "")))

    @routes.get("/changes")
    def changes() -> Response:
        first, last = asked_days()
        with storage.reading() as connection:
            found = change_queries.changed_packages(connection, span_of(first, last), host_asked())
        told = [rollout_json.package_line_json(one) for one in found]
        return jsonify({"from": day_name(first), "to": day_name(last), "packages": told})

    @routes.get("/differing")
    def differ() -> Response:
        with storage.reading() as connection:
            every = [*differing.virtualenv_groups(connection), *differing.application_groups(connection)]
            found = differing.with_differences(connection, [one for one in every if one.differs])
        return jsonify([rollout_json.group_json(one) for one in found])


def _host(connection: Connection, name: str) -> dict[str, object]:
    found = host_queries.virtualenvs_of(connection, name, ALL)
    applications = host_queries.applications_on(connection, name)
    if not found and not applications:
        raise NotFound("no rollout and no application told of a host of this name")
    packages = host_queries.packages_in(connection, {one.package_set_id for one in found})
    latest = host_queries.rollouts_of_host(connection, name, LATEST)
    return {
        "host": name,
        "virtualenvs": [rollout_json.virtualenv_json(one) for one in found],
        "package_sets": {str(number): those for number, those in packages.items()},
        "applications": [{"uuid": one.uuid, "name": one.name, "url": one.url} for one in applications],
        "rollouts": [rollout_json.host_rollout_json(one) for one in latest],
    }
