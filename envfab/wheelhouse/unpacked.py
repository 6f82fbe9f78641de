"""The files that a wheel unpacks to, read from its archive's directory and its RECORD without unpacking it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, normpath

from envfab.models.wheel import Wheel
from envfab.wheelhouse.safe_zip import Archive
from envfab.wheelhouse.validate import RECORD_LIMIT, dist_info

PACKAGES = "packages"
_ROOTS = {"purelib": PACKAGES, "platlib": PACKAGES}


@dataclass(frozen=True, slots=True)
class UnpackedWheel:
    """The files of a wheel at the places where an installer puts them.

    A place is a root and a path below it: ("packages", "shop/views.py"), ("data", "share/man/man1/shop.1"). `files`
    maps places to sizes in bytes, unpacked and in the archive; scripts are left out if the wheel has entry points.
    `folders` are the folders that the files need. `hashes` maps places of packages and data files to hashes as in
    RECORD, without padding.
    """

    files: Mapping[tuple[str, str], tuple[int, int]]
    folders: frozenset[tuple[str, str]]
    hashes: Mapping[tuple[str, str], str]


def read_unpacked(path: Path) -> UnpackedWheel:
    """Read the directory and the RECORD of a wheel; raise `WheelError` if it is not valid."""
    wheel = Wheel.from_filename(path.name)
    with Archive(path) as archive:
        info = dist_info(archive, wheel)
        makes_scripts = f"{info}/entry_points.txt" in archive.members
        # of several members for one place, one remains
        places = {_place(member): entry for member, entry in archive.members.items()}
        files = {
            place: (entry.file_size, entry.compress_size)
            for place, entry in places.items()
            if place[0] != "scripts" or not makes_scripts
        }
        folders = frozenset(folder for place in files for folder in _folders(place))
        return UnpackedWheel(files, folders, _hashes(archive, f"{info}/RECORD"))


def _place(member: str) -> tuple[str, str]:
    """Return the place of a member: its root and its path below that (PEP 427, "The .data directory")."""
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return PACKAGES, member
    key, _, path = rest.partition("/")
    return _ROOTS.get(key, key), path


def _folders(place: tuple[str, str]) -> Iterator[tuple[str, str]]:
    root, path = place
    while path:
        path = dirname(path)
        yield root, path


def _hashes(archive: Archive, record: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    text = archive.read(record, RECORD_LIMIT).decode("utf-8", "replace")
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if len(row) > 1 and row[1] and ".dist-info/" not in row[0]:
                root, path = _place(normpath(row[0]))
                if root in (PACKAGES, "data"):
                    found[root, path] = row[1].rstrip("=")
    except csv.Error as error:
        raise archive.wrong(f"its RECORD cannot be read: {error}") from None
    return found
