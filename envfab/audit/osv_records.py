"""The records of an OSV export as they lie on disk: in a zip, in a folder, or a single one."""

from __future__ import annotations

import errno
import stat
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from envfab.errors import SupplyError
from envfab.wheelhouse.safe_zip import DAMAGE, MAGIC

RECORD_LIMIT = 16 << 20
HINT = "it is the export of OSV for PyPI (all.zip), or its records unpacked in a folder"


def every_record(place: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every record; raises `SupplyError`. One that is too large has no content."""
    return _records(place, None)


def some_records(place: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Those of the records that have these names."""
    return _records(place, names)


def _records(place: Path, names: Collection[str] | None) -> Iterator[tuple[str, bytes]]:
    try:
        if place.is_dir():
            found = sorted(place.rglob("*.json")) if names is None else [place / name for name in names]
            for file in found:
                yield file.relative_to(place).as_posix(), _file(file)
        elif _is_zip(place):
            with zipfile.ZipFile(place) as archive:
                entries = archive.infolist() if names is None else [archive.getinfo(name) for name in names]
                for entry in entries:
                    if entry.filename.endswith(".json"):
                        yield entry.filename, archive.read(entry) if entry.file_size <= RECORD_LIMIT else b""
        else:
            content = _file(place)
            if content.startswith(MAGIC):
                raise SupplyError("is damaged or cut short: its list of files is missing", where=str(place), hint=HINT)
            if names is not None and place.name not in names:
                raise KeyError("other records are there now")
            yield place.name, content
    except OSError as error:
        # what unpacks bz2 gives a text alone
        raise SupplyError(f"cannot be read: {error.strerror or error}", where=str(place), hint=HINT) from None
    except (*DAMAGE, KeyError) as error:
        raise SupplyError(f"is damaged or cut short ({error})", where=str(place), hint=HINT) from None


def _is_zip(path: Path) -> bool:
    with _opened(path) as file:
        return zipfile.is_zipfile(file)


def _opened(path: Path) -> BinaryIO:
    """A regular file, open for reading: a pipe would be waited for, and can be read but once. Raises `OSError`."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return open(path, "rb")


def _file(path: Path) -> bytes:
    with _opened(path) as file:
        content = file.read(RECORD_LIMIT + 1)
    # a download that was cut short may be long; what is told of it is that it is a zip
    return content if len(content) <= RECORD_LIMIT or content.startswith(MAGIC) else b""
