"""Reports that wait on disk, one a file, in the folder that also holds the user's choice.

Every process may add; one at a time delivers, under a lock. The names are the original library's
(`report_SECONDS_MILLISECONDS…`), so that what that library left behind is delivered too.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from envfab.usagestats.file_lock import locked
from envfab.usagestats.report import MAX_REPORT

MAX_REPORTS = 100
MAX_BYTES = 4 * 1024 * 1024
PREFIX = "report_"
LOCK = "lock"
_STAMP = re.compile(r"report_([0-9]{1,12})_([0-9]{1,3})(?![0-9])")
_LEFTOVER_AGE = 3600.0  # seconds; no write takes that long
_REMOVALS = 500  # at once, so that a folder with very many old reports causes no delay


@dataclass(frozen=True, slots=True)
class Queue:
    """The reports in `folder`, oldest first; never more than `MAX_REPORTS`, never more than `MAX_BYTES`."""

    folder: Path

    def add(self, data: bytes, moment: int, ending: str = "") -> str | None:
        """Keep a report made at `moment` (nanoseconds since 1970), dropping the oldest; its name, None if it cannot be.

        The name goes on to nanoseconds, so that reports of one millisecond keep their order. It ends at random, or in
        `ending`: then a report of the same moment and ending is replaced.
        """
        name = report_name(moment, ending or os.urandom(3).hex())
        if not write_atomically(self.folder / name, data):
            return None
        self._shrink()
        return name

    def names(self) -> list[str]:
        """The reports that wait, by age."""
        try:
            found = [name for name in os.listdir(self.folder) if name.startswith(PREFIX)]
        except OSError:
            return []
        return sorted(found, key=_age)

    def read(self, name: str) -> bytes | None:
        """A report's bytes, at most one more than allowed; None where it cannot be read, or is not a regular file."""
        return read_bounded(self.folder / name, MAX_REPORT + 1)

    def remove(self, name: str) -> bool:
        """Whether the report is gone now."""
        try:
            os.unlink(self.folder / name)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Remove every report."""
        for name in self.names():
            self.remove(name)

    def lock(self) -> AbstractContextManager[bool]:
        """Whether delivery is this caller's alone until the end of the block; never waits."""
        return locked(self.folder / LOCK)

    def _shrink(self) -> None:
        names = self.names()
        surplus = names[: max(0, len(names) - MAX_REPORTS)]
        size = 0
        for name in reversed(names[len(surplus) :]):
            with contextlib.suppress(OSError):
                size += os.stat(self.folder / name, follow_symlinks=False).st_size
            if size > MAX_BYTES:
                surplus.append(name)
        for name in surplus[:_REMOVALS]:
            self.remove(name)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove what writers that were killed left behind."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.folder):
                path = self.folder / name
                if name.startswith(".") and name.endswith(".tmp"):
                    with contextlib.suppress(OSError):
                        if path.stat().st_mtime < time.time() - _LEFTOVER_AGE:
                            path.unlink()


def report_name(moment: int, ending: str) -> str:
    """The name of a report that was made at `moment` (nanoseconds since 1970)."""
    milliseconds, rest = divmod(moment, 1_000_000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{PREFIX}{seconds}_{milliseconds:03d}_{rest:06d}_{ending}.txt"


def read_bounded(path: Path, limit: int) -> bytes | None:
    """A file's first `limit` bytes; None where it cannot be read, or is not a regular file."""
    # Without waiting for a pipe's writer, and without following a link that another user made in a shared folder.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, *, durable: bool = False, replace: bool = True) -> bool:
    """Write all of `data` or nothing, making the folder where it is missing; whether it is there now.

    Without `replace` a file that is there already stays, and that counts as not written.
    `durable` waits for the disk; reports are not worth that.
    """
    hidden = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        os.makedirs(path.parent, 0o700, exist_ok=True)
        with open(
            os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb"
        ) as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if replace:
            os.replace(hidden, path)
        else:
            os.link(hidden, path)
            os.unlink(hidden)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(hidden)
        return False
    return True


def _age(name: str) -> tuple[int, int, str]:
    """What orders names by time: the original library wrote milliseconds without leading zeros."""
    match = _STAMP.match(name)
    return (int(match[1]), int(match[2]), name) if match else (0, 0, name)
