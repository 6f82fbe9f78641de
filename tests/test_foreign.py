"""What others wrote: JSON of any depth, and text that no terminal obeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envfab.foreign import harmless, one_line, parse_json, shown_url


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


@given(st.text())
def test_a_line_is_one(text: str) -> None:
    """Whatever ends a line, or moves the cursor, is a space."""
    assert len(one_line(text).splitlines()) <= 1


def test_an_address_is_shown_without_secrets() -> None:
    """Neither user, password nor query; what is no address is not shown at all."""
    assert shown_url("http://me:secret@example.org/simple/?key=secret#x") == "http://example.org/simple/"
    assert shown_url("http://[x") == "an address that is no URL"
