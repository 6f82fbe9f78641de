"""When observers are told of an answer: once, by whoever takes it, and never by the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from envfab.collector.exchange import Exchange, ObservedApplication


class Answer:
    """An answer of two pieces, which says whether it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        yield b"three"

    def close(self) -> None:
        """Note it."""
        self.closed += 1


class Observed:
    """An application that is observed, the answer that it gives, and what observers were told."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.told: list[Exchange] = []
        self._application = ObservedApplication(self._answer, [self.told.append])

    def _answer(self, _environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        start("404 Not Found", [])
        return self.answer

    def ask(self) -> Iterable[bytes]:
        """The answer as a server gets it."""
        return self._application({"REQUEST_METHOD": "GET"}, lambda *_: lambda _data: None)


@pytest.mark.parametrize(("pieces", "size"), [(0, 0), (1, 3), (2, 8), (3, 8)])
def test_an_exchange_is_told_once(pieces: int, size: int) -> None:
    """With what was taken of the answer, which then is closed: at its end, or where the server closes it before."""
    observed = Observed()
    answer = observed.ask()
    taken = iter(answer)
    for _ in range(pieces):
        next(taken, None)
    answer.close()  # type: ignore[attr-defined]  # as PEP 3333 says of what has it
    answer.close()  # type: ignore[attr-defined]
    assert [(one.status, one.size) for one in observed.told] == [(404, size)]
    assert observed.answer.closed == 1


def test_an_answer_that_is_dropped_is_not_told() -> None:
    """Its end may come while an observer holds a lock that it would wait for, for ever."""
    observed = Observed()
    taken = iter(observed.ask())
    next(taken)
    cycle = [taken]
    cycle.append(cycle)  # type: ignore[arg-type]  # so that only the garbage collector ends it
    del taken, cycle
    gc.collect()
    assert observed.told == []
