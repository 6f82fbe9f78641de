"""Worker threads that process a list, a few items at once; they do not keep the program from ending."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

# seconds to wait for connections to close after Ctrl-C
HURRY = 0.5
A = TypeVar("A")


def start_workers(
    function: Callable[[A], None],
    arguments: Iterable[A],
    most: int,
    name: str,
    over: Callable[[], bool] = lambda: False,
) -> list[threading.Thread]:
    """Call `function`, which must not raise, for each of `arguments` in at most `most` threads, and return those.

    Once `over` returns true, no further call begins.
    """
    waiting = deque(arguments)

    def work() -> None:
        while waiting and not over():
            try:
                argument = waiting.popleft()
            except IndexError:
                return
            function(argument)

    number = max(1, min(most, len(waiting)))
    threads = [threading.Thread(target=work, name=f"{name}-{which}", daemon=True) for which in range(number)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: Sequence[threading.Thread], seconds: float | None = None) -> None:
    """Wait for all of the threads, for at most `seconds` in total."""
    deadline = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
