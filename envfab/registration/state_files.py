"""Whole files: they appear all at once, or stay as they were."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o644, *, owner: tuple[int, int] | None = None) -> None:
    """Put `data` in place of what is at `path`, through links; raises `OSError`, and then nothing was changed.

    `owner` (user, group) is set where it would be another's.
    """
    path = path.resolve()
    hidden = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            made = os.fstat(file.fileno())
            if owner not in (None, (made.st_uid, made.st_gid)):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(hidden, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(hidden)
        raise


def state_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's state folder for envfab; None where the user has no home."""
    base = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "envfab"
    home = environment.get("HOME", "")
    return Path(home) / ".local" / "state" / "envfab" if os.path.isabs(home) else None
