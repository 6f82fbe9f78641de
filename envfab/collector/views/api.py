"""JSON: applications, packages, usage; that of rollouts is added from `rollout_api`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, request
from packaging.utils import canonicalize_name
from werkzeug.exceptions import NotFound

from envfab.audit.acceptances import Acceptance
from envfab.collector.db import application_queries, finding_queries, package_queries, usage_queries
from envfab.collector.db.application_queries import Application, InstalledPackage
from envfab.collector.db.usage_queries import Period
from envfab.collector.finding_json import finding_json, vulnerability_json
from envfab.collector.service import Service
from envfab.collector.template_filters import day_name, end_of_life_of, iso
from envfab.collector.views import rollout_api
from envfab.collector.views.findings import findings_of
from envfab.collector.views.vulnerabilities import TriagedFinding, TriagedVulnerability, judge, triaged
from envfab.usagestats import installation

TOP = 20  # values of a key
LATEST = 100  # findings


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
            found = application_queries.list_applications(connection)
        return jsonify([_application(one) for one in found])

    @routes.get("/applications/<path:uuid>")
    def application(uuid: str) -> Response:
        with storage.reading() as connection:
            found = application_queries.find_application(connection, uuid)
            if found is None:
                raise NotFound("no application has this uuid")
            packages = application_queries.packages_of(connection, found)
        installed = [
            {"name": one.shown_as, "version": one.version, "newer": one.newer,
             "newer_house": one.newer_house, "newer_index": one.newer_index,
             "latest_house": one.latest_house, "latest_index": one.latest_index, "compared": bool(one.compared)}
            for one in packages
        ]  # fmt: skip
        return jsonify(
            _application(found) | {"installed": installed, "vulnerabilities": _findings(service, found.uuid, packages)}
        )

    @routes.get("/packages/<name>")
    def package(name: str) -> Response:
        with storage.reading() as connection:
            found = package_queries.find_package(connection, canonicalize_name(name))
        if found is None:
            raise NotFound("no application has this package")
        users = [
            {"uuid": user.application.uuid, "name": user.application.name, "url": user.application.url,
             "version": user.version, "newer": user.newer, "compared": bool(user.package.compared)}
            for user in found.users
        ]  # fmt: skip
        return jsonify({"name": found.shown_as, "applications": users})

    @routes.get("/vulnerabilities")
    def vulnerabilities() -> Response:
        with storage.reading() as connection:
            every = triaged(connection, service, finding_queries.list_vulnerabilities(connection))
        return jsonify([_vulnerability_line(one) for one in every])

    @routes.get("/vulnerabilities/<path:name>")
    def vulnerability(name: str) -> Response:
        with storage.reading() as connection:
            one = finding_queries.find_vulnerability(connection, name)
            if one is None:
                raise NotFound("no application has, or had, a vulnerability of this name")
            found = finding_queries.findings_of(connection, one)
        return jsonify(vulnerability_json(one) | {"findings": [_triaged(it) for it in judge(service, one, found)]})

    @routes.get("/findings")
    def findings() -> Response:
        with storage.reading() as connection:
            found = finding_queries.latest_findings(connection, LATEST)
        return jsonify([finding_json(one) | {"vulnerability": vulnerability_json(one.vulnerability)} for one in found])

    @routes.get("/usage")
    def usage() -> Response:
        program = request.args.get("program")
        period = Period(program, 0)
        with storage.reading() as connection:
            programs = usage_queries.list_programs(connection)
            by_day = usage_queries.by_day(connection, period)
            keys = usage_queries.list_keys(connection, period, TOP)
            counters = usage_queries.list_counters(connection, period)
            ages = usage_queries.values_of(connection, period, [installation.KEY])[installation.KEY]
        return jsonify(
            {
                "reports": sum(by_day.values()),
                "by_day": {day_name(day): number for day, number in by_day.items()},
                "programs": [
                    {"program": one.program, "reports": one.reports, "last": iso(one.last)} for one in programs
                ],
                "keys": {key.key: {"reports": key.reports, "values": dict(key.common)} for key in keys},
                "counters": {one.name: {"total": one.total, "values": dict(one.values)} for one in counters},
                "installations": usage_queries.installation_weeks(ages),
            }
        )

    rollout_api.add_endpoints(routes, service)
    return routes


def _vulnerability_line(one: TriagedVulnerability) -> dict[str, Any]:
    told = {"packages": [shown_as for _, shown_as in one.line.packages], "applications": one.line.applications,
            "accepted": one.accepted, "fixed": list(one.line.fixed)}  # fmt: skip
    return vulnerability_json(one.line.vulnerability) | told


def _triaged(one: TriagedFinding) -> dict[str, Any]:
    """A finding; what mends it in the wheelhouse is null where there is nothing, or where that is not known."""
    in_wheelhouse = {"known": one.known, "version": str(one.mended_by) if one.mended_by else None}
    return finding_json(one.finding) | {"accepted": _accepted(one.acceptance), "in_wheelhouse": in_wheelhouse}


def _findings(service: Service, uuid: str, packages: Sequence[InstalledPackage]) -> list[dict[str, Any]] | None:
    """The known vulnerabilities, as `fab audit --json` tells them; None where nothing is compared with them."""
    known = service.vulnerabilities
    if known is None:
        return None
    as_of = known.as_of.isoformat() if known.as_of else None
    return [
        {"name": one.package.shown_as, "version": one.package.version, "id": one.vulnerability.ids[0],
         "aliases": list(one.vulnerability.ids[1:]), "severity": one.vulnerability.severity,
         "fixed": list(one.vulnerability.fixed), "summary": one.vulnerability.summary, "as_of": as_of,
         "rating": one.vulnerability.rating.severity.value, "score": one.vulnerability.rating.score,
         "vector": one.vulnerability.rating.vector, "accepted": _accepted(one.acceptance)}
        for one in findings_of(service, uuid, packages)
    ]  # fmt: skip


def _accepted(one: Acceptance | None) -> dict[str, str] | None:
    return {"until": one.until.isoformat(), "reason": one.reason, "where": one.where} if one else None


def _drift(one: Application) -> dict[str, Any] | None:
    """What was changed since the last deployment, by hand or by programs; None where it is not known."""
    found = one.differences
    if found is None:
        return None
    return {
        "since": found.since,
        "package_count": found.package_count,
        "file_count": found.file_count,
        "packages": [{"name": it.name, "before": it.before, "after": it.after} for it in found.packages],
        "files": [{"owner": it.owner, "count": it.count} for it in found.files],
    }


def _application(one: Application) -> dict[str, Any]:
    ended = end_of_life_of(one.type)
    return {
        "uuid": one.uuid,
        "name": one.name,
        "url": one.url,
        "type": one.type,
        "user_id": one.user_id,
        "packages": one.packages,
        "behind": one.behind,
        "unknown": one.unknown,
        "vulnerable": one.vulnerable,
        "unchecked": one.unchecked,
        "end_of_life": ended.isoformat() if ended else None,
        "digest": one.digest,
        "drift": _drift(one),
        "first_seen": iso(one.first_seen),
        "last_seen": iso(one.last_seen),
    }
