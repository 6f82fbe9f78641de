"""The folder in which rollouts' logs lie: a folder each, of which the newest are kept."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from envfab.util.state_folder import state_folder
from envfab.util.times import DAY

# as `result.new_rollout_id` makes them
ROLLOUT = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", re.ASCII)
HEADER, PLANS, LOG = "rollout.json", "plans.jsonl", "log.jsonl"
# beginnings of hidden names: of a log that is being made, and of one that is being removed
MAKING, REMOVING = ".new-", ".old-"
MEGABYTE = 1_000_000


def logs_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of all logs; None if the user has no home."""
    base = state_folder(environment)
    return base / "rollouts" if base is not None else None


class Logs:
    """The logs in a folder. Several programs may write, read and remove logs at once.

    A log that is being written is locked by its writer (flock), and stays. Folders appear and go by one rename.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ids(self) -> list[str]:
        """Return the ids of the rollouts that have a log, newest first."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted((name for name in names if ROLLOUT.fullmatch(name)), reverse=True)

    def path(self, rollout: str) -> Path:
        """Return the folder of a rollout's log, whether there is one or not."""
        return self.folder / rollout

    def make(self, rollout: str, header: str) -> int:
        """Make a rollout's folder, for its owner alone, with the text of its header.

        Returns the descriptor of its empty log, which is locked. Raises `OSError`, and then leaves nothing.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f"{MAKING}{rollout}"
        draft.mkdir(mode=0o700)
        with ExitStack() as undoing:
            undoing.callback(shutil.rmtree, draft, ignore_errors=True)
            with opened(new_file(draft / HEADER)) as file:
                file.write(header)
            descriptor = new_file(draft / LOG)
            undoing.callback(os.close, descriptor)
            with suppress(OSError):
                # where there are no locks, nothing is removed either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.path(rollout))
            undoing.pop_all()
        return descriptor

    def prune(self, number: int, megabytes: int, newest: str) -> None:
        """Remove the oldest logs until there are at most `number`, and all of them take at most `megabytes`.

        `newest` is the rollout that has just begun; ids of others that began in the same second may sort behind it.
        Those that are being written stay. Best effort: what cannot be removed stays. If another program is at it, this
        does nothing.
        """
        with _alone(self.folder) as alone:
            if not alone:
                return
            self._remove_leftovers()
            taken = 0
            for position, rollout in enumerate(sorted(self.ids(), key=newest.__ne__), 1):
                taken += size_of(self.path(rollout))
                if position > number or taken > megabytes * MEGABYTE:
                    self._remove(rollout)

    def _remove(self, rollout: str) -> None:
        folder = self.path(rollout)
        with suppress(OSError), _unless_written(folder / LOG):
            gone = self.folder / f"{REMOVING}{rollout}-{secrets.token_hex(2)}"
            folder.rename(gone)
            shutil.rmtree(gone)

    def _remove_leftovers(self) -> None:
        """Remove what programs left that were killed while they made or removed a log."""
        for name in os.listdir(self.folder):
            path = self.folder / name
            with suppress(OSError):
                old = time.time() - path.lstat().st_mtime > DAY
                if name.startswith(REMOVING) or (name.startswith(MAKING) and old):
                    shutil.rmtree(path)


def new_file(path: Path) -> int:
    """Make a file for its owner alone, to append to; return its descriptor. Raises `OSError`."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def opened(descriptor: int) -> TextIO:
    """Return a stream to write text to; half of a surrogate pair, which no stream takes, becomes a question mark."""
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")


def size_of(folder: Path) -> int:
    """Return how many bytes the files in a folder have; 0 if that cannot be told."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return 0


@contextmanager
def _unless_written(log: Path) -> Iterator[None]:
    """Hold the lock of a log, if it is there; raises `OSError` if a program writes to it."""
    try:
        descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Yield whether no other program removes logs now; raises nothing."""
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
