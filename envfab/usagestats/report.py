"""The wire format of a report: `key:value` lines in UTF-8, `date` first, then `user`.

Writing accepts any objects and always gives a sound report; reading is lenient, and what it gives
could have been written by `format_report`. The format is documented in
docs/usage-statistics-wire-format.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from envfab.usagestats.quiet import quietly

MAX_KEY = 200  # bytes
MAX_VALUE = 64 * 1024  # bytes
MAX_REPORT = 512 * 1024  # bytes; what servers accept

CUT = "…"
# All that some language's line reader takes for the end of a line; and NUL, which databases refuse.
_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0]")
_DATE = re.compile(rb"([0-9]{1,12})\.([0-9]{1,3})")

Entry = tuple[str, str]


class MalformedReport(ValueError):
    """Bytes that are not a report; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report: `date` in milliseconds since 1970; `program` is not on the wire, the server knows it."""

    date: int
    user: str | None
    entries: tuple[Entry, ...]
    program: str = ""


def clean_entries(pairs: Iterable[object]) -> tuple[Entry, ...]:
    """What can be reported of `pairs`, as text; what is not a pair, or has an empty key, is left out."""
    found = []
    for pair in pairs:
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            key, value = _key(pair[0]), clean_text(pair[1], MAX_VALUE)
            if key:
                found.append((key, value))
    return tuple(found)


def format_report(report: Report) -> bytes:
    """The bytes on the wire; entries that would make them more than `MAX_REPORT` are left out."""
    head: list[Entry] = [("date", format_time(report.date))]
    if report.user:
        head.append(("user", report.user))
    lines, size = [], 0
    for key, value in (*head, *clean_entries(report.entries)):
        line = f"{key}:{clean_text(value, MAX_VALUE)}\n".encode()
        if size + len(line) <= MAX_REPORT:
            lines.append(line)
            size += len(line)
    return b"".join(lines)


def parse_report(data: bytes, program: str = "") -> Report:
    """The report that `data` holds; `date` may stand anywhere, `user` right behind it, other lines are entries.

    Raises `MalformedReport` where there is no `date`, or more than `MAX_REPORT` bytes.
    """
    if len(data) > MAX_REPORT:
        raise MalformedReport(f"the report has more than {MAX_REPORT} bytes")
    pairs = [line.removesuffix(b"\r").partition(b":")[::2] for line in data.split(b"\n") if b":" in line]
    place = next((number for number, (key, _) in enumerate(pairs) if key == b"date"), None)
    if place is None:
        raise MalformedReport("the report has no line 'date:SECONDS.MILLISECONDS'")
    date = parse_time(pairs.pop(place)[1])
    user = None
    if place < len(pairs) and pairs[place][0] == b"user":
        user = clean_text(pairs.pop(place)[1], MAX_VALUE) or None
    return Report(date, user, clean_entries(pairs), program)


def format_time(milliseconds: int) -> str:
    """Seconds, a point, and always three digits of milliseconds, so that texts sort like times."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


def parse_time(text: bytes) -> int:
    """Milliseconds of a time; what follows the point is a number of milliseconds, as older clients wrote unpadded."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise MalformedReport("the report's date is not SECONDS.MILLISECONDS")
    return int(match[1]) * 1000 + int(match[2])


def clean_text(value: object, limit: int) -> str:
    """`value` as one line of valid text of at most `limit` bytes in UTF-8, its end cut off if need be."""
    text = _BREAK.sub(" ", _any_text(value)[: limit + 1])
    # Half a surrogate pair has no UTF-8: UTF-16's decoder makes U+FFFD of it.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(CUT.encode())].decode("utf-8", "ignore") + CUT


def _key(key: object) -> str:
    """A key's text: a colon would end it early."""
    return clean_text(key, MAX_KEY).replace(":", "_")


def _any_text(value: object) -> str:
    """The text of any object; of one that has none, the name of its type."""
    with quietly("turn a value into text"):
        if isinstance(value, bytes):
            return bytes(value).decode("utf-8", "replace")
        # Joined, since the `str()` of a subclass may be of that subclass again, with methods of its own.
        return "".join((str(value),))
    return f"<{type(value).__name__}>"
