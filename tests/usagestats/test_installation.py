"""`unique_user_id="weekly"`: installations are counted, and none can be followed."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from envfab.usagestats.calendar_week import monday, week_of
from envfab.usagestats.installation import (
    CLASSES,
    age_class,
    claim_entry,
    due_entry,
    note_beginning,
    parse_installation,
)
from envfab.usagestats.report import Report, parse_report
from tests.usagestats.conftest import Make

DAY = 24 * 3600


def this_week() -> int:
    """The week of now."""
    return week_of(time.time_ns() // 1_000_000)


def waiting(stats: Any) -> list[Report]:
    """The reports that wait, as a server would read them."""
    return [parse_report(data) for data in stats.pending()]


def run(make: Make) -> None:
    """A run of a program that submits a report."""
    make(unique_user_id="weekly").submit({"what": "ran"})


def test_one_report_a_week_carries_the_class(make: Make) -> None:
    """Of three runs in a week the first says the week and the class, and none has an id."""
    for _ in range(3):
        run(make)
    reports = waiting(make(unique_user_id="weekly"))
    assert [report.user for report in reports] == [None] * 3
    told = [dict(report.entries).get("installation") for report in reports]
    assert told == [f"{monday(this_week())} first week", None, None]


def test_no_id_is_kept(make: Make, location: Path) -> None:
    """The folder has the week of the first run and that of the last report with a class, and no id."""
    run(make)
    assert not (location / "user_id").exists()
    assert (location / "installation").read_text() == f"format:1\nfirst:{this_week()}\nreported:{this_week()}\n"


def test_the_same_in_all_installations(make: Make, tmp_path: Path) -> None:
    """Two installations of one age say the very same."""
    for place in ("a", "b"):
        make(location=tmp_path / place, unique_user_id="weekly").submit({"what": "ran"})
    told = [waiting(make(location=tmp_path / place))[0].entries for place in ("a", "b")]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("weeks", "name"),
    [(-3, 0), (0, 0), (1, 1), (3, 1), (4, 2), (23, 2), (24, 3), (900, 3)],
)
def test_the_classes(weeks: int, name: int) -> None:
    """They end where those of DNF's countme do: after the first week, after 4 and after 24 weeks."""
    assert age_class(weeks) == CLASSES[name]


def test_the_next_week(tmp_path: Path) -> None:
    """Each week has one entry, whose class grows with the installation."""
    told = [claim_entry(tmp_path, week) for week in (2900, 2900, 2901, 2910, 3000)]
    assert told == [
        ("installation", f"{monday(2900)} first week"), None, ("installation", f"{monday(2901)} first month"),
        ("installation", f"{monday(2910)} half a year"), ("installation", f"{monday(3000)} older"),
    ]  # fmt: skip


def test_a_clock_set_back(tmp_path: Path) -> None:
    """A week that comes again has no second entry; a clock that was years ahead stops nothing."""
    assert claim_entry(tmp_path, 2901) is not None
    assert claim_entry(tmp_path, 2900) is None
    assert claim_entry(tmp_path, 5000) is not None
    assert claim_entry(tmp_path, 2902) is not None


def test_two_at_once(tmp_path: Path) -> None:
    """Of programs that claim the week's entry at once one gets it."""
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: claim_entry(tmp_path, 2900), range(16)))
    assert sum(entry is not None for entry in told) == 1


def test_showing_claims_nothing(make: Make) -> None:
    """`preview()` shows the bytes that `submit()` sends, with the class, and leaves it for the report."""
    stats = make(unique_user_id="weekly")
    shown = stats.preview({"what": "ran"})
    assert b"\ninstallation:" in shown
    stats.submit({"what": "ran"})
    assert stats.pending() == (shown,)


def test_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """Where the week cannot be noted an installation is not counted, rather than by each run."""
    (tmp_path / "file").touch()
    assert claim_entry(tmp_path / "file" / "stats", 2900) is None


@pytest.mark.parametrize("spoilt", [b"", b"format:2\nfirst:1\nreported:1\n", b"first", b"\xff" * 5000])
def test_a_spoilt_file(tmp_path: Path, spoilt: bytes) -> None:
    """A file that cannot be understood is that of a new installation."""
    (tmp_path / "installation").write_bytes(spoilt)
    assert due_entry(tmp_path, 2900) == ("installation", f"{monday(2900)} first week")


def test_a_program_that_had_ids(make: Make, location: Path) -> None:
    """The id of an earlier version goes, with the reports that carry it; its age is that of the installation."""
    make(unique_user_id=True).submit({"what": "ran"})
    os.utime(location / "user_id", (time.time() - 60 * DAY, time.time() - 60 * DAY))
    stats = make(unique_user_id="weekly")
    assert (stats.user_id, stats.pending()) == (None, ())
    assert not (location / "user_id").exists()
    assert stats.preview().endswith(b"half a year\n")


def test_opting_out_forgets_the_age(make: Make, location: Path) -> None:
    """Nothing of the installation's age is left after opting out."""
    run(make)
    make(unique_user_id="weekly").disable_reporting()
    assert not (location / "installation").exists()


def test_the_beginning_is_noted_once(tmp_path: Path) -> None:
    """A later note does not make an installation younger."""
    note_beginning(tmp_path, 2800)
    note_beginning(tmp_path, 2900)
    assert due_entry(tmp_path, 2900) == ("installation", f"{monday(2900)} older")


@pytest.mark.parametrize("wrong", ["Weekly", "daily", ""])
def test_a_misspelt_word(make: Make, wrong: str) -> None:
    """A text that is not "weekly" is refused at once, since it would give each user an id."""
    said = f"unique_user_id must be True, False or 'weekly', not {wrong!r}"
    with pytest.raises(ValueError, match=re.escape(said)):
        make(unique_user_id=wrong)


def test_reading() -> None:
    """What the entry says is read again, and nothing else."""
    assert parse_installation("2026-11-23 first month") == ("2026-11-23", "first month")
    assert parse_installation("2026-11-23 my name") is None
