"""SIGTERM: what was begun is answered, nothing is begun any more, and the process ends with 0."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import requests

from envfab.collector.client_limits import CollectorServer
from envfab.collector.graceful_stop import GracefulServer
from tests.collector.running import running
from tests.collector.sending import form, registration_fields


def connect(url: str) -> socket.socket:
    """A connection to a server."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def until_refused(url: str) -> None:
    """Wait until the server takes no connection any more."""
    deadline = time.monotonic() + 20
    while True:
        try:
            connect(url).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_registration_that_was_begun_is_answered(folder: Path) -> None:
    """Half of it came before SIGTERM and half after: it is stored, while new connections are refused; exit status 0."""
    body = form(registration_fields("u1", [("project-0", "1.0")]))
    head = f"POST /application/register/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(folder) as (process, url):
        with connect(url) as idle, connect(url) as slow:
            slow.sendall(head.encode() + body[:20])
            assert requests.get(f"{url}/api/applications", timeout=20).json() == []  # it has read the half by now
            process.send_signal(signal.SIGTERM)
            until_refused(url)
            assert idle.recv(1) == b""
            assert process.poll() is None
            slow.sendall(body[20:])
            answer = http.client.HTTPResponse(slow)
            answer.begin()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            answer.read()
        assert process.wait(timeout=20) == 0
    with running(folder) as (_, url):
        assert [one["uuid"] for one in requests.get(f"{url}/api/applications", timeout=20).json()] == ["u1"]


class SlowAnswer:
    """An application that answers when it is told to, with more than a socket takes in at once."""

    SIZE = 8 << 20

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_answer = threading.Event()

    def __call__(self, _environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer."""
        self.begun.set()
        self.may_answer.wait(20)
        start("200 OK", [("Content-Length", str(self.SIZE))])
        return [b"x" * self.SIZE]


def served_until_stopped(application: SlowAnswer, patience: float) -> tuple[threading.Thread, GracefulServer, str]:
    """A server in a thread, and its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = GracefulServer(CollectorServer(application, listener, by_client=True), patience)
    thread = threading.Thread(target=server.run)
    thread.start()
    return thread, server, f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_large_answer_is_sent_to_its_end() -> None:
    """Also the part that no buffer took when the answer was made."""
    application = SlowAnswer()
    thread, server, url = served_until_stopped(application, 20)
    with connect(url) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        application.begun.wait(20)
        server.stop()
        until_refused(url)
        application.may_answer.set()
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert len(answer.read()) == application.SIZE
    thread.join(20)
    assert not thread.is_alive()


def test_patience_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """A request whose rest never comes is cut off, and the log tells how many."""
    application = SlowAnswer()
    thread, server, url = served_until_stopped(application, 0.5)
    with connect(url) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
        server.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert "connections are cut, as requests did not end within 0.5 s: 1" in caplog.text
