"""What pages and JSON ask the tables: one query a table, however many rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version
from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from envfab.collector.db.schema import applications, changes, installed, updates
from envfab.registration.difio.drift import RegisteredDrift, parse_drift
from envfab.util.versions import version_or_none


@dataclass(frozen=True, slots=True)
class Application:
    """An application, as lists show it."""

    id: int
    uuid: str
    user_id: int
    name: str
    url: str
    type: str
    first_seen: int
    last_seen: int
    packages: int
    behind: int
    vulnerable: int | None
    digest: str | None
    siblings: str | None
    drift_packages: int | None
    drift_files: int | None
    drift_since: int | None
    drift: str | None

    @property
    def edited(self) -> bool | None:
        """Whether something was changed since the last deployment; None where that is not known."""
        if self.drift_packages is None or self.drift_files is None:
            return None
        return bool(self.drift_packages or self.drift_files)

    @property
    def differences(self) -> RegisteredDrift | None:
        """What was changed since the last deployment; None where that is not known."""
        return parse_drift(json.loads(self.drift)) if self.drift is not None else None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many applications there are, how many are behind, how many packages are, how many known vulnerabilities.

    `edited` were changed since their last deployment, of the `compared` of which that is known.
    """

    applications: int
    behind: int
    packages: int
    vulnerabilities: int
    edited: int
    compared: int


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package of an application."""

    name: str
    shown_as: str
    version: str
    newer_house: str | None
    newer_index: str | None

    @property
    def newer(self) -> str | None:
        """The newest version that is offered, where that is newer; else None."""
        return max(filter(None, (self.newer_house, self.newer_index)), key=version_key, default=None)


@dataclass(frozen=True, slots=True)
class Changed:
    """A package in an update."""

    name: str
    shown_as: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Update:
    """A registration that changed something, or an application's first."""

    id: int
    at: int
    first: bool
    packages: int
    application: Application
    changes: tuple[Changed, ...]


def list_applications(
    connection: Connection,
    *,
    text: str = "",
    user_id: int | None = None,
    sort: str = "name",
    limit: int | None = None,
    offset: int = 0,
) -> tuple[Application, ...]:
    """Applications in the order of `sort` (name, behind, vulnerable, edited, last_seen).

    Where asked for, only those whose name, URL, uuid or digest contains `text`, and those of one user id.
    """
    query = _filtered(select(*applications.c), text, user_id).order_by(*_order(sort))
    return tuple(Application(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset)))


def count_applications(connection: Connection, *, text: str = "", user_id: int | None = None) -> Counts:
    """Of those that `list_applications` would list."""
    sums = (
        func.count(),
        func.count().filter(applications.c.behind > 0),
        func.coalesce(func.sum(applications.c.behind), 0),
        func.coalesce(func.sum(applications.c.vulnerable), 0),
        func.count().filter(_differences() > 0),
        func.count(applications.c.drift_packages),
    )
    row = connection.execute(_filtered(select(*sums).select_from(applications), text, user_id)).one()
    return Counts(*map(int, row))


def find_application(connection: Connection, uuid: str) -> Application | None:
    """The application of a uuid."""
    row = connection.execute(select(*applications.c).where(applications.c.uuid == uuid)).first()
    return None if row is None else Application(**row._mapping)


def packages_of(connection: Connection, application: Application) -> tuple[InstalledPackage, ...]:
    """An application's packages by name."""
    columns = [installed.c[name] for name in InstalledPackage.__slots__]
    query = select(*columns).where(installed.c.application_id == application.id).order_by(installed.c.name)
    return tuple(InstalledPackage(**row._mapping) for row in connection.execute(query))


def history(connection: Connection, application: int | None = None, limit: int = 50) -> tuple[Update, ...]:
    """The latest updates, of one application or of all, newest first, each with its changes."""
    query = select(updates, *(column.label(f"of_{column.name}") for column in applications.c)).join_from(
        updates, applications
    )
    if application is not None:
        query = query.where(updates.c.application_id == application)
    rows = connection.execute(query.order_by(updates.c.at.desc(), updates.c.id.desc()).limit(limit)).all()
    found = _changes(connection, [row.id for row in rows])
    return tuple(Update(row.id, row.at, row.first, row.packages, labelled(row), tuple(found[row.id])) for row in rows)


def version_key(text: str) -> tuple[int, Version | str]:
    """Sorts versions as they are ordered; what is none comes before them."""
    version = version_or_none(text)
    return (0, text) if version is None else (1, version)


def _order(sort: str) -> tuple[ColumnElement[Any], ...]:
    by_name = func.lower(applications.c.name), applications.c.id
    first = {
        "behind": applications.c.behind.desc(),
        "vulnerable": func.coalesce(applications.c.vulnerable, 0).desc(),
        "edited": _differences().desc(),
        "last_seen": applications.c.last_seen.asc(),
    }
    return (first[sort], *by_name) if sort in first else by_name


def _filtered(query: Select[Any], text: str, user_id: int | None) -> Select[Any]:
    if text:
        fields = (applications.c.name, applications.c.url, applications.c.uuid, applications.c.digest)
        query = query.where(or_(*(contains(field, text) for field in fields)))
    return query if user_id is None else query.where(applications.c.user_id == user_id)


def _differences() -> ColumnElement[int]:
    return func.coalesce(applications.c.drift_packages + applications.c.drift_files, 0)


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column contains a text, whatever its case; wildcards are letters."""
    return column.icontains(text, autoescape=True)


def labelled(row: Row[Any]) -> Application:
    """The application whose columns a row has under names that begin with `of_`."""
    return Application(**{name: row._mapping[f"of_{name}"] for name in Application.__slots__})


def _changes(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Changed]]:
    found: dict[int, list[Changed]] = defaultdict(list)
    query = select(changes).where(changes.c.update_id.in_(numbers)).order_by(changes.c.name)
    for number, name, shown_as, before, after in connection.execute(query):
        found[number].append(Changed(name, shown_as, before, after))
    return found
