"""A release log as a whole: what its lines say together, and how little of a long one is parsed."""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.errors import EnvfabError, FormatError
from envfab.wheelhouse.release_log.records import InstallRecord, Record, ReleaseRecord, YankRecord, format_line
from envfab.wheelhouse.release_log.view import LogText, derive
from tests.wheelhouse.release_log.test_records import FILE, NAME, NOON, SHA, UTC, digests, times, words


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
    assert "line 2: the last line is incomplete" in str(log.problems()[0])
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


@pytest.mark.parametrize("number", ["9" * 5000, "10" * 600, "2" * 10])
def test_a_format_of_many_digits_is_a_newer_one(number: str) -> None:
    """Python reads no number of 5,000 digits."""
    with pytest.raises(FormatError) as caught:
        LogText(f"format: {number}\n", "release_log")
    assert len(str(caught.value)) < 120
    assert LogText(f"format: {'0' * 5000}1\n", "log").problems() == ()


def test_a_long_log_is_read_lazily() -> None:
    """Two hundred thousand lines cost a fraction of a second before the first answer."""
    install = format_line(InstallRecord("shop@web1:/srv/shop/venv", FILE, NOON, "d-1"))
    text = "\n".join([format_line(release()), *[install] * 200_000, ""])
    begun = time.process_time()
    assert LogText(text, "log").wheels(NAME)
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("torn", ["", "release: Django==5"])
@pytest.mark.parametrize("asked", [False, True])
def test_a_log_that_went_on_reads_as_if_it_were_read_anew(torn: str, asked: bool) -> None:
    """Lines that were added are known without reading the others again; the log that was asked before stays."""
    text = f"{format_line(release())}\n{torn}"
    more = [format_line(yank(NOON + HOUR)), format_line(release(project="Flask"))]
    log = LogText(text, "log")
    if asked:
        assert log.wheels(NAME)[FILE].yanked_reason is None
    longer = log.followed_by(more)
    anew = LogText("\n".join([*([text] if torn else [text.rstrip()]), *more, ""]), "log")
    assert list(longer.records()) == list(anew.records())
    assert longer.problems() == anew.problems()
    assert set(longer.names()) == set(anew.names()) == {"django", "flask"}
    assert longer.wheels(NAME) == anew.wheels(NAME)
    assert longer.torn is anew.torn is None
    assert log.wheels(NAME)[FILE].yanked_reason is None
    assert list(log.records()) == [release()]
