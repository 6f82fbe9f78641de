"""Calls that may not end, such as of a server that sends a byte now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedCalls(Generic[T]):
    """Calls functions in threads that end with the program; while one that took too long goes on, none is called."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T], seconds: float) -> T:
        """Return what a function returns, or raise what it raises; raises `TimeoutError` after so many seconds."""
        if self._thread is not None and self._thread.is_alive():
            raise TimeoutError
        done: SimpleQueue[tuple[T, None] | tuple[None, Exception]] = SimpleQueue()
        thread = threading.Thread(target=_work, args=(function, done), name="envfab-call", daemon=True)
        thread.start()
        try:
            value, error = done.get(timeout=seconds)
        except Empty:
            self._thread = thread
            raise TimeoutError from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # a T where there is no error


def _work(function: Callable[[], T], done: SimpleQueue[tuple[T, None] | tuple[None, Exception]]) -> None:
    try:
        done.put((function(), None))
    except Exception as error:  # noqa: BLE001 - the caller raises it
        done.put((None, error))
