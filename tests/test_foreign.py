"""What others wrote: JSON of any depth, and text that no terminal obeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.foreign import harmless, is_plain, one_line, parse_json, shown_url


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, '{"a":' * 200_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    """However it fails: torn, nested too deeply, not UTF-8."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


@given(st.text())
def test_harmless_text_keeps_its_length_and_has_no_control_characters(text: str) -> None:
    """So that styles still fit it; line ends and tabs stay."""
    found = harmless(text)
    assert len(found) == len(text)
    assert not [one for one in found if one not in "\n\t" and (one < " " or "\x7f" <= one < "\xa0")]


@pytest.mark.parametrize(
    "character", [*"\x00\x1b\x7f\x85\x9b\u2028\u2029\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ud800\udfff"]
)
def test_what_a_terminal_obeys_or_no_stream_takes_is_replaced(character: str) -> None:
    """C0, C1, line separators, what turns the direction of writing, and halves of surrogate pairs."""
    text = f"a{character}b"
    assert harmless(text) == "a\ufffdb"
    assert one_line(text) == "a b"
    assert not is_plain(text)
    harmless(text).encode()


@pytest.mark.parametrize("text", ["größe", "שלום", "👩\u200d💻", "日本語", "a b"])
def test_letters_of_all_alphabets_stay(text: str) -> None:
    """Those written from the right among them: they turn nothing but themselves."""
    assert harmless(text) == one_line(text) == text
    assert is_plain(text)


@given(st.text())
def test_a_line_is_one(text: str) -> None:
    """Whatever ends a line, or moves the cursor, is a space."""
    assert len(one_line(text).splitlines()) <= 1


def test_an_address_is_shown_without_secrets() -> None:
    """Neither user, password nor query; what is no address is not shown at all."""
    assert shown_url("http://me:secret@example.org/simple/?key=secret#x") == "http://example.org/simple/"
    assert shown_url("http://[x") == "an address that is no URL"
