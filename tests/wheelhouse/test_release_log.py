"""Lines of the release log: parsed, written, and taken together."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.errors import EnvfabError, FormatError, HouseError
from envfab.wheelhouse.release_log import (
    AbortingRecord,
    ErrorRecord,
    InstallRecord,
    LogText,
    Record,
    ReleaseRecord,
    YankRecord,
    derive,
    format_line,
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
    except HouseError:
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
    with pytest.raises(HouseError, match=why):
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
    with pytest.raises(HouseError, match="has no way to write this"):
        format_line(record)


def release(at: datetime = NOON, sha256: str | None = SHA, project: str = "Django") -> ReleaseRecord:
    """A release of Django 5.2.1."""
    return ReleaseRecord(project, "5.2.1", FILE, at, sha256)


def yank(at: datetime, reason: str = "broken") -> YankRecord:
    """A yank of Django 5.2.1."""
    return YankRecord("Django", "5.2.1", FILE, at, reason)


HOUR = timedelta(hours=1)


def test_a_yank_holds_until_a_later_release() -> None:
    """By time, not by place: a yank withdraws, also within the same second; a later release brings back."""
    assert derive([release()])[FILE].yanked_reason is None
    assert derive([release(), yank(NOON)])[FILE].yanked_reason == "broken"
    assert derive([release(), yank(NOON + HOUR)])[FILE].yanked_reason == "broken"
    assert derive([release(), yank(NOON + HOUR), release(NOON + 2 * HOUR)])[FILE].yanked_reason is None
    assert derive([yank(NOON + HOUR)]) == {}


def test_a_name_stays_bound_to_its_first_hash_and_date() -> None:
    """A hash that is logged later counts where none was before, and never replaces one."""
    old = release(datetime(2014, 1, 1), None)
    found = derive([old, release(), release(NOON + HOUR, "f" * 64)])[FILE]
    assert found.sha256 == SHA
    assert found.added == datetime(2014, 1, 1, tzinfo=UTC)
    assert derive([old])[FILE].sha256 is None


@given(st.lists(st.builds(release, times, digests) | st.builds(yank, times, words), max_size=6), st.randoms())
def test_the_order_of_lines_and_duplicates_do_not_matter(found: list[Record], random: Random) -> None:
    """What is derived from a log is the same after its lines were shuffled and repeated."""
    shuffled = found + found[: len(found) // 2]
    random.shuffle(shuffled)
    assert derive(shuffled) == derive(found)


def test_union_merges_of_two_histories_agree() -> None:
    """Every interleaving of a release, a yank and a second release tells the same."""
    lines = [format_line(record) for record in (release(), yank(NOON + HOUR), release(NOON + 2 * HOUR))]
    texts = ["\n".join([*order, ""]) for order in itertools.permutations(lines)]
    assert len({str(LogText(text, "log").wheels(NAME)) for text in texts}) == 1


def test_names_are_compared_canonically() -> None:
    """Lines that spell a project differently are about one project, shown as the latest has it."""
    text = "\n".join([format_line(release(project="django")), format_line(release(NOON + HOUR)), ""])
    log = LogText(text, "log")
    assert list(log.names()) == ["django"]
    assert log.wheels(NAME)[FILE].project == "Django"
    assert log.wheels(canonicalize_name("flask")) == {}


def test_skipped_lines_are_reported_with_their_number() -> None:
    """Foreign and damaged lines spoil no other; empty lines and a byte order mark are no problem at all."""
    text = f"\ufeff{format_line(release())}\n\n<<<<<<< HEAD\nrelease: a==1\n{format_line(yank(NOON))}\n"
    log = LogText(text, "log")
    assert [(problem.number, problem.line) for problem in log.problems()] == [(3, "<<<<<<< HEAD"), (4, "release: a==1")]
    assert str(log.problems()[0]) == "line 3: not a line of a release log: '<<<<<<< HEAD'"
    assert log.wheels(NAME)[FILE].yanked_reason == "broken"
    assert list(log.records()) == [release(), yank(NOON)]


def test_a_torn_last_line_is_reported_and_skipped() -> None:
    """A last line without its end may say half of what was meant: it counts only once it is whole."""
    line = format_line(release())
    log = LogText(f"{format_line(yank(NOON))}\n{line[:60]}", "log")
    assert log.torn == line[:60]
    assert "line 2: the last line is torn" in str(log.problems()[0])
    assert log.wheels(NAME) == {}


def test_a_newer_format_is_refused_in_one_line() -> None:
    """A log with a line for format 2, wherever merging put it, is refused; format 1 may be said."""
    line = format_line(release())
    for text in (f"format: 2\n{line}\n", f"{line}\nformat: 2\n"):
        with pytest.raises(FormatError) as caught:
            LogText(text, "release_log")
        assert str(caught.value) == (
            "release_log: the release log has format 2; this envfab reads format 1\n  upgrade envfab"
        )
        assert isinstance(caught.value, EnvfabError)
    assert LogText(f"format: 1\n{line}\n", "log").problems() == ()


def test_a_long_log_is_read_lazily() -> None:
    """Two hundred thousand lines cost a fraction of a second before the first answer."""
    install = format_line(InstallRecord("shop@web1:/srv/shop/venv", FILE, NOON, "d-1"))
    text = "\n".join([format_line(release()), *[install] * 200_000, ""])
    begun = time.process_time()
    assert LogText(text, "log").wheels(NAME)
    assert time.process_time() - begun < 0.5
