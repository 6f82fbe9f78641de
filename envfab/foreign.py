"""What others wrote, before anything of ours looks at it: JSON of any depth, text that a terminal must not obey."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# C0, DEL and C1, and what ends a line elsewhere than in a file of ours
_CONTROL = [*range(0x20), *range(0x7F, 0xA0)]
_HARMLESS = {number: "\ufffd" for number in _CONTROL if chr(number) not in "\n\t"}
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def parse_json(content: str | bytes) -> Any:
    """A JSON document; raises `ValueError` for whatever is none, one that is nested too deeply included."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def harmless(text: str) -> str:
    """A text of several lines, of the same length, that cannot move a terminal's cursor, colour it or ring its bell."""
    return text.translate(_HARMLESS)


def one_line(text: str) -> str:
    """A text in one line, without what could move a terminal's cursor."""
    return _UNPRINTABLE.sub(" ", text).strip()


def shown_url(url: str) -> str:
    """An address as it may be shown and written down: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
