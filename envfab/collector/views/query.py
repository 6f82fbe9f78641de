"""What the query of an address asks for."""

from __future__ import annotations

from collections.abc import Collection

from flask import request

LONGEST_QUERY = 200


def query_text() -> str:
    """The text that is searched for; empty for none."""
    return request.args.get("q", "").replace("\0", "").strip()[:LONGEST_QUERY]


def choice(name: str, among: Collection[str]) -> str:
    """One of several values; empty where another one, or none, is asked for."""
    wanted = request.args.get(name, "")
    return wanted if wanted in among else ""
