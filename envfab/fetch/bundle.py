"""One file that carries wheels to where no index can be reached: a zip of wheels, and a manifest that names them."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envfab.errors import FormatError, SupplyError, WheelError
from envfab.models.provenance import Provenance
from envfab.models.wheel import Wheel
from envfab.util.atomic import replacing
from envfab.util.untrusted import parse_json
from envfab.wheelhouse.add import Added
from envfab.wheelhouse.provenances import provenance_file, read_provenance
from envfab.wheelhouse.safe_zip import MAGIC, Archive
from envfab.wheelhouse.validate import inspect, sha256_of
from envfab.wheelhouse.wheelhouse import Wheelhouse

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 64 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def write_bundle(place: Path, wheels: Sequence[Path]) -> None:
    """Write the wheels and their manifest to `place`, at once; raises `SupplyError`."""
    ordered = sorted(wheels, key=lambda path: path.name)
    listed = [_entry(path) for path in ordered]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # wheels are compressed already
        with replacing(place) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(MANIFEST, json.dumps({"format": FORMAT, "wheels": listed}, indent=1))
            for path in ordered:
                archive.write(path, f"wheels/{path.name}")
    except OSError as error:
        raise SupplyError(f"the bundle cannot be written: {error.strerror}", where=str(place)) from None


def _entry(path: Path) -> dict[str, Any]:
    """What the manifest says of a wheel, with the provenance that lies beside it: older envfabs pass over that."""
    entry = {"filename": path.name, "sha256": sha256_of(path), "size": path.stat().st_size}
    provenance = read_provenance(path, str(entry["sha256"]))
    return entry if provenance is None else {**entry, "provenance": provenance.content.decode()}


def is_bundle(path: Path) -> bool:
    """Whether a file looks like a bundle: it begins like a zip file, and its name is not that of a wheel."""
    # opening a pipe would wait for a writer
    if path.suffix == ".whl" or not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


@contextmanager
def unpacked(path: Path) -> Iterator[list[Path]]:
    """The wheels of a bundle, every one verified and inspected, in a folder that is there for the context.

    Raises `SupplyError` and `FormatError` for a bundle that is not exactly what its manifest says, and `WheelError` for
    a wheel in it that is not sound.
    """
    with tempfile.TemporaryDirectory(prefix="envfab-bundle-") as folder:
        try:
            with Archive(path) as archive:
                listed = _manifest(archive, path)
                members = {f"wheels/{filename}" for filename in listed}
                _refuse_differences(archive.members.keys() - {MANIFEST}, members, path)
                wheels = [_unpack(archive, one, Path(folder), path) for one in listed.values()]
        except WheelError as error:
            if error.where == str(path):
                what = error.what.replace("wheel", "bundle")
                raise SupplyError(
                    what, where=error.where, hint=error.hint or "fetch it again, or copy it again"
                ) from None
            raise
        except OSError as error:
            raise SupplyError(f"cannot be unpacked: {error.strerror}", where=str(path)) from None
        for wheel in wheels:
            try:
                inspect(wheel)
            except WheelError as error:
                raise SupplyError(f"{wheel.name} {error.what}", where=str(path), hint=error.hint) from None
        yield wheels


def add_bundle(
    path: Path,
    wheelhouse: Wheelhouse,
    *,
    trust: bool = False,
    check: Callable[[Sequence[Path]], None] = lambda _wheels: None,
) -> list[Added]:
    """Add all wheels of a bundle; `trust` is that of `Wheelhouse.add_all`, `check` raises to refuse them.

    Raises what `unpacked`, `check` and `Wheelhouse.add_all` raise, and then the wheelhouse is as it was.
    """
    with unpacked(path) as wheels:
        check(wheels)
        return wheelhouse.add_all(wheels, trust=trust)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A wheel as the manifest lists it."""

    filename: str
    sha256: str
    provenance: Provenance | None


def _manifest(archive: Archive, path: Path) -> dict[str, _Listed]:
    """What the manifest lists, by file name."""
    if MANIFEST not in archive.members:
        raise SupplyError(
            f"is not a bundle: it has no {MANIFEST}",
            where=str(path),
            hint="add wheels, or a bundle; was it copied whole?",
        )
    try:
        document = parse_json(archive.read(MANIFEST, MANIFEST_LIMIT))
        if document["format"] != FORMAT:
            raise FormatError(
                f"it is of format {document['format']!r}; this envfab reads {FORMAT}",
                where=str(path),
                hint="a newer envfab may read it",
            )
        listed = {one.filename: one for one in map(_listed, document["wheels"])}
        if len(listed) != len(document["wheels"]):
            raise ValueError("it names a wheel twice")
    except (ValueError, KeyError, TypeError, AttributeError, WheelError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SupplyError(f"its manifest cannot be read: {problem}", where=str(path)) from None
    return listed


def _listed(one: Mapping[str, Any]) -> _Listed:
    filename, digest = one["filename"], one["sha256"]
    Wheel.from_filename(filename)
    if "/" in filename or "\\" in filename or not _SHA256.fullmatch(digest):
        raise ValueError(f"{filename!r} has no plain name, or no SHA-256")
    return _Listed(filename, digest, _provenance(one.get("provenance"), filename, digest))


def _provenance(said: object, filename: str, sha256: str) -> Provenance | None:
    if said is None:
        return None
    try:
        return Provenance.parse(str(said).encode(), sha256)
    except ValueError as error:
        raise ValueError(f"the provenance of {filename} is not one: {error}") from None


def _refuse_differences(there: set[str], named: set[str], path: Path) -> None:
    for member in sorted(named - there):
        raise SupplyError(f"lacks {member}, which its manifest names", where=str(path))
    for member in sorted(there - named):
        raise SupplyError(f"has {member}, which its manifest does not name", where=str(path))


def _unpack(archive: Archive, listed: _Listed, folder: Path, path: Path) -> Path:
    filename = listed.filename
    place = folder / filename
    found = hashlib.sha256()
    with open(place, "wb") as file:
        for chunk in archive.chunks(f"wheels/{filename}"):
            found.update(chunk)
            file.write(chunk)
    if found.hexdigest() != listed.sha256:
        raise SupplyError(f"{filename} is not what the manifest says: its SHA-256 is another", where=str(path))
    if listed.provenance is not None:
        provenance_file(place).write_bytes(listed.provenance.content)
    return place
