"""Counters: what is added up, where it is kept, and the one report of a week."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.usagestats import Stats, counters
from envfab.usagestats.calendar_week import monday, week_of, week_start
from envfab.usagestats.delivery import wait_for_couriers
from envfab.usagestats.file_lock import locked
from envfab.usagestats.report import parse_report
from envfab.usagestats.weekly_totals import (
    MAX_PAIRS,
    OTHER,
    WeeklyTotals,
    add_to,
    count_entries,
    format_totals,
    pair_of,
    parse_count,
    parse_totals,
)
from tests.usagestats.conftest import Make
from tests.usagestats.server import OK, Server

WEEK = 7 * 24 * 3600
COUNTING = """
import sys
from envfab import usagestats

stats = usagestats.Stats(sys.argv[1], "asking\\n", sys.argv[2], "1.0")
for _ in range(int(sys.argv[3])):
    stats.count("opened", "pdf")
print("counted", flush=True)
if sys.argv[4:] == ["wait"]:
    sys.stdin.read()
"""


def counts_of(report: bytes) -> dict[str, str]:
    """The entries of a report that count."""
    return {key: value for key, value in parse_report(report).entries if key.startswith("count.")}


def last_week(location: Path) -> int:
    """Make what was saved in this week that of the week before."""
    path, this_week = location / "counts", week_of(time.time_ns() // 1_000_000)
    path.write_text(path.read_text().replace(f"\n{this_week} ", f"\n{this_week - 1} "))
    os.utime(path, (time.time() - WEEK, time.time() - WEEK))
    return this_week - 1


def start(location: Path, url: str, number: int, *more: str) -> subprocess.Popen[str]:
    """A program that counts `number` times."""
    return subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(location), url, str(number), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


class TestWeek:
    """What a week's report says."""

    def test_sums(self, make: Make) -> None:
        """Counts of one name and value are added up; a value may be left out, or contain spaces."""
        stats = make()
        stats.count("opened", "pdf")
        stats.count("opened", "pdf", by=3)
        stats.count("opened", value="Open Document")
        stats.count("searched")
        assert stats.counted().decode().split("\n")[1:] == [
            "version:1.0", f"week:{monday(week_of(time.time_ns() // 1_000_000))}",
            "count.opened:1 Open Document", "count.opened:4 pdf", "count.searched:1", "",
        ]  # fmt: skip

    def test_nothing_is_sent_before_the_week_is_over(self, make: Make, server: Server) -> None:
        """Counting, submitting and flushing in the running week send no totals."""
        stats = make(enabled=True)
        stats.count("opened")
        stats.submit({"what": "ran"})
        wait_for_couriers()
        stats.flush()
        assert [counts_of(body) for body in server.bodies] == [{}]
        assert counts_of(stats.counted()) == {"count.opened": "1"}

    def test_one_report_when_it_is_over(self, make: Make, location: Path, server: Server) -> None:
        """The first run of the next week sends the sums of the last one, once, dated with that week's end."""
        stats = make(enabled=True)
        stats.count("opened", by=2)
        stats.flush()
        week = last_week(location)
        again = make(enabled=True)
        assert again.flush() == 0
        again.count("opened")
        make(enabled=True).flush()
        (body,) = server.bodies
        assert body.decode().split("\n") == [
            f"date:{week_start(week + 1) // 1000}.000", "version:1.0", f"week:{monday(week)}", "count.opened:2", "",
        ]  # fmt: skip
        assert counts_of(again.counted()) == {"count.opened": "1"}

    def test_it_is_reported_by_a_program_that_only_counts(self, make: Make, location: Path, server: Server) -> None:
        """The first `count()` of a program sees that a week is over, and sends its report without being asked."""
        stats = make(enabled=True)
        stats.count("opened")
        stats.flush()
        last_week(location)
        make(enabled=True).count("closed")
        deadline = time.monotonic() + 10
        while not server.bodies and time.monotonic() < deadline:
            time.sleep(0.02)
        assert counts_of(server.bodies[0]) == {"count.opened": "1"}

    def test_what_comes_late_counts_in_the_next(self) -> None:
        """What a program counted in a week whose report is made already counts in the running week."""
        totals = WeeklyTotals().add({7: {("a", ""): 1}}, 8).without(7)
        assert totals.add({7: {("a", ""): 2}}, 8).weeks == {8: {("a", ""): 2}}

    def test_a_clock_set_back(self) -> None:
        """What was counted in a week ahead counts in the running one."""
        assert WeeklyTotals().add({4000: {("a", ""): 1}}, 8).weeks == {8: {("a", ""): 1}}

    def test_the_report_is_made_again_after_a_kill(self, make: Make, location: Path) -> None:
        """Killed after the report was written and before that was noted, the next run writes the very same report."""
        stats = make()
        stats.count("opened")
        stats.flush()
        last_week(location)
        before = (location / "counts").read_bytes()
        make().flush()
        (report,) = make().pending()
        (location / "counts").write_bytes(before)
        os.utime(location / "counts", (time.time() - WEEK, time.time() - WEEK))
        make().flush()
        assert make().pending() == (report,)

    def test_nothing_is_sent_twice_after_a_kill(self, make: Make, location: Path, server: Server) -> None:
        """A report that may be made again is sent by no other process before that."""
        stats = make(enabled=True)
        stats.count("opened")
        stats.flush()
        last_week(location)
        before = (location / "counts").read_bytes()
        server.answer = lambda _: (503, {})
        make().flush()
        server.answer, server.bodies[:] = lambda _: OK, []
        # killed before the totals were written
        (location / "counts").write_bytes(before)
        os.utime(location / "counts", (time.time() - WEEK, time.time() - WEEK))
        # another process, which finds the report in the queue, and the totals of another one under the lock
        other = make()
        with locked(location / "counts.lock"):
            other.flush()
        assert server.bodies == []
        make().flush()
        make().flush()
        assert [counts_of(body) for body in server.bodies] == [{"count.opened": "1"}]

    def test_a_full_disk_after_the_report(
        self, make: Make, location: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the totals cannot be written after it, it is sent once, when they are."""
        stats = make(enabled=True)
        stats.count("opened")
        stats.flush()
        last_week(location)
        stats.count("closed")
        with monkeypatch.context() as patch:
            patch.setattr(counters, "write_atomically", lambda *_, **__: False)
            for _ in range(2):
                stats.flush()
            assert server.bodies == []
        stats.flush()
        stats.flush()
        assert [counts_of(body) for body in server.bodies] == [{"count.opened": "1"}]
        assert counts_of(stats.counted()) == {"count.closed": "1"}


class TestChoice:
    """Counters follow the user's choice."""

    def test_opting_out_deletes_them(self, make: Make, location: Path) -> None:
        """After opting out nothing that was counted is left, in memory and on disk, and nothing more is counted."""
        stats = make()
        stats.count("opened")
        stats.flush()
        stats.count("opened")
        assert (location / "counts").exists()
        stats.disable_reporting()
        stats.count("opened")
        assert not (location / "counts").exists()
        assert stats.counted() == b""

    def test_opting_out_in_another_process(self, make: Make, location: Path) -> None:
        """What a running program counted is not saved any more once another one opted out."""
        stats = make()
        stats.count("opened")
        make().disable_reporting()
        stats.flush()
        assert not (location / "counts").exists()

    def test_nothing_is_counted_under_the_variable(
        self, make: Make, location: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the environment switches statistics off nothing is counted or kept."""
        stats = make()
        stats.count("opened")
        monkeypatch.setenv("DO_NOT_TRACK", "1")
        stats.flush()
        make().count("opened")
        assert stats.counted() == make().counted() == b""
        assert not (location / "counts").exists()

    def test_it_never_asks(self, make: Make, capfd: pytest.CaptureFixture[str]) -> None:
        """Counting prints nothing, also before the user has chosen."""
        stats = make()
        stats.count("opened")
        stats.flush()
        assert capfd.readouterr() == ("", "")


class TestBounds:
    """However much is counted, little is kept."""

    def test_thousands_of_names(self, make: Make, location: Path) -> None:
        """Of 5,000 names `MAX_PAIRS` are kept, and what is beyond them counts as one; no count is lost."""
        stats = make()
        for number in range(5000):
            stats.count(f"name{number}")
            if number == 2500:
                stats.flush()
        counts = counts_of(stats.counted())
        assert len(counts) == MAX_PAIRS
        assert sum(map(int, counts.values())) == 5000
        assert int(counts["count.other"]) == 5000 - MAX_PAIRS + 1
        stats.flush()
        assert (location / "counts").stat().st_size < 100_000

    def test_long_names_and_values(self, make: Make) -> None:
        """Names and values are cut at 100 bytes."""
        stats = make()
        stats.count("n" * 1000, "ä" * 1000)
        ((key, value),) = counts_of(stats.counted()).items()
        assert len(key.encode()) == len("count.") + 100
        assert 98 < len(value.removeprefix("1 ").encode()) <= 100

    @pytest.mark.parametrize("by", [0, -1, 1.5, "1", None])
    def test_what_is_no_number_of_times(self, make: Make, by: Any) -> None:
        """Numbers below one, and what is not a whole number, count nothing and raise nothing."""
        stats = make()
        stats.count("opened", by=by)
        stats.count("", by=1)
        assert stats.counted() == b""

    def test_a_sum_has_an_end(self) -> None:
        """Sums stop at 10 to the 12th."""
        totals = {("a", ""): 1}
        add_to(totals, ("a", ""), 10**30)
        assert totals == {("a", ""): 10**12}

    @given(st.lists(st.tuples(st.text(max_size=300), st.one_of(st.text(max_size=300), st.integers(), st.none()))))
    def test_round_trips(self, pairs: list[tuple[str, object]]) -> None:
        """Whatever is counted is read from the file, and from the entries of the report, as it was counted."""
        totals: dict[tuple[str, str], int] = {}
        for name, value in pairs:
            if pair_of(name, value)[0]:
                add_to(totals, pair_of(name, value), 3)
        kept = WeeklyTotals({5: totals} if totals else {}, 4)
        assert parse_totals(format_totals(kept)) == kept
        read = [parse_count(key, value) for key, value in count_entries(totals)]
        assert sorted(read) == sorted((name, value, number) for (name, value), number in totals.items())  # type: ignore[type-var]

    @given(st.binary())
    def test_a_spoilt_file(self, data: bytes) -> None:
        """Any bytes in the file's place are read, as what can be understood of them."""
        assert len(parse_totals(data).weeks) <= len(data)
        assert len(parse_totals(b"format:1\nreported:5\n" + data).weeks) <= len(data)

    def test_a_newer_format_counts_as_none(self) -> None:
        """A file of a newer format is nothing to add to."""
        assert parse_totals(b"format:2\nreported:5\n9 1 a:\n") == WeeklyTotals()

    @pytest.mark.parametrize(
        ("key", "value"),
        [("what", "3 x"), ("count.a", "x 3"), ("count.a", "-1"), ("count.a", "9" * 5000), ("count.a", "")],
    )
    def test_entries_that_count_nothing(self, key: str, value: str) -> None:
        """Other keys, and what does not begin with a number of at most 10 to the 12th, are no counts."""
        assert parse_count(key, value) is None


class TestProcesses:
    """Real programs that count."""

    def test_many_at_once(self, make: Make, location: Path, dead: str) -> None:
        """No count of programs that end is lost."""
        programs = [start(location, dead, 50) for _ in range(4)]
        assert [program.communicate(timeout=60)[0] for program in programs] == ["counted\n"] * 4
        assert counts_of(make().counted()) == {"count.opened": "200 pdf"}

    def test_a_kill_loses_what_was_not_saved(self, make: Make, location: Path, dead: str) -> None:
        """A killed program loses what it counted since the last save, and nothing that was saved."""
        make().count("opened", "pdf")
        stats = make()
        stats.count("opened", "pdf", by=7)
        stats.flush()
        program = start(location, dead, 5, "wait")
        assert program.stdout is not None
        assert program.stdout.readline() == "counted\n"
        program.kill()
        program.communicate()
        assert counts_of(make().counted()) == {"count.opened": "7 pdf"}

    def test_a_forked_child(self, make: Make) -> None:
        """A child counts for itself, and what its parent counted before is counted once."""
        stats = make()
        stats.count("opened")
        child = os.fork()
        if child == 0:
            stats.count("opened", "by the child")
            stats.flush()
            os._exit(0)
        os.waitpid(child, 0)
        stats.flush()
        assert stats.counted().decode().split("\n")[3:] == ["count.opened:1", "count.opened:1 by the child", ""]

    def test_a_call_is_cheap(self, make: Make) -> None:
        """A call takes less than 20 µs of the processor on average."""
        stats = make()
        stats.count("opened", "pdf")
        began = time.process_time()
        for _ in range(5000):
            stats.count("opened", "pdf")
        assert (time.process_time() - began) / 5000 < 20e-6


def test_where_nothing_can_be_written(make: Make, tmp_path: Path) -> None:
    """Where there is no folder nothing is raised."""
    (tmp_path / "file").touch()
    stats: Stats = make(location=tmp_path / "file" / "stats")
    stats.count("opened")
    stats.flush()


def test_other_is_one_pair() -> None:
    """`OTHER` is a pair that a report can have."""
    assert count_entries({OTHER: 3}) == [("count.other", "3")]
