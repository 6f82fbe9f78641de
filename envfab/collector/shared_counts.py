"""Numbers that the processes of a collector add up: a web server's workers, of which a request reaches any one.

Each process writes its own numbers into a file of the folder, and holds a lock on another one as long as it lives. What
processes left that have ended is added to the file of those that ended, so that counters never go back.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from envfab.util.atomic import write_file

WRITE_EVERY = 5.0  # seconds
Key = tuple[str, ...]  # a name, and the values of its labels
_TURN = "turn"  # the file whose lock is held while files are added up
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Numbers:
    """What was counted, and the latest times (seconds since 1970) at which something happened."""

    sums: Counter[Key] = field(default_factory=Counter)
    latest: dict[Key, float] = field(default_factory=dict)

    def include(self, other: Numbers) -> None:
        """Add what another process counted."""
        self.sums.update(other.sums)
        for key, value in other.latest.items():
            self.latest[key] = max(value, self.latest.get(key, value))


class SharedCounts:
    """The numbers of this process, and of all processes that share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._process = 0
        self._own = Numbers()
        self._file = folder
        self._lock = -1
        self._written_at = 0.0
        self._failed = False

    def add(self, counts: Mapping[Key, float]) -> None:
        """Count; now and then the file is written."""
        with self._turn:
            self._begin()
            self._own.sums.update(counts)
            if time.monotonic() - self._written_at > WRITE_EVERY:
                self._write()

    def note_latest(self, key: Key, at: float) -> None:
        """Note a time at which something happened."""
        with self._turn:
            self._begin()
            self._own.latest[key] = at

    def write(self) -> None:
        """Write the file, so that other processes see what this one has counted."""
        with self._turn:
            self._begin()
            self._write()

    def total(self) -> tuple[Numbers, int]:
        """The numbers of all processes, and how many of them are alive."""
        with self._turn:
            self._begin()
            self._write()
            if self._failed:
                return self._own, 1
            with _locked(self._folder / _TURN):
                self._bury_ended()
                files = list(self._folder.glob("*.json"))
                total = Numbers()
                for file in files:
                    total.include(_read(file))
            return total, len([file for file in files if file != self._ended])

    @property
    def _ended(self) -> Path:
        return self._folder / "ended.json"

    def _begin(self) -> None:
        """Begin anew in a process that was forked: what was counted before the fork is the parent's."""
        if self._process == os.getpid():
            return
        self._process, self._own = os.getpid(), Numbers()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"

    def _write(self) -> None:
        self._written_at = time.monotonic()
        try:
            self._hold_lock()
            write_file(self._file, _format(self._own))
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("what was counted for metrics cannot be written: %s", error)
            self._failed = True

    def _hold_lock(self) -> None:
        """Hold a lock for as long as the process lives."""
        if self._lock < 0:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            with _locked(self._folder / _TURN):
                self._lock = os.open(self._file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _bury_ended(self) -> None:
        """Add up what processes left whose lock is free. The folder's lock is held."""
        for lock in self._folder.glob("*.lock"):
            file = lock.with_suffix(".json")
            if file != self._file and _is_free(lock):
                ended = _read(self._ended)
                ended.include(_read(file))
                write_file(self._ended, _format(ended))
                file.unlink(missing_ok=True)
                lock.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_free(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _format(numbers: Numbers) -> bytes:
    return json.dumps({"sums": list(numbers.sums.items()), "latest": list(numbers.latest.items())}).encode()


def _read(file: Path) -> Numbers:
    """What a file says; nothing where there is none, or none that can be read."""
    numbers = Numbers()
    with suppress(OSError, ValueError, TypeError, KeyError):
        document = json.loads(file.read_bytes())
        numbers.sums.update({tuple(key): value for key, value in document["sums"]})
        numbers.latest.update({tuple(key): float(at) for key, at in document["latest"]})
    return numbers
