"""Worker threads that process a list, a few items at once; they do not keep the program from ending."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

# seconds to wait for connections to close after Ctrl-C
HURRY = 0.5
# threads and open connections in addition to those of the hosts in work, however large the fleet is
SPARE = 16
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
    number, given = max(1, min(most, len(waiting))), (function, waiting, over)
    threads = [threading.Thread(target=_work, args=given, name=f"{name}-{one}", daemon=True) for one in range(number)]
    for thread in threads:
        thread.start()
    return threads


def _work(function: Callable[[A], None], waiting: deque[A], over: Callable[[], bool]) -> None:
    """Call `function` for what waits, which other threads take from as well, until nothing does or `over`."""
    while waiting and not over():
        try:
            argument = waiting.popleft()
        except IndexError:
            return
        function(argument)


def join(threads: Sequence[threading.Thread], seconds: float | None = None) -> None:
    """Wait for all of the threads, for at most `seconds` in total."""
    deadline = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))


class Helpers:
    """Threads that help those of single hosts with their virtualenvs. Thread-safe.

    They and the connections beyond those of the hosts in work are at most `SPARE`.
    """

    def __init__(self, hosts: int, parallel: int) -> None:
        """Initialise; `hosts` is the number of all hosts, `parallel` how many are in work at once."""
        self._free = max(0, SPARE - max(0, hosts - parallel))
        self._counting = threading.Lock()

    def share(
        self,
        function: Callable[[A], None],
        arguments: Iterable[A],
        most: int,
        name: str,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Call `function`, which must not raise, for each of `arguments`, in order; return when all calls have ended.

        At most `most` calls are made at the same time: one in this thread, the others in helpers that are free. Once
        `over` returns true, no further call begins.
        """
        waiting = deque(arguments)
        threads: list[threading.Thread] = []

        def recruit_and_call(argument: A) -> None:
            recruit()
            function(argument)

        def help_out() -> None:
            try:
                _work(recruit_and_call, waiting, over)
            finally:
                with self._counting:
                    self._free += 1

        def recruit() -> None:
            # again before each call, since others' helpers may be free by now
            with self._counting:
                alive = sum(thread.is_alive() for thread in threads)
                number = min(self._free, most - 1 - alive, len(waiting))
                started = [threading.Thread(target=help_out, name=name, daemon=True) for _ in range(number)]
                self._free -= len(started)
                threads.extend(started)
                for thread in started:
                    thread.start()

        _work(recruit_and_call, waiting, over)
        # helpers recruit as well, so the list may grow
        for thread in threads:
            thread.join()
