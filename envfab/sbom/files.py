"""Files of bills of materials: one for each virtualenv, named after it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

from envfab.config.target import Target
from envfab.errors import RegistrationError
from envfab.util.atomic import write_file

LONGEST_NAME = 200  # bytes; file systems take 255


def write(folder: Path, target: Target, text: str, suffix: str) -> Path:
    """Write a target's document into a folder, which is made where it is missing; raises `RegistrationError`.

    `suffix` is that of the format.
    """
    path = folder / f"{file_name(target)}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, f"{text}\n".encode())
    except OSError as error:
        raise RegistrationError(f"cannot be written: {error.strerror}", where=str(path)) from None
    return path


def file_name(target: Target) -> str:
    """The file name of a target's document, without the format's suffix: `shop@web1+srv+shop+venv`."""
    name = quote(f"{target.owner}@{target.host}{target.path}", safe="/@").replace("/", "+")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name
