"""Times as people read them: those of their own clock, with its zone."""

from __future__ import annotations

from datetime import datetime


def local_time(at: datetime) -> str:
    """`2026-11-20 18:42 CET`; `at` has a zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"
