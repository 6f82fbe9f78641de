"""Estimate of the space that a deployment needs on its host, compared with what is free before anything changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from envfab.deployment.context import DeploymentContext
from envfab.errors import DeploymentError, WheelError
from envfab.models.wheel import Wheel
from envfab.remote.agent_replies import Room, to_rooms
from envfab.wheelhouse.unpacked import UnpackedWheel

# a tree's folder and its tree.json; a wheel's own RECORD and INSTALLER in each generation
OF_A_TREE = 2
OF_A_PLACED_WHEEL = 2
MEGABYTE = 1_000_000
HINT = "free space: fab clean removes unpacked wheels that no virtualenv uses, a lower `keep` removes older generations"


@dataclass(frozen=True, slots=True)
class Need:
    """Space that files need: bytes and inodes."""

    size: int = 0
    inodes: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(self.size + other.size, self.inodes + other.inodes)


def require_room(
    work: DeploymentContext, reply: Mapping[str, Any], lacking: Sequence[Wheel], wheels: Sequence[Wheel]
) -> None:
    """Raise `DeploymentError` if there is no space for the `lacking` wheels, or for a generation with `wheels`.

    `reply` is the agent's answer to `missing`, which has the free space. The estimate is a lower bound: a deployment
    that would fit is never refused, but a disk can still become full. It leaves out bytecode, partly filled blocks, and
    the files that are carried over from the current generation.
    """
    store, virtualenv = to_rooms(reply, work.where)
    trees = sum((of_tree(one, store) for one in _read(work, lacking)), Need())
    generation = Need()
    if work.probe.journal is None:
        # an interrupted deployment may have left a generation, which is removed before the new one is made
        generation = of_generation(_read(work, wheels), virtualenv, by_links=store.device == virtualenv.device)
    if store.device == virtualenv.device:
        _require(work, store, trees + generation, "unpacked wheels and a new generation")
    else:
        _require(work, store, trees, "unpacked wheels")
        _require(work, virtualenv, generation, "a new generation (copies: unpacked wheels are on another file system)")


def of_tree(wheel: UnpackedWheel, room: Room) -> Need:
    """Return what a wheel needs in the store, at least."""
    return Need(_bytes(wheel.files, room), len(wheel.files) + len(wheel.folders) + OF_A_TREE)


def of_generation(wheels: Sequence[UnpackedWheel], room: Room, *, by_links: bool) -> Need:
    """Return what wheels need in a new generation, at least: an inode for each folder; without links, the files."""
    folders = {folder for wheel in wheels for folder in wheel.folders}
    own = Need(0, len(folders) + OF_A_PLACED_WHEEL * len(wheels))
    if by_links:
        return own
    # a path that several wheels have is counted once
    files = {place: sizes for wheel in wheels for place, sizes in wheel.files.items()}
    return own + Need(_bytes(files, room), len(files))


def _bytes(files: Mapping[tuple[str, str], tuple[int, int]], room: Room) -> int:
    """Return the bytes that files need; as compressed in the wheel if the file system may compress."""
    return sum(size if room.plain else min(size, packed) for size, packed in files.values())


def _read(work: DeploymentContext, wheels: Sequence[Wheel]) -> list[UnpackedWheel]:
    """Read what wheels unpack to; invalid ones are left out, since unpacking them reports the error."""
    found = []
    for wheel in wheels:
        with suppress(WheelError):
            found.append(work.around.wheelhouse.unpacked(wheel))
    return found


def _require(work: DeploymentContext, room: Room, need: Need, what: str) -> None:
    short = []
    if room.free is not None and need.size > room.free:
        short.append(f"{_megabytes(need.size)} needed, {_megabytes(room.free)} free")
    if room.inodes is not None and need.inodes > room.inodes:
        short.append(f"{need.inodes} inodes needed, {room.inodes} free")
    if short:
        raise DeploymentError(
            f"not enough space on the file system of {room.folder} for {what}: at least {'; '.join(short)}",
            where=work.where,
            hint=HINT,
        )


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"
