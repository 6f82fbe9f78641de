"""Locks between processes: a lock file, which the system frees with its last holder, however that ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_NAP = 0.005  # seconds between two attempts


@contextlib.contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[bool]:
    """Whether the lock of the file `path` is this caller's alone until the end of the block; waits at most `wait` s."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        descriptor = None
    if descriptor is None:
        yield False
        return
    mine = _try_for(descriptor, wait)
    try:
        yield mine
    finally:
        # Said outright: a child forked in the meantime has a copy, which would go on holding the lock.
        if mine:
            _unlock(descriptor)
        os.close(descriptor)


def _try_for(descriptor: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_NAP)
    return True


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        """Whether the lock is ours; also where the file system knows no locks: a report twice is better than none."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
