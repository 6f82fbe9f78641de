"""Reading what a process on the managed side prints."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.errors import Disconnected
from envfab.remote.stream import LONGEST_LINE, NOISE_KEPT, Stream


def stream_of(chunks: Iterable[bytes]) -> Stream:
    """A stream that gets these chunks, and then its end."""
    rest = iter(chunks)
    return Stream(lambda: next(rest, b""))


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.integers(1, 5), min_size=60, max_size=60))
def test_a_marker_is_found_however_the_bytes_arrive(before: bytes, after: bytes, sizes: list[int]) -> None:
    """Noise, marker and what follows come apart wherever the chunks are cut."""
    whole = before + b"<MARK>" + after
    expected_noise, _, expected_rest = whole.partition(b"<MARK>")
    chunks, left = [], whole
    for size in sizes:
        chunks.append(left[:size])
        left = left[size:]
    stream = stream_of([chunk for chunk in (*chunks, left) if chunk])
    assert stream.until([b"<MARK>"]) == (b"<MARK>", expected_noise.decode("utf-8", "replace"))
    assert b"".join(iter(stream.chunk, b"")) == expected_rest


def test_the_first_of_several_markers_counts() -> None:
    """Of two markers the one that came first is told, and the other one is still to be read."""
    stream = stream_of([b"noise BBB ", b"AAA tail"])
    assert stream.until([b"AAA", b"BBB"]) == (b"BBB", "noise ")
    assert stream.until([b"AAA", b"BBB"]) == (b"AAA", " ")


def test_an_end_without_a_marker_gives_all_that_was_printed() -> None:
    """Where the marker never comes, the noise tells why."""
    assert stream_of([b"sh: no such ", b"thing\n"]).until([b"MARK"]) == (None, "sh: no such thing\n")


def test_endless_noise_takes_no_endless_memory() -> None:
    """Only the end of the noise is kept."""
    stream = stream_of([b"x" * 10_000] * 50 + [b"last words MARK"])
    marker, noise = stream.until([b"MARK"])
    assert marker == b"MARK"
    assert noise.endswith("last words ")
    assert len(noise) <= NOISE_KEPT + 20


def test_a_line_is_read_across_chunks() -> None:
    """A line ends at its line break, and no earlier."""
    stream = stream_of([b'{"ok"', b': {}}\n{"ok', b'": 1}\n'])
    assert [stream.line(), stream.line()] == [b'{"ok": {}}\n', b'{"ok": 1}\n']


def test_a_line_that_breaks_off_is_a_lost_connection() -> None:
    """Half a line is no answer."""
    with pytest.raises(Disconnected, match="the connection ended"):
        stream_of([b'{"ok": {']).line()


def test_a_line_without_end_takes_no_endless_memory() -> None:
    """It is given up once it is longer than any answer."""
    stream = Stream(lambda: bytes(1 << 20))
    with pytest.raises(ValueError, match=rf"^a line of more than {LONGEST_LINE} bytes$"):
        stream.line()


def test_noise_without_end_takes_no_endless_time() -> None:
    """What prints and prints, and never what is waited for, has its time."""
    with pytest.raises(Disconnected, match=r"did not start within 0\.1 s, and keeps printing$"):
        Stream(lambda: b"login: ").until([b"MARK"], 0.1)
