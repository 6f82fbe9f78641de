"""A registration over real HTTP, and everything but an answer."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from envfab.errors import RegistrationError
from envfab.registration import http
from envfab.registration.difio.client import post
from envfab.registration.difio.protocol import Registration, format_registration
from envfab.registration.http import registration_session
from envfab.registration.servers import ServerAnswer
from tests.support.registration_server import RecordingServer, Reply
from tests.support.web import dripping

SHOP = Registration(7, "u-1", "shop", "http://web1", "python-3.11.7", (("Django", "5.2.1"),))
JSON = {"Content-Type": "application/json"}


def failure(url: str, token: str | None = None) -> str:
    """What is said where there is no answer."""
    with registration_session() as session, pytest.raises(RegistrationError) as caught:
        post(session, url, token, SHOP)
    return str(caught.value)


def test_a_registration_is_one_form(server: RecordingServer) -> None:
    """The body goes out byte for byte as it is formatted, declared as a form, to the configured path."""
    with registration_session() as session:
        answer = post(session, server.url, None, SHOP)
    assert answer == ServerAnswer("Success, registered/updated application with uuid X", 0)
    (request,) = server.requests
    assert request.body == format_registration(SHOP)
    assert request.path == "/application/register/"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["user-agent"].startswith("envfab/")
    assert "authorization" not in request.headers


def test_a_token_goes_as_bearer_even_beside_a_netrc(server: RecordingServer, clean_environment: Path) -> None:
    """What `~/.netrc` has for the host does not take the token's place."""
    netrc = clean_environment / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    netrc.chmod(0o600)
    with registration_session() as session:
        post(session, server.url, "t0ken", SHOP)
    assert server.requests[0].headers["authorization"] == "Bearer t0ken"


def test_a_password_in_the_address_goes_as_basic_and_is_never_shown(server: RecordingServer) -> None:
    """An address with user and password works, and messages leave them out."""
    url = server.url.replace("//", "//me:secret@")
    server.answer = lambda _: Reply(b"no", 500)
    message = failure(url)
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert "secret" not in message
    assert message.startswith(f"{server.url}: Communication failed: HTTP 500")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<html>\nBad gateway", 502, {"Content-Type": "text/html"}), "HTTP 502, text/html - <html> Bad gateway"),
        (Reply(status=201), 'HTTP 201, application/json - {"message": "Success, registered/updated'),
        (Reply(b"<html>", 200, {"Content-Type": "text/html; charset=utf-8"}), "HTTP 200, text/html - <html>"),
        (Reply(b"", 404, {}), "HTTP 404, no Content-Type"),
        (Reply(b"[1", 200, JSON), "the answer is not JSON - [1"),
        (Reply(b"\xff\xfe", 200, JSON), "the answer is not text - \ufffd\ufffd"),
        (Reply(b'"fine"', 200, JSON), 'the answer must be a JSON object - "fine"'),
        (Reply(b'{"message": "fine"}', 200, JSON), 'exit_code is missing - {"message": "fine"}'),
        (Reply(b"x" * 5000, 200, JSON), "the answer is not JSON - " + "x" * 300 + "…"),
        (Reply(b"\x1b[2Jgone\x9b", 500, {"Content-Type": "text/plain"}), "HTTP 500, text/plain - [2Jgone"),
    ],
)
def test_anything_but_an_answer_is_told_with_what_came(server: RecordingServer, reply: Reply, said: str) -> None:
    """`Communication failed`, with status, kind and the beginning of the body, on one line."""
    server.answer = lambda _: reply
    message = failure(server.url)
    assert message.startswith(f"{server.url}: Communication failed: {said}")
    assert message.isprintable()


def test_an_endless_answer_is_cut_off(server: RecordingServer) -> None:
    """Only the first few kilobytes are read."""
    server.answer = lambda _: Reply(b"[" * 50_000_000, 200, JSON)
    assert "the answer is not JSON" in failure(server.url)


def test_a_token_for_something_else_asks_for_another(server: RecordingServer) -> None:
    """A 403 says that a token was sent, and which kind is wanted."""
    server.answer = lambda _: Reply(b"for reading alone", 403, {"Content-Type": "text/plain"})
    assert "for reading alone\n  give a token that may register" in failure(server.url, "t0ken")


