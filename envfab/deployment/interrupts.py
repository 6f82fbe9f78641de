"""Ctrl-C while deployments are under way: counted, and told to whoever waits, instead of raised somewhere."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Interrupts(Generic[T]):
    """While this context lasts, `token` is put into `told` at each Ctrl-C."""

    def __init__(self, told: SimpleQueue[T], token: T) -> None:
        self._told = told
        self._token = token
        self._before: Any = None

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        # no lock, no output: the thread that is interrupted may be in the middle of either
        self._told.put(self._token)

    def __enter__(self) -> Interrupts[T]:
        try:
            self._before = signal.signal(signal.SIGINT, self._handle)
        except ValueError:
            # not the main thread: a Ctrl-C is not told to this one anyway
            self._before = None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
