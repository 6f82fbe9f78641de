"""Erasure: the proof that reports carry, and the request to delete them."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from envfab.usagestats import erasure
from envfab.usagestats.delivery import wait_for_couriers
from envfab.usagestats.erasure import (
    ErasureResult,
    erasure_secret,
    format_request,
    parse_request,
    proof_of,
    read_secret,
)
from envfab.usagestats.report import parse_report
from tests.usagestats.conftest import Make
from tests.usagestats.server import Server


def test_reports_carry_the_hash_alone(make: Make, location: Path) -> None:
    """Each report with an id has the SHA-256 of one secret, which lies in a file that only the user reads."""
    for _ in range(2):
        make(unique_user_id=True, erasable=True).submit({"what": "ran"})
    secret = read_secret(location)
    assert secret is not None
    first, second = (dict(parse_report(data).entries) for data in make().pending())
    assert first["erasure"] == second["erasure"] == secret.proof == proof_of(secret.secret)
    assert secret.secret.encode() not in b"".join(make().pending())
    assert os.stat(location / "erasure").st_mode & 0o077 == 0


@pytest.mark.parametrize("more", [{"unique_user_id": True}, {"erasable": True}, {"unique_user_id": "weekly", "erasable": True}])  # fmt: skip
def test_without_it_reports_are_as_before(make: Make, location: Path, more: dict[str, object]) -> None:
    """Where a program does not ask for it, or its reports have no id, there is neither secret nor hash."""
    make(**more).submit({"what": "ran"})
    assert b"erasure:" not in make().pending()[0]
    assert not (location / "erasure").exists()


def test_counts_carry_it_too(make: Make) -> None:
    """The report of a week's counters can be erased like the others."""
    stats = make(unique_user_id=True, erasable=True)
    stats.count("opened")
    assert "erasure" in dict(parse_report(stats.counted()).entries)


def erasing(make: Make, server: Server, status: int = 200) -> ErasureResult:
    """Submit a report, then ask a server that answers so."""
    stats = make(enabled=True, unique_user_id=True, erasable=True)
    stats.submit({"what": "ran"})
    wait_for_couriers()
    server.answer = lambda _: (status, {})
    return stats.erase()


def test_what_the_server_is_asked(make: Make, location: Path, server: Server) -> None:
    """It gets the id and the secret, below the drop point; after its answer nothing of them is left here."""
    stats = make(enabled=True, unique_user_id=True, erasable=True)
    user, secret = stats.user_id, read_secret(location)
    stats.submit({"what": "ran"})
    wait_for_couriers()
    server.reply = b"erased:1\n"
    assert stats.erase() == ErasureResult(1)
    assert server.paths[-1] == "/erase"
    assert secret is not None
    assert parse_request(server.bodies[-1]) == (user, secret.secret)
    assert {path.name for path in location.iterdir()} == {"status", "lock", "policy"}
    assert stats.user_id is None
    assert make(unique_user_id=True).user_id != user


@pytest.mark.parametrize(
    ("status", "why"),
    [(200, "the server does not erase reports"), (404, "the server does not erase reports"),
     (403, "the server has reports under this id, and none with the proof that they are yours"),
     (503, "the server answered 503")],
)  # fmt: skip
def test_an_erasure_that_is_not_confirmed(make: Make, location: Path, server: Server, status: int, why: str) -> None:
    """It says why, and keeps id and secret, so that one can ask again."""
    result = erasing(make, server, status)
    assert (result.confirmed, result.why) == (False, why)
    assert read_secret(location) is not None
    server.answer, server.reply = lambda _: (200, {}), b"erased:0\n"
    assert make(unique_user_id=True, erasable=True).erase().confirmed


def test_a_dead_server(make: Make, location: Path, dead: str) -> None:
    """Without an answer nothing is taken for erased."""
    stats = make(drop_point=dead, unique_user_id=True, erasable=True)
    stats.submit({"what": "ran"})
    assert stats.erase() == ErasureResult(why="the server did not answer")
    assert stats.pending() == ()
    assert (location / "user_id").exists()


def test_after_opting_out(make: Make, server: Server) -> None:
    """Who has opted out can still have erased what was sent before."""
    make(enabled=True, unique_user_id=True, erasable=True).disable_reporting()
    server.reply = b"erased:3\n"
    assert make(unique_user_id=True, erasable=True).erase().deleted == 3


def test_nothing_to_erase(make: Make, server: Server) -> None:
    """Where there never was an id the server is not asked."""
    assert make().erase() == ErasureResult()
    assert server.bodies == []


def test_an_id_without_proof(make: Make, server: Server) -> None:
    """Where reports carried no proof the server is not asked, and the result says so."""
    stats = make(unique_user_id=True)
    assert stats.erase().why == "reports under this id carry no proof that they are yours"
    assert server.bodies == []


def test_a_drop_point_that_is_none(make: Make) -> None:
    """Where the server cannot be asked nothing is raised."""
    stats = make(drop_point="nowhere", unique_user_id=True, erasable=True)
    assert stats.erase().why == "the server cannot be asked"


def test_one_secret_for_programs_at_once(tmp_path: Path) -> None:
    """Programs that start at once share a secret."""
    with ThreadPoolExecutor(8) as pool:
        assert len({found.secret for found in pool.map(lambda _: erasure_secret(tmp_path), range(16)) if found}) == 1


@pytest.mark.parametrize("spoilt", [b"", b"format:2\n", b"format:1\nsecret:x\nproof:y\n", b"\xff" * 5000])
def test_a_spoilt_file(tmp_path: Path, spoilt: bytes) -> None:
    """A file that holds no secret is replaced."""
    (tmp_path / "erasure").write_bytes(spoilt)
    assert erasure_secret(tmp_path) == read_secret(tmp_path) is not None


@pytest.mark.parametrize(
    "body", [b"", b"user:a\n", b"user:\nsecret:b\n", b"secret:b\nuser:a\n", b"user:a\nsecret:b\nmore\n", b"\xff"]
)
def test_requests_that_are_none(body: bytes) -> None:
    """A body is two lines, the id and the secret."""
    assert parse_request(body) is None
    assert parse_request(format_request("a:b", "c")) == ("a:b", "c")


def test_a_server_that_drips_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily bytes of its answer come, the program goes on, and the id is kept."""
    monkeypatch.setattr(erasure, "PATIENCE", 0.3)
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not ended.wait(0.05):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip, args=(listener,))
        dripping.start()
        stats = make(drop_point=f"http://127.0.0.1:{listener.getsockname()[1]}/", unique_user_id=True, erasable=True)
        stats.submit({"what": "ran"})
        try:
            assert stats.erase() == ErasureResult(why="the server did not answer")
        finally:
            ended.set()
            dripping.join(10)
