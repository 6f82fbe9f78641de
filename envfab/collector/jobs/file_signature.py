"""What tells the present state of a file from others."""

from __future__ import annotations

import os
from pathlib import Path

Signature = tuple[int, int, int]


def signature_of(path: Path) -> Signature | None:
    """The file's inode, size and time of change; None where it is not there."""
    try:
        there = os.stat(path)
    except OSError:
        return None
    return there.st_ino, there.st_size, there.st_mtime_ns
