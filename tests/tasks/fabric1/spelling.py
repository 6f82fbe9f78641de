"""How Fabric 1's arguments are spelled, for tests that write some."""

from __future__ import annotations


def escape(text: str) -> str:
    """`text` as a word or value of a task's arguments; a backslash at its end cannot be written there."""
    return text.replace(",", r"\,").replace("=", r"\=")
