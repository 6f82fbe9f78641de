"""Known vulnerabilities of what applications have, out of an OSV export on disk."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from envfab.audit.osv import AdvisoryIndex, Vulnerability, vulnerabilities
from envfab.audit.severity import Severity
from envfab.collector.db.engine import Storage, run_many
from envfab.collector.db.schema import applications, installed
from envfab.errors import EnvfabError, SupplyError
from envfab.models.distribution import Distribution
from envfab.util.versions import version_or_none

log = logging.getLogger(__name__)

Package = tuple[str, str]  # name and version
Counts = tuple[int | None, int | None]  # vulnerabilities, packages that cannot be compared; None: not counted
_NEVER: Counts = (None, None)
Signature = tuple[int, int, int]


@dataclass(slots=True)
class _State:
    """An export as it was read, with what was found out by it."""

    index: AdvisoryIndex
    signature: Signature | None
    known: dict[Package, tuple[Vulnerability, ...]] = field(default_factory=dict)
    problem: str = ""


class KnownVulnerabilities:
    """What an export knows of packages, and the counts of it in the tables.

    Making one reads the export; raises `SupplyError`. Afterwards a page never waits for that: the work in the
    background reads an export that changed, and one that cannot be read leaves what was known before.
    """

    def __init__(self, storage: Storage, place: Path) -> None:
        self._storage = storage
        self._place = place
        self._turn = threading.Lock()
        self._state = _read(place)
        self._tried = self._state.signature
        self.outdated = False
        self.mark_all()

    def age(self, now: datetime) -> str:
        """How old the export is, in words."""
        return self._state.index.export.age(now)

    @property
    def as_of(self) -> datetime | None:
        """When its newest record was changed."""
        return self._state.index.export.as_of

    def catch_up(self) -> None:
        """Read the export again where it changed, and count anew."""
        with self._turn:
            now = _signature(self._place)
            if now == self._tried:
                return
            self._tried = now
            try:
                state = _read(self._place)
            except EnvfabError as error:
                self.outdated = True
                log.warning("known vulnerabilities are told as they were: %s", error)
                return
            self._tried = state.signature
            self._state, self.outdated = state, False
        self.mark_all()

    def of(self, packages: Collection[Package]) -> Mapping[Package, tuple[Vulnerability, ...]]:
        """The known vulnerabilities of packages; packages without any are left out."""
        state = self._state
        unknown = {package for package in packages if package not in state.known}
        if unknown:
            self._learn(state, unknown)
        return {package: found for package in packages if (found := state.known.get(package))}

    def mark(self, connection: Connection, application: int) -> None:
        """Count the known vulnerabilities of one application, whose row the transaction holds."""
        self._write(connection, _installed(connection, application), {application: _NEVER})

    def mark_all(self) -> None:
        """Count the known vulnerabilities of all applications."""
        with self._storage.reading() as connection:
            self.of({package for _, package in _installed(connection)})
        # what is known by now is looked up while others wait to write; no file is read then
        with self._storage.writing() as connection:
            query = select(applications.c.id, applications.c.vulnerable, applications.c.unchecked).order_by(
                applications.c.id
            )
            before = {row.id: (row.vulnerable, row.unchecked) for row in connection.execute(query.with_for_update())}
            self._write(connection, _installed(connection), before)

    def _write(
        self, connection: Connection, there: Sequence[tuple[int, Package]], before: Mapping[int, Counts]
    ) -> None:
        found = self.of({package for _, package in there})
        many: Counter[int] = Counter()
        unchecked: Counter[int] = Counter()
        for application, package in there:
            many[application] += len(found.get(package, ()))
            unchecked[application] += version_or_none(package[1]) is None
        now = {one: (many[one], unchecked[one]) for one in before}
        rows = [{"application": one, "many": now[one][0], "not": now[one][1]} for one in now if now[one] != before[one]]
        statement = update(applications).where(applications.c.id == bindparam("application"))
        run_many(connection, statement.values(vulnerable=bindparam("many"), unchecked=bindparam("not")), rows)

    def _learn(self, state: _State, packages: Iterable[Package]) -> None:
        distributions = {package: Distribution.build(*package) for package in packages}
        try:
            if _signature(self._place) != state.signature:
                raise SupplyError("changed since it was read", where=str(self._place))
            export = state.index.about({one.name for one in distributions.values()})
        except SupplyError as error:
            if str(error) != state.problem:
                state.problem = str(error)
                log.warning("some packages are not compared with known vulnerabilities just now: %s", error)
            return
        for package, there in distributions.items():
            state.known[package] = tuple(vulnerabilities([there], export))


def forget(storage: Storage) -> None:
    """Remove all counts: there is no export to count by."""
    with storage.writing() as connection:
        counted = applications.c.vulnerable.is_not(None)
        connection.execute(update(applications).where(counted).values(vulnerable=None, unchecked=None))


def severity(one: Vulnerability) -> int:
    """The rank of a vulnerability's severity, the worst first; without a rating it comes last."""
    rating = one.rating.severity
    return 0 if rating is Severity.UNKNOWN else -rating.rank - 1


def _installed(connection: Connection, application: int | None = None) -> list[tuple[int, Package]]:
    query = select(installed.c.application_id, installed.c.name, installed.c.version)
    if application is not None:
        query = query.where(installed.c.application_id == application)
    return [(number, (name, version)) for number, name, version in connection.execute(query)]


def _read(place: Path) -> _State:
    signature = _signature(place)  # from before: what changes while it is read is read again
    return _State(AdvisoryIndex(place), signature)


def _signature(path: Path) -> Signature | None:
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns
