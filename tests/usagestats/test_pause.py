"""Pauses that grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envfab.usagestats.pause import FIRST, LONGEST, Pause, Pauses, format_pauses, parse_pauses

PAUSES = st.builds(Pause, st.integers(0, 9999), st.integers(0, 10**14))
NAMES = st.from_regex(r"report_[0-9]{1,10}_[0-9]{1,3}[a-z:_.]*", fullmatch=True)


def test_doubling() -> None:
    """Each failure in a row doubles the pause, from a minute up to a day."""
    pause, lengths = Pause(), []
    for _ in range(13):
        pause = pause.longer(now=0)
        lengths.append(pause.until)
    assert lengths[:3] == [FIRST, 2 * FIRST, 4 * FIRST] == [60_000, 120_000, 240_000]
    assert lengths[-1] == LONGEST == 24 * 3600 * 1000


def test_a_pause_ends() -> None:
    """A pause holds until its time."""
    pause = Pause().longer(now=1000)
    assert not pause.over(1000 + FIRST - 1)
    assert pause.over(1000 + FIRST)


def test_the_server_may_ask_for_more() -> None:
    """A longer pause that the server asks for is kept, up to a day."""
    assert Pause().longer(0, at_least=5 * FIRST).until == 5 * FIRST
    assert Pause().longer(0, at_least=5 * LONGEST).until == LONGEST
    assert Pause().longer(0, at_least=1).until == FIRST


def test_a_clock_set_back() -> None:
    """A pause that would last longer than any was made under another clock, and is over."""
    assert Pause(1, until=LONGEST + 2).over(1)


def test_refused_reports_are_never_in_the_way() -> None:
    """What was refused waits for its own pause, and then comes behind what was not."""
    pauses = Pauses().refused("a", now=0).refused("a", now=0).refused("b", now=0)
    assert pauses.due(["a", "b", "c", "d"], now=1) == ["c", "d"]
    assert pauses.due(["a", "b", "c", "d"], now=2 * FIRST) == ["c", "d", "b", "a"]


def test_a_silent_server_holds_everything_back() -> None:
    """While the server's pause lasts nothing is due; any answer ends it."""
    pauses = Pauses().unanswered(now=0)
    assert pauses.due(["a"], now=1) == []
    assert pauses.delivered("b").due(["a"], now=1) == ["a"]
    assert pauses.refused("b", now=1).due(["a", "b"], now=1) == ["a"]


def test_what_was_delivered_has_no_pause() -> None:
    """When a refused report is taken after all, nothing of its pause is left."""
    assert Pauses().refused("a", now=0).delivered("a") == Pauses()


def test_reports_that_are_gone_are_forgotten() -> None:
    """The pauses of reports that no longer wait are not kept."""
    assert Pauses().refused("a", 0).refused("b", 0).only(["b"]) == Pauses().refused("b", 0)


@given(PAUSES, st.dictionaries(NAMES, PAUSES, max_size=4))
def test_round_trip(server: Pause, reports: dict[str, Pause]) -> None:
    """Pauses are read as they were written."""
    pauses = Pauses(server, reports)
    assert parse_pauses(format_pauses(pauses)) == pauses


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    """A spoilt file never raises."""
    parse_pauses(data)
    parse_pauses(b"format:1\n" + data)


def test_a_newer_format_is_no_pause() -> None:
    """A file in a format that is not known holds nothing back."""
    assert parse_pauses(b"format:2\nserver:1 9999999999.000\n") == Pauses()
