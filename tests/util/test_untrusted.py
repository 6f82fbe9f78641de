"""What others wrote: JSON of any depth, and text that no terminal obeys."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.util.untrusted import format_json, harmless, is_plain, one_line, parse_json, shown_url

# C0, DEL, C1; line and paragraph separator; what turns text around: marks, embeddings, overrides, isolates
STEERING = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x061C, 0x200E, 0x200F]
STEERING += [*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000, 0x3FF)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[" * 200_000, '{"a":' * 200_000, b"\xff", "[" * 60 + "]" * 60, "7" * 5_000, "1." + "7" * 5_000),
        *("NaN", "[-Infinity]", "1e999", '"\\ud800"', '{"\\uDFFF": 1}', b'"\xed\xa0\x80"', "\ud800", '"\ud800"'),
    ],
)
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    """However it fails: torn, nested too deeply, not UTF-8, numbers without end or that are none, half characters."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


@given(st.text())
def test_harmless_text_keeps_its_length_and_has_no_control_characters(text: str) -> None:
    """So that styles still fit it; line ends and tabs stay."""
    found = harmless(text)
    assert len(found) == len(text)
    assert not [one for one in found if one not in "\n\t" and ord(one) in STEERING]


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


@pytest.mark.parametrize("number", STEERING)
def test_nothing_that_steers_a_terminal_is_shown(number: int) -> None:
    """Neither among lines, nor in one, nor in JSON, which says the same all the same."""
    text = f"a{chr(number)}b"
    if chr(number) not in "\n\t":
        assert harmless(text) == "a\ufffdb"
    assert one_line(text) == "a b"
    shown = format_json({"name": text})
    assert chr(number) not in shown.replace("\n", "") if number != 10 else "\\n" in shown
    assert json.loads(shown) == {"name": text}


def test_what_is_no_half_of_a_pair_is_read() -> None:
    """Two halves are one character, however they are written."""
    assert (
        parse_json('"\\ud83d\\ude00"')
        == parse_json('"\U0001f600"')
        == parse_json(b'"\xf0\x9f\x98\x80"')
        == "\U0001f600"
    )


def test_an_address_is_shown_without_secrets() -> None:
    """Neither user, password nor query; what is no address is not shown at all."""
    assert shown_url("http://me:secret@example.org/simple/?key=secret#x") == "http://example.org/simple/"
    assert shown_url("http://[x") == "an address that is not a URL"
