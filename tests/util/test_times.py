"""Times in others' texts, and as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from envfab.util.times import in_utc, parse_time, utc_time

NOON = datetime(2026, 1, 20, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-20T12:00:00Z", NOON),
        ("2026-01-20T13:00:00+01:00", NOON),
        ("2026-01-20T12:00:00", NOON.replace(tzinfo=None)),
        ("2026-01-20T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-20T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("2026-01-20T12:00:00.25+00:00", NOON + timedelta(milliseconds=250)),
    ],
)
def test_times_are_read_as_iso_8601_writes_them(text: str, time: datetime) -> None:
    """With Z, an offset or neither, and with any number of digits in the fraction of a second."""
    read = parse_time(text)
    assert (read, read.utcoffset()) == (time, time.utcoffset() if "+01" not in text else timedelta(hours=1))


@pytest.mark.parametrize("text", ["", "Z", "soon", "2026-13-01T00:00:00Z", "2026-01-20T12:00:00ZZ"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    """As `ValueError`, which callers translate."""
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def test_a_time_without_a_zone_counts_as_utc() -> None:
    """A time that has a zone keeps it."""
    assert in_utc(NOON.replace(tzinfo=None)) == NOON
    eastern = NOON.astimezone(timezone(timedelta(hours=-5)))
    assert in_utc(eastern).utcoffset() == timedelta(hours=-5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-27T23:30:00+05:00", "2026-11-27 18:30 UTC"),
        ("2026-11-27T23:30:00Z", "2026-11-27 23:30 UTC"),
        ("9999-12-31T23:59:59-14:00", "9999-12-31 23:59 UTC-14:00"),
    ],
)
def test_times_are_shown_in_utc(text: str, shown: str) -> None:
    """Whatever their zone, and without an error where the year would have five digits."""
    assert utc_time(parse_time(text)) == shown
