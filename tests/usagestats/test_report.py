"""The wire format, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.usagestats.report import (
    MAX_KEY,
    MAX_REPORT,
    MAX_VALUE,
    MalformedReport,
    Report,
    clean_entries,
    format_report,
    parse_report,
)

ANYTHING = st.one_of(st.text(st.characters()), st.binary(), st.integers(), st.none(), st.floats(), st.lists(st.text()))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DATES = st.integers(0, 10**15 - 1)


class Mute:
    """An object whose `str()` raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Tricky(str):
    """A text whose methods raise."""

    __slots__ = ()

    def __getitem__(self, _: object) -> str:
        raise RuntimeError("no part")

    def __str__(self) -> str:
        return self


def line_of(key: object, value: object) -> bytes:
    """How one entry is written."""
    return format_report(Report(0, None, clean_entries([(key, value)]))).removeprefix(b"date:0.000\n")


def test_lines_and_their_order() -> None:
    """A report is `key:value` lines ended by LF: `date` with three digits of milliseconds, `user`, then the entries."""
    report = Report(1_700_000_000_042, "abc", (("version", "1.0"), ("what", "ran: it"), ("what", "again")))
    assert format_report(report) == (b"date:1700000000.042\nuser:abc\nversion:1.0\nwhat:ran: it\nwhat:again\n")


def test_no_user() -> None:
    """Without a user id there is no line for it."""
    assert format_report(Report(1000, None, ())) == b"date:1.000\n"


@given(date=DATES, user=st.none() | TEXT, pairs=st.lists(st.tuples(ANYTHING, ANYTHING), max_size=8))
def test_round_trip_of_anything(date: int, user: str | None, pairs: list[tuple[object, object]]) -> None:
    """Whatever is noted, what is read back are its date and its cleaned entries, and writing that again changes nothing."""
    entries = (("version", "1"), *clean_entries(pairs))
    read = parse_report(written := format_report(Report(date, user, entries)))
    assert (read.date, read.entries) == (date, entries)
    assert format_report(read) == written


@given(st.binary(max_size=300))
def test_reading_any_bytes(data: bytes) -> None:
    """Any bytes are a report or a `MalformedReport`; a report read is a sound one."""
    try:
        report = parse_report(b"date:1.0\n" + data)
    except MalformedReport:
        pytest.fail("a valid date was refused")
    assert parse_report(format_report(report)) == report


@given(st.lists(st.tuples(ANYTHING, ANYTHING), max_size=8))
def test_a_line_an_entry(pairs: list[tuple[object, object]]) -> None:
    """No entry can smuggle in a line: every reader sees as many lines as there are entries."""
    entries = clean_entries(pairs)
    text = format_report(Report(0, None, entries)).decode()
    assert len(text.splitlines()) == 1 + len(entries)
    assert "\0" not in text


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("k", "two\nlines", b"k:two lines\n"),
        ("k", "one\r\nend", b"k:one end\n"),
        ("k", "a\u2028b\0c", b"k:a b c\n"),
        ("k", "a\nb\rc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k\0l", b"k:a b c d e f g h i j k l\n"),
        ("a:b", "c:d", b"a_b:c:d\n"),
        (b"k", b"\xff\n", "k:\ufffd \n".encode()),
        ("k", "\udce9t\u00e9", "k:\ufffdt\u00e9\n".encode()),
        ("k", None, b"k:None\n"),
        ("k", Mute(), b"k:<Mute>\n"),
        ("k", Tricky("text"), b"k:text\n"),
        ("", "no key", b""),
        (5, 2.5, b"5:2.5\n"),
    ],
)
def test_odd_entries(key: object, value: object, written: bytes) -> None:
    """Every odd key or value becomes one valid line, and an empty key none."""
    assert line_of(key, value) == written


def test_huge_values_and_keys_are_cut() -> None:
    """A key and a value are cut to their limits, between characters, and end with an ellipsis."""
    key, _, value = line_of("k" * 10**6, "é" * 10**6).decode().rstrip("\n").partition(":")
    assert key.endswith("k…")
    assert len(key.encode()) == MAX_KEY
    assert value.endswith("é…")
    assert MAX_VALUE - 1 <= len(value.encode()) <= MAX_VALUE


def test_a_report_has_a_largest_size() -> None:
    """Entries that would make the report larger than servers take are left out, smaller ones behind them are not."""
    entries = (*((f"k{n}", "x" * MAX_VALUE) for n in range(20)), ("last", "small"))
    written = format_report(Report(0, None, entries))
    assert len(written) <= MAX_REPORT
    assert written.endswith(b"\nlast:small\n")


@pytest.mark.parametrize("pair", [None, 3, "ab", (1,), (1, 2, 3)])
def test_what_is_no_pair_is_left_out(pair: object) -> None:
    """Of what was noted, only pairs are reported."""
    assert clean_entries([pair, ("a", "b")]) == (("a", "b"),)


def test_milliseconds_without_zeros() -> None:
    """The original library wrote milliseconds without leading zeros: `.42` are 42 of them."""
    assert parse_report(b"date:1700000000.42\n").date == 1_700_000_000_042


def test_lenient_reading() -> None:
    """CR before LF, empty lines, lines without a colon, a missing last LF and a late date are no errors."""
    report = parse_report(b"\nversion:1\r\nnonsense\ndate:5.000\r\nuser:me\na:b", program="shop")
    assert report == Report(5000, "me", (("version", "1"), ("a", "b")), "shop")


def test_a_user_elsewhere_is_an_entry() -> None:
    """Only the line behind `date` is the library's own `user`."""
    assert parse_report(b"date:5.000\nversion:1\nuser:me\n") == Report(5000, None, (("version", "1"), ("user", "me")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the report has no line 'date:SECONDS.MILLISECONDS'"),
        (b"version:1\n", "the report has no line 'date:SECONDS.MILLISECONDS'"),
        (b"date:yesterday\n", "the report's date is not SECONDS.MILLISECONDS"),
        (b"date:1.2345\n", "the report's date is not SECONDS.MILLISECONDS"),
        (b"date:1.0\n" + b"x" * MAX_REPORT, f"the report has more than {MAX_REPORT} bytes"),
    ],
)
def test_malformed_reports(data: bytes, message: str) -> None:
    """What is no report is refused with the reason."""
    with pytest.raises(MalformedReport) as refusal:
        parse_report(data)
    assert str(refusal.value) == message
