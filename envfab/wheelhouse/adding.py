"""A wheel comes into the house: inspected, copied, logged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from envfab.errors import HouseError, WheelError
from envfab.facts.wheel import Wheel
from envfab.wheelhouse.archive import CHUNK
from envfab.wheelhouse.inspection import inspect, sha256_of
from envfab.wheelhouse.log_file import LogFile, sync_folder
from envfab.wheelhouse.log_text import LoggedWheel
from envfab.wheelhouse.release_log import Record, ReleaseRecord, YankRecord

UNFINISHED = ".adding"
# Longer than any copy takes, also where the clocks of two machines that share the house differ.
ABANDONED_AFTER = 24 * 3600


class Outcome(Enum):
    """What adding a wheel came to."""

    ADDED = "added"
    LOGGED = "logged"
    RESTORED = "restored"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Added:
    """A wheel that is in the house now.

    `outcome`: ADDED came in and was logged; LOGGED lay there, and has a line with its SHA-256 now; RESTORED was logged
    but missing or changed on disk, and is back; PRESENT was there already, and nothing was done. `yanked_reason` tells
    that it is withdrawn: adding it again does not change that.
    """

    wheel: Wheel
    outcome: Outcome
    yanked_reason: str | None = None


def add(path: Path, wheels: Path, log: LogFile) -> Added:
    """Put the wheel at `path` into the folder `wheels` and the log; raises `WheelError` and `HouseError`.

    It is copied under a hidden name, outside the log's lock, so that a large wheel holds up nobody; under the lock it
    gets its name, and then its line. Whoever is killed in between leaves a hidden file, which a later call clears away,
    or a wheel without a line, which is no candidate and which adding it again logs.
    """
    wheel = inspect(path).wheel
    _refuse_another(wheel, log.read().wheels(wheel.name).get(wheel.filename))
    try:
        wheels.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() == wheels.resolve():
            return _enter(wheel, wheels, log, None)
        clear_abandoned(wheels)
        with _copy(path, wheel, wheels) as copy:
            return _enter(wheel, wheels, log, copy)
    except OSError as error:
        raise HouseError(
            f"cannot take in {wheel.filename}: {error.strerror}",
            where=str(wheels),
            hint="whoever adds wheels must be allowed to write to the folder and the release log",
        ) from None


def _enter(wheel: Wheel, wheels: Path, log: LogFile, copy: Path | None) -> Added:
    """Give the copy its name and the wheel its line, while nobody else does such things."""
    with log.locked() as held:
        logged = held.read().wheels(wheel.name).get(wheel.filename)
        _refuse_another(wheel, logged)
        moved = _settle(wheel, wheels, copy, bound=logged is not None and logged.sha256 is not None)
        reason = logged.yanked_reason if logged else None
        if logged is not None and logged.sha256 is not None:
            return Added(wheel, Outcome.RESTORED if moved else Outcome.PRESENT, reason)
        held.append(*_lines(wheel, reason))
        return Added(wheel, Outcome.ADDED if moved else Outcome.LOGGED, reason)


def _settle(wheel: Wheel, wheels: Path, copy: Path | None, *, bound: bool) -> bool:
    """Have the wheel under its name in the folder; whether the copy was needed for that.

    Another file of that name makes way only where the log says (`bound`) that this one is the right one.
    """
    place = wheels / wheel.filename
    present = sha256_of(place) if place.exists() else None
    if present == wheel.sha256:
        return False
    if copy is None:
        raise HouseError("it changed while it was being read", where=str(place), hint="add it again")
    if present is not None and not bound:
        raise HouseError(
            "another file of this name lies in the house",
            where=str(place),
            hint="add that one, or remove it first",
        )
    os.replace(copy, place)
    sync_folder(wheels)
    return True


def _lines(wheel: Wheel, yanked_reason: str | None) -> Iterator[Record]:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    version = str(wheel.version)
    yield ReleaseRecord(wheel.shown_as, version, wheel.filename, now, wheel.sha256)
    if yanked_reason is not None:
        # The line above gives an old line's wheel its hash; it must not bring a withdrawn wheel back.
        yield YankRecord(wheel.shown_as, version, wheel.filename, now, yanked_reason)


def _refuse_another(wheel: Wheel, logged: LoggedWheel | None) -> None:
    if logged is not None and logged.sha256 not in (None, wheel.sha256):
        raise HouseError(
            f"a different file was logged under this name on {logged.added:%Y-%m-%d}",
            where=wheel.filename,
            hint="what was released never changes: give this one a new version or build number",
        )


@contextlib.contextmanager
def _copy(path: Path, wheel: Wheel, wheels: Path) -> Iterator[Path]:
    """The wheel under a hidden name in the folder, on disk; gone afterwards unless it was renamed."""
    copy = wheels / f".{secrets.token_hex(8)}{UNFINISHED}"
    digest = hashlib.sha256()
    try:
        # Not a temporary file of the standard library's: those only their owner may read, and a team shares the house.
        with open(path, "rb") as source, open(copy, "xb") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != wheel.sha256:
            raise WheelError("it changed while it was being read", where=str(path), hint="add it again")
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def clear_abandoned(wheels: Path) -> tuple[str, ...]:
    """Remove the copies that killed processes left behind; their names."""
    removed = []
    for file in wheels.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER:
                file.unlink()
                removed.append(file.name)
    return tuple(removed)
