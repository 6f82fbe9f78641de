"""An untrusted zip file: its members are checked before any is read, and read in bounded pieces.

The agent checks the same on the host: a rule that changes here changes in `agent.safe_zip` as well.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from envfab.errors import WheelError
from envfab.util.untrusted import is_plain
from envfab.util.versions import shortened

CHUNK = 1 << 18
LOCAL_HEADER = 30
ENCRYPTED = 0x1
MAGIC = b"PK\x03\x04"
# Python 2.7's zipfile, which unpacks on some managed hosts, knows these two only; and with these two alone
# zipfile decompresses in bounded pieces.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Info-ZIP's Unicode path (APPNOTE 4.6.9): a second name of a member, which CPython 3.12 and later unpack to.
UNICODE_PATH = 0x7075
UNICODE_PATH_HEAD = 5
EXTRA_HEAD = struct.Struct("<HH")
MOST_SHOWN = 200
DRIVE = re.compile(r"[A-Za-z]:")
# What zipfile, struct and zlib raise for damaged archives, found by fuzzing them.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an archive may be: members, unpacked bytes, and unpacked bytes for each byte of the file.

    The largest published wheels have some 20,000 members and unpack to 4 GB; deflate alone reaches a ratio of 1,032,
    whole wheels stay below 30. The ratio counts only from `slack` bytes on, so that small files may be repetitive.
    """

    members: int = 100_000
    total: int = 16 << 30
    ratio: int = 200
    slack: int = 32 << 20


class Archive:
    """A zip file whose directory was checked when it was opened; every failure is a `WheelError`.

    `members` has the files, by path, in the directory's order; entries for folders are checked and left out.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()
        try:
            # Not opened before it is known to be a file: opening a pipe waits for its other end.
            if not stat.S_ISREG(path.stat().st_mode):
                raise self.wrong("is not a file", "name wheels, not folders")
            self._file = open(path, "rb")  # noqa: SIM115 (open as long as the archive is)
        except OSError as error:
            raise self.wrong(f"cannot be read: {error.strerror}") from None
        try:
            self._zip, self.size = self._open()
            self.members = self._check_directory()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> tuple[zipfile.ZipFile, int]:
        try:
            if self._file.read(len(MAGIC)) != MAGIC:
                raise self.wrong("is not a wheel: it does not begin like a zip file", "build or download it again")
            return zipfile.ZipFile(self._file), os.fstat(self._file.fileno()).st_size
        except (*DAMAGE, OSError) as error:
            raise self._damaged(error) from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def wrong(self, what: str, hint: str = "") -> WheelError:
        """Return the error that says `what` about this archive."""
        return WheelError(what, where=str(self._path), hint=hint)

    def chunks(self, member: str) -> Iterator[bytes]:
        """Yield a member's bytes in pieces; raises `WheelError` where size or CRC differ."""
        entry = self.members[member]
        left = entry.file_size
        try:
            with self._zip.open(entry) as stream:
                # zipfile never gives more than the directory says; where there is more, the CRC differs.
                while chunk := stream.read(CHUNK):
                    left -= len(chunk)
                    yield chunk
        except (*DAMAGE, OSError) as error:
            raise self._damaged(error) from None
        if left:
            raise self.wrong(f"{member} is shorter than the archive's directory says")

    def sha256(self) -> str:
        """Return the SHA-256 (hexadecimal) of the file that was opened, even if its path has another by now; raises
        `WheelError`."""
        digest = hashlib.sha256()
        done = 0
        try:
            while chunk := os.pread(self._file.fileno(), CHUNK, done):
                digest.update(chunk)
                done += len(chunk)
        except OSError as error:
            raise self.wrong(f"cannot be read: {error.strerror}") from None
        return digest.hexdigest()

    def read(self, member: str, limit: int) -> bytes:
        """Return a whole member; raises `WheelError` where it is larger than `limit` bytes."""
        if self.members[member].file_size > limit:
            raise self.wrong(f"{member} is larger than {limit:,} bytes")
        return b"".join(self.chunks(member))

    def _damaged(self, error: Exception) -> WheelError:
        # EOFError and some struct errors come without a word.
        reason = str(error) or "it ends too early"
        return self.wrong(f"is damaged or cut short ({reason})", "build or download it again")

    def _check_directory(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._zip.infolist()
        limits = self._limits
        if len(entries) > limits.members:
            raise self.wrong(f"has {len(entries):,} members; {limits.members:,} are allowed")
        seen: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            self._check_entry(entry)
            if entry.filename in seen:
                raise self.wrong(f"has two members named {entry.filename}")
            seen[entry.filename] = entry
        total = sum(entry.file_size for entry in entries)
        if total > limits.total:
            raise self.wrong(f"would unpack to {total:,} bytes; {limits.total:,} are allowed")
        if total > limits.slack and total > limits.ratio * self.size:
            raise self.wrong(
                f"would unpack to {total:,} bytes, {total // self.size} times its size", "it looks like a zip bomb"
            )
        self._check_overlaps(entries)
        files = {path: entry for path, entry in seen.items() if not entry.is_dir()}
        self._check_folders(files)
        return files

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename
        shown = shortened(name if is_plain(name) else name.encode("unicode_escape").decode(), MOST_SHOWN)
        for other in _other_names(entry):
            raise self.wrong(f"has a member with two names: {name!a} and {other!a}", "build it again")
        parts = name.removesuffix("/").split("/")
        escapes = name.startswith("/") or "\\" in name or DRIVE.match(name) or ".." in parts
        if escapes or not is_plain(name) or "" in parts or "." in parts:
            raise self.wrong(f"has a member with an unsafe path: {shown!r}")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self.wrong(f"has a member that is a link or a special file: {shown}")
        if entry.flag_bits & ENCRYPTED:
            raise self.wrong(f"has an encrypted member: {shown}")
        if entry.compress_type not in METHODS:
            raise self.wrong(f"has a member that is neither stored nor deflated: {shown}")
        if entry.is_dir() and entry.file_size:
            raise self.wrong(f"has a folder entry with contents: {shown}")

    def _check_overlaps(self, entries: list[zipfile.ZipInfo]) -> None:
        """Refuse members that share bytes, by which a small file unpacks to a huge one."""
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise self.wrong(f"has members that overlap: {entry.filename}", "it looks like a zip bomb")
            end = entry.header_offset + LOCAL_HEADER + entry.compress_size

    def _check_folders(self, files: dict[str, zipfile.ZipInfo]) -> None:
        folders = {path.rpartition("/")[0] for path in files}
        for folder in folders:
            while folder:
                if folder in files:
                    raise self.wrong(f"has a member that is a file and a folder: {folder}")
                folder = folder.rpartition("/")[0]


def _other_names(entry: zipfile.ZipInfo) -> Iterator[str]:
    """The names of a member that differ from the one in its header: other versions of Python unpack to those."""
    # where it knows the field, zipfile has put its name here; a NUL cuts the name, which is refused for the NUL
    if entry.filename not in (entry.orig_filename, entry.orig_filename.partition("\0")[0]):
        yield entry.filename
    extra = entry.extra
    while len(extra) >= EXTRA_HEAD.size:
        kind, size = EXTRA_HEAD.unpack_from(extra)
        content, extra = extra[EXTRA_HEAD.size :][:size], extra[EXTRA_HEAD.size + size :]
        if kind == UNICODE_PATH:
            name = content[UNICODE_PATH_HEAD:].decode("utf-8", "backslashreplace")
            if name != entry.orig_filename:
                yield name
