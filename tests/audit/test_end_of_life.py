"""Interpreters past their end of life."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from packaging.version import Version

from envfab.audit.end_of_life import ENDS, MADE, STALE_AFTER, end_of_life, is_stale
from envfab.models.interpreter import Interpreter


def interpreter(version: str, implementation: str = "CPython") -> Interpreter:
    """An interpreter of a version."""
    return Interpreter(Version(version), implementation, {})


@pytest.mark.parametrize(
    ("version", "today", "ended"),
    [
        ("3.8.18", date(2024, 10, 7), None),
        ("3.8.18", date(2024, 10, 8), date(2024, 10, 7)),
        ("3.10.13", date(2026, 10, 31), None),
        ("3.10.13", date(2026, 11, 1), date(2026, 10, 31)),
        ("2.7.18", date(2026, 11, 1), date(2020, 1, 1)),
        ("3.14.0", date(2026, 11, 1), None),
    ],
)
def test_support_ends_with_the_last_day(version: str, today: date, ended: date | None) -> None:
    """On that day a version is still supported, on the next it is not."""
    assert end_of_life(interpreter(version), today) == ended


def test_what_is_not_in_the_table_is_not_told() -> None:
    """A version that came after it, and interpreters that others support for as long as they like."""
    far = date(2099, 1, 1)
    assert end_of_life(interpreter("3.99.0"), far) is None
    assert end_of_life(interpreter("3.8.18", "PyPy"), far) is None


def test_the_table_has_every_version_up_to_the_day_it_was_made() -> None:
    """A new one each October, which has five years."""
    series = [tuple(map(int, one.split("."))) for one in ENDS if one.startswith("3.")]
    assert series == [(3, minor) for minor in range(MADE.year - 2011 + (MADE.month >= 10))]


def test_the_table_is_stale_after_a_year() -> None:
    """Then versions may have ended that it does not know of."""
    assert not is_stale(MADE + STALE_AFTER)
    assert is_stale(MADE + STALE_AFTER + timedelta(days=1))
