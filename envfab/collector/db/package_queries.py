"""What pages and JSON ask the tables of packages: one query a table, however many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select

from envfab.collector.db.application_queries import Application, InstalledPackage, contains, labelled, version_key
from envfab.collector.db.schema import applications, installed


@dataclass(frozen=True, slots=True)
class User:
    """An application that has a package."""

    application: Application
    version: str
    newer: str | None


@dataclass(frozen=True, slots=True)
class Package:
    """A package, and which applications run which version."""

    name: str
    shown_as: str
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True)
class PackageLine:
    """A package, as lists show it: `behind` applications run an `old` version (how many which), `newest` is newer."""

    name: str
    shown_as: str
    applications: int
    versions: int
    behind: int
    newest: str | None
    old: tuple[tuple[str, int], ...]


def find_package(connection: Connection, name: str) -> Package | None:
    """The applications that run a package, by its canonical name (PEP 503); the newest versions first."""
    columns = [column.label(f"of_{column.name}") for column in applications.c]
    query = select(installed, *columns).join_from(installed, applications).where(installed.c.name == name)
    rows = connection.execute(query.order_by(func.lower(applications.c.name), applications.c.id)).all()
    if not rows:
        return None
    users = [User(labelled(row), row.version, _package(row).newer)
             for row in rows]  # fmt: skip
    users.sort(key=lambda user: version_key(user.version), reverse=True)
    return Package(name, rows[0].shown_as, tuple(users))


def list_packages(connection: Connection, *, text: str = "", limit: int | None = None) -> tuple[PackageLine, ...]:
    """Packages by name; those whose name contains `text`, where asked for."""
    versions = installed.c.version, installed.c.newer_house, installed.c.newer_index
    query = select(installed.c.name, *versions, func.min(installed.c.shown_as), func.count())
    if text:
        query = query.where(contains(installed.c.name, text) | contains(installed.c.shown_as, text))
    rows = connection.execute(query.group_by(installed.c.name, *versions).order_by(installed.c.name))
    lines = (_package_line(name, list(group)) for name, group in groupby(rows, key=itemgetter(0)))
    return tuple(islice(lines, limit))


def most_behind(lines: Iterable[PackageLine], limit: int) -> tuple[PackageLine, ...]:
    """The packages with something newer, those that concern most applications first."""
    late = [line for line in lines if line.behind]
    return tuple(sorted(late, key=lambda line: (-line.behind, line.name))[:limit])


def _package_line(name: str, rows: Sequence[Sequence[Any]]) -> PackageLine:
    """The line of a package, out of its (name, version, newer wheelhouse, newer index, shown as, applications)."""
    newer: set[str] = set()
    versions: set[str] = set()
    old: Counter[str] = Counter()
    for _, version, wheelhouse, index, _, number in rows:
        versions.add(version)
        newer.update(filter(None, (wheelhouse, index)))
        if wheelhouse or index:
            old[version] += number
    newest = max(newer, key=version_key, default=None)
    shown_as = min(row[4] for row in rows)
    many = sum(row[5] for row in rows)
    return PackageLine(name, shown_as, many, len(versions), old.total(), newest, tuple(old.most_common()))


def _package(row: Row[Any]) -> InstalledPackage:
    return InstalledPackage(row.name, row.shown_as, row.version, row.newer_house, row.newer_index)
