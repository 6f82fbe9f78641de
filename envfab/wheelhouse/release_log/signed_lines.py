"""Signed lines of the release log: who signed them, when, and which lines they follow.

    release: … sha256=… size=… signed=2026-11-27T03:00:00+00:00 prev=9f86d081… sig=U1NIU0lHAAAAAQ…

What is signed is all of the line before ` sig=`. `prev` are the SHA-256 of the signed texts of the lines that were the
last ones when it was written (several after a merge, none in the first line): no line can be taken out, and none put
before what it follows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from envfab.util.times import in_utc, parse_time

NAMESPACE = "release-log@envfab"
KINDS = ("release: ", "yank: ")
_SIGNED = re.compile(
    r"(?P<text>(?P<record>.*) signed=(?P<signed>\S+) prev=(?P<prev>(?:[0-9a-f]{64}(?:,[0-9a-f]{64})*)?))"
    r" sig=(?P<signature>[A-Za-z0-9+/]+=*)"
)


@dataclass(frozen=True, slots=True)
class SignedLine:
    """A signed line: the `text` that is signed, the `record` in it, when it was signed, and what it follows."""

    text: str
    record: str
    signed: datetime
    follows: tuple[str, ...]
    signature: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the signed text, in hex, by which later lines name it."""
        return digest_of(self.text)


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """What was signed of a wheel's release: the wheel's SHA-256 in hex, its file name, the text, and the signature.

    The signature is without armour, in base64.
    """

    sha256: str
    filename: str
    text: bytes
    signature: str


def digest_of(text: str) -> str:
    """Return the SHA-256 of a signed text, in hex."""
    return hashlib.sha256(encoded(text)).hexdigest()


def encoded(text: str) -> bytes:
    """Return the bytes of a text as they are in the log."""
    return text.encode("utf-8", "surrogateescape")


def record_of(line: str) -> str:
    """Return a line without its signature."""
    match = _SIGNED.fullmatch(line)
    return match["record"] if match else line


def parse_signed(line: str) -> SignedLine | None:
    """Return the parts of a signed line; None for any other."""
    match = _SIGNED.fullmatch(line)
    if match is None:
        return None
    try:
        signed = in_utc(parse_time(match["signed"]))
    except ValueError:
        return None
    follows = tuple(one for one in match["prev"].split(",") if one)
    return SignedLine(match["text"], match["record"], signed, follows, match["signature"])


def to_be_signed(record: str, signed: datetime, follows: Sequence[str]) -> str:
    """Return the text that is signed for a record."""
    return f"{record} signed={signed.isoformat()} prev={','.join(follows)}"


def with_signature(text: str, signature: bytes) -> str:
    """Return the line of a text and its signature."""
    return f"{text} sig={base64.b64encode(signature).decode()}"


def heads(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the digests of the signed lines that no other line follows: what the next line follows."""
    found: dict[str, None] = {}
    followed: set[str] = set()
    for line in lines:
        signed = parse_signed(line)
        if signed is not None:
            found[signed.digest] = None
            followed.update(signed.follows)
    return tuple(digest for digest in found if digest not in followed)
