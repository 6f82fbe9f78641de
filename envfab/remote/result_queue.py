"""What threads find out, one member after another, for whoever does not want to wait for the slowest."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

from envfab.config.target import Member, Target

T = TypeVar("T")


class ResultQueue(Generic[T]):
    """One thing for each of `members`, as it comes; what is taken at once is in their order."""

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
        """`what` is there for `target`."""
        with self._changed:
            self._come[target] = what
            self._new.add(target)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Nothing more comes; who waits raises `error`."""
        with self._changed:
            self._failure = self._failure or error
            self._over = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody wants to know any more."""
        self._over = True

    @property
    def over(self) -> bool:
        """Whether nobody waits any more for what is still to come."""
        return self._over

    @property
    def members(self) -> tuple[Member, ...]:
        """For whom something comes."""
        return tuple(self._members.values())

    @property
    def missing(self) -> tuple[Member, ...]:
        """For whom nothing has come yet."""
        return tuple(member for target, member in self._members.items() if target not in self._come)

    @property
    def left(self) -> int:
        """For how many nothing was taken yet."""
        return len(self._members) - self._taken

    def take(self, timeout: float | None = None) -> list[T]:
        """What has come since the last call; waits for something, `timeout` seconds at most, unless nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._new or self._failure or not self.left, timeout)
            if self._failure is not None:
                raise self._failure
            # often one of a thousand: nothing is done for those that did not come
            taken = [self._come[target] for target in sorted(self._new, key=self._places.__getitem__)]
            self._taken += len(taken)
            self._new.clear()
            return taken

    def all(self) -> list[T]:
        """Everything, once it has come, whether or not it was taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or len(self._come) == len(self._members))
            if self._failure is not None:
                raise self._failure
            return [self._come[target] for target in self._members]
