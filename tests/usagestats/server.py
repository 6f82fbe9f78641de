"""A real HTTP server on loopback that keeps what it gets and answers as it is told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, dict[str, str]]
OK: Reply = 200, {}


@dataclass
class Server:
    """What came, and how to answer; `answer` is given the body."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answer: Callable[[bytes], Reply] = lambda _: OK
    reply: bytes = b""  # the body of each answer to a POST
    asked: list[str] = field(default_factory=list)
    answer_get: Callable[[str], tuple[int, str, bytes]] | None = None  # status, Content-Type, body; None: POST alone

    @property
    def what(self) -> list[str]:
        """The `what` of each report that came."""
        return [line[5:] for body in self.bodies for line in body.decode().split("\n") if line.startswith("what:")]


@contextmanager
def running_server(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server in a thread, until the end of the block; with a context it speaks https."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.headers.append(dict(self.headers))
            server.paths.append(self.path)
            server.bodies.append(body)
            status, headers = server.answer(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(server.reply)))
            self.end_headers()
            self.wfile.write(server.reply)

        def do_GET(self) -> None:
            server.asked.append(self.path)
            if server.answer_get is None:
                self.send_error(501)
                return
            status, kind, body = server.answer_get(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is what some tests are about."""

    with QuietServer(("127.0.0.1", 0), Handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        server.url = f"http{'s' * (tls is not None)}://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
