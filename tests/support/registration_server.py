"""A real HTTP server on loopback that keeps every registration as it came and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.support.web import QuietHandler, serving


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: by default the protocol's, of success."""

    body: bytes = b'{"message": "Success, registered/updated application with uuid X", "exit_code": 0}'
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Request:
    """What came: the path, the headers by lower-case name, the bytes of the body, and by which method."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"

    @property
    def data(self) -> dict[str, Any]:
        """The JSON in the form's only field."""
        form = parse_qs(self.body.decode("ascii"), strict_parsing=True)
        assert list(form) == ["json_data"]
        data: dict[str, Any] = json.loads(form["json_data"][0])
        return data

    @property
    def installed(self) -> dict[str, str]:
        """The packages of the registration."""
        return {package["n"]: package["v"] for package in self.data["installed"]}


@dataclass
class RecordingServer:
    """What came, and how to answer; `released` lets an answer that waits for it go."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], Reply] = lambda _: Reply()
    released: threading.Event = field(default_factory=threading.Event)

    def slow(self, _request: Request) -> Reply:
        """Answer when the test is over."""
        self.released.wait(60)
        return Reply()

    def names(self) -> list[str]:
        """The applications that were registered, in order."""
        return [request.data["app_name"] for request in self.requests]


@contextmanager
def running_server() -> Iterator[RecordingServer]:
    """A server in a thread, until the end of the block."""
    server = RecordingServer()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, self.command)
            server.requests.append(request)
            reply = server.answer(request)
            self.answer(reply.status, reply.headers, reply.body)

        do_PUT = do_POST

    with serving(Handler, server.released) as address:
        server.url = f"{address}/application/register/"
        yield server
