"""The pages of vulnerabilities, and the feed of new findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, redirect, render_template, url_for
from packaging.version import Version
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from envfab.audit.acceptances import Acceptance
from envfab.audit.osv import Vulnerability
from envfab.audit.severity import Severity
from envfab.collector.db import application_queries, finding_queries
from envfab.collector.db.application_queries import version_key
from envfab.collector.db.finding_queries import StoredFinding, StoredVulnerability, VulnerabilityLine
from envfab.collector.db.registered_virtualenvs import targets_of
from envfab.collector.jobs.acceptances import AcceptancesOfOne
from envfab.collector.jobs.latest_versions import python_of
from envfab.collector.service import Service
from envfab.collector.views.export import export_of
from envfab.collector.views.query import choice, query_text
from envfab.collector.views.tables import ASCENDING, DESCENDING, Pages, Sorting
from envfab.errors import EnvfabError

A_PAGE = 100
ENDED = 50
IN_FEED = 100
SORTS = {"severity": DESCENDING, "name": ASCENDING, "applications": DESCENDING, "since": DESCENDING}
FILTERS = {"open": "not accepted", "accepted": "accepted"}
SEVERITIES = tuple(one.value for one in reversed(Severity) if one is not Severity.NONE)


@dataclass(frozen=True, slots=True)
class TriagedVulnerability:
    """A vulnerability in the list, and in how many of its applications it is accepted."""

    line: VulnerabilityLine
    accepted: int

    @property
    def open(self) -> bool:
        """Whether it is not accepted in all of them."""
        return self.accepted < self.line.applications


@dataclass(frozen=True, slots=True)
class TriagedFinding:
    """A finding, what accepts it, and what mends it.

    `mended_by` is a version in the wheelhouse; `known` says whether the wheelhouse could be asked.
    """

    finding: StoredFinding
    acceptance: Acceptance | None
    mended_by: Version | None
    known: bool


def endpoints(service: Service) -> Blueprint:
    """The pages below `/vulnerabilities`."""
    routes = Blueprint("vulnerabilities", __name__)
    storage = service.storage

    @routes.get("/vulnerabilities")
    def vulnerabilities() -> str:
        text, only, severity = query_text(), choice("only", FILTERS), choice("severity", SEVERITIES)
        sorting = Sorting.asked(SORTS)
        with storage.reading() as connection:
            every = triaged(connection, service, finding_queries.list_vulnerabilities(connection, text=text))
            registered = application_queries.are_registered(connection)
        found = [one for one in every if severity in ("", one.line.vulnerability.severity)]
        found = [one for one in found if only == "" or one.open == (only == "open")]
        pages = Pages.asked(len(found), A_PAGE)
        shown = _sorted(found, sorting)[pages.offset : pages.offset + A_PAGE]
        return render_template(
            "vulnerabilities.html", found=shown, every=every, text=text, only=only, severity=severity, sorting=sorting,
            pages=pages, export=export_of(service), filters_of=FILTERS, severities=SEVERITIES,
            accepting=service.acceptances, registered=registered,
        )  # fmt: skip

    @routes.get("/vulnerabilities/<path:name>")
    def vulnerability(name: str) -> str | AnyResponse:
        with storage.reading() as connection:
            one = finding_queries.find_vulnerability(connection, name)
            if one is None:
                raise NotFound("This collector has seen no vulnerability of this name in any application.")
            if one.name != name:
                return redirect(url_for("vulnerabilities.vulnerability", name=one.name))
            found = finding_queries.findings_of(connection, one)
            ended = finding_queries.ended_findings_of(connection, one, ENDED)
            pages = Pages.asked(len(found), A_PAGE)
            shown = *found[pages.offset : pages.offset + A_PAGE], *ended
            targets = targets_of(connection, (each.application.uuid for each in shown))
        judged = judge(service, one, found)
        return render_template(
            "vulnerability.html", it=one, found=judged[pages.offset : pages.offset + A_PAGE], every=judged,
            ended_ones=ended, pages=pages, export=export_of(service), accepting=service.acceptances,
            packages=_packages(found), housed=service.wheelhouse is not None,
            targets=targets,
        )  # fmt: skip

    @routes.get("/findings.atom")
    def feed() -> Response:
        with storage.reading() as connection:
            found = finding_queries.latest_findings(connection, IN_FEED)
        return Response(render_template("findings.xml", found=found), mimetype="application/atom+xml")

    return routes


def triaged(connection: Connection, service: Service, lines: Sequence[VulnerabilityLine]) -> list[TriagedVulnerability]:
    """Vulnerabilities with how many of the applications that have them accept them."""
    said = [AcceptancesOfOne.of(service.acceptances, one.vulnerability.names, dict(one.packages)) for one in lines]
    spoken_of = [line.vulnerability.id for line, its in zip(lines, said, strict=True) if its.found]
    where = finding_queries.uuids_of(connection, spoken_of)
    found = []
    for line, its in zip(lines, said, strict=True):
        places = where.get(line.vulnerability.id, ())
        refusing = {uuid for uuid, package in places if its.about(uuid, package) is None}
        found.append(TriagedVulnerability(line, line.applications - len(refusing) if its.found else 0))
    return found


def judge(service: Service, one: StoredVulnerability, found: Sequence[StoredFinding]) -> list[TriagedFinding]:
    """The findings of a vulnerability, with what accepts and what mends each."""
    said = AcceptancesOfOne.of(service.acceptances, one.names, {each.package: None for each in found})
    mended: dict[tuple[str, str | None, Version | None], tuple[Version | None, bool]] = {}
    judged = []
    for each in found:
        key = each.package, each.version, python_of(each.application.type)
        if key not in mended:
            mended[key] = _mended(service, one, *key)
        judged.append(TriagedFinding(each, said.about(each.application.uuid, each.package), *mended[key]))
    return judged


def _mended(
    service: Service, one: StoredVulnerability, package: str, version: str | None, python: Version | None
) -> tuple[Version | None, bool]:
    """The version in the wheelhouse that mends it, and whether that is known."""
    known = _known(service, one, package, version)
    if known is None or version is None or service.wheelhouse is None:
        return None, False
    try:
        service.wheelhouse.refresh()
        return service.wheelhouse.mending(package, python, version, known.affects), True
    except EnvfabError:
        return None, False


def _known(service: Service, one: StoredVulnerability, package: str, version: str | None) -> Vulnerability | None:
    """What the export says of the vulnerability in a package of that version."""
    if service.vulnerabilities is None or version is None:
        return None
    there = service.vulnerabilities.of([(package, version)]).get((package, version), ())
    names = {name.lower() for name in one.names}
    return next((each for each in there if names & {name.lower() for name in each.ids}), None)


def _sorted(found: Sequence[TriagedVulnerability], sorting: Sorting) -> list[TriagedVulnerability]:
    keys = {
        "severity": lambda one: (-one.line.vulnerability.rank, -(one.line.vulnerability.score or 0)),
        "name": lambda one: one.line.vulnerability.name,
        "applications": lambda one: -one.line.applications,
        "since": lambda one: -one.line.vulnerability.first_seen,
    }
    return sorted(sorted(found, key=keys["name"]), key=keys[sorting.key], reverse=sorting.reverse)


def _packages(found: Sequence[StoredFinding]) -> list[tuple[str, str, tuple[str, ...]]]:
    """The packages of findings: name, as published, and the versions in which it is fixed."""
    packages: dict[str, tuple[str, set[str]]] = {}
    for one in found:
        packages.setdefault(one.package, (one.shown_as, set()))[1].update(one.fixed)
    return [
        (name, shown_as, tuple(sorted(fixed, key=version_key))) for name, (shown_as, fixed) in sorted(packages.items())
    ]
