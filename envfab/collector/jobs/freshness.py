"""Keeps what the tables say of newer versions in step with the wheelhouse and the index."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from packaging.version import Version
from sqlalchemy import ColumnElement, Connection, ScalarSelect, bindparam, func, or_, select, update

from envfab.collector.db.engine import Storage, run_many
from envfab.collector.db.schema import applications, index_projects, installed
from envfab.collector.jobs.index_offers import parse_offers
from envfab.collector.jobs.latest_versions import Offer, Signature, WheelhouseNews, newer_than, newest, python_of
from envfab.util.versions import version_or_none


class OfferState(NamedTuple):
    """What the tables say of an installed package: newer ones, the newest ones, and whether it could be compared."""

    newer_house: str | None
    newer_index: str | None
    latest_house: str | None
    latest_index: str | None
    compared: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a package of an application is to be marked with, as long as it is installed in that version."""

    application: int
    package: str
    there: str
    state: OfferState


class Freshness:
    """Marks installed packages of which a newer version is offered."""

    def __init__(self, storage: Storage, wheelhouse: WheelhouseNews | None) -> None:
        self._storage = storage
        self._wheelhouse = wheelhouse
        self._marked: Signature | None = None
        self._turn = threading.Lock()

    def catch_up(self) -> None:
        """Mark all applications anew where the wheelhouse changed; meanwhile requests see the old marks."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            # without a wheelhouse once: an earlier start may have had one
            now = self._wheelhouse.refresh() if self._wheelhouse is not None else ()
            if now != self._marked:
                self.mark_all()
                self._marked = now
        finally:
            self._turn.release()

    def mark_all(self) -> None:
        """Mark the packages of all applications; no request waits while the marks are worked out."""
        with self._storage.reading() as connection:
            marks = self._marks(connection)
        if marks:
            concerned = sorted({mark.application for mark in marks})
            with self._storage.writing() as connection:
                # Registrations lock their application's row first, too, so that there is no deadlock.
                query = select(applications.c.id).where(applications.c.id.in_(concerned))
                connection.execute(query.order_by(applications.c.id).with_for_update()).all()
                _write(connection, marks)

    def mark(self, connection: Connection, application: int) -> None:
        """Mark one application's packages, whose row the transaction holds."""
        if self._wheelhouse is not None:
            self._wheelhouse.refresh()
        _write(connection, self._marks(connection, application), application)

    def _marks(self, connection: Connection, application: int | None = None) -> Sequence[_Mark]:
        """The marks that are to change."""
        state = [installed.c[name] for name in OfferState._fields]
        keys = installed.c.application_id, installed.c.name, installed.c.version, applications.c.type
        query = select(*keys, *state).join_from(installed, applications)
        if application is not None:
            query = query.where(installed.c.application_id == application)
        offers = _offers(connection, application)
        pythons: dict[str, Version | None] = {}
        known: dict[tuple[str, str, str], OfferState] = {}
        found = []
        for number, name, version, kind, *before in connection.execute(query):
            key = (name, version, kind)
            if key not in known:
                python = pythons.setdefault(kind, python_of(kind))
                known[key] = self._state(name, version, python, offers.get(name, ()))
            if known[key] != tuple(before):
                found.append(_Mark(number, name, version, known[key]))
        return found

    def _state(self, name: str, version: str, python: Version | None, offers: Sequence[Offer]) -> OfferState:
        wheelhouse = self._wheelhouse.newest(name, python) if self._wheelhouse is not None else None
        index = newest(offers, python)
        offered = wheelhouse is not None or index is not None
        return OfferState(
            newer_than(version, wheelhouse),
            newer_than(version, index),
            str(wheelhouse) if wheelhouse is not None else None,
            str(index) if index is not None else None,
            offered and version_or_none(version) is not None,
        )


def _offers(connection: Connection, application: int | None) -> Mapping[str, Sequence[Offer]]:
    query = select(index_projects.c.name, index_projects.c.offers)
    if application is not None:
        query = query.join(installed, installed.c.name == index_projects.c.name)
        query = query.where(installed.c.application_id == application)
    return {name: parse_offers(text) for name, text in connection.execute(query)}


def _write(connection: Connection, marks: Sequence[_Mark], application: int | None = None) -> None:
    statement = update(installed).where(
        installed.c.application_id == bindparam("application"),
        installed.c.name == bindparam("package"),
        installed.c.version == bindparam("there"),
    )
    statement = statement.values({name: bindparam(f"now_{name}") for name in OfferState._fields})
    run_many(connection, statement, [_row(mark) for mark in marks])
    concerned = sorted({mark.application for mark in marks} | ({application} if application is not None else set()))
    newer = or_(installed.c.newer_house.is_not(None), installed.c.newer_index.is_not(None))
    counts = {"behind": _count_of(newer), "compared": _count_of(installed.c.compared.is_(True))}
    connection.execute(update(applications).where(applications.c.id.in_(concerned)).values(counts))


def _row(mark: _Mark) -> dict[str, object]:
    state = {f"now_{name}": value for name, value in mark.state._asdict().items()}
    return {"application": mark.application, "package": mark.package, "there": mark.there, **state}


def _count_of(condition: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many packages of the application at hand are so."""
    query = select(func.count()).select_from(installed)
    return query.where(installed.c.application_id == applications.c.id, condition).scalar_subquery()
