"""What templates call: times in words, links that are links."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from envfab.audit.end_of_life import ended_series
from envfab.collector.days import DAY
from envfab.collector.report_store import EPOCH
from envfab.util.counts import count
from envfab.util.versions import version_or_none

# characters: a longer word may be broken after separators, a longer part between two of them anywhere
UNBROKEN, UNBROKEN_PART = 16, 22
_SEPARATORS = r"-._/:@+,=;&?!<>()'\""
_PARTS = re.compile(rf"[^{_SEPARATORS}]*[{_SEPARATORS}]+|[^{_SEPARATORS}]+")
_LONG = Markup('<span class="long">{}</span>')
_CPYTHON = re.compile(r"(?:python-|CPython )([0-9]+\.[0-9]+)", re.ASCII)
_DAY = re.compile(r"(\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b)", re.ASCII)
_WHOLE = Markup('<span class="day">{}</span>')
_STEPS = ((DAY * 365, "year"), (DAY * 30, "month"), (DAY, "day"), (3_600_000, "hour"), (60_000, "minute"))


def moment(milliseconds: int) -> datetime:
    """A time of the tables."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def iso(milliseconds: int) -> str:
    """A time as machines read it."""
    return moment(milliseconds).astimezone(timezone.utc).isoformat(timespec="seconds")


def clock(milliseconds: int) -> str:
    """A time as people read it."""
    return f"{moment(milliseconds):%Y-%m-%d %H:%M} UTC"


def time_of_day(milliseconds: int) -> str:
    """The time of a day as people read it: `14:02`."""
    return f"{moment(milliseconds):%H:%M}"


def day_name(day: int) -> str:
    """A day, by its number since 1970."""
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"


def ago(milliseconds: int, now: int) -> str:
    """How long ago a time was, roughly."""
    for length, unit in _STEPS:
        number = (now - milliseconds) // length
        if number > 0:
            return f"{count(number, unit)} ago"
    return "just now"


def end_of_life_of(interpreter: str) -> date | None:
    """The day on which support for an interpreter ended; None if it did not, or is not known to have.

    It is the type of an application (`python-3.8.20`), or what a rollout tells (`CPython 3.8.20`).
    """
    found = _CPYTHON.match(interpreter)
    return ended_series(datetime.now(timezone.utc).date()).get(found[1]) if found else None


def is_version(text: str) -> bool:
    """Whether a text is a version by PEP 440."""
    return version_or_none(text) is not None


def is_link(url: str) -> bool:
    """Whether a URL may be a link: http and https alone, or a page could carry a script."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not url[:1].isspace()


def host_of(url: str) -> str:
    """The host, and the port, of a URL; the whole text where it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return url


def whole_days(text: object) -> Markup:
    """A text whose days (`2027-01-31`) are not broken at their hyphens."""
    parts = _DAY.split(str(text))
    return Markup("").join(_WHOLE.format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def breakable(text: str, unbroken: int = UNBROKEN) -> Markup:
    """A text in which words of more characters than `unbroken` may be broken: after a separator where that is enough,
    and else anywhere.
    """
    return Markup("").join(_breakable(part, unbroken) for part in re.split(r"(\s+)", text))


def _breakable(word: str, unbroken: int) -> str:
    if len(word) <= unbroken:
        return whole_days(word)
    parts = _PARTS.findall(word)
    return Markup("<wbr>").join(_LONG.format(part) if len(part) > UNBROKEN_PART else escape(part) for part in parts)


def xml_text(text: str) -> str:
    """A text without the few characters that XML has no way to write."""
    return "".join("\ufffd" if character in "\ufffe\uffff" or character < " " else character for character in text)


def shown_bytes(data: bytes) -> str:
    """Bytes as text; what is not UTF-8, or invisible, is written as an escape."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
