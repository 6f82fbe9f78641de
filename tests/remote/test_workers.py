"""Threads that process lists, and those that help them."""

from __future__ import annotations

import threading
import time

import pytest

from envfab.remote.workers import SPARE, Helpers


class Counter:
    """Counts how many calls are under way at the same time, and by how many threads they are made."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.items: list[int] = []
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def work(self, item: int) -> None:
        """A call that takes a while."""
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.items.append(item)
            self.threads.add(threading.get_ident())
        time.sleep(0.02)
        with self._lock:
            self.now -= 1


@pytest.mark.parametrize(
    ("hosts", "parallel", "most", "at_once"),
    [(1, 20, 8, 8), (1, 20, 100, 1 + SPARE), (22, 20, 100, 1 + SPARE - 2), (20 + SPARE, 20, 8, 1), (500, 20, 8, 1)],
)
def test_as_many_help_as_a_fleet_leaves_room_for(hosts: int, parallel: int, most: int, at_once: int) -> None:
    """The thread that asks works too, and everything is done when it returns."""
    counter = Counter()
    Helpers(hosts, parallel).share(counter.work, range(40), most, "test")
    assert sorted(counter.items) == list(range(40))
    assert counter.most == at_once
    assert threading.get_ident() in counter.threads


def test_helpers_are_shared_and_come_back() -> None:
    """Two lists at once share them; the next list gets all of them again."""
    helpers, counter = Helpers(2, 20), Counter()
    other = threading.Thread(target=lambda: helpers.share(counter.work, range(40), 100, "test"))
    other.start()
    helpers.share(counter.work, range(40, 80), 100, "test")
    other.join()
    assert sorted(counter.items) == list(range(80))
    assert counter.most <= 2 + SPARE
    again = Counter()
    helpers.share(again.work, range(40), 100, "test")
    assert again.most == 1 + SPARE


def test_nothing_begins_once_it_is_over() -> None:
    """What is under way ends."""
    counter, over = Counter(), threading.Event()

    def work(item: int) -> None:
        counter.work(item)
        if item >= 5:
            over.set()

    Helpers(1, 20).share(work, range(1000), 3, "test", over.is_set)
    assert 5 <= max(counter.items) < 20
