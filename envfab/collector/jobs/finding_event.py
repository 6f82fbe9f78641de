"""An event of new findings, as JSON and as one text for a chat."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from envfab.collector.db.finding_queries import StoredFinding
from envfab.collector.finding_json import finding_json, vulnerability_json
from envfab.collector.template_filters import iso
from envfab.config.events import FINDING
from envfab.receivers.chat import for_chat
from envfab.util.counts import count

VERSION = 1
# an event names this many findings, and tells how many more there are
MOST = 100
SHOWN_IN_CHAT = 5


@dataclass(frozen=True, slots=True)
class FindingEvent:
    """New findings; `url` is the collector's address, empty where it is not known."""

    id: str
    at: int
    findings: Sequence[StoredFinding]
    url: str

    def body(self, form: str) -> bytes:
        """Return the event in the format `json` or `slack`, as bytes."""
        document = self.to_json() if form == "json" else {"text": self.chat_text()}
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        """Convert to the JSON object that receivers get."""
        return {
            "version": VERSION,
            "id": self.id,
            "kind": FINDING,
            "time": iso(self.at),
            "task": "collector",
            "from": socket.gethostname(),
            "findings": [self._finding(one) for one in self.findings[:MOST]],
            "more_findings": max(0, len(self.findings) - MOST),
        }

    def _finding(self, one: StoredFinding) -> dict[str, Any]:
        return finding_json(one) | {"vulnerability": vulnerability_json(one.vulnerability), "url": self._link(one)}

    def _link(self, one: StoredFinding) -> str | None:
        name = quote(one.vulnerability.name, safe="")
        return f"{self.url.rstrip('/')}/vulnerabilities/{name}" if self.url else None

    def chat_text(self) -> str:
        """Return the event in a few lines for Slack and Mattermost."""
        lines = [f"*collector*: {count(len(self.findings), 'new finding')}"]
        for one in self.findings[:SHOWN_IN_CHAT]:
            lines.append(for_chat(_in_words(one)) + (f" {self._link(one)}" if self.url else ""))
        more = len(self.findings) - SHOWN_IN_CHAT
        return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def _in_words(one: StoredFinding) -> str:
    it = one.vulnerability
    severity = "not rated" if it.severity == "unknown" else it.severity
    mended = f"fixed in {', '.join(one.fixed)}" if one.fixed else "no fix known"
    return f"{it.name} ({severity}) in {one.shown_as} {one.version_first} of {one.application.name}, {mended}"
