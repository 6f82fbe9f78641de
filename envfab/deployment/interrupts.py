"""Ctrl-C while deployments are under way: put into a queue, instead of raised at a random place."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Interrupts(Generic[T]):
    """A context in which each Ctrl-C puts `token` into the queue `told` and raises nothing."""

    def __init__(self, told: SimpleQueue[T], token: T) -> None:
        self._told = told
        self._token = token
        self._before: Any = None

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        # takes no lock and writes nothing: the interrupted thread may be holding a lock or writing
        self._told.put(self._token)

    def __enter__(self) -> Interrupts[T]:
        try:
            self._before = signal.signal(signal.SIGINT, self._handle)
        except ValueError:
            # not the main thread, which is the only one that gets signals
            self._before = None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
