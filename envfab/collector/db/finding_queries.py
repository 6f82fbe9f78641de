"""What pages, feeds and JSON ask the tables of vulnerabilities and findings: one query a table, however many rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select

from envfab.collector.db.application_queries import Application, labelled, version_key
from envfab.collector.db.batches import in_parts
from envfab.collector.db.schema import applications, findings, installed, vulnerabilities, vulnerability_names


@dataclass(frozen=True, slots=True)
class StoredVulnerability:
    """A vulnerability as the tables have it. `names` are all that it was ever called by, `name` the usual one first."""

    id: int
    name: str
    first_seen: int
    severity: str
    rank: int
    score: float | None
    summary: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VulnerabilityLine:
    """A vulnerability, as lists show it: in which packages (as published), in how many applications, fixed in what."""

    vulnerability: StoredVulnerability
    packages: tuple[tuple[str, str], ...]
    applications: int
    fixed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A vulnerability of a package of an application; `version` is what is installed now, None where nothing is."""

    id: int
    vulnerability: StoredVulnerability
    application: Application
    package: str
    shown_as: str
    version: str | None
    version_first: str
    fixed: tuple[str, ...]
    first_seen: int
    ended_at: int | None


def list_vulnerabilities(connection: Connection, *, text: str = "") -> tuple[VulnerabilityLine, ...]:
    """The vulnerabilities that some application has, the worst first; those with `text` in a name or package."""
    found = _open(connection)
    lines = [VulnerabilityLine(one, *found[one.id]) for one in _numbered(connection, found).values()]
    if text:
        lines = [line for line in lines if _has(line, text.lower())]
    return tuple(
        sorted(lines, key=lambda line: (-line.vulnerability.rank, -line.applications, line.vulnerability.name))
    )


def find_vulnerability(connection: Connection, name: str) -> StoredVulnerability | None:
    """The vulnerability of a name, whatever its case."""
    number = select(vulnerability_names.c.vulnerability_id).where(vulnerability_names.c.key == name.lower())
    found = _stored(connection, select(vulnerabilities).where(vulnerabilities.c.id == number.scalar_subquery()))
    return next(iter(found.values()), None)


def findings_of(connection: Connection, vulnerability: StoredVulnerability) -> tuple[StoredFinding, ...]:
    """The findings of a vulnerability that last, by application."""
    query = _query().where(findings.c.vulnerability_id == vulnerability.id, findings.c.ended_at.is_(None))
    rows = connection.execute(query.order_by(func.lower(applications.c.name), applications.c.id)).all()
    return tuple(_finding(row, vulnerability) for row in rows)


def ended_findings_of(
    connection: Connection, vulnerability: StoredVulnerability, limit: int
) -> tuple[StoredFinding, ...]:
    """The findings of a vulnerability that are over, the latest first."""
    query = _query().where(findings.c.vulnerability_id == vulnerability.id, findings.c.ended_at.is_not(None))
    rows = connection.execute(query.order_by(findings.c.ended_at.desc(), findings.c.id.desc()).limit(limit)).all()
    return tuple(_finding(row, vulnerability) for row in rows)


def latest_findings(connection: Connection, limit: int) -> tuple[StoredFinding, ...]:
    """The findings that were seen last, the newest first, whether they last or not."""
    return _with_vulnerabilities(
        connection, _query().order_by(findings.c.first_seen.desc(), findings.c.id.desc()).limit(limit)
    )


def findings_of_event(connection: Connection, event: int) -> tuple[StoredFinding, ...]:
    """The findings that an event tells of, in the order in which they were seen."""
    return _with_vulnerabilities(connection, _query().where(findings.c.event_id == event).order_by(findings.c.id))


def findings_of_package(connection: Connection, package: str) -> tuple[StoredFinding, ...]:
    """The findings of a package (by its canonical name) that last, the worst first."""
    query = _query().where(findings.c.package == package, findings.c.ended_at.is_(None))
    found = _with_vulnerabilities(connection, query.order_by(findings.c.id))
    return tuple(sorted(found, key=lambda one: (-one.vulnerability.rank, one.vulnerability.name)))


def first_seen_of(connection: Connection, application: Application) -> dict[tuple[str, str], tuple[int, str]]:
    """When each finding of an application that lasts was seen first, and its usual name, by package and any name."""
    query = select(findings.c.package, vulnerability_names.c.key, findings.c.first_seen, vulnerabilities.c.name)
    query = query.join_from(findings, vulnerabilities).join(vulnerability_names)
    query = query.where(findings.c.application_id == application.id, findings.c.ended_at.is_(None))
    return {(package, key): (at, name) for package, key, at, name in connection.execute(query)}


