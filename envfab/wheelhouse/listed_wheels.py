"""Wheels as `wheels` lists them, and what is wrong with their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from envfab.errors import WheelError, WheelhouseError
from envfab.models.wheel import Wheel
from envfab.wheelhouse.provenances import provenance_file, read_provenance
from envfab.wheelhouse.validate import read_metadata, sha256_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A wheel as `wheels` lists it: unlogged ones have no date, missing ones no size."""

    wheel: Wheel
    logged: bool
    added: datetime | None
    size: int | None
    yanked_reason: str | None


class Fault(Enum):
    """What can be wrong with a file of the wheelhouse."""

    CHANGED = "changed"
    MISSING = "missing"
    UNLOGGED = "unlogged"
    UNREADABLE = "unreadable"
    UNHASHED = "unhashed"


@dataclass(frozen=True, slots=True)
class FaultyFile:
    """A file of the wheelhouse that is not as the log says."""

    filename: str
    fault: Fault
    detail: str


def fault_of(listed: Listed, path: Path, digest: Callable[[], str]) -> FaultyFile | None:
    """Return how a wheel's file differs from what the log says, None if it does not; `digest` reads its SHA-256."""
    wheel = listed.wheel
    if listed.size is None:
        return FaultyFile(wheel.filename, Fault.MISSING, "it is logged, but the file is missing")
    try:
        if wheel.sha256 is not None and digest() != wheel.sha256:
            return FaultyFile(wheel.filename, Fault.CHANGED, "its SHA-256 differs from the logged one")
        read_metadata(path)
    except (WheelhouseError, WheelError) as error:
        return FaultyFile(wheel.filename, Fault.UNREADABLE, error.what)
    if not listed.logged:
        return FaultyFile(wheel.filename, Fault.UNLOGGED, "it has no line in the release log")
    if wheel.sha256 is None:
        return FaultyFile(wheel.filename, Fault.UNHASHED, "logged without a SHA-256, so changes cannot be detected")
    return None


def fault_beside(listed: Listed, path: Path) -> FaultyFile | None:
    """Return what is wrong with the provenance that is kept beside a wheel, None if nothing is, or none is kept."""
    try:
        read_provenance(path, listed.wheel.sha256 or sha256_of(path))
    except WheelError as error:
        return FaultyFile(provenance_file(path).name, Fault.UNREADABLE, error.what)
    return None
