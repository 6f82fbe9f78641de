"""Values of usage reports in the words of charts: groups, where one report has more than one wants to see."""

from __future__ import annotations


def label(key: str, value: str) -> str:
    """A value in the words of a chart: the clients' own flags write more than one wants to see."""
    parts = value.split(";")
    if key == "python" and len(parts) > 2:
        return f"Python {parts[0]}.{parts[1]}"
    if key == "system":
        return parts[0] or "unknown"
    if key == "distribution":
        return " ".join(parts).strip() or "unknown"
    return value or "(empty)"
