"""The server itself: `fab collector`, rude clients, and kill -9."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import requests

from envfab.collector import client_limits
from envfab.collector.config import is_loopback
from envfab.collector.server import parse_address
from envfab.errors import UsageError
from tests.collector.running import running
from tests.collector.sending import form, registration_fields, report
from tests.support.fab import clean_environment, run_fab


def for_a_processor(process: subprocess.Popen[str]) -> float:
    """The seconds that a process was ready to run and had to wait: they are a busy machine's, not its own."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9


def test_a_day_in_the_life(folder: Path) -> None:
    """Up within two seconds, on loopback and without configuration; its data beside the fabfile; the fleet's wheelhouse."""
    began = time.monotonic()
    with running(folder) as (process, url):
        assert requests.get(f"{url}/api/applications", timeout=5).json() == []
        took = time.monotonic() - began - for_a_processor(process)
        body = form(registration_fields("u1", [("project-0", "1.0")]))
        answer = requests.post(f"{url}/application/register/", data=body, timeout=5)
        assert answer.json()["exit_code"] == 0
        assert requests.post(f"{url}/", data=report(), timeout=5).text == "stored"
        (listed,) = requests.get(f"{url}/api/applications", timeout=5).json()
        assert listed["behind"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
    assert sorted(path.name for path in (folder / "collector").iterdir() if "-" not in path.name) == [
        "collector.sqlite3",
        "metrics",
        "reports",
    ]
    began = time.monotonic()
    with running(folder) as (process, url):
        assert len(requests.get(f"{url}/api/applications", timeout=5).json()) == 1
        assert min(took, time.monotonic() - began - for_a_processor(process)) < 2


def test_elsewhere_only_with_a_token(folder: Path) -> None:
    """Other addresses than loopback are refused without a token, before anything listens."""
    done = run_fab(folder, "collector", "--bind", "0.0.0.0:0")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "envfab: collector: a collector that others can reach needs a token",
        "  give it a file of tokens: --token-file FILE, or ENVFAB_COLLECTOR_TOKEN_FILE for a WSGI server",
    ]


def test_names_that_others_made(folder: Path) -> None:
    """Without a token pages and registrations are for loopback names; usage reports come from everywhere."""
    foreign = {"Host": "rebound.example.org"}
    body = form(registration_fields())
    with running(folder) as (_, url):
        assert requests.get(f"{url}/api/applications", headers=foreign, timeout=5).status_code == 403
        assert requests.post(f"{url}/application/register/", data=body, headers=foreign, timeout=5).status_code == 403
        assert requests.post(f"{url}/", data=report(), headers=foreign, timeout=5).status_code == 200
        assert requests.get(url.replace("127.0.0.1", "localhost"), timeout=5).status_code == 200


