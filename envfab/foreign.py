"""What others wrote, before anything of ours looks at it: JSON of any depth, text that a terminal must not obey."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# What moves a terminal's cursor, what ends a line elsewhere than in a file of ours, what turns the direction of writing
# (a name could look like another), and halves of surrogate pairs, which no stream can be given.
_CONTROL = [*range(0x20), *range(0x7F, 0xA0)]
_LINE_ENDS = [0x2028, 0x2029]
_DIRECTION = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SURROGATES = range(0xD800, 0xE000)
_HARMFUL = (*_CONTROL, *_LINE_ENDS, *_DIRECTION, *_SURROGATES)
_HARMLESS = {number: "\ufffd" for number in _HARMFUL if chr(number) not in "\n\t"}
_HARMFUL_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def parse_json(content: str | bytes) -> Any:
    """A JSON document; raises `ValueError` for whatever is none, one that is nested too deeply included."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def harmless(text: str) -> str:
    """A text of several lines, of the same length, that no terminal obeys and every stream takes."""
    return text.translate(_HARMLESS)


def one_line(text: str) -> str:
    """A text in one line, without what could move a terminal's cursor, or what no stream could be given."""
    return _HARMFUL_TEXT.sub(" ", text).strip()


def is_plain(text: str) -> bool:
    """Whether a text is one line that shows what it is: it moves no cursor, ends no line and turns no direction."""
    return _HARMFUL_TEXT.search(text) is None


def shown_url(url: str) -> str:
    """An address as it may be shown and written down: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
