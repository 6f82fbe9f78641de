"""Known vulnerabilities of what applications have, out of an OSV export on disk."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from envfab.audit.osv import AdvisoryIndex, Vulnerability, vulnerabilities
from envfab.audit.severity import Severity
from envfab.collector.days import milliseconds_now
from envfab.collector.db import findings
from envfab.collector.db.engine import Storage, run_many
from envfab.collector.db.findings import SeenVulnerability, Sight
from envfab.collector.db.schema import applications, installed
from envfab.collector.jobs.file_signature import Signature, signature_of
from envfab.errors import EnvfabError, SupplyError
from envfab.models.distribution import Distribution
from envfab.util.versions import version_or_none

log = logging.getLogger(__name__)

Package = tuple[str, str]  # name and version
Counts = tuple[int | None, int | None]  # vulnerabilities, packages that cannot be compared; None: not counted
_NEVER: Counts = (None, None)


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
            now = signature_of(self._place)
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

    def mark(self, connection: Connection, application: int, now: int) -> None:
        """Note the known vulnerabilities of one application, whose row the transaction holds."""
        self._write(connection, _installed(connection, application), {application: _NEVER})
        self._note(connection, _installed(connection, application), (application,), now)

    def mark_all(self) -> None:
        """Note the known vulnerabilities of all applications."""
        with self._storage.reading() as connection:
            self.of({package for _, package in _installed(connection)})
        # what is known by now is looked up while others wait to write; no file is read then
        with self._storage.writing() as connection:
            counts = applications.c.vulnerable, applications.c.unchecked
            query = select(applications.c.id, *counts).order_by(applications.c.id).with_for_update()
            before: dict[int, Counts] = {number: (many, not_) for number, many, not_ in connection.execute(query)}
            there = _installed(connection)
            self._write(connection, there, before)
            self._note(connection, there, tuple(before), milliseconds_now(), all=True)

    def _write(
        self, connection: Connection, there: Sequence[tuple[int, Package]], before: Mapping[int, Counts]
    ) -> None:
        found = self.of({package for _, package in there})
        many: Counter[int] = Counter()
        unchecked: Counter[int] = Counter()
        for application, package in there:
            many[application] += len(found.get(package, ()))
            unchecked[application] += not self._is_compared(package)
        now = {one: (many[one], unchecked[one]) for one in before}
        rows = [{"application": one, "many": now[one][0], "not": now[one][1]} for one in now if now[one] != before[one]]
        statement = update(applications).where(applications.c.id == bindparam("application"))
        run_many(connection, statement.values(vulnerable=bindparam("many"), unchecked=bindparam("not")), rows)

    def _note(
        self,
        connection: Connection,
        there: Sequence[tuple[int, Package]],
        held: Sequence[int],
        now: int,
        *,
        all: bool = False,
    ) -> None:
        """Note findings; what cannot be compared just now stays as it was."""
        found, among = self.of({package for _, package in there}), frozenset(held)
        there = [(one, package) for one, package in there if one in among]
        seen = [SeenVulnerability(one, *package, each) for one, package in there for each in found.get(package, ())]
        uncertain = {(one, package[0]) for one, package in there if package not in self._state.known}
        findings.note(connection, Sight(tuple(seen), among, all, frozenset(uncertain), now))

    def _is_compared(self, package: Package) -> bool:
        return package in self._state.known and version_or_none(package[1]) is not None

    def _learn(self, state: _State, packages: Iterable[Package]) -> None:
        distributions = {package: Distribution.build(*package) for package in packages}
        try:
            if signature_of(self._place) != state.signature:
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
    signature = signature_of(place)  # from before: what changes while it is read is read again
    return _State(AdvisoryIndex(place), signature)
