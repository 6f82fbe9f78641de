"""A web server in a thread, for the doubles of servers that envfab talks to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections, prints nothing."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


class QuietServer(ThreadingHTTPServer):
    """Does not mind clients that go away."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], released: threading.Event) -> Iterator[str]:
    """The address of a server on loopback, until the end of the block; then `released` lets go who waits for it."""
    with QuietServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            released.set()
            http.shutdown()
            thread.join()


@contextmanager
def dripping(begin: bytes = b"HTTP/1.1 200 OK\r\nX: ", drop: bytes = b"a") -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server whose answers begin, and go on by a drop now and then; and the first byte of each request."""
    ended = threading.Event()
    asked: list[bytes] = []

    def drip(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,)).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked.append(connection.recv(1))
            connection.sendall(begin)
            while not ended.wait(0.05):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=drip, args=(listener,))
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", asked
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(10)