def test_a_refused_token_says_what_to_do(server: RecordingServer) -> None:
    """A 401 points to the token, and does not show the one that was sent."""
    server.answer = lambda _: Reply(b"who are you", 401, {"Content-Type": "text/plain"})
    message = failure(server.url, "t0ken")
    assert message.endswith("who are you\n  the server wants a token: Difio(url, token=…)")
    assert "t0ken" not in message


def test_an_address_without_a_path_is_pointed_out(server: RecordingServer) -> None:
    """Servers of this protocol listen at one path, and some give their name only."""
    server.answer = lambda _: Reply(b"", 404, {})
    message = failure(server.url.removesuffix("application/register/"))
    assert message.endswith("no Content-Type\n  addresses of servers end in /application/register/")


def test_redirects_are_not_followed(server: RecordingServer) -> None:
    """A form that is redirected would arrive empty, and the token at a stranger."""
    there = {"Location": "http://me:pw@other.example.org/x?key=1", "Content-Type": "text/html"}
    server.answer = lambda _: Reply(b"", 302, there)
    message = failure(server.url, "t0ken")
    assert len(server.requests) == 1
    assert "Communication failed: HTTP 302 to http://other.example.org/x\n  give the address" in message


def test_a_redirect_to_nonsense_is_told_in_a_line(server: RecordingServer) -> None:
    """An address that cannot be taken apart is an error of ours, too."""
    server.answer = lambda _: Reply(b"", 302, {"Location": "http://me:secret@[bad/"})
    message = failure(server.url)
    assert message.endswith("Communication failed: redirects to what is not the address of a web server")


def test_a_refusal_is_an_answer(server: RecordingServer) -> None:
    """Exit codes other than 0 come with a message, cleared of what could move the cursor."""
    server.answer = lambda _: Reply(b'{"message": "no such\\u001b[2J\\nuser", "exit_code": 3}')
    with registration_session() as session:
        assert post(session, server.url, None, SHOP) == ServerAnswer("no such [2J user", 3)


def test_a_server_that_is_down_is_told_in_a_line(nobody: str) -> None:
    """Nothing listens there."""
    assert failure(nobody) == f"{nobody}: Communication failed: nothing listens there"


def test_a_connection_that_is_closed_is_told_in_a_line() -> None:
    """A server that hangs up has given no answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        message = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert "Communication failed: " in message
    assert "\n" not in message


def test_a_slow_server_is_given_up_on(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits without end."""
    monkeypatch.setattr(http, "READ_TIMEOUT", 0.2)
    server.answer = server.slow
    assert failure(server.url) == f"{server.url}: Communication failed: no answer within 0.2 s"


@pytest.mark.parametrize("token", ["", "two words", "zwölf", "a\nb"])
def test_a_token_that_no_header_can_hold_is_refused_unseen(server: RecordingServer, token: str) -> None:
    """Nothing is sent, and the message does not show it."""
    message = failure(server.url, token)
    assert message == f"{server.url}: the token is empty, or not of printable ASCII without spaces"
    assert not server.requests


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://me:secret@[x/"])
def test_an_address_that_is_none_is_told_without_secrets(url: str) -> None:
    """A URL that cannot be taken apart is not shown."""
    message = failure(url)
    assert message.endswith("Communication failed: the address is not that of a web server")
    assert "secret" not in message


def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    """HTTPS is checked; the message says that it is about the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def meet() -> None:
            accepted, _ = listener.accept()
            with accepted, pytest.raises(OSError, match="SSL"):
                context.wrap_socket(accepted, server_side=True)

        thread = threading.Thread(target=meet)
        thread.start()
        message = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert "its certificate is refused: self-signed certificate" in message


def test_a_server_that_drips_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily bytes of an answer come."""
    monkeypatch.setattr(http, "READ_TIMEOUT", 0.5)
    monkeypatch.setattr(http, "WHOLE", 0.3)
    with dripping() as (url, _):
        assert "Communication failed: no whole answer within 1 s" in failure(url)
