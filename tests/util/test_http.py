"""HTTP as a client: what every room gets alike, against real servers."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from envfab.util.http import (
    CHUNK,
    BadAddress,
    NoResponse,
    NotReached,
    Request,
    Timeouts,
    TooLarge,
    TooSlow,
    WebSession,
    WholeResponse,
)
from tests.support.web import QuietHandler, dripping, serving


@dataclass
class Server:
    """Paths that were asked for, by which method; what each answers: status, headers, body."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers as it is told; `/silent` answers when the test is over."""
    running = Server()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            running.asked.append(f"{self.command} {self.path}")
            if self.path == "/silent":
                running.released.wait(30)
            self.answer(*running.answers.get(self.path, (200, {}, b"")))

        do_POST = do_GET

    with serving(Handler, running.released) as running.url:
        yield running


def status_of(url: str, session: WebSession) -> int:
    """The status of what lies at an address."""
    with session.open(Request(url)) as response:
        return response.status


def failure(url: str, timeouts: Timeouts | None = None) -> NoResponse:
    """Why there is no response."""
    with WebSession(timeouts) as session, pytest.raises(NoResponse) as caught:
        status_of(url, session)
    return caught.value


def test_a_redirect_is_not_followed_unless_that_is_asked_for(server: Server) -> None:
    """Its address is told instead."""
    server.answers["/old"] = (302, {"Location": f"{server.url}/new"}, b"")
    with WebSession() as session, session.open(Request(f"{server.url}/old")) as response:
        assert (response.status, response.location) == (302, f"{server.url}/new")
    with WebSession(redirects=1) as session, session.open(Request(f"{server.url}/old")) as response:
        assert (response.status, response.location, response.url) == (200, None, f"{server.url}/new")


def test_redirects_beyond_the_limit_are_an_error(server: Server) -> None:
    """The message has the limit."""
    server.answers["/circle"] = (302, {"Location": "/circle"}, b"")
    with WebSession(redirects=3) as session, pytest.raises(NoResponse, match=r"^redirects more than 3 times$"):
        status_of(f"{server.url}/circle", session)
    assert len(server.asked) == 4


@pytest.mark.parametrize(("tries_again", "asked"), [(0, 1), (1, 2)])
def test_a_busy_server_is_asked_again_where_that_is_asked_for(server: Server, tries_again: int, asked: int) -> None:
    """And then its status is the response."""
    server.answers["/busy"] = (503, {}, b"")
    with WebSession(tries_again=tries_again) as session:
        assert status_of(f"{server.url}/busy", session) == 503
    assert len(server.asked) == asked


def test_a_body_beyond_the_limit_is_not_read(server: Server) -> None:
    """Whole bodies are refused, beginnings are cut; what counts is the size after decompression."""
    packed = gzip.compress(bytes(10 * CHUNK))
    server.answers["/big"] = (200, {"Content-Encoding": "gzip", "Content-Type": "Text/HTML; charset=x"}, packed)
    with WebSession() as session:
        with session.open(Request(f"{server.url}/big")) as response, pytest.raises(TooLarge):
            response.read(CHUNK)
        with session.open(Request(f"{server.url}/big")) as response:
            assert CHUNK < len(response.read_beginning(CHUNK)) <= 2 * CHUNK
        with session.open(Request(f"{server.url}/big")) as response:
            assert len(response.read(10 * CHUNK)) == 10 * CHUNK
            assert response.media_type == "text/html"


def test_a_server_that_is_silent_is_given_up_on(server: Server) -> None:
    """After the time for one piece of the response."""
    error = failure(f"{server.url}/silent", Timeouts(connect=5, read=0.2))
    assert error.reason == "no answer within 0.2 s"


def test_an_address_where_nothing_listens_is_told_apart() -> None:
    """From servers that are reached and do not answer."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert isinstance(error, NotReached)
    assert error.reason == "nothing listens there"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "nonsense", "http://", "http://me:secret@[x/"])
def test_an_address_that_is_not_of_a_web_server_is_told_apart(url: str) -> None:
    """Without showing it."""
    error = failure(url)
    assert isinstance(error, BadAddress)
    assert error.reason == "the address is not that of a web server"


@contextmanager
def speaking(said: bytes) -> Iterator[str]:
    """The address of a server that says this to whatever it is asked, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the connection ended without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "the connection ended in the middle of an answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
            "the answer cannot be decompressed",
        ),
    ],
)
def test_a_connection_that_breaks_off_is_told_in_words(said: bytes, reason: str) -> None:
    """While the response is read, as well as before it begins."""
    with (
        speaking(said) as url,
        WebSession() as session,
        pytest.raises(NoResponse) as caught,
        session.open(Request(url)) as response,
    ):
        response.read(100)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_server_that_drips_is_given_up_on(server: Server, begin: bytes, drop: bytes) -> None:
    """However steadily a byte comes now and then; it is not asked again meanwhile, but others are."""
    with dripping(begin, drop) as (url, asked), WebSession() as session:
        for _ in range(2):
            with pytest.raises(TooSlow, match=r"^no whole answer within 0 s$"):
                session.exchange(Request(url), limit=100, seconds=0.3)
        assert session.exchange(Request(server.url), limit=100, seconds=20).status == 200
    assert len(asked) == 1


@pytest.mark.parametrize(("limit", "content"), [(0, b""), (100, b"all of it")])
def test_an_exchange_reads_what_is_asked_for(server: Server, limit: int, content: bytes) -> None:
    """Nothing of the body, or the beginning of it."""
    server.answers["/"] = 201, {"Content-Type": "text/plain; x=y"}, b"all of it"
    with WebSession() as session:
        found = session.exchange(Request(f"{server.url}/"), limit=limit, seconds=20)
    assert found == WholeResponse(201, "text/plain", None, content)
