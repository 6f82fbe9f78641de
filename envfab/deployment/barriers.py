"""Where deployments of one rollout wait for each other: databases, projects without one, uploads."""

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
    """Each database is migrated once a rollout, in the first virtualenv (in the order of starting) that comes to it.

    Nobody of a database passes its gate before that. Whoever waits does so for somebody earlier in the order,
    so that waiting in a circle cannot happen as long as deployments start in that order.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turns: dict[str, dict[Target, _Turn]] = defaultdict(dict)
        self._exclusive: dict[object, threading.Lock] = {}
        self._planned: dict[str, tuple[str, ...]] = {}
        self._named: set[tuple[str, ...]] = set()

    def open(self, members: Sequence[Member]) -> None:
        """Say who will come, in the order in which they start."""
        for member in members:
            for project in member.virtualenv.projects:
                if project.database is not None and project.migrate:
                    self._turns[project.database][member.target] = _Turn.WAITING

    @contextmanager
    def database(self, name: str, target: Target) -> Iterator[bool]:
        """Wait for those before `target`; True where it is the one to migrate, False where that is done.

        Raises `DeploymentError` where an earlier one failed. An exception inside is such a failure.
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

    def tell(self, name: str, planned: Sequence[str]) -> None:
        """Keep for those who come later what is to be applied to the database."""
        self._planned[name] = tuple(planned)

    def planned(self, name: str) -> tuple[str, ...]:
        """What whoever migrated the database was to apply."""
        return self._planned.get(name, ())

    def is_first_to_plan(self, names: tuple[str, ...]) -> bool:
        """Whether nobody said before that just these migrations are to be applied, to whatever database."""
        with self._changed:
            known = names in self._named
            self._named.add(names)
            return not known

    def leave(self, target: Target) -> None:
        """`target` will come to no further gate; the next one in the order takes its turns."""
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
        """Only one at once with this `key`: a settings module without a database, a host's wheel cache."""
        with self._changed:
            lock = self._exclusive.setdefault(key, threading.Lock())
        with lock:
            yield
