"""Adding wheels to the wheelhouse: inspected, copied, logged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

from envfab.errors import WheelError, WheelhouseError
from envfab.models.provenance import Provenance
from envfab.models.wheel import Wheel
from envfab.util.atomic import sync_folder, write_file
from envfab.util.times import DAY
from envfab.wheelhouse.provenances import provenance_file, read_provenance
from envfab.wheelhouse.release_log.records import Record, ReleaseRecord, YankRecord
from envfab.wheelhouse.release_log.storage import HeldLog, LogFile
from envfab.wheelhouse.release_log.view import LoggedWheel
from envfab.wheelhouse.safe_zip import CHUNK
from envfab.wheelhouse.validate import inspect, sha256_of

UNFINISHED = ".adding"
# Longer than any copy takes, also where the clocks of two machines that share the wheelhouse differ.
ABANDONED_AFTER = DAY  # seconds


class AddOutcome(Enum):
    """The outcome of adding a wheel."""

    ADDED = "added"
    LOGGED = "logged"
    RESTORED = "restored"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Added:
    """A wheel that is in the wheelhouse now.

    `outcome`: ADDED was copied and logged; LOGGED was there already, and is now logged with its SHA-256; RESTORED was
    logged but missing or changed on disk; PRESENT was there already, and nothing was done. `yanked_reason`, where it is
    not None, tells that the wheel is withdrawn, which adding it does not change. `hash_is_new` tells that it had been
    logged without a SHA-256, and has this file's now. `notes` say what in its METADATA does not follow the standards,
    and how it is read.
    """

    wheel: Wheel
    outcome: AddOutcome
    yanked_reason: str | None = None
    hash_is_new: bool = False
    notes: tuple[str, ...] = ()


class UnknownHash(WheelhouseError):
    """A wheel was logged without a SHA-256, and the user did not say that this file is the one."""


def add_all(paths: Sequence[Path], wheels: Path, log: LogFile, *, trust: bool) -> list[Added]:
    """Add the wheels at `paths` to the folder `wheels` and the log: all of them or, with an error, none.

    A wheel that is logged without a SHA-256 is accepted only with `trust`. A provenance that lies beside a wheel comes
    in with it. Raises `WheelError` and `WheelhouseError` (`UnknownHash` without `trust`). Wheels are copied under
    hidden names without the log's lock, so that large wheels block no other process; under the lock they get their
    names, and then their lines. A process that is killed in between leaves hidden files, which a later call removes, or
    wheels without a line, which plans do not use and adding them again logs.
    """
    if log.signers is not None:
        # before anything is copied
        log.signers.require_key()
    coming = [_coming(path) for path in paths]
    known = log.read()
    for one in coming:
        _refuse_another(one.wheel, known.wheels(one.wheel.name).get(one.wheel.filename), trust)
    try:
        wheels.mkdir(parents=True, exist_ok=True)
        wheelhouse = wheels.resolve()
        with contextlib.ExitStack() as copies:
            for one in coming:
                if one.path.parent.resolve() != wheelhouse:
                    one.copy = copies.enter_context(_copy(one.path, one.wheel, wheels))
            clear_abandoned(wheels)
            with log.locked() as held:
                return _enter(coming, wheels, held, trust)
    except OSError as error:
        named = coming[0].wheel.filename if len(coming) == 1 else f"{len(coming)} wheels"
        raise WheelhouseError(
            f"cannot add {named}: {error.strerror}",
            where=str(wheels),
            hint="you need write permission for the wheels folder and the release log",
        ) from None


@dataclass(slots=True)
class _Coming:
    """A wheel that is being added; `copy` is None where it is in the folder already."""

    path: Path
    wheel: Wheel
    notes: tuple[str, ...]
    provenance: Provenance | None
    copy: Path | None = None


def _coming(path: Path) -> _Coming:
    """The wheel at a path, checked, and the provenance that lies beside it; raises `WheelError`."""
    found = inspect(path)
    provenance = read_provenance(path, str(found.wheel.sha256))
    return _Coming(path, found.wheel, found.metadata.notes, provenance)


def _enter(coming: Sequence[_Coming], wheels: Path, held: HeldLog, trust: bool) -> list[Added]:
    """Give the copies their names and the wheels their lines, under the log's lock."""
    text = held.read()
    logged = [text.wheels(one.wheel.name).get(one.wheel.filename) for one in coming]
    moved: list[bool] = []
    records: list[Record] = []
    added: list[Added] = []
    written: list[Path] = []
    try:
        for one, line in zip(coming, logged, strict=True):
            _refuse_another(one.wheel, line, trust)
            bound = line is not None and line.sha256 is not None
            moved.append(_settle(one.wheel, wheels, one.copy, bound=bound))
            reason = line.yanked_reason if line else None
            if bound:
                outcome = AddOutcome.RESTORED if moved[-1] else AddOutcome.PRESENT
            else:
                size = (wheels / one.wheel.filename).stat().st_size if held.must_be_signed else None
                records += _lines(one.wheel, reason, size)
                outcome = AddOutcome.ADDED if moved[-1] else AddOutcome.LOGGED
            if one.provenance is not None and (kept := _keep(one.provenance, wheels / one.wheel.filename)):
                written.append(kept)
            hash_is_new = line is not None and not bound
            added.append(Added(one.wheel, outcome, reason, hash_is_new, one.notes))
        sync_folder(wheels)
        held.append(*records)
    except BaseException:
        for one_added, was_moved in zip(added, moved, strict=False):
            if was_moved and one_added.outcome is AddOutcome.ADDED:
                (wheels / one_added.wheel.filename).unlink(missing_ok=True)
        for file in written:
            file.unlink(missing_ok=True)
        raise
    return added