def test_a_token_file(folder: Path) -> None:
    """With a token file a token is asked for, on loopback too."""
    (folder / "tokens").write_text("# the team's\ncorrect horse\n", encoding="utf-8")
    (folder / "tokens").chmod(0o600)
    with running(folder, "--token-file", "tokens") as (_, url):
        assert requests.get(f"{url}/", timeout=5).status_code == 401
        assert requests.get(f"{url}/", auth=("me", "correct horse"), timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bind", "nowhere"), "envfab: 'nowhere' is not an address to listen on"),
        (("--bind", "192.0.2.1:0", "--token-file", "tokens"), "envfab: 192.0.2.1:0: cannot listen:"),
        (("--bind", "127.0.0.1:0", "--token-file", "missing"), "cannot read the token file: No such file or directory"),
        (
            ("--bind", "127.0.0.1:0", "--database", "postgresql://u:secret@127.0.0.1:1/x"),
            "envfab: postgresql+psycopg://u:***@127.0.0.1:1/x:",
        ),
    ],
)
def test_what_cannot_be(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    """Wrong arguments are told in a line or two, without a traceback and without a password."""
    (folder / "tokens").write_text("correct horse\n", encoding="utf-8")
    (folder / "tokens").chmod(0o600)
    done = run_fab(folder, "collector", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "secret" not in done.stderr


def test_addresses() -> None:
    """`HOST:PORT`, with brackets around an IPv6 address."""
    assert parse_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert parse_address("[::1]:8088") == ("::1", 8088)
    assert parse_address(":8088") == ("0.0.0.0", 8088)
    for text in ("8088", "host:", "host:99999", "host:-1", ""):
        with pytest.raises(UsageError):
            parse_address(text)
    assert [is_loopback(host) for host in ("127.8.8.8", "::1", "localhost", "0.0.0.0", "::", "localhost.example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def raw(url: str, head: str, body: bytes = b"") -> tuple[int, str]:
    """Send bytes as they are; the answer's status and text."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode()


def test_rude_clients(folder: Path) -> None:
    """Lengths that are missing, negative, wrong; chunks; 10 MB; half a body: 4xx or patience, and others are served."""
    post = "POST / HTTP/1.1\nHost: x\nConnection: close\n"
    body = report()
    with running(folder) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        waiting = [socket.create_connection((host, int(port))) for _ in range(20)]
        for connection in waiting:
            connection.sendall(f"{post}Content-Length: 1000\n\n".replace("\n", "\r\n").encode() + body)
        assert raw(url, f"{post}X: y", body)[0] == 411
        assert raw(url, f"{post}Content-Length: -5", body)[0] == 400
        assert raw(url, f"{post}Content-Length: many", body)[0] == 400
        assert raw(url, f"{post}Content-Length: {'9' * 5000}", body)[0] == 400
        assert raw(url, f"{post}Content-Length: {len(body) // 3}", body)[0] == 400
        chunked = f"{post}Transfer-Encoding: chunked"
        assert raw(url, chunked, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))[0] == 411
        assert raw(url, chunked, b"nonsense\r\n")[0] == 400
        assert requests.post(f"{url}/", data=b"x" * 10_000_000, timeout=10).status_code == 413
        assert requests.post(f"{url}/application/register/", data=b"x" * 10_000_000, timeout=10).status_code == 413
        assert raw(url, "nonsense")[0] == 400
        assert raw(url, f"GET /{'x' * 300_000} HTTP/1.1\nHost: x")[0] in (400, 404, 431)
        assert requests.get(f"{url}/api/usage", timeout=5).json()["reports"] == 0
        assert list((folder / "collector" / "reports").iterdir()) == []
        assert requests.post(f"{url}/", data=body, timeout=5).text == "stored"
        for connection in waiting:
            connection.close()


def test_slow_clients_shut_nobody_out(folder: Path) -> None:
    """Three hundred that send half a request, one byte now and then, cost the others neither a connection nor a second."""
    with running(folder) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        slow: list[socket.socket] = []
        try:
            for number in range(300):
                slow.append(socket.create_connection((host, int(port)), timeout=5))
                # a few at the beginning of a header, a few in the middle of a body
                half = b"POST / HTTP/1.1\r\n" + (b"Content-Length: 100\r\n\r\nx" if number % 2 else b"X")
                slow[-1].sendall(half)
            for connection in slow:
                with suppress(OSError):
                    connection.sendall(b"x")
            began = time.monotonic()
            assert requests.get(f"{url}/api/applications", timeout=5).json() == []
            assert requests.post(f"{url}/", data=report(), timeout=5).text == "stored"
            assert time.monotonic() - began < 3
        finally:
            for connection in slow:
                connection.close()


@contextmanager
def serving(application: WSGIApplication) -> Iterator[client_limits.CollectorServer]:
    """The server with its limits and another application, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = client_limits.CollectorServer(application, listener, by_client=True)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            # an exception, SystemExit too, would end in the server's log; without a socket its loop is at its end
            made.trigger.pull_trigger(made.close)
            thread.join(10)
            made.task_dispatcher.shutdown()
            assert not thread.is_alive()


def is_cut(connection: socket.socket) -> bool:
    """Whether the other end takes no further byte: a reset or a broken pipe, whichever comes first."""
    try:
        connection.sendall(b"X")
    except OSError:
        return True
    return False


def until(happened: Callable[[], bool]) -> None:
    """Wait for something, as long as it may take on a busy machine."""
    limit = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_head_has_no_body() -> None:
    """Not even the end of a chunked one, where the length is not known; GET has both."""

    def unknown(environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [])
        # as Flask does
        return iter([b"one", b"two"] if environ["REQUEST_METHOD"] == "GET" else [])

    with serving(unknown) as made:
        for method, body in (("HEAD", b""), ("GET", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")):
            with socket.create_connection(made.socket.getsockname(), timeout=10) as connection:
                connection.sendall(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            assert answer.partition(b"\r\n\r\n")[2] == body


def test_a_whole_exchange_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bytes come: half a request, and an answer that is not read, end in bounded time."""
    monkeypatch.setattr(client_limits, "EXCHANGE", 1.0)
    # no other limit may end them in the time that a busy machine is given here
    monkeypatch.setattr(client_limits, "IDLE", 1000)

    def large(_environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", str(64 << 20))])
        return iter([b"x" * (64 << 20)])

    with (
        serving(large) as made,
        socket.create_connection(made.socket.getsockname()) as half,
        socket.create_connection(made.socket.getsockname()) as deaf,
    ):
        deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        half.sendall(b"GET / HTTP/1.1\r\n")
        until(lambda: is_cut(half))
        # the end of an answer cannot be seen from outside while it is not read
        until(lambda: not made.active_channels)
        # what the kernel had taken in can still be read, and then the end comes
        read = 0
        with suppress(OSError):
            while piece := deaf.recv(1 << 20):
                read += len(piece)
        assert read < 64 << 20


def test_what_was_answered_survives_kill_9(folder: Path) -> None:
    """The server is killed while eight clients register and report: what it answered with success is there."""
    answered: list[tuple[str, str]] = []
    with running(folder) as (process, url):
        clients = [threading.Thread(target=_keep_sending, args=(url, number, answered)) for number in range(8)]
        for client in clients:
            client.start()
        while len(answered) < 60:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        for client in clients:
            client.join(timeout=20)
    reports = folder / "collector" / "reports"
    told = [(kind, name) for kind, name in answered if kind == "report"]
    with running(folder) as (_, url):
        registered = {one["uuid"] for one in requests.get(f"{url}/api/applications", timeout=5).json()}
        files = [path for path in reports.iterdir() if not path.name.startswith(".")]
        there = {path.read_text().rsplit("name:", 1)[1].strip() for path in files}
        assert {name for _, name in told} <= there
        assert {name for kind, name in answered if kind == "registration"} <= registered
        _wait_until_indexed(url, len(files))


def _wait_until_indexed(url: str, number: int) -> None:
    """Reports that were on disk, but not in the index, are found by the work in the background."""
    deadline = time.monotonic() + 30
    while requests.get(f"{url}/api/usage", timeout=5).json()["reports"] != number:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _keep_sending(url: str, client: int, answered: list[tuple[str, str]]) -> None:
    with requests.Session() as session:
        for number in range(10_000):
            name = f"c{client}n{number}"
            try:
                fields = registration_fields(name, [(f"package-{one}", str(number)) for one in range(20)])
                answer = session.post(f"{url}/application/register/", data=form(fields), timeout=10)
                if answer.status_code == 200 and json.loads(answer.text)["exit_code"] == 0:
                    answered.append(("registration", name))
                if session.post(f"{url}/", data=report(("name", name)), timeout=10).text == "stored":
                    answered.append(("report", name))
            except requests.RequestException:
                return


def test_the_extra_may_be_missing(folder: Path) -> None:
    """Other tasks work where Flask and waitress are not installed: nothing imports them before they are needed."""
    code = "import sys; import fabfile; print([name for name in ('flask', 'sqlalchemy', 'waitress') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
