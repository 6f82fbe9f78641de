"""Documents of rollouts that could not be delivered: a file for each rollout and collector, until it is."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envfab.models.rollout_document import MAX_BODY
from envfab.receivers.undelivered import Undelivered
from envfab.util.atomic import DRAFT, write_file
from envfab.util.state_folder import state_folder
from envfab.util.times import DAY

MAX_ROLLOUTS = 100
MAX_BYTES = 200_000_000
_NAME = re.compile(r"([0-9]{8}-[0-9]{6}-[0-9a-f]{4})\.([0-9a-f]{16})\.json", re.ASCII)


def unsent_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of what was not delivered; None if the user has no home."""
    base = state_folder(environment)
    return base / "unsent-rollouts" if base is not None else None


def collector_key(*texts: str) -> str:
    """Return what files call a collector: a digest, the same in each run, that holds no secret."""
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Unreadable(Undelivered):
    """The file of a document cannot be read; others may be sent all the same."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=False)


class UnsentRollouts:
    """The files in a folder, each a document as it is sent, without the token. Several programs may use it at once.

    It keeps the newest `MAX_ROLLOUTS` rollouts, and at most about `MAX_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, rollout: str, key: str, body: bytes) -> None:
        """Keep a document for a collector, in place of an earlier one; raises `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._path(rollout, key), body, 0o600)
        self._prune()

    def forget(self, rollout: str, key: str) -> None:
        """Remove a document, if it is there. Best effort: one that stays is sent once more."""
        with suppress(OSError):
            self._path(rollout, key).unlink()

    def waiting(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Return the rollouts that wait for a collector, the oldest first, each with the key that it waits under."""
        return [(rollout, key) for rollout, key, _ in self._files() if key in keys]

    def read(self, rollout: str, key: str) -> bytes | None:
        """Return a document; None if it is gone. Raises `Unreadable`."""
        path = self._path(rollout, key)
        try:
            # a pipe would be waited for
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                body = file.read(MAX_BODY + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreadable(f"cannot read {path}: {error.strerror}") from None
        if not body or len(body) > MAX_BODY:
            raise Unreadable(f"{path} has {'no' if not body else 'too much'} content; remove it")
        return body

    def _path(self, rollout: str, key: str) -> Path:
        return self._folder / f"{rollout}.{key}.json"

    def _files(self) -> Iterator[tuple[str, str, Path]]:
        """Yield rollout, key and file, the oldest rollout first: ids sort by time."""
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return
        for name in names:
            if (found := _NAME.fullmatch(name)) is not None:
                yield found[1], found[2], self._folder / name

    def _prune(self) -> None:
        """Remove the oldest until the rest is few and small enough, and what killed programs left half written."""
        rollouts: set[str] = set()
        taken = 0
        for rollout, _, path in reversed(list(self._files())):
            rollouts.add(rollout)
            with suppress(OSError):
                taken += path.stat().st_size
                if len(rollouts) > MAX_ROLLOUTS or taken > MAX_BYTES:
                    path.unlink()
        for draft in self._folder.glob(f".*{DRAFT}"):
            with suppress(OSError):
                if draft.stat().st_mtime < time.time() - DAY:
                    draft.unlink()