def _keep(provenance: Provenance, wheel: Path) -> Path | None:
    """Write a provenance beside its wheel; return its path, None where there is one already."""
    place = provenance_file(wheel)
    if place.exists():
        return None
    write_file(place, provenance.content)
    return place


def _settle(wheel: Wheel, wheels: Path, copy: Path | None, *, bound: bool) -> bool:
    """Put the wheel under its name in the folder; return whether the copy was needed.

    Another file of that name is replaced only where the log has this one's SHA-256 (`bound`).
    """
    place = wheels / wheel.filename
    present = sha256_of(place) if place.exists() else None
    if present == wheel.sha256:
        return False
    if copy is None:
        raise WheelhouseError("it changed while it was being read", where=str(place), hint="add it again")
    if present is not None and not bound:
        raise WheelhouseError(
            "the wheelhouse has another file of this name",
            where=str(place),
            hint="add that one, or remove it first",
        )
    os.replace(copy, place)
    return True


def _lines(wheel: Wheel, yanked_reason: str | None, size: int | None) -> Iterator[Record]:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    version = str(wheel.version)
    yield ReleaseRecord(wheel.shown_as, version, wheel.filename, now, wheel.sha256, size)
    if yanked_reason is not None:
        # The line above gives an old line's wheel its hash; it must not bring a withdrawn wheel back.
        yield YankRecord(wheel.shown_as, version, wheel.filename, now, yanked_reason)


def _refuse_another(wheel: Wheel, logged: LoggedWheel | None, trust: bool) -> None:
    if logged is not None and logged.sha256 is None and not trust:
        raise UnknownHash(
            f"was logged on {logged.added:%Y-%m-%d} without a SHA-256, so this file cannot be compared with it",
            where=wheel.filename,
            hint="compare it with its source; then fab add_wheel --trust FILE logs its SHA-256",
        )
    if logged is not None and logged.sha256 not in (None, wheel.sha256):
        raise WheelhouseError(
            f"a different file was logged under this name on {logged.added:%Y-%m-%d}",
            where=wheel.filename,
            hint="a released wheel never changes: give this one a new version or build number",
        )


@contextlib.contextmanager
def _copy(path: Path, wheel: Wheel, wheels: Path) -> Iterator[Path]:
    """Copy the wheel to a hidden name in the folder, synced to disk; remove it afterwards unless it was renamed."""
    copy = wheels / f".{secrets.token_hex(8)}{UNFINISHED}"
    digest = hashlib.sha256()
    try:
        # Not the standard library's temporary file: only its owner may read that, and a team shares the wheelhouse.
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
    """Remove copies that killed processes left more than a day ago; return their names."""
    removed = []
    for file in wheels.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER:
                file.unlink()
                removed.append(file.name)
    return tuple(removed)
