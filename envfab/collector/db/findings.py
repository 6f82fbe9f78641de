"""Findings in the tables: which application has which vulnerability, from when to when this collector saw it.

A vulnerability keeps its number whatever it is called: an export that later knows further names of it, or that two
records are on the same one, makes no new findings.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from envfab.audit.osv import Vulnerability
from envfab.collector.db.batches import in_parts
from envfab.collector.db.engine import insert_or, run_many
from envfab.collector.db.schema import findings, vulnerabilities, vulnerability_names

# An arbitrary number that no other program on the same database should use.
_LOCK = 0x656E76666164
# values in one IN: both databases limit how many a statement has


@dataclass(frozen=True, slots=True)
class SeenVulnerability:
    """A known vulnerability of a package that an application has."""

    application: int
    package: str
    version: str
    vulnerability: Vulnerability


@dataclass(frozen=True, slots=True)
class Sight:
    """All that is seen at a time of applications whose rows the transaction holds; `all` says that these are all.

    Of `uncertain` packages (application, name) it is not known what they have.
    """

    seen: tuple[SeenVulnerability, ...]
    applications: frozenset[int]
    all: bool
    uncertain: frozenset[tuple[int, str]]
    now: int


def note(connection: Connection, sight: Sight) -> None:
    """Note what is seen: what was not there before begins, what is not there any more ends."""
    numbers = _numbers(connection, sight.seen, sight.now)
    there = {(one.application, one.package, numbers[one.vulnerability.ids]): one for one in sight.seen}
    before = _open_findings(connection, sight)
    fresh = [_row(key, one, sight.now) for key, one in there.items() if key not in before]
    run_many(connection, insert(findings), fresh)
    gone = [key for key in before if key not in there and key[:2] not in sight.uncertain]
    statement = update(findings).where(findings.c.id == bindparam("number"))
    run_many(connection, statement.values(ended_at=sight.now), [{"number": before[key][0]} for key in gone])
    other = [(before[key], _fixed(one)) for key, one in there.items() if key in before]
    rows = [{"number": number, "now": now} for (number, fixed), now in other if fixed != now]
    run_many(connection, statement.values(fixed=bindparam("now")), rows)
    if sight.all:
        _describe(connection, sight.seen, numbers)


def _open_findings(connection: Connection, sight: Sight) -> dict[tuple[int, str, int], tuple[int, str]]:
    """The number and the fixed versions of each finding that lasts, by (application, package, vulnerability)."""
    keys = findings.c.application_id, findings.c.package, findings.c.vulnerability_id
    query = select(*keys, findings.c.id, findings.c.fixed).where(findings.c.ended_at.is_(None))
    if not sight.all:
        query = query.where(findings.c.application_id.in_(sight.applications))
    rows = connection.execute(query)
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows if row[0] in sight.applications}


def _row(key: tuple[int, str, int], one: SeenVulnerability, now: int) -> dict[str, object]:
    application, package, number = key
    return {"application_id": application, "package": package, "vulnerability_id": number, "version": one.version,
            "fixed": _fixed(one), "first_seen": now}  # fmt: skip


def _fixed(one: SeenVulnerability) -> str:
    return json.dumps(one.vulnerability.fixed)


def _numbers(connection: Connection, seen: Iterable[SeenVulnerability], now: int) -> Mapping[tuple[str, ...], int]:
    """The number of each vulnerability, by its names; new ones, and new names, are stored."""
    wanted = {one.vulnerability.ids: one.vulnerability for one in seen}
    keys = {name.lower() for ids in wanted for name in ids}
    known = _known(connection, keys)
    if not all(_is_settled(ids, known) for ids in wanted):
        if connection.dialect.name == "postgresql":
            # several workers may see a vulnerability for the first time; SQLite has one writer anyway
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            known = _known(connection, keys)
        for one in wanted.values():
            _store(connection, one, known, now)
    return {ids: known[ids[0].lower()] for ids in wanted}


def _is_settled(ids: Sequence[str], known: Mapping[str, int]) -> bool:
    """Whether all the names are known, of one and the same vulnerability."""
    numbers = {known.get(name.lower()) for name in ids}
    return len(numbers) == 1 and None not in numbers


def _known(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    columns = vulnerability_names.c.key, vulnerability_names.c.vulnerability_id
    found: dict[str, int] = {}
    for some in in_parts(sorted(keys)):
        rows = connection.execute(select(*columns).where(vulnerability_names.c.key.in_(some)))
        found.update((key, number) for key, number in rows)
    return found


def _store(connection: Connection, one: Vulnerability, known: dict[str, int], now: int) -> None:
    """Give a vulnerability a number, the oldest that one of its names has, and that number to all its names."""
    there = sorted({known[name.lower()] for name in one.ids if name.lower() in known})
    if there:
        number, *others = there
        for other in others:
            _merge(connection, other, number)
            known.update({key: number for key, before in known.items() if before == other})
    else:
        statement = insert(vulnerabilities).values(first_seen=now, **_description([one]))
        number = connection.execute(statement.returning(vulnerabilities.c.id)).scalar_one()
    fresh = {name.lower(): name for name in one.ids if name.lower() not in known}
    rows = [{"key": key, "name": name, "vulnerability_id": number} for key, name in fresh.items()]
    run_many(connection, insert_or(connection, vulnerability_names), rows)
    known.update(dict.fromkeys(fresh, number))


def _merge(connection: Connection, other: int, number: int) -> None:
    """Make one vulnerability of two: where both are open findings, the one that was seen first stays."""
    names, both = vulnerability_names, (other, number)
    connection.execute(update(names).where(names.c.vulnerability_id == other).values(vulnerability_id=number))
    keys = findings.c.application_id, findings.c.package
    query = select(findings.c.id, *keys).where(findings.c.vulnerability_id.in_(both), findings.c.ended_at.is_(None))
    seen: set[tuple[int, str]] = set()
    twice = []
    for one, application, package in connection.execute(query.order_by(findings.c.first_seen, findings.c.id)):
        if (application, package) in seen:
            twice.append({"number": one})
        seen.add((application, package))
    run_many(connection, delete(findings).where(findings.c.id == bindparam("number")), twice)
    connection.execute(update(findings).where(findings.c.vulnerability_id == other).values(vulnerability_id=number))
    first = select(func.min(vulnerabilities.c.first_seen)).where(vulnerabilities.c.id.in_(both)).scalar_subquery()
    connection.execute(update(vulnerabilities).where(vulnerabilities.c.id == number).values(first_seen=first))
    connection.execute(delete(vulnerabilities).where(vulnerabilities.c.id == other))


def _describe(
    connection: Connection, seen: Iterable[SeenVulnerability], numbers: Mapping[tuple[str, ...], int]
) -> None:
    """Bring what the tables say of vulnerabilities up to date with the export."""
    found: dict[int, dict[tuple[str, ...], Vulnerability]] = defaultdict(dict)
    for one in seen:
        found[numbers[one.vulnerability.ids]][(one.package, *one.vulnerability.ids)] = one.vulnerability
    now = {number: _description(list(each.values())) for number, each in found.items()}
    columns = [vulnerabilities.c[name] for name in _DESCRIPTION]
    before = {number: tuple(said) for number, *said in connection.execute(select(vulnerabilities.c.id, *columns))}
    rows = [
        {"number": number, **{f"now_{name}": said[name] for name in _DESCRIPTION}}
        for number, said in now.items()
        if before[number] != tuple(said[name] for name in _DESCRIPTION)
    ]
    statement = update(vulnerabilities).where(vulnerabilities.c.id == bindparam("number"))
    run_many(connection, statement.values({name: bindparam(f"now_{name}") for name in _DESCRIPTION}), rows)


_DESCRIPTION = ("name", "severity", "rank", "score", "summary")


def _description(found: Sequence[Vulnerability]) -> dict[str, object]:
    """What is told of a vulnerability that may be in several packages: the worst rating, the longest summary."""
    worst = max(found, key=lambda one: (one.rating.severity.rank, one.rating.score or 0))
    return {
        "name": found[0].ids[0],
        "severity": worst.rating.severity.value,
        "rank": worst.rating.severity.rank,
        "score": worst.rating.score,
        "summary": max((one.summary for one in found), key=len),
    }
