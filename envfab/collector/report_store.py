"""Usage reports on disk: a file each, in the folder of its program, named so that names sort by arrival."""

from __future__ import annotations

import math
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from envfab.usagestats.report import Report, parse_report
from envfab.util.atomic import rename, sync_folder

SUFFIX = ".txt"
POLICY = "policy.json"  # in the folder of a program
MAX_PROGRAMS = 1000
COUNTED_EVERY = 60.0  # seconds
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What can be a folder's name everywhere, is not hidden, and leads nowhere else.
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{9}Z-[0-9a-f]{8}\.txt")


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report in its file: when it came (milliseconds), from where if that is kept, what came."""

    program: str
    file: str
    at: int
    address: str
    body: bytes

    def parsed(self) -> Report:
        """The report itself; raises `MalformedReport`."""
        return parse_report(self.body, self.program)


def is_program(name: str) -> bool:
    """Whether this can be the name of a program."""
    return _PROGRAM.fullmatch(name) is not None


class TooManyPrograms(Exception):
    """There are `MAX_PROGRAMS` folders of programs, and a report is of one more."""


class ReportFolder:
    """The folder of all reports: those of `POST /` in it, those of a program in its own folder below.

    Reports make folders for at most about `MAX_PROGRAMS` programs: anyone may send them. An operator may make more.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        # how many programs have a folder, and when that was counted, by the monotonic clock
        self._programs = 0
        self._counted_at = -math.inf
        self._turn = threading.Lock()
        self._last = 0

    def store(self, body: bytes, program: str, address: str) -> StoredReport:
        """Write a report to disk under its name; raises `OSError` or `TooManyPrograms`, and then nothing is stored."""
        moment = self._moment()
        came = EPOCH + timedelta(microseconds=moment // 1000)
        name = f"{came:%Y%m%dT%H%M%S}.{moment % 10**9:09d}Z-{secrets.token_hex(4)}{SUFFIX}"
        head = f"submitted_from:{address}\nsubmitted_date:{came.isoformat(timespec='microseconds')}\n"
        folder = self._folder(program)
        if not folder.is_dir():
            self._make_folder(folder)
        _write(folder, name, head.encode() + body)
        return StoredReport(program, name, moment // 10**6, address, body)

    def _make_folder(self, folder: Path) -> None:
        """Make a program's folder. Folders are counted once a minute: there may be very many reports beside them."""
        with self._turn:
            if time.monotonic() - self._counted_at > COUNTED_EVERY:
                self._programs, self._counted_at = len(self.programs()) - 1, time.monotonic()
            if self._programs >= MAX_PROGRAMS:
                raise TooManyPrograms
            self._programs += 1
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)

    def read(self, program: str, file: str) -> StoredReport:
        """A stored report; raises `OSError`, and `ValueError` for a file that is not a report."""
        if not _NAME.fullmatch(file) or not (program == "" or is_program(program)):
            raise ValueError(f"{file} is not a report")
        data = (self._folder(program) / file).read_bytes()
        first, second, body = data.split(b"\n", 2)
        address, came = first.removeprefix(b"submitted_from:"), second.removeprefix(b"submitted_date:")
        if address == first or came == second:
            raise ValueError(f"{file} does not begin like a report")
        since = datetime.fromisoformat(came.decode("ascii")) - EPOCH
        return StoredReport(program, file, since // timedelta(milliseconds=1), address.decode("utf-8"), body)

    def delete(self, program: str, file: str) -> None:
        """Delete a report; one that is gone already is fine."""
        (self._folder(program) / file).unlink(missing_ok=True)

    def programs(self) -> list[str]:
        """All programs that have a folder, and the one without a name."""
        found = _entries(self.root)
        return ["", *sorted(one.name for one in found if one.is_dir(follow_symlinks=False) and is_program(one.name))]

    def policy_path(self, program: str) -> Path:
        """Where an operator puts the policy of a program."""
        return self._folder(program) / POLICY

    def files(self) -> Iterator[tuple[str, str]]:
        """(program, file) of every report there is."""
        for entry in _entries(self.root):
            if entry.is_dir(follow_symlinks=False) and is_program(entry.name):
                yield from ((entry.name, one.name) for one in _entries(Path(entry.path)) if _NAME.fullmatch(one.name))
            elif _NAME.fullmatch(entry.name):
                yield "", entry.name

    def clear_unfinished(self, older_than: float) -> None:
        """Remove the hidden files of writers that were killed: those last written before `older_than` (seconds)."""
        folders = [self.root, *(Path(entry.path) for entry in _entries(self.root) if is_program(entry.name))]
        for entry in (entry for folder in folders if folder.is_dir() for entry in _entries(folder)):
            if _NAME.fullmatch(entry.name[1:]) and entry.name[0] == "." and entry.stat().st_mtime < older_than:
                Path(entry.path).unlink(missing_ok=True)

    def _folder(self, program: str) -> Path:
        return self.root / program if program else self.root

    def _moment(self) -> int:
        """Now, in nanoseconds, and later than every moment before: clocks are set back now and then."""
        with self._turn:
            self._last = max(time.time_ns(), self._last + 1)
            return self._last


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _write(folder: Path, name: str, data: bytes) -> None:
    hidden = folder / f".{name}"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        rename(hidden, folder / name)
    except OSError:
        hidden.unlink(missing_ok=True)  # the disk may be full
        raise
