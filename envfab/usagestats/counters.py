"""Counters of a running program: added up in memory, and saved now and then to a file that all processes share.

A call costs a few microseconds. What was counted since the last save is lost where the program is killed.
"""

from __future__ import annotations

import operator
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from envfab.usagestats.calendar_week import week_of, week_start
from envfab.usagestats.file_lock import locked
from envfab.usagestats.queue import read_bounded, report_name, write_atomically
from envfab.usagestats.weekly_totals import (
    MAX_SUM,
    Totals,
    WeeklyTotals,
    add_to,
    format_totals,
    pair_of,
    parse_totals,
)

COUNTS = "counts"
ENDING = "counts"  # of the name of a week's report
LOCK = "counts.lock"
SAVE_EVERY = 60.0  # seconds
_PATIENCE = 0.5  # seconds that a save waits for those of other processes
_MAX_FILE = 2 * 1024 * 1024  # bytes

# Makes the report of a week that is over, and returns whether it is kept.
ReportWeek = Callable[[int, Totals], bool]


class Counters:
    """What this process counted and did not save yet; `folder` has the file of the totals."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        # One that the same thread may take again: a signal handler may count too.
        self._turn = threading.RLock()
        self._counted: dict[int, Totals] = {}
        self._save_at: float | None = None

    def add(self, name: object, value: object, by: int) -> None:
        """Count in memory; an empty name, or a number below one, counts nothing. Raises `TypeError` for no number."""
        if self._process != os.getpid():
            self._begin()  # a forked child: what its parent counted is the parent's to save, and its lock may be held
        pair, number = pair_of(name, value), min(operator.index(by), MAX_SUM)
        if pair[0] and number > 0:
            with self._turn:
                add_to(self._counted.setdefault(week_of(time.time_ns() // 1_000_000), {}), pair, number)

    def is_due(self) -> bool:
        """Whether it is time to save: a minute after the last time, at first only where a week is over."""
        now = time.monotonic()
        if self._save_at is None:
            self._save_at = now + SAVE_EVERY
            return self.has_finished_week()
        return now >= self._save_at

    def has_finished_week(self) -> bool:
        """Whether the file was last written in another week, so that it may have one to report."""
        try:
            written = os.stat(self._folder / COUNTS).st_mtime_ns // 1_000_000
        except OSError:
            return False
        return week_of(written) != week_of(time.time_ns() // 1_000_000)

    def has_unsaved(self) -> bool:
        """Whether something was counted and not saved."""
        return bool(self._counted) and self._process == os.getpid()

    def so_far(self) -> Totals:
        """The totals of this week, saved or not."""
        this_week = week_of(time.time_ns() // 1_000_000)
        return self._read().add(self._counted, this_week).weeks.get(this_week, {})

    def save(self, report_week: ReportWeek) -> None:
        """Add what was counted to the file, and have weeks that are over reported; what cannot be saved is kept."""
        self._save_at = time.monotonic() + SAVE_EVERY
        counted, saved = self._take(), False
        try:
            saved = self._save(counted, report_week)
        finally:
            if not saved:
                self._give_back(counted)

    def forget(self) -> None:
        """Forget what was counted and is not saved."""
        self._take()

    def delete(self) -> None:
        """Forget what was counted, and what was saved."""
        self.forget()
        (self._folder / COUNTS).unlink(missing_ok=True)

    def _save(self, counted: dict[int, Totals], report_week: ReportWeek) -> bool:
        this_week = week_of(time.time_ns() // 1_000_000)
        os.makedirs(self._folder, 0o700, exist_ok=True)
        with locked(self._folder / LOCK, _PATIENCE) as mine:
            if not mine:
                return False
            there = self._read()
            totals = there.add(counted, this_week)
            # The report is written first, under a name that is the week's: after a kill in between it is made again.
            # It is not sent before (`unfinished_reports`), or what it has would be counted twice.
            for week in totals.finished(this_week):
                if not report_week(week, dict(totals.weeks[week])):
                    break
                totals = totals.without(week)
            return write_atomically(self._folder / COUNTS, format_totals(totals))

    def _read(self) -> WeeklyTotals:
        return _read(self._folder)

    def _take(self) -> dict[int, Totals]:
        with self._turn:
            counted, self._counted = self._counted, {}
        return counted

    def _give_back(self, counted: dict[int, Totals]) -> None:
        with self._turn:
            for week, totals in counted.items():
                for pair, number in totals.items():
                    add_to(self._counted.setdefault(week, {}), pair, number)


def week_report_moment(week: int) -> int:
    """When the report of a week was made, as its name says: the week's end, in nanoseconds since 1970."""
    return week_start(week + 1) * 1_000_000


def unfinished_reports(folder: Path) -> frozenset[str]:
    """The names of reports of weeks that are still among the totals, so that they will be made once more."""
    return frozenset(report_name(week_report_moment(week), ENDING) for week in _read(folder).weeks)


def _read(folder: Path) -> WeeklyTotals:
    data = read_bounded(folder / COUNTS, _MAX_FILE)
    return parse_totals(data) if data is not None else WeeklyTotals()
