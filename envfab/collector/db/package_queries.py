"""What pages and JSON ask the tables of packages: one query a table, however many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select

from envfab.collector.db.application_queries import Application, InstalledPackage, labelled, version_key
from envfab.collector.db.schema import applications, installed


@dataclass(frozen=True, slots=True)
class User:
    """An application that has a package."""

    application: Application
    package: InstalledPackage

    @property
    def version(self) -> str:
        """The version that it has."""
        return self.package.version

    @property
    def newer(self) -> str | None:
        """The newest version that is offered, where that is newer; else None."""
        return self.package.newer


@dataclass(frozen=True, slots=True)
class Package:
    """A package, and which applications run which version."""

    name: str
    shown_as: str
    users: tuple[User, ...]


@dataclass(frozen=True, slots=True)
class PackageLine:
    """A package, as lists show it: `behind` applications run an `old` version (how many which), `newest` is newer.

    Of `unknown` applications it is not known whether something newer is offered.
    """

    name: str
    shown_as: str
    applications: int
    versions: int
    behind: int
    unknown: int
    newest: str | None
    old: tuple[tuple[str, int], ...]


def find_package(connection: Connection, name: str) -> Package | None:
    """The applications that run a package, by its canonical name (PEP 503); the newest versions first."""
    columns = [column.label(f"of_{column.name}") for column in applications.c]
    query = select(installed, *columns).join_from(installed, applications).where(installed.c.name == name)
    rows = connection.execute(query.order_by(func.lower(applications.c.name), applications.c.id)).all()
    if not rows:
        return None
    users = [User(labelled(row), _package(row))
             for row in rows]  # fmt: skip
    users.sort(key=lambda user: version_key(user.version), reverse=True)
    return Package(name, rows[0].shown_as, tuple(users))


def list_packages(connection: Connection, *, text: str = "", limit: int | None = None) -> tuple[PackageLine, ...]:
    """Packages by name; those whose name contains `text`, in any case, where asked for."""
    # in the order of an index, so that nothing has to be sorted; there are few groups, so that they are searched here
    alike = [installed.c[name] for name in ("name", "version", "newer_house", "newer_index", "shown_as", "compared")]
    rows = connection.execute(select(*alike, func.count()).group_by(*alike).order_by(installed.c.name))
    groups = ((name, list(group)) for name, group in groupby(rows, key=itemgetter(0)))
    lines = (_package_line(name, group) for name, group in groups if _is_called(group, text.lower()))
    return tuple(islice(lines, limit))


def sort_packages(lines: Iterable[PackageLine], only: str, key: str, reverse: bool) -> list[PackageLine]:
    """Packages sorted by a number, the largest first, or by name; `only` those with something `behind` or `unknown`."""
    found = [line for line in lines if not only or getattr(line, only)]
    if key == "name":
        return sorted(found, key=lambda line: line.name, reverse=reverse)
    return sorted(found, key=lambda line: (getattr(line, key) * (1 if reverse else -1), line.name))


def sort_users(package: Package, key: str, reverse: bool) -> list[User]:
    """The applications that run a package, by version (the newest first), name, or last registration (oldest first)."""
    if key == "name":
        return sorted(package.users, key=lambda user: user.application.name.lower(), reverse=reverse)
    if key == "last_seen":
        return sorted(package.users, key=lambda user: user.application.last_seen, reverse=reverse)
    return list(reversed(package.users) if reverse else package.users)


def _is_called(rows: Sequence[Sequence[Any]], text: str) -> bool:
    """Whether a package of such rows is called by a name that contains `text`."""
    return not text or text in rows[0][0] or any(text in row[4].lower() for row in rows)


def _package_line(name: str, rows: Sequence[Sequence[Any]]) -> PackageLine:
    """The line of a package, of rows (name, version, newer wheelhouse, newer index, shown as, compared, how many)."""
    newer: set[str] = set()
    versions: set[str] = set()
    old: Counter[str] = Counter()
    unknown = 0
    for _, version, wheelhouse, index, _, compared, number in rows:
        versions.add(version)
        newer.update(filter(None, (wheelhouse, index)))
        unknown += 0 if compared else number
        if wheelhouse or index:
            old[version] += number
    newest = max(newer, key=version_key, default=None)
    shown_as = min(row[4] for row in rows)
    many = sum(row[6] for row in rows)
    return PackageLine(name, shown_as, many, len(versions), old.total(), unknown, newest, tuple(old.most_common()))


def _package(row: Row[Any]) -> InstalledPackage:
    said = row._mapping
    return InstalledPackage(**{name: said[name] for name in InstalledPackage.__slots__})
