"""Numbers of things, in words."""

from __future__ import annotations


def count(number: int, what: str) -> str:
    """A number with its noun: `1 wheel`, `2 wheels`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
