"""How wide the terminal is, where there is one that says so."""

from __future__ import annotations

import os
from typing import IO


def columns(stream: IO[str]) -> int | None:
    """The columns of the terminal that `stream` writes to; None for a file or a pipe, or where that is not known.

    The terminal itself is asked: where COLUMNS says something else, lines would be broken twice, or where none ends.
    """
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
