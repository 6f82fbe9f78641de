"""SHA-256 digests remembered between runs, so that a wheel which did not change is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from envfab.util.atomic import write_file
from envfab.wheelhouse.validate import sha256_of

FORMAT = 1
# A file written twice within one tick of the file system's clock, with the same size, looks unchanged: what changed
# this recently is read again next time.
SETTLED = 2 * 10**9  # nanoseconds


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the user's cache folder for envfab (XDG); None where the user has no home."""
    base = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "envfab"
    home = environment.get("HOME", "")
    return Path(home) / ".cache" / "envfab" if os.path.isabs(home) else None


class DigestMemory:
    """Digests of the files in one folder, by size, modification and change time, and inode.

    Best effort: an unreadable, damaged or newer cache file counts as empty, and one that cannot be written is left. Two
    processes that write at once lose entries, which are computed again.
    """

    def __init__(self, cache: Path | None, folder: Path) -> None:
        self._folder = folder
        name = hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:32]
        self._file = cache / "digests" / f"{name}.json" if cache is not None else None
        self._known: dict[str, list[object]] | None = None
        self._changed = False

    def sha256(self, filename: str, *, anew: bool = False) -> str:
        """Return the SHA-256 (hexadecimal) of a file in the folder; read it if it is not known, or `anew`. Raises
        `OSError`."""
        if self._known is None:
            self._known = self._load()
        path = self._folder / filename
        stamp = _stamp(path)
        entry = self._known.get(filename)
        if not anew and entry is not None and entry[:-1] == stamp and isinstance(entry[-1], str):
            return entry[-1]
        digest = sha256_of(path)
        if stamp == _stamp(path) and time.time_ns() - max(stamp[1], stamp[2]) > SETTLED:
            self._known[filename] = [*stamp, digest]
            self._changed = True
        return digest

    def save(self) -> None:
        """Save new digests; errors of writing are ignored."""
        if self._file is None or not self._changed or self._known is None:
            return
        present = {filename: entry for filename, entry in self._known.items() if (self._folder / filename).exists()}
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._file, json.dumps({"format": FORMAT, "files": present}).encode())
        self._changed = False

    def _load(self) -> dict[str, list[object]]:
        if self._file is None:
            return {}
        try:
            said = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(said, dict) or said.get("format") != FORMAT or not isinstance(said.get("files"), dict):
            return {}
        return {filename: entry for filename, entry in said["files"].items() if isinstance(entry, list) and entry}


def _stamp(path: Path) -> list[int]:
    # The change time cannot be set back, unlike the modification time.
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
