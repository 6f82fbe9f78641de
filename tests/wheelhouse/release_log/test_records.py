"""Lines of the release log: parsed, written, and taken together."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.errors import WheelhouseError
from envfab.wheelhouse.release_log.records import (
    AbortingRecord,
    ErrorRecord,
    InstallRecord,
    Record,
    ReleaseRecord,
    YankRecord,
    format_line,
    is_as_written,
    parse_line,
)

UTC = timezone.utc
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SHA = "0123456789abcdef" * 4
FILE = "django-5.2.1-py3-none-any.whl"
NAME = canonicalize_name("Django")

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="="), min_size=1)
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)
filenames = phrases.map(lambda text: text.replace(":", "_") + ".whl")
targets = st.builds("{}@{}:/{}".format, words, words, phrases | st.builds("{}: {}".format, words, words))
zones = st.none() | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
naive = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1))
times = st.builds(lambda time, zone: time.replace(tzinfo=zone), naive, zones)
digests = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
releases = st.builds(ReleaseRecord, words, words, filenames, times, digests)
yanks = st.builds(YankRecord, words, words, filenames, times, phrases | st.just(""))
installs = st.builds(InstallRecord, targets, filenames, times, st.none() | words)
plain_targets = st.builds("{}@{}:/{}".format, words, words, phrases).filter(lambda target: ": " not in target)
messages = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
records = st.one_of(
    releases,
    yanks,
    installs,
    st.builds(ErrorRecord, plain_targets, messages),
    st.builds(AbortingRecord, plain_targets, messages),
)


@given(records)
def test_what_is_written_reads_back(record: Record) -> None:
    """Every record survives its line."""
    line = format_line(record)
    assert "\n" not in line
    assert parse_line(line) == record
    assert parse_line(f"{line}\r\n") == record


@given(st.text() | st.builds("{}: {}".format, st.sampled_from(["release", "yank", "install", "error"]), st.text()))
def test_any_text_is_a_record_or_an_error(text: str) -> None:
    """No line breaks the parser, and what does parse is written so that it reads back the same."""
    try:
        record = parse_line(text)
    except WheelhouseError:
        return
    if "\n" not in text and "\r" not in text:
        assert parse_line(format_line(record)) == record


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (
            f"release: Django==5.2.1 {FILE} at 2026-11-20T12:00:00+00:00 sha256={SHA}",
            ReleaseRecord("Django", "5.2.1", FILE, NOON, SHA),
        ),
        (
            f"install: shop@web1:/srv/shop/venv: {FILE} at 2026-11-20T12:00:00+00:00 deployment=d-1",
            InstallRecord("shop@web1:/srv/shop/venv", FILE, NOON, "d-1"),
        ),
        (
            f"yank: Django==5.2.1 {FILE} at 2026-11-20T12:00:00+00:00 reason=broken at noon = unusable",
            YankRecord("Django", "5.2.1", FILE, NOON, "broken at noon = unusable"),
        ),
        (
            "error: shop@web1:/srv/shop/venv: pip failed: no space",
            ErrorRecord("shop@web1:/srv/shop/venv", "pip failed: no space"),
        ),
        ("aborting: shop@web1:/srv/shop/venv: no", AbortingRecord("shop@web1:/srv/shop/venv", "no")),
    ],
)
def test_the_format(line: str, record: Record) -> None:
    """These lines are the format, in both directions."""
    assert parse_line(line) == record
    assert format_line(record) == line


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (
            "release: Django==1.4 Django-1.4-py27-none-any.whl at 2014-03-01T12:30:00.123456",
            ReleaseRecord("Django", "1.4", "Django-1.4-py27-none-any.whl", datetime(2014, 3, 1, 12, 30, 0, 123456)),
        ),
        (
            "install: web1:/srv/my: shop/venv: my wheel-1.0-py3-none-any.whl at 2014-03-01 12:30:00",
            InstallRecord("web1:/srv/my: shop/venv", "my wheel-1.0-py3-none-any.whl", datetime(2014, 3, 1, 12, 30)),
        ),
        (
            "release: a==1 a-1.whl at 2014-03-01T12:30:00Z",
            ReleaseRecord("a", "1", "a-1.whl", datetime(2014, 3, 1, 12, 30, tzinfo=UTC)),
        ),
        ("yank: a==1 a-1.whl at 2014-03-01", YankRecord("a", "1", "a-1.whl", datetime(2014, 3, 1))),
        (
            f"release: a==1 a-1.whl at 2014-03-01T12:30:00Z by=anna sha256={SHA}",
            ReleaseRecord("a", "1", "a-1.whl", datetime(2014, 3, 1, 12, 30, tzinfo=UTC), SHA),
        ),
    ],
)
def test_lines_of_other_tools(line: str, record: Record) -> None:
    """Lines without zone and hash, with spaces and `: ` in paths, and with further words are read."""
    assert parse_line(line) == record


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("<<<<<<< HEAD", "not a line of a release log"),
        ("released: a==1 a-1.whl at 2014-03-01", "not a line of a release log"),
        ("release: a==1 a-1.whl", "the release line is damaged or incomplete"),
        ("release: a==1 a-1.whl at 2014-03-01T12:30:00 sha25", "the release line is damaged or incomplete"),
        (f"release: a==1 a-1.whl at 2014-03-01T12:30:00 sha256={SHA[:-1]}", "the release line has a damaged SHA-256"),
        ("release: a==1 a-1.whl at 2014-13-01T12:30:00", "2014-13-01T12:30:00 is not a time"),
        ("install: a-1.whl at 2014-03-01", "the install line is damaged or incomplete"),
        ("error: web1", "the error line is damaged or incomplete"),
    ],
)
def test_a_line_that_holds_no_record_says_why(line: str, why: str) -> None:
    """Foreign and damaged lines are told apart."""
    with pytest.raises(WheelhouseError, match=why):
        parse_line(line)


@pytest.mark.parametrize(
    "record",
    [
        ErrorRecord("shop@web1:/srv", "two\nlines"),
        ReleaseRecord("a b", "1", "a-1.whl", NOON),
        ReleaseRecord("a", "1", "a-1.whl", NOON, "short"),
        ReleaseRecord("a", "1", "a-1.whl\nrelease: b==1 b-1.whl", NOON),
        InstallRecord("shop@web1:/srv", "a-1.whl", NOON, "with space"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(record: Record) -> None:
    """No value can smuggle a line, or a word, into the log."""
    with pytest.raises(WheelhouseError, match="cannot be written as a line of the release log"):
        format_line(record)


@given(records)
def test_what_is_as_written_is_never_damaged(record: Record) -> None:
    """The quick look lets nothing pass that is no record, and knows the usual lines of a long log."""
    line = format_line(record)
    for damaged in (line, line[:-1], line[1:], line.replace(" at ", " "), line.replace("-", "", 1), line + " x"):
        if is_as_written(damaged):
            parse_line(damaged)
    assert is_as_written(format_line(ReleaseRecord("Django", "5.2.1", FILE, NOON, SHA)))
    assert is_as_written(format_line(InstallRecord("shop@web1:/srv/shop/venv", FILE, NOON, "d-1")))


@given(
    st.from_regex(
        r"(install: a:b|release: a==1): c at [0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\+00:00|Z)?",
        fullmatch=True,
    )
)
def test_what_is_as_written_has_a_time_that_there_is(line: str) -> None:
    """No 30th of February, no 24 o'clock."""
    if is_as_written(line):
        parse_line(line)
