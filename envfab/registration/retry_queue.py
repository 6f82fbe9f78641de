"""The retry file: registrations that failed, to be sent again by the next run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envfab.errors import RegistrationError
from envfab.registration.registry import Kind
from envfab.registration.servers import Payload
from envfab.util.atomic import write_file
from envfab.util.times import DAY
from envfab.util.untrusted import parse_json

FORMAT = 2
MAX_MISSED = 500
MAX_BYTES = 4 * 1024 * 1024
MAX_AGE = 30 * DAY  # seconds
LOCK_PATIENCE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Missed:
    """A payload for the server at `url` (as it is shown: without secrets) that failed.

    `kind` is the `retry_key` of the server's kind; `at` is when the payload was made, in seconds since 1970.
    """

    url: str
    target: str
    kind: str
    payload: Payload
    at: int

    @property
    def key(self) -> tuple[str, str, str]:
        """A newer payload replaces an older one with the same key."""
        return self.url, self.kind, self.payload.key


@dataclass(frozen=True, slots=True)
class _Unread:
    """An entry of a kind of server that this fabfile does not have; it stays as it is."""

    entry: Mapping[str, Any]
    at: int


_Entry = Missed | _Unread


class Pending:
    """The retry file in `folder`, for these kinds of servers. Best effort: failures are ignored.

    Without a folder (None: the user has no home) nothing is kept. A file that cannot be read counts as empty, and one
    that a newer envfab wrote is left alone. The file holds at most `MAX_MISSED` entries and `MAX_BYTES`; the oldest
    entries are dropped first.
    """

    def __init__(self, folder: Path | None, kinds: Sequence[Kind]) -> None:
        self._folder = folder
        self._kinds = {kind.retry_key: kind for kind in kinds}

    def read(self) -> tuple[Missed, ...]:
        """What is to be sent again, the oldest first."""
        if self._folder is None:
            return ()
        try:
            entries = self._parse((self._folder / "registrations.json").read_bytes())
        except (OSError, _Newer):
            return ()
        return tuple(one for one in entries if isinstance(one, Missed))

    def remember(self, missed: Sequence[Missed]) -> bool:
        """Add these, each in place of an older one with its key; whether that was possible."""
        new = {one.key: one for one in missed}
        return self._change(
            lambda old: [*(one for one in old if isinstance(one, _Unread) or one.key not in new), *new.values()]
        )

    def forget(self, missed: Sequence[Missed]) -> bool:
        """Remove these, but not what has replaced them meanwhile; whether that was possible."""
        gone = {one.key: one.payload for one in missed}
        return self._change(
            lambda old: [one for one in old if isinstance(one, _Unread) or gone.get(one.key) != one.payload]
        )

    def _change(self, change: Callable[[Sequence[_Entry]], Sequence[_Entry]]) -> bool:
        if self._folder is None:
            return False
        file = self._folder / "registrations.json"
        try:
            if not file.exists() and not change(()):
                return True
            with _locked(self._folder):
                old = self._parse(file.read_bytes()) if file.exists() else ()
                new = change(old)
                if tuple(new) == old:
                    return True
                if new:
                    write_file(file, self._format(new), 0o600)
                else:
                    file.unlink(missing_ok=True)
        except (OSError, _Newer):
            return False
        return True

    def _format(self, entries: Sequence[_Entry]) -> bytes:
        """The file's text, without the oldest entries where they are too many."""
        lines: list[str] = []
        size = 0
        for one in reversed(entries[-MAX_MISSED:]):
            line = json.dumps(self._format_entry(one))
            size += len(line) + 4
            if size > MAX_BYTES:
                break
            lines.insert(0, line)
        body = ",\n".join(lines)
        return f'{{"format": {FORMAT}, "missed": [\n{body}\n]}}\n'.encode("ascii")

    def _format_entry(self, one: _Entry) -> Mapping[str, Any]:
        if isinstance(one, _Unread):
            return one.entry
        content = self._kinds[one.kind].format_payload(one.payload)
        return {"url": one.url, "target": one.target, "at": one.at, one.kind: content}

    def _parse(self, data: bytes) -> tuple[_Entry, ...]:
        """What the file says, without what is damaged or too old."""
        try:
            document = parse_json(data)
        except ValueError:
            return ()
        if not isinstance(document, dict) or not isinstance(document.get("missed"), list):
            return ()
        number = document.get("format")
        if not isinstance(number, int) or number > FORMAT:
            raise _Newer("written by a newer envfab")
        found = (self._parse_entry(entry) for entry in document["missed"])
        oldest = int(time.time()) - MAX_AGE
        return tuple(one for one in found if one is not None and one.at >= oldest)

    def _parse_entry(self, entry: Any) -> _Entry | None:
        try:
            url, target, at = str(entry["url"]), str(entry["target"]), int(entry["at"])
            for key, kind in self._kinds.items():
                if key in entry:
                    return Missed(url, target, key, kind.parse_payload(entry[key]), at)
            return _Unread(entry, at) if entry.keys() - {"url", "target", "at"} else None
        except (KeyError, TypeError, ValueError, OverflowError, RegistrationError):
            return None


class _Newer(RegistrationError):
    """The file was written by a newer envfab."""


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raises `OSError` where another process holds it for longer than `LOCK_PATIENCE`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "registrations.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
