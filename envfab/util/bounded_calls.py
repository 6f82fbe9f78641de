"""Calls that may not end, such as of a server that sends a byte now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedCalls(Generic[T]):
    """Calls functions in threads that end with the program.

    While a call about a `subject` that took too long goes on, no other about it begins.
    """

    def __init__(self) -> None:
        self._going_on: dict[str, threading.Thread] = {}

    def call(self, subject: str, function: Callable[[], T], seconds: float) -> T:
        """Return what a function returns, or raise what it raises; raises `TimeoutError` after so many seconds."""
        if subject in self._going_on and self._going_on[subject].is_alive():
            raise TimeoutError
        done: SimpleQueue[tuple[T, None] | tuple[None, Exception]] = SimpleQueue()
        thread = threading.Thread(target=_work, args=(function, done), name="envfab-call", daemon=True)
        thread.start()
        try:
            value, error = done.get(timeout=seconds)
        except Empty:
            self._going_on[subject] = thread
            raise TimeoutError from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # a T where there is no error


def _work(function: Callable[[], T], done: SimpleQueue[tuple[T, None] | tuple[None, Exception]]) -> None:
    try:
        done.put((function(), None))
    except Exception as error:  # noqa: BLE001 - the caller raises it
        done.put((None, error))
