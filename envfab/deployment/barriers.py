"""Barriers at which deployments of one rollout wait for each other: databases, settings modules, uploads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from envfab.config.target import Member, Target
from envfab.errors import DeploymentError


class _Turn(Enum):
    WAITING = 0
    MIGRATED = 1
    FAILED = 2
    PASSED = 3


class Barriers:
    """Barriers of one rollout: each database is migrated once, by the first deployment in starting order that uses it.

    Other deployments that use the database wait until that migration has ended. A deployment only ever waits for
    deployments earlier in the order, so there is no deadlock as long as deployments start in that order.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: dict[str, dict[Target, _Turn]] = defaultdict(dict)
        self._exclusive: dict[object, threading.Lock] = {}
        self._planned: dict[str, tuple[str, ...]] = {}
        self._breaking: dict[str, tuple[str, ...]] = {}
        self._named: set[tuple[str, ...]] = set()

    def open(self, members: Sequence[Member]) -> None:
        """Announce the virtualenvs that will be deployed to, in the order in which their deployments start."""
        for member in members:
            for project in member.virtualenv.projects:
                if project.database is not None and project.migrate:
                    self._turns[project.database][member.target] = _Turn.WAITING

    @contextmanager
    def database(self, name: str, target: Target) -> Iterator[bool]:
        """Wait for earlier users of the database; yield True if `target` has to migrate it, False if that is done.

        Raises `DeploymentError` if an earlier migration of this database failed. An exception in the body counts as
        such a failure.
        """
        with self._changed:
            self._changed.wait_for(lambda: _Turn.WAITING not in self._before(name, target))
            before = self._before(name, target)
            if _Turn.FAILED in before:
                self._settle(name, target, _Turn.FAILED)
                raise DeploymentError(f"the migration of database {name} failed elsewhere", where=str(target))
            first = _Turn.MIGRATED not in before
        try:
            yield first
        except BaseException:
            self._settle(name, target, _Turn.FAILED)
            raise
        self._settle(name, target, _Turn.MIGRATED)

    def tell(self, name: str, planned: Sequence[str], breaking: Sequence[str] = ()) -> None:
        """Store the names of the migrations planned for the database, for deployments that come later.

        `breaking` are those of them that break older code.
        """
        self._planned[name] = tuple(planned)
        self._breaking[name] = tuple(breaking)

    def planned(self, name: str) -> tuple[str, ...]:
        """Return the migrations that were planned for the database by the deployment that migrated it."""
        return self._planned.get(name, ())

    def breaking(self, name: str) -> tuple[str, ...]:
        """Return those of the planned migrations that break older code."""
        return self._breaking.get(name, ())

    def is_first_to_plan(self, names: tuple[str, ...]) -> bool:
        """Return whether this list of migrations is named for the first time, for any database; remember it."""
        with self._changed:
            known = names in self._named
            self._named.add(names)
            return not known

    def leave(self, target: Target) -> None:
        """Let the next deployments in the order pass: `target` will not come to any further barrier."""
        for name in self._turns:
            self._settle(name, target, _Turn.PASSED)

    def _before(self, name: str, target: Target) -> list[_Turn]:
        found = []
        for other, turn in self._turns[name].items():
            if other == target:
                break
            found.append(turn)
        return found

    def _settle(self, name: str, target: Target, turn: _Turn) -> None:
        with self._changed:
            if self._turns[name].get(target) is _Turn.WAITING:
                self._turns[name][target] = turn
                self._changed.notify_all()

    @contextmanager
    def one_at_a_time(self, key: object) -> Iterator[None]:
        """Exclude other deployments with the same `key`: a settings module without a database, a host's store."""
        with self._changed:
            lock = self._exclusive.setdefault(key, threading.Lock())
        with lock:
            yield
