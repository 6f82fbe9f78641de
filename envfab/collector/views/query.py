"""What the query of an address asks for."""

from __future__ import annotations

from collections.abc import Collection

from flask import request

from envfab.collector.views.tables import UnknownValue, one_of

LONGEST_QUERY = 200


def query_text() -> str:
    """The text that is searched for; empty for none."""
    return request.args.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]


def choice(name: str, among: Collection[str]) -> str:
    """One of several values; empty where none is asked for. Raises `UnknownValue`."""
    wanted = request.args.get(name, "")
    if wanted and wanted not in among:
        raise UnknownValue(name, wanted, one_of(among))
    return wanted


def whole_number(name: str, most: int) -> int | None:
    """A number from 0 to `most`; None where none is asked for. Raises `UnknownValue`."""
    text = request.args.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(most)) or int(text) > most:
        raise UnknownValue(name, text, "a number")
    return int(text)
