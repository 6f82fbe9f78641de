"""Erasure: a secret beside the user's id, of which reports carry the hash alone, and the request to delete them.

Who knows the secret can prove that the reports under the id are theirs.
"""

from __future__ import annotations

# Imported in function bodies: hashlib, secrets and the transport, which a program's start does not need.
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from envfab.usagestats.consent import read_user_id
from envfab.usagestats.queue import read_bounded, write_atomically
from envfab.usagestats.report import Report

FILE = "erasure"
KEY = "erasure"
NAME = "erase"  # below the drop point
PATIENCE = 60.0  # seconds for the whole answer to a request
_MAX_FILE = 400  # bytes
_FILE = re.compile(r"format:1\nsecret:([0-9a-f]{64})\nproof:([0-9a-f]{64})\n")
_ERASED = re.compile(rb"erased:([0-9]{1,9})\n?")


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What became of a request to erase: `deleted` reports, or why that is not `confirmed`."""

    deleted: int = 0
    why: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether the server said that nothing is left."""
        return not self.why


@dataclass(frozen=True, slots=True)
class ErasureSecret:
    """The secret, and its hash, which reports carry."""

    secret: str
    proof: str


def proof_of(secret: str) -> str:
    """The hash of a secret: SHA-256 of its ASCII text, in hexadecimal digits."""
    import hashlib

    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def carried_proof(report: Report) -> str | None:
    """The hash that a report carries; None if it was made without."""
    return next((value for key, value in report.entries if key == KEY), None)


def erasure_secret(folder: Path) -> ErasureSecret | None:
    """The secret kept in `folder`, made if there is none; None where none can be kept."""
    known = read_secret(folder)
    if known is not None:
        return known
    import secrets

    secret = secrets.token_hex(32)
    text = f"format:1\nsecret:{secret}\nproof:{proof_of(secret)}\n".encode()
    # Where two programs do this at once, both end up with that of the first.
    if not write_atomically(folder / FILE, text, replace=False) and read_secret(folder) is None:
        write_atomically(folder / FILE, text)
    return read_secret(folder)


def read_secret(folder: Path) -> ErasureSecret | None:
    """The secret kept in `folder`."""
    match = _FILE.fullmatch((read_bounded(folder / FILE, _MAX_FILE) or b"").decode("utf-8", "replace"))
    return ErasureSecret(match[1], match[2]) if match else None


def forget_secret(folder: Path) -> None:
    """Remove the secret."""
    (folder / FILE).unlink(missing_ok=True)


def erase_at_server(folder: Path, drop_point: str, ssl_verify: str | None) -> ErasureResult:
    """Ask the server to delete all reports under the id kept in `folder`; raises `ValueError` for no http URL."""
    user, secret = read_user_id(folder), read_secret(folder)
    if user is None:
        return ErasureResult()
    if secret is None:
        return ErasureResult(why="reports under this id carry no proof that they are yours")
    return _request(drop_point, ssl_verify, user, secret.secret)


def _request(drop_point: str, ssl_verify: str | None, user: str, secret: str) -> ErasureResult:
    from envfab.usagestats.transport import DropPoint, HttpAnswer

    body, server = format_request(user, secret), DropPoint(drop_point, ssl_verify)
    answers: list[HttpAnswer] = []
    # A server that sends a byte now and then never exceeds the time-out of one step.
    asking = threading.Thread(
        target=lambda: answers.append(server.request(NAME, body=body, limit=100)), name="erasure", daemon=True
    )
    asking.start()
    asking.join(PATIENCE)
    answer = answers[0] if answers else HttpAnswer(0)
    match = _ERASED.fullmatch(answer.body)
    if answer.status == 200 and match:
        return ErasureResult(int(match[1]))
    if not answer.status:
        return ErasureResult(why="the server did not answer")
    if answer.status == 403:
        return ErasureResult(why="the server has reports under this id, and none with the proof that they are yours")
    if answer.status in (200, 404, 405, 501):
        return ErasureResult(why="the server does not erase reports")
    return ErasureResult(why=f"the server answered {answer.status}")


def format_request(user: str, secret: str) -> bytes:
    """The body of a request."""
    return f"user:{user}\nsecret:{secret}\n".encode()


def parse_request(data: bytes) -> tuple[str, str] | None:
    """The id and the secret of a request's body; None where it is not one."""
    lines = data.decode("utf-8", "replace").split("\n")
    if len(lines) != 3 or lines[2] or not lines[0].startswith("user:") or not lines[1].startswith("secret:"):
        return None
    user, secret = lines[0].removeprefix("user:"), lines[1].removeprefix("secret:")
    return (user, secret) if user and secret else None
