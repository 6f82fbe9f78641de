"""The folder of what envfab keeps between runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's state folder for envfab; None where the user has no home."""
    base = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "envfab"
    home = environment.get("HOME", "")
    return Path(home) / ".local" / "state" / "envfab" if os.path.isabs(home) else None
