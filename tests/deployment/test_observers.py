"""Observers of a rollout, of which none can fail it."""

from __future__ import annotations

import time

from envfab.config.target import Target
from envfab.deployment.observers import PATIENCE, Happening, Observers, StepEnded
from envfab.util.progress import Silent

STEP = StepEnded("r.1", Target("shop", "web1", "/v"), "lock", 0.1)


class Warnings(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.found.append(message)


class Attentive:
    """An observer that keeps what it hears, and until when it may finish."""

    def __init__(self) -> None:
        self.heard: list[Happening] = []
        self.until: list[float] = []

    def hear(self, what: Happening) -> None:
        self.heard.append(what)

    def close(self, until: float) -> None:
        self.until.append(until)


class Broken(Attentive):
    """An observer with a fault."""

    def hear(self, what: Happening) -> None:
        super().hear(what)
        raise ZeroDivisionError


class BrokenAtTheEnd(Attentive):
    """An observer with another fault."""

    def close(self, until: float) -> None:  # noqa: ARG002 - it raises
        raise RuntimeError


def test_an_observer_that_raises_hears_nothing_more_and_the_others_go_on() -> None:
    """One warning says so, however much happens."""
    told, broken, fine = Warnings(), Broken(), Attentive()
    observers = Observers(told)
    for one in (broken, fine):
        observers.add(one)
    for _ in range(3):
        observers.hear(STEP)
    assert (len(broken.heard), len(fine.heard)) == (1, 3)
    assert told.found == [
        "internal error: Broken of this rollout ended: ZeroDivisionError; the rollout goes on without it"
    ]


def test_all_observers_finish_until_the_same_moment() -> None:
    """One that cannot finish is told, and the others do."""
    told, first, last = Warnings(), Attentive(), Attentive()
    observers = Observers(told)
    for one in (first, BrokenAtTheEnd(), last):
        observers.add(one)
    began = time.monotonic()
    observers.close(PATIENCE)
    assert first.until == last.until
    assert began + PATIENCE <= first.until[0] <= time.monotonic() + PATIENCE
    assert told.found == [
        "internal error: BrokenAtTheEnd of this rollout ended: RuntimeError; the rollout goes on without it"
    ]
