"""Versions that the rule on the age of wheels holds back, to people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envfab.fetch.age_rule import HeldBack
from envfab.tasks.output.console import Console


def warn_of_held_back(console: Console, held_back: Sequence[HeldBack]) -> None:
    """Tell of each version, why, and what is taken in its place."""
    for one in held_back:
        console.warning(str(one))


def held_back_json(held_back: Sequence[HeldBack]) -> list[dict[str, Any]]:
    """Return the same as JSON."""
    return [
        {
            "name": one.shown_as,
            "version": str(one.version),
            "reason": one.why,
            "taken": str(one.taken) if one.taken is not None else None,
        }
        for one in held_back
    ]
