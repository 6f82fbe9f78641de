"""Thread-safe queue of per-target results, which can be taken as they arrive."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

from envfab.config.target import Member, Target

T = TypeVar("T")


class ResultQueue(Generic[T]):
    """A queue of one result for each of `members`; results taken together are in the order of the members."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = {member.target: member for member in members}
        self._places = {target: place for place, target in enumerate(self._members)}
        self._come: dict[Target, T] = {}
        self._new: set[Target] = set()
        self._taken = 0
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._over = False

    def put(self, target: Target, what: T) -> None:
        """Add the result for `target`."""
        with self._changed:
            self._come[target] = what
            self._new.add(target)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End the queue: `take` and `all` raise `error`."""
        with self._changed:
            self._failure = self._failure or error
            self._over = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """End the queue: no further results will be taken."""
        self._over = True

    @property
    def over(self) -> bool:
        """Whether the queue was ended by `fail` or `abandon`."""
        return self._over

    @property
    def members(self) -> tuple[Member, ...]:
        """The members that the queue has results for, or will have."""
        return tuple(self._members.values())

    @property
    def missing(self) -> tuple[Member, ...]:
        """The members without a result so far."""
        return tuple(member for target, member in self._members.items() if target not in self._come)

    @property
    def left(self) -> int:
        """The number of members whose results were not taken."""
        return len(self._members) - self._taken

    def take(self, timeout: float | None = None) -> list[T]:
        """Take the results that arrived since the last call; wait for at least one, at most `timeout` seconds.

        Returns an empty list after `timeout`, or if all were taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._new or self._failure or not self.left, timeout)
            if self._failure is not None:
                raise self._failure
            # often one of a thousand members: the work must not grow with those that have no result
            taken = [self._come[target] for target in sorted(self._new, key=self._places.__getitem__)]
            self._taken += len(taken)
            self._new.clear()
            return taken

    def all(self) -> list[T]:
        """Wait for all results and return them, including those that were taken before."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or len(self._come) == len(self._members))
            if self._failure is not None:
                raise self._failure
            return [self._come[target] for target in self._members]