def uuids_of(connection: Connection, numbers: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """The applications (uuid, package) that have each of some vulnerabilities."""
    query = select(findings.c.vulnerability_id, applications.c.uuid, findings.c.package).join_from(
        findings, applications
    )
    query = query.where(findings.c.vulnerability_id.in_(list(numbers)), findings.c.ended_at.is_(None))
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for number, uuid, package in connection.execute(query):
        found[number].append((uuid, package))
    return found


def _open(
    connection: Connection,
) -> dict[int, tuple[tuple[tuple[str, str], ...], int, tuple[str, ...]]]:
    """What vulnerabilities that last are in: (packages, how many applications, fixed versions), by number."""
    last = findings.c.ended_at.is_(None)
    shown_as = _published(connection, select(findings.c.package).where(last).distinct())
    keys = findings.c.vulnerability_id, findings.c.package, findings.c.fixed
    packages: dict[int, dict[str, str]] = defaultdict(dict)
    fixed: dict[int, set[str]] = defaultdict(set)
    for number, name, versions in connection.execute(select(*keys).where(last).distinct()):
        packages[number][name] = shown_as.get(name, name)
        fixed[number].update(json.loads(versions))
    many = select(findings.c.vulnerability_id, func.count(findings.c.application_id.distinct()))
    return {
        number: (tuple(sorted(packages[number].items())), count, tuple(sorted(fixed[number], key=version_key)))
        for number, count in connection.execute(many.where(last).group_by(findings.c.vulnerability_id))
        if number in packages
    }


def _published(connection: Connection, names: Select[Any]) -> dict[str, str]:
    """How the packages of some canonical names are published, of those that are installed anywhere."""
    wanted = names.subquery()
    first = select(installed.c.shown_as).where(installed.c.name == wanted.c.package).limit(1)
    query = select(wanted.c.package, first.scalar_subquery().label("shown_as"))
    return {row.package: row.shown_as for row in connection.execute(query) if row.shown_as is not None}


def _numbered(connection: Connection, numbers: Collection[int]) -> dict[int, StoredVulnerability]:
    """The vulnerabilities of some numbers."""
    found: dict[int, StoredVulnerability] = {}
    for some in in_parts(sorted(numbers)):
        found |= _stored(connection, select(vulnerabilities).where(vulnerabilities.c.id.in_(some)))
    return found


def _stored(connection: Connection, query: Select[Any]) -> dict[int, StoredVulnerability]:
    rows = connection.execute(query).all()
    names: dict[int, list[str]] = defaultdict(list)
    columns = vulnerability_names.c.vulnerability_id, vulnerability_names.c.name
    for some in in_parts(row.id for row in rows):
        wanted = select(*columns).where(columns[0].in_(some)).order_by(vulnerability_names.c.key)
        for number, name in connection.execute(wanted):
            names[number].append(name)
    return {row.id: _vulnerability(row, names[row.id]) for row in rows}


def _vulnerability(row: Row[Any], names: Sequence[str]) -> StoredVulnerability:
    usual = (row.name, *(name for name in names if name != row.name))
    return StoredVulnerability(row.id, row.name, row.first_seen, row.severity, row.rank, row.score, row.summary, usual)


def _has(line: VulnerabilityLine, text: str) -> bool:
    packages = (word for package in line.packages for word in package)
    return any(text in word.lower() for word in (*line.vulnerability.names, *packages))


def _query() -> Select[Any]:
    """Findings with their applications and what these have installed of the package."""
    here = and_(installed.c.application_id == findings.c.application_id, installed.c.name == findings.c.package)
    columns = [column.label(f"of_{column.name}") for column in applications.c]
    there = installed.c.shown_as, installed.c.version.label("version_now")
    return select(findings, *there, *columns).join_from(findings, applications).outerjoin(installed, here)


def _with_vulnerabilities(connection: Connection, query: Select[Any]) -> tuple[StoredFinding, ...]:
    rows = connection.execute(query).all()
    stored = _numbered(connection, {row.vulnerability_id for row in rows})
    return tuple(_finding(row, stored[row.vulnerability_id]) for row in rows)


def _finding(row: Row[Any], vulnerability: StoredVulnerability) -> StoredFinding:
    return StoredFinding(
        row.id,
        vulnerability,
        labelled(row),
        row.package,
        row.shown_as if row.shown_as is not None else row.package,
        row.version_now,
        row.version,
        tuple(json.loads(row.fixed)),
        row.first_seen,
        row.ended_at,
    )
