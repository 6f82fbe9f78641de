"""What a deployment leaves behind on a host: which files are there that were not there before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

COMMON = ("/tmp", "/var/tmp", "/dev/shm")


def files_of(uids: Iterable[int], homes: Path, *, apart_from: Iterable[Path] = ()) -> frozenset[str]:
    """Every path below `homes`, and every path in the common temporary folders that belongs to one of `uids`.

    What lies below a path of `apart_from` (a virtualenv, say) is left out.
    """
    owners = frozenset(uids)
    hidden = tuple(os.fspath(path) for path in apart_from)
    found = set(_below(os.fspath(homes), hidden))
    for folder in COMMON:
        found |= {path for path in _below(folder, (*hidden, os.fspath(homes))) if _owner(path) in owners}
    return frozenset(found)


def _below(folder: str, hidden: tuple[str, ...]) -> Iterator[str]:
    """The paths below `folder`, without those below `hidden`; what vanishes meanwhile is no matter."""
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(where, name) not in hidden]
        for name in (*folders, *files):
            yield os.path.join(where, name)


def _owner(path: str) -> int:
    with suppress(OSError):
        return os.lstat(path).st_uid
    return -1
