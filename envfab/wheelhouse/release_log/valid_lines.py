"""Lines of signed logs whose signatures were found valid, remembered between runs by their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from envfab.util.atomic import write_file
from envfab.util.paths import read_file
from envfab.util.untrusted import parse_json
from envfab.wheelhouse.release_log.signed_lines import encoded

FORMAT = 1
LIMIT = 64 << 20  # bytes of the file


class ValidLines:
    """The lines that one text of allowed signers allows.

    Best effort: an unreadable, damaged or newer file counts as empty, and one that cannot be written is left.
    """

    def __init__(self, cache: Path | None, signers: str) -> None:
        name = hashlib.sha256(signers.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._file = cache / "signatures" / f"{name}.json" if cache is not None else None
        self._digests: frozenset[str] | None = None

    def among(self, lines: Iterable[str]) -> set[str]:
        """Return those of the lines that are remembered."""
        if self._digests is None:
            self._digests = self._load()
        return {line for line in lines if _digest(line) in self._digests} if self._digests else set()

    def keep(self, lines: Iterable[str]) -> None:
        """Remember these lines and no others; errors of writing are ignored."""
        digests = frozenset(map(_digest, lines))
        if self._file is None or digests == self._digests:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._file, json.dumps({"format": FORMAT, "lines": sorted(digests)}).encode())
        self._digests = digests

    def _load(self) -> frozenset[str]:
        try:
            said = parse_json(read_file(self._file, LIMIT)) if self._file is not None else None
        except (OSError, ValueError):
            return frozenset()
        lines = said.get("lines") if isinstance(said, dict) and said.get("format") == FORMAT else None
        return frozenset(one for one in lines if isinstance(one, str)) if isinstance(lines, list) else frozenset()


def _digest(line: str) -> str:
    return hashlib.sha256(encoded(line)).hexdigest()
