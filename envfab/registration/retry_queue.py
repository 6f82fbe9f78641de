"""Registrations that no server took yet: kept in a small file, and sent at the next run."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envfab.errors import RegistrationError
from envfab.registration.dependency_track.protocol import Bom
from envfab.registration.difio.protocol import Registration, format_registration, parse_registration
from envfab.util.atomic import write_file
from envfab.util.untrusted import parse_json

FORMAT = 2
MAX_MISSED = 500
MAX_BYTES = 4 * 1024 * 1024
MAX_DOCUMENT = 32 * 1024 * 1024  # bytes of a bill of materials
MAX_AGE = 30 * 24 * 3600  # seconds
LOCK_PATIENCE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Missed:
    """A registration for the server at `url` (as it is shown: without secrets), made at `at` (seconds since 1970)."""

    url: str
    target: str
    registration: Registration | Bom
    at: int

    @property
    def key(self) -> tuple[str, type, str]:
        """What a newer one takes the place of."""
        return self.url, type(self.registration), self.registration.key


class Pending:
    """The file in `folder` (None: the user has no home); a help, never a need.

    What cannot be read is nothing, what cannot be written is not remembered, and a file of a newer envfab is left
    alone. Never more than `MAX_MISSED` nor `MAX_BYTES`; the oldest go first.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self) -> tuple[Missed, ...]:
        """What is to be made up for, oldest first."""
        if self._folder is None:
            return ()
        try:
            return _parse((self._folder / "registrations.json").read_bytes())
        except (OSError, _Newer):
            return ()

    def remember(self, missed: Sequence[Missed]) -> bool:
        """Add these, each in place of an older one with its key; whether that was possible."""
        new = {one.key: one for one in missed}
        return self._change(lambda old: [one for one in old if one.key not in new] + list(new.values()))

    def forget(self, missed: Sequence[Missed]) -> bool:
        """Take these out; what has been put in their place meanwhile stays."""
        gone = {(one.key, one.registration) for one in missed}
        return self._change(lambda old: [one for one in old if (one.key, one.registration) not in gone])

    def _change(self, change: Callable[[tuple[Missed, ...]], Sequence[Missed]]) -> bool:
        if self._folder is None:
            return False
        file = self._folder / "registrations.json"
        try:
            if not file.exists() and not change(()):
                return True
            with _locked(self._folder):
                old = _parse(file.read_bytes()) if file.exists() else ()
                new = change(old)
                if tuple(new) == old:
                    return True
                if new:
                    write_file(file, _format(new), 0o600)
                else:
                    file.unlink(missing_ok=True)
        except (OSError, _Newer):
            return False
        return True


class _Newer(RegistrationError):
    """The file was written by a newer envfab."""


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raises `OSError` where somebody else does for too long."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "registrations.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _format(missed: Sequence[Missed]) -> bytes:
    """The file's text, without the oldest where they are too many."""
    lines: list[str] = []
    size = 0
    for one in reversed(missed[-MAX_MISSED:]):
        line = json.dumps({"url": one.url, "target": one.target, "at": one.at, **_content(one.registration)})
        size += len(line) + 4
        if size > MAX_BYTES:
            break
        lines.insert(0, line)
    body = ",\n".join(lines)
    return f'{{"format": {FORMAT}, "missed": [\n{body}\n]}}\n'.encode("ascii")


def _content(registration: Registration | Bom) -> dict[str, Any]:
    """A form as it is posted, or a document; documents are packed, for they are long and much of them is alike."""
    if isinstance(registration, Registration):
        return {"form": format_registration(registration).decode("ascii")}
    packed = base64.b64encode(zlib.compress(registration.document.encode())).decode("ascii")
    fields = {"name": registration.name, "parent": registration.parent, "components": registration.components}
    return {"bom": {**fields, "packed": packed}}


def _parse(data: bytes) -> tuple[Missed, ...]:
    """What the file says, without what is damaged or too old."""
    try:
        document = parse_json(data)
    except ValueError:
        return ()
    if not isinstance(document, dict) or not isinstance(document.get("missed"), list):
        return ()
    number = document.get("format")
    if not isinstance(number, int) or number > FORMAT:
        raise _Newer("written by a newer envfab")
    found = (_parse_one(entry) for entry in document["missed"])
    oldest = int(time.time()) - MAX_AGE
    return tuple(one for one in found if one is not None and one.at >= oldest)


def _parse_one(entry: Any) -> Missed | None:
    try:
        registration = _bom(entry["bom"]) if "bom" in entry else _registration(entry["form"])
        return Missed(str(entry["url"]), str(entry["target"]), registration, int(entry["at"]))
    except (KeyError, TypeError, ValueError, OverflowError, RegistrationError, zlib.error):
        return None


def _registration(form: Any) -> Registration:
    return parse_registration(str(form).encode("utf-8", "replace"))


def _bom(fields: Mapping[str, Any]) -> Bom:
    unpacking = zlib.decompressobj()
    document = unpacking.decompress(base64.b64decode(fields["packed"], validate=True), MAX_DOCUMENT)
    if not unpacking.eof:
        raise ValueError("a part of the document is missing, or it is too long")
    parent = fields["parent"]
    return Bom(str(fields["name"]), parent and str(parent), int(fields["components"]), document.decode())
