"""What of a week's reports anybody may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envfab.collector.publication import LEAST, PublicWeek, count_all, format_week, parse_week, rounded, suppress
from envfab.usagestats.policy import ReportPolicy, parse_policy
from envfab.usagestats.report import Entry, Report


def policy(**keys: Any) -> ReportPolicy:
    """A policy of these keys."""
    told = {"format": 1, "program": "prog", "date": "2026-01-01", "keys": keys}
    return parse_policy(json.dumps(told).encode(), None)


Told = tuple[str | None, tuple[Entry, ...]]


def week_of(reports: Sequence[Told], allows: ReportPolicy | None) -> PublicWeek:
    """What is public of reports with these ids and entries."""
    return count_all(((Report(0, user, entries), str(n)) for n, (user, entries) in enumerate(reports)), allows, 20_000)


def said(value: str, number: int, key: str = "mode") -> list[Told]:
    """As many users who say so."""
    return [(f"{value}-{n}", ((key, value),)) for n in range(number)]


MODE = policy(mode={"values": ["a", "b", "c", "d", "e"]})


def test_installations_count_not_reports() -> None:
    """A hundred reports of one user are one installation, and so below the least."""
    reports = [("one", (("mode", "a"),))] * 100
    assert week_of(reports, MODE) == PublicWeek(20_000, 0)
    assert week_of([*reports, *said("b", 10)], MODE).keys == {"mode": (("b", 10),)}


def test_rare_values_are_other() -> None:
    """Values of fewer than five installations are counted together."""
    found = week_of([*said("a", 20), *said("b", 4), *said("c", 3)], MODE)
    assert found == PublicWeek(20_000, 25, {"mode": (("a", 20), ("other", 5))})


def test_few_are_not_told() -> None:
    """Where all the rare ones are fewer than five they are not shown, and rounding hides them in the total."""
    found = week_of([*said("a", 20), *said("b", 8), *said("c", 1)], MODE)
    assert found == week_of([*said("a", 20), *said("b", 8)], MODE)
    assert found == PublicWeek(20_000, 30, {"mode": (("a", 20), ("b", 10))})


def test_what_the_policy_does_not_allow() -> None:
    """Other keys and values, free text and ids are not shown, unless the policy says that a key is public."""
    reports = [(f"u{n}", (("mode", "a"), ("free", "text"), ("id", "40a68403-7390-4e4e-aa87-5f20ddd8f62f"),
                          ("mode", "<b>"), ("path", "/home"), ("open", "x"), ("closed", "a"))) for n in range(10)]  # fmt: skip
    allows = policy(
        mode={"values": ["a"]}, free={"any": True}, id={"shape": "uuid"}, open={"any": True, "public": True},
        closed={"values": ["a"], "public": False},
    )  # fmt: skip
    assert week_of(reports, allows).keys == {"mode": (("a", 10),), "open": (("x", 10),)}
    assert week_of(reports, None) == PublicWeek(20_000, 10)


def test_installations_without_an_id() -> None:
    """A report that says how old an installation is counts as one; a report that says neither counts as none."""
    weekly = [(None, (("version", "1"), ("installation", "2026-11-23 older"))) for _ in range(6)]
    nameless: list[Told] = [(None, (("version", "2"),))] * 50
    allows = policy(version={"shape": "version"}, installation={"shape": "installation"})
    assert week_of([*weekly, *nameless], allows) == PublicWeek(
        20_000, 5, {"installation": (("older", 5),), "version": (("1", 5),)}
    )


def test_groups_and_counters() -> None:
    """What flags write is grouped as on the page of usage; of a counter it is shown how many installations have it."""
    reports = [(f"u{n}", (("system", f"Linux;6.{n}"), ("count.opened", f"{n + 1} pdf"))) for n in range(10)]
    allows = policy(**{"system": {"shape": "platform"}, "count.opened": {"values": ["pdf"]}})
    assert week_of(reports, allows).keys == {"count.opened": (("pdf", 10),), "system": (("Linux", 10),)}


@given(st.dictionaries(st.text(max_size=3), st.sets(st.integers(0, 60), min_size=1), max_size=12))
def test_no_number_is_of_few(values: dict[str, set[int]]) -> None:
    """Whatever is said, each number is of at least five, and a label comes once."""
    shown = suppress(values)
    assert all(number >= LEAST and number % LEAST == 0 for _, number in shown)
    names = [name for name, _ in shown]
    assert len(names) == len(set(names))
    for name, number in shown:
        assert name == "other" or number == rounded(len(values[name]))


def test_rounding() -> None:
    """To the nearest multiple of five."""
    assert [rounded(number) for number in (5, 7, 8, 12, 13)] == [5, 5, 10, 10, 15]


def test_round_trip() -> None:
    """A week is read from the database as it was written."""
    week = week_of([*said("a", 20), *said("b", 9)], MODE)
    assert parse_week(week.week, format_week(week)) == week
