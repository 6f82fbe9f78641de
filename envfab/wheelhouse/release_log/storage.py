"""The release log on disk: read and appended to under a lock, by several people at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envfab.errors import WheelhouseError
from envfab.util.atomic import sync_folder
from envfab.wheelhouse.release_log.records import Record, format_line
from envfab.wheelhouse.release_log.signed_lines import KINDS
from envfab.wheelhouse.release_log.view import LogText

if TYPE_CHECKING:
    # it needs the cryptography library, which few runs do
    from envfab.wheelhouse.release_log.log_signers import LogSigners


class _Memory:
    """The log as it was read last, so that a long one is not read again for every wheel that comes in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[os.stat_result, LogText] | None = None

    def read(self, descriptor: int) -> LogText:
        """The log as it stands; it is read where its file has changed in any way."""
        stamp, known = os.fstat(descriptor), self._known
        if known is None or not _is_same(known[0], stamp):
            known = stamp, LogText(_decode(_read_all(descriptor)), str(self._path))
            self._known = known
        return known[1]

    def follow(self, descriptor: int, before: os.stat_result, lines: Sequence[str]) -> None:
        """Note that this process, holding the lock, added `lines` to the file that was as `before` says."""
        known = self._known
        if known is not None and _is_same(known[0], before):
            self._known = os.fstat(descriptor), known[1].followed_by(lines)


class HeldLog:
    """The release log while this process holds its lock: no other process appends."""

    def __init__(self, descriptor: int, path: Path, memory: _Memory, signers: LogSigners | None) -> None:
        self._descriptor = descriptor
        self._signers = signers
        self._path = path
        self._memory = memory

    @property
    def must_be_signed(self) -> bool:
        """Whether releases and yanks must be signed."""
        return self._signers is not None

    def read(self) -> LogText:
        """Return the current log; raises `WheelhouseError`, also if it must be signed and is not."""
        try:
            return _checked(self._memory.read(self._descriptor), self._path, self._signers)
        except OSError as error:
            raise _cannot("read", self._path, error) from None

    @property
    def _torn(self) -> str:
        return self._memory.read(self._descriptor).torn or ""

    @property
    def keeps_torn(self) -> bool:
        """Whether a torn last line, if there is one, stays when lines are added: not if it would have to be signed."""
        if self._signers is None or not self._torn.startswith(KINDS):
            return True
        return self._signers.counts(self._torn, self._memory.read(self._descriptor).lines)

    def append(self, *records: Record) -> None:
        """Append records and sync them to disk, on a new line after an incomplete one; raises `WheelhouseError`.

        Where the log must be signed they are, and `SignatureError` is raised if that fails; a last line whose signature
        was cut off is removed, for a line with half a signature would have the whole log refused.
        """
        lines = [format_line(record) for record in records]
        if self._signers is not None and any(line.startswith(KINDS) for line in lines):
            lines = self._signers.signed(lines, self.read().lines)
        data = _encode("".join(f"{line}\n" for line in lines))
        if not self.keeps_torn:
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - len(_encode(self._torn)))
        before = os.fstat(self._descriptor)
        size = before.st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            # A full disk must not leave half a record behind.
            os.ftruncate(self._descriptor, size)
            raise _cannot("write", self._path, error) from None
        self._memory.follow(self._descriptor, before, lines)


class LogFile:
    """The release log at a path, where there need not be one yet."""

    def __init__(self, path: Path, signers: LogSigners | None = None) -> None:
        """Initialise; with `signers`, releases and yanks must be signed."""
        self.path = path
        self.signers = signers
        self._memory = _Memory(path)

    def read(self) -> LogText:
        """Return the current log, empty if it does not exist; raises `WheelhouseError`, also if it is not signed."""
        try:
            # a pipe in its place would be waited for
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return LogText("", str(self.path))
        except OSError as error:
            raise _cannot("read", self.path, error) from None
        try:
            # Without a lock the last line might be one that is being written. Where the file system has no locks
            # it is read all the same.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            return _checked(self._memory.read(descriptor), self.path, self.signers)
        except OSError as error:
            raise _cannot("read", self.path, error) from None
        finally:
            os.close(descriptor)

    def append(self, *records: Record) -> None:
        """Add records and have them on disk, under the lock."""
        with self.locked() as held:
            held.append(*records)

    @contextlib.contextmanager
    def locked(self) -> Iterator[HeldLog]:
        """Hold the log's lock, waiting without limit; make the log if it does not exist. Raises `WheelhouseError`."""
        try:
            descriptor = self._open_locked()
        except OSError as error:
            raise _cannot("write", self.path, error) from None
        try:
            yield HeldLog(descriptor, self.path, self._memory, self.signers)
        finally:
            os.close(descriptor)

    def _open_locked(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if new:
                    sync_folder(self.path.parent)
                if self._is_open_as(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _is_open_as(self, descriptor: int) -> bool:
        """Whether the path still leads to the open file: git and editors put another one in its place."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False


def _checked(text: LogText, path: Path, signers: LogSigners | None) -> LogText:
    if signers is not None:
        signers.check(text.lines, str(path))
    return text


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether a file is unchanged between two looks; its change time cannot be set back."""
    return os.path.samestat(one, other) and (one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (
        other.st_size,
        other.st_mtime_ns,
        other.st_ctime_ns,
    )


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    pieces = []
    read = 0
    while piece := os.pread(descriptor, max(size - read, 1), read):
        pieces.append(piece)
        read += len(piece)
    return b"".join(pieces)


def _decode(data: bytes) -> str:
    # Bytes that are no UTF-8 stay in their line and spoil no other.
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cannot(do: str, path: Path, error: OSError) -> WheelhouseError:
    return WheelhouseError(f"cannot {do} the release log: {error.strerror}", where=str(path))
