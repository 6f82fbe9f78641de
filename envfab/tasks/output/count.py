"""Numbers of things."""

from __future__ import annotations


def many(number: int, what: str) -> str:
    """`1 wheel`, `2 wheels`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
