"""Text and JSON that were not written by envfab: bounded, and without what would steer a terminal."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

# envfab writes no number with more; Python takes quadratic time for long ones
MAX_DIGITS = 100
MAX_DEPTH = 50
# What moves a terminal's cursor, what ends a line for other programs than envfab, what turns the direction of writing
# (a name could look like another), and halves of surrogate pairs, which no stream can be given.
_CONTROL = [*range(0x20), *range(0x7F, 0xA0)]
_LINE_ENDS = [0x2028, 0x2029]
_DIRECTION = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SURROGATES = range(0xD800, 0xE000)
_HARMFUL = (*_CONTROL, *_LINE_ENDS, *_DIRECTION, *_SURROGATES)
_HARMLESS = {number: "\ufffd" for number in _HARMFUL if chr(number) not in "\n\t"}
_ESCAPED = {number: f"\\u{number:04x}" for number in _HARMFUL if number > 0x20}
_HARMFUL_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_CONTAINERS = (dict, list)
_HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON document (RFC 8259) in UTF-8.

    Raises `ValueError`, with a message for people, for anything else, and for what is harmful: more than `MAX_DEPTH`
    levels, numbers of more than `MAX_DIGITS` digits, NaN and infinities, halves of surrogate pairs.
    """
    text = content if isinstance(content, str) else content.decode("utf-8-sig")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_depth(value)
    if not text.isascii() or _HALF_A_PAIR.search(text):
        _check_pairs(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
    raise ValueError("it is nested too deeply")


def _check_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is not a character") from None


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(number):
        raise ValueError(f"it has a number that is too large: {digits[:20]}")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it has {constant}, which is not JSON")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_refuse)


def format_json(document: Any) -> str:
    """A document as indented JSON; characters that would steer a terminal are escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.translate(_ESCAPED)


def harmless(text: str) -> str:
    """A text of several lines, of the same length, with U+FFFD for what would steer a terminal or breaks a stream."""
    return text.translate(_HARMLESS)


def one_line(text: str) -> str:
    """A text in one line, without what would steer a terminal or breaks a stream."""
    return _HARMFUL_TEXT.sub(" ", text).strip()


def is_plain(text: str) -> bool:
    """Whether a text is one line that shows what it is: it moves no cursor, ends no line and turns no direction."""
    return _HARMFUL_TEXT.search(text) is None


def shown_url(url: str) -> str:
    """An address as it may be shown and written down: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is not a URL"
    return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
