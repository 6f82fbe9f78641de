"""What can be said of a request and its answer once it is sent: for the access log and for metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Request

from envfab.collector.auth import authorization_of

_ROUTE = "envfab.collector.route"
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request went: the pattern of its address, never the address itself, and the kind of such addresses."""

    kind: str = "none"
    pattern: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. `token` is how one was given (`bearer`, `basic`), empty if none was."""

    route: Route
    method: str
    status: int
    seconds: float
    size: int
    client: str


Observer = Callable[[Exchange], None]


def note_route(request: Request) -> None:
    """Keep, with the request, where it goes."""
    rule = request.url_rule
    kind = request.blueprint or request.endpoint or "none"
    given = authorization_of(request)
    token = "" if given is None else given.type if given.type in ("bearer", "basic") else "other"
    request.environ[_ROUTE] = Route(kind, "" if rule is None else rule.rule, token)


class ObservedApplication:
    """A WSGI application that tells observers of each exchange, when its last byte is handed to the server."""

    def __init__(self, application: WSGIApplication, observers: Sequence[Observer]) -> None:
        self._application = application
        self._observers = observers

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        began = time.perf_counter()
        status = [500]

        def note_status(line: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            status[0] = int(line[:3])
            return start(line, headers, *error)

        answer = self._application(environ, note_status)

        def tell(size: int) -> None:
            self._tell(_exchange(environ, status[0], time.perf_counter() - began, size))

        return _ObservedAnswer(answer, tell)

    def _tell(self, exchange: Exchange) -> None:
        for observe in self._observers:
            observe(exchange)


class _ObservedAnswer:
    """An answer that tells once, when its last byte was taken or the server closes it, how many bytes were taken.

    Not when it is dropped without that, against PEP 3333: the garbage collector may do so at any moment, also while an
    observer holds a lock.
    """

    def __init__(self, answer: Iterable[bytes], tell: Callable[[int], None]) -> None:
        self._answer = answer
        self._pieces = iter(answer)
        self._tell: Callable[[int], None] | None = tell
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self.close()
            raise
        self._size += len(piece)
        return piece

    def close(self) -> None:
        """Close the answer, and tell."""
        tell, self._tell = self._tell, None
        if tell is None:
            return
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            tell(self._size)


def _exchange(environ: WSGIEnvironment, status: int, seconds: float, size: int) -> Exchange:
    method = str(environ.get("REQUEST_METHOD", ""))
    return Exchange(
        route=environ.get(_ROUTE, Route()),
        method=method if method in _METHODS else "OTHER",
        status=status,
        seconds=seconds,
        size=size,
        client=str(environ.get("REMOTE_ADDR", "")),
    )
