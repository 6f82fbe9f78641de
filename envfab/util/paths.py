"""Paths from command lines and variables, and files that were not written by envfab."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from envfab.errors import UsageError

UNSET = "is a variable of your shell unset?"


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes, without waiting for a writer.

    Raises `OSError`, also for pipes, devices, larger files, and paths that cannot exist.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        # a NUL in it, or half of a surrogate pair
        raise OSError(errno.EINVAL, "it cannot be the name of a file", str(path)) from None
    with open(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return content


def expand(text: str) -> Path:
    """The path that a text names, with `~` and `~user` expanded; raises `ValueError`, with a message for people."""
    if not text.strip():
        raise ValueError("is empty")
    if "\0" in text:
        raise ValueError("has a NUL character in it")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"the user {text.partition('/')[0][1:]!r} does not exist") from None


def user_path(text: str, argument: str) -> Path:
    """The path that `argument` (`--out`, `file`) was given; raises `UsageError`, which names the argument."""
    try:
        return expand(text)
    except ValueError as error:
        shown = ascii(text) if text.strip() else "the path"
        raise UsageError(
            f"{shown}: {error}" if text.strip() else f"{shown} {error}", where=argument, hint=UNSET
        ) from None


def output_path(text: str, argument: str, *, folder_is_made: bool = False) -> Path:
    """`user_path` of a file to write: not a folder, and in a folder that exists or will be made."""
    path = user_path(text, argument)
    if path.is_dir():
        raise UsageError(f"{text!r} is a folder: name a file", where=argument)
    if not folder_is_made and not path.absolute().parent.is_dir():
        raise UsageError(
            f"{text!r}: the folder {str(path.parent)!r} does not exist", where=argument, hint="make it first"
        )
    return path
