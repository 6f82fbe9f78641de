"""Events, as JSON and as one text for a chat."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envfab.config.events import BEGUN, DRIFT, LOCK_WAITED
from envfab.receivers.chat import for_chat
from envfab.util.counts import count
from envfab.util.times import now
from envfab.util.untrusted import one_line

VERSION = 1
# of a large fleet an event names this many virtualenvs and changes, and tells how many more there are
MOST = 100
SHOWN_IN_CHAT = 5
SHOWN_TEXT = 300  # characters
WORDS = {BEGUN: "begun", LOCK_WAITED: "waits for a lock", DRIFT: "drift found"}


@dataclass(frozen=True, slots=True)
class EventVirtualenv:
    """A virtualenv that an event is about; `what` is the error, or another reason."""

    target: str
    status: str
    deployment: str | None = None
    what: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to the JSON object of an event."""
        return {
            "target": self.target,
            "status": self.status,
            "deployment": self.deployment,
            "message": one_line(self.what)[:SHOWN_TEXT] if self.what else None,
        }


@dataclass(frozen=True, slots=True)
class Source:
    """What all events of one run have in common; `log` is the folder of the rollout's log."""

    task: str
    who: str
    origin: str
    rollout: str | None = None
    slice: str | None = None
    log: str | None = None
    approved_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `changes` are those of all virtualenvs, each once, with how many have it."""

    kind: str
    source: Source
    virtualenvs: tuple[EventVirtualenv, ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None
    # how many virtualenvs it is about, of which `virtualenvs` has the first
    total: int = 0
    # hosts that may still be out of service at the end of a rollout
    out_of_service: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")
    time: str = field(default_factory=now)

    def joined(self, later: Event) -> Event:
        """Return this event with the virtualenvs of a later one of the same kind, which then need not be sent."""
        return replace(self, virtualenvs=(*self.virtualenvs, *later.virtualenvs)[:MOST], total=self.total + later.total)

    def to_json(self) -> dict[str, Any]:
        """Convert to the JSON object that receivers get."""
        return {
            "version": VERSION,
            "id": self.id,
            "kind": self.kind,
            "time": self.time,
            "task": self.source.task,
            "who": self.source.who,
            "from": self.source.origin,
            "rollout": self.source.rollout,
            "slice": self.source.slice,
            "approved_by": list(self.source.approved_by),
            "virtualenvs": [one.to_json() for one in self.virtualenvs[:MOST]],
            "more_virtualenvs": max(0, self.total - MOST),
            "changes": list(self.changes[:MOST]),
            "more_changes": max(0, len(self.changes) - MOST),
            "counts": dict(self.counts),
            "out_of_service": list(self.out_of_service[:MOST]),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "log": self.source.log,
        }

    def body(self, form: str) -> bytes:
        """Return the event in the format `json` or `slack`, as bytes."""
        document = self.to_json() if form == "json" else {"text": self.chat_text()}
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")

    def chat_text(self) -> str:
        """Return the event in a few lines for Slack and Mattermost."""
        source = self.source
        part = f", slice {source.slice}" if source.slice else ""
        title = f"{source.task} {source.rollout or ''}".strip()
        place = f"from {for_chat(source.origin)}{for_chat(part)}"
        about = f"*{for_chat(title)}*: {self._said()}, by {for_chat(source.who)} {place}"
        if source.approved_by:
            about += f", approved by {for_chat(', '.join(source.approved_by))}"
        lines = [about, *self._lines()]
        if self.out_of_service:
            lines.append(f"may still be out of service: {for_chat(', '.join(self.out_of_service[:SHOWN_IN_CHAT]))}")
        if source.log and self.kind not in (BEGUN, LOCK_WAITED):
            lines.append(f"log: `{for_chat(source.log)}`")
        return "\n".join(lines)

    def _said(self) -> str:
        word = WORDS.get(self.kind, self.kind.partition(".")[2].replace("-", " "))
        if self.counts:
            took = f" after {self.seconds:.0f} s" if self.seconds is not None else ""
            return f"{word}{took}, {', '.join(f'{number} {status}' for status, number in self.counts.items())}"
        return f"{word}, {count(self.total, 'virtualenv')}"

    def _lines(self) -> list[str]:
        lines = []
        if self.changes and self.kind == BEGUN:
            names = [
                for_chat(f"{one['name']} {one['installed'] or '-'} → {one['version'] or '-'}")
                for one in self.changes[:SHOWN_IN_CHAT]
            ]
            more = len(self.changes) - SHOWN_IN_CHAT
            lines.append(", ".join(names) + (f" and {more} more" if more > 0 else ""))
        for one in [] if self.kind == BEGUN else self.virtualenvs[:SHOWN_IN_CHAT]:
            what = f": {for_chat(one_line(one.what)[:SHOWN_TEXT])}" if one.what else ""
            lines.append(f"`{for_chat(one.target)}` {for_chat(one.status)}{what}")
        more = self.total - SHOWN_IN_CHAT
        if more > 0 and self.kind != BEGUN:
            lines.append(f"and {more} more")
        return lines


def changes_of(all_of_them: Iterable[tuple[str, str, str | None, str | None]]) -> tuple[dict[str, Any], ...]:
    """Return changes (action, name, version before, version after), each once, with how many virtualenvs have it."""
    return tuple(
        {"action": action, "name": name, "installed": installed, "version": version, "virtualenvs": number}
        for (action, name, installed, version), number in Counter(all_of_them).most_common()
    )
