"""The one way to replace a file: written beside it, synced, renamed. Readers see the old file or the new one."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 100
# the end of the hidden name of a file that is being written; a process that is killed leaves one
DRAFT = ".tmp"


@contextmanager
def replacing(path: Path, mode: int | None = None, *, owner: tuple[int, int] | None = None) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path`, through links, when the block ends without an exception.

    By then its content, and its name in the folder, are on disk. Its permissions are `mode` (None: as new files have
    them), its `owner` (user, group) is set where it would be another's. Raises `OSError`; after any exception `path` is
    as it was, and nothing lies beside it.
    """
    path = _resolved(path)
    draft = path.with_name(f".{path.name[:LONGEST_NAME]}.{secrets.token_hex(4)}{DRAFT}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # private until it belongs to its owner
    descriptor = os.open(draft, flags, 0o666 if mode is None else 0o600)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            made = os.fstat(file.fileno())
            if owner not in (None, (made.st_uid, made.st_gid)):
                os.fchown(file.fileno(), *owner)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    sync_folder(path.parent)


def _resolved(path: Path) -> Path:
    """The path behind links; raises `OSError` for links that lead to themselves."""
    try:
        real: Path | None = path.resolve()
    except RuntimeError:
        # Python 3.13 returns a link instead
        real = None
    if real is None or real.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return real


def write_file(path: Path, data: bytes, mode: int | None = None, *, owner: tuple[int, int] | None = None) -> None:
    """Put `data` in place of what is at `path`, as `replacing` does; raises `OSError`."""
    with replacing(path, mode, owner=owner) as file:
        file.write(data)


def rename(draft: Path, path: Path) -> None:
    """Give a file that is on disk its name, in place of another's, and have that on disk, too; raises `OSError`."""
    os.replace(draft, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have a folder's new and renamed entries on disk; raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
