"""Rules of sudo, as lines of sudoers(5), and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def show_rules(rules: Mapping[str, Sequence[str]]) -> str:
    """Return the lines of each host, those of alike hosts once; comments name the hosts."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for host, lines in rules.items():
        alike.setdefault(tuple(lines), []).append(host)
    parts = []
    for lines, hosts in alike.items():
        title = f"# {', '.join(hosts)}: {'write these' if lines else 'no rule is needed'}"
        parts.append("\n".join([title + (" by visudo -f /etc/sudoers.d/envfab" if lines else ""), *lines]))
    return "\n\n".join(parts) or "# no virtualenv is configured"


def sudoers_json(rules: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the same as JSON."""
    return {"format": 1, "hosts": [{"host": host, "rules": list(lines)} for host, lines in rules.items()]}
