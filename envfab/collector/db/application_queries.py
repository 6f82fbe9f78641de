"""What pages and JSON ask the tables: one query a table, however many rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version
from sqlalchemy import ColumnElement, Connection, Row, Select, false, func, or_, select

from envfab.collector.db.schema import applications, changes, installed, updates
from envfab.registration.difio.drift import RegisteredDrift, parse_drift
from envfab.util.versions import version_or_none


def is_edited(packages: int | None, files: int | None) -> bool | None:
    """Whether so many packages and files were changed that any was; None where that is not known."""
    return None if packages is None or files is None else bool(packages or files)


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
    compared: int | None
    vulnerable: int | None
    unchecked: int | None
    digest: str | None
    siblings: str | None
    drift_packages: int | None
    drift_files: int | None
    drift_since: int | None
    drift: str | None

    @property
    def unknown(self) -> int:
        """Of how many packages it is not known whether something newer is offered."""
        return self.packages - (self.compared or 0)

    @property
    def edited(self) -> bool | None:
        """Whether something was changed since the last deployment; None where that is not known."""
        return is_edited(self.drift_packages, self.drift_files)

    @property
    def differences(self) -> RegisteredDrift | None:
        """What was changed since the last deployment; None where that is not known."""
        return parse_drift(json.loads(self.drift)) if self.drift is not None else None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many applications there are, how many are behind, how many packages are, how many known vulnerabilities.

    `edited` were changed since their last deployment, of the `compared` of which that is known. Of `unknown` packages
    it is not known whether they are behind, of `unchecked` ones whether they are vulnerable. `ended` applications run
    an interpreter past its end of life.
    """

    applications: int
    behind: int
    packages: int
    vulnerabilities: int
    edited: int
    compared: int
    unknown: int
    unchecked: int
    ended: int


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package of an application."""

    name: str
    shown_as: str
    version: str
    newer_house: str | None
    newer_index: str | None
    latest_house: str | None
    latest_index: str | None
    compared: bool | None

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


@dataclass(frozen=True, slots=True)
class ApplicationFilter:
    """Which applications are asked for: those whose name, URL, uuid or digest contains `text`, those of one user id.

    `only` is empty, or one of behind, unknown, vulnerable, edited, stale, ended. Stale is what was last seen before
    `stale_before`; `ended` are the feature versions of Python past their end of life.
    """

    text: str = ""
    user_id: int | None = None
    only: str = ""
    stale_before: int = 0
    ended: tuple[str, ...] = ()


ALL = ApplicationFilter()


def list_applications(
    connection: Connection,
    wanted: ApplicationFilter = ALL,
    *,
    sort: str = "name",
    reverse: bool = False,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[Application, ...]:
    """Applications in the order of `sort` (name, behind, unknown, vulnerable, edited, last_seen), or the reverse."""
    query = _filtered(select(*applications.c), wanted).order_by(*_order(sort, reverse))
    return tuple(Application(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset)))


def count_applications(connection: Connection, wanted: ApplicationFilter = ALL) -> Counts:
    """Of those that `list_applications` would list."""
    sums = (
        func.count(),
        func.count().filter(applications.c.behind > 0),
        func.coalesce(func.sum(applications.c.behind), 0),
        func.coalesce(func.sum(applications.c.vulnerable), 0),
        func.count().filter(_differences() > 0),
        func.count(applications.c.drift_packages),
        func.coalesce(func.sum(_unknown()), 0),
        func.coalesce(func.sum(applications.c.unchecked), 0),
        func.count().filter(_ended(wanted.ended)),
    )
    row = connection.execute(_filtered(select(*sums).select_from(applications), wanted)).one()
    return Counts(*map(int, row))


def are_registered(connection: Connection) -> bool:
    """Whether any application has registered."""
    return connection.execute(select(applications.c.id).limit(1)).first() is not None


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


def _order(sort: str, reverse: bool) -> tuple[ColumnElement[Any], ...]:
    by_name = func.lower(applications.c.name)
    numbers: dict[str, ColumnElement[int]] = {
        "behind": applications.c.behind,
        "unknown": _unknown(),
        "vulnerable": func.coalesce(applications.c.vulnerable, 0),
        "edited": _differences(),
        # the longest silent first
        "last_seen": -applications.c.last_seen,
    }
    if sort not in numbers:
        return by_name.desc() if reverse else by_name.asc(), applications.c.id
    return numbers[sort].asc() if reverse else numbers[sort].desc(), by_name, applications.c.id


def _filtered(query: Select[Any], wanted: ApplicationFilter) -> Select[Any]:
    if wanted.text:
        fields = (applications.c.name, applications.c.url, applications.c.uuid, applications.c.digest)
        query = query.where(or_(*(contains(field, wanted.text) for field in fields)))
    if wanted.user_id is not None:
        query = query.where(applications.c.user_id == wanted.user_id)
    only = {
        "behind": applications.c.behind > 0,
        "unknown": _unknown() > 0,
        "vulnerable": applications.c.vulnerable > 0,
        "edited": _differences() > 0,
        "stale": applications.c.last_seen < wanted.stale_before,
        "ended": _ended(wanted.ended),
    }
    return query.where(only[wanted.only]) if wanted.only else query


def _unknown() -> ColumnElement[int]:
    return applications.c.packages - func.coalesce(applications.c.compared, 0)


def _ended(series: Sequence[str]) -> ColumnElement[bool]:
    """Whether the interpreter has one of these feature versions."""
    kinds = [f"python-{one}" for one in series]
    types = applications.c.type
    return or_(false(), types.in_(kinds), *(types.startswith(f"{kind}.", autoescape=True) for kind in kinds))


def _differences() -> ColumnElement[int]:
    return func.coalesce(applications.c.drift_packages + applications.c.drift_files, 0)


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column contains a text, whatever its case; wildcards are letters."""
    return column.icontains(text, autoescape=True)


def labelled(row: Row[Any]) -> Application:
    """The application whose columns a row has under names that begin with `of_`."""
    said = row._mapping
    return Application(**{name: said[f"of_{name}"] for name in Application.__slots__})


def _changes(connection: Connection, numbers: Sequence[int]) -> dict[int, list[Changed]]:
    found: dict[int, list[Changed]] = defaultdict(list)
    query = select(changes).where(changes.c.update_id.in_(numbers)).order_by(changes.c.name)
    for number, name, shown_as, before, after in connection.execute(query):
        found[number].append(Changed(name, shown_as, before, after))
    return found
