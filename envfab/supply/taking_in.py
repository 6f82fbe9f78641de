"""Several wheels come into the house: all of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envfab.errors import HouseError
from envfab.supply.bundle import unpacked
from envfab.wheelhouse.adding import Added
from envfab.wheelhouse.house import House
from envfab.wheelhouse.inspection import sha256_of


def add_all(paths: Sequence[Path], house: House) -> list[Added]:
    """Add sound wheels; raises `HouseError` before the first where one of them cannot come in."""
    coming = {path.name: path for path in paths}
    for listed in house.list():
        wheel, place = listed.wheel, house.path_of(listed.wheel)
        if wheel.filename not in coming:
            continue
        known = wheel.sha256 or (sha256_of(place) if listed.size is not None else None)
        if known not in (None, sha256_of(coming[wheel.filename])):
            raise HouseError(
                "the house knows a different file of this name",
                where=wheel.filename,
                hint="what was released never changes: nothing was added",
            )
    return [house.add(path) for path in paths]


def add_bundle(path: Path, house: House) -> list[Added]:
    """Add all wheels of a bundle; raises what `unpacked` and `add_all` raise, and then the house is as it was."""
    with unpacked(path) as wheels:
        return add_all(wheels, house)
