"""Validation of a wheel: by the binary distribution format (PEP 427), and by what an installer would do with it.

Of 184 published wheels of 2014 to 2026 all pass. These oddities were among them and are accepted:

- entries for folders in the archive, which RECORD does not list; members without a file type;
- `RECORD.jws` and `RECORD.p7s`, which the format exempts from RECORD's hashes;
- a RECORD whose lines end with CR and LF;
- `Tag:` lines of WHEEL that differ from the file name: wheels are renamed for another platform after they were
  built, and installers go by the file name. Only a WHEEL that shares no python with the file name is refused,
  because that is the WHEEL of another file.

The format leaves open, so that these are accepted too: digests in RECORD padded with `=`, sizes left out, and
folders spelled differently from the file name, as long as both mean the same release.
"""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import base64
import binascii
import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion

from envfab.errors import WheelError
from envfab.models.wheel import MOST_REQUIREMENTS, MOST_TAGS, Wheel, WheelMetadata, count_tags
from envfab.util.untrusted import one_line
from envfab.util.versions import MOST_DIGITS, problem_of, shortened, version_or_none
from envfab.wheelhouse.safe_zip import CHUNK, Archive, Limits

WHEEL_MAJOR = 1
TEXT_LIMIT = 16 << 20
# Of the header of METADATA, and of WHEEL: real ones have a few kilobytes.
FIELDS_LIMIT = 4 << 20
RECORD_LIMIT = 64 << 20
# The format demands "sha256 or better"; an algorithm's digest size tells a cut digest.
ALGORITHMS = {"sha256": 32, "sha384": 48, "sha512": 64}
SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_FIELDS_ONCE = ("Name", "Version")
_FIELDS_THAT_COUNT = (*_FIELDS_ONCE, "Requires-Dist", "Provides-Extra")
# Old tools broke long lines of METADATA.
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]*")
DATA_KEYS = ("purelib", "platlib", "headers", "scripts", "data")


@dataclass(frozen=True, slots=True)
class InspectedWheel:
    """A valid wheel: its name, tags and SHA-256, its METADATA, and its size in bytes."""

    wheel: Wheel
    metadata: WheelMetadata
    size: int


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What RECORD says of a member; `digest` is None where it need not have one."""

    algorithm: str
    digest: bytes | None
    size: int | None


def inspect(path: Path, limits: Limits | None = None) -> InspectedWheel:
    """Check the whole wheel at `path`, reading it in pieces; raises `WheelError`."""
    wheel = Wheel.from_filename(path.name)
    with Archive(path, limits) as archive:
        info = dist_info(archive, wheel)
        metadata = parse_metadata(archive.read(f"{info}/METADATA", TEXT_LIMIT), str(path))
        _check_names(archive, wheel, metadata)
        _check_wheel_file(archive, info, wheel)
        _check_data(archive, wheel)
        _check_record(archive, info)
        wheel = replace(wheel, sha256=archive.sha256(), shown_as=metadata.name)
        return InspectedWheel(wheel, metadata, archive.size)


def read_metadata(path: Path) -> WheelMetadata:
    """Read the METADATA of a wheel (and the archive's directory); raises `WheelError`."""
    return parse_metadata(metadata_file(path), str(path))


def metadata_file(path: Path) -> bytes:
    """Return the METADATA file of a wheel unchanged; raises `WheelError`."""
    wheel = Wheel.from_filename(path.name)
    with Archive(path) as archive:
        info = dist_info(archive, wheel)
        return archive.read(f"{info}/METADATA", TEXT_LIMIT)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; raises `OSError`."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def dist_info(archive: Archive, wheel: Wheel) -> str:
    """Return the dist-info folder of a wheel; raises `WheelError`.

    There must be exactly one, of the release that the file name tells, with what it must contain (PEP 427).
    """
    folders = {path.partition("/")[0] for path in archive.members if "/" in path}
    found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
    if not found:
        raise archive.wrong("is not a wheel: it has no dist-info folder")
    if len(found) > 1:
        raise archive.wrong(f"has {len(found)} dist-info folders: {', '.join(found)}")
    info = found[0]
    if not _names_release(info.removesuffix(".dist-info"), wheel):
        raise archive.wrong(f"has the dist-info folder of another release: {info}", _RENAMED)
    for name in ("METADATA", "WHEEL", "RECORD"):
        if f"{info}/{name}" not in archive.members:
            raise archive.wrong(f"is not a wheel: it has no {info}/{name}")
    return info


_RENAMED = "was the file renamed? Give it the name that it was built with"


def _names_release(stem: str, wheel: Wheel) -> bool:
    name, _, version = stem.partition("-")
    return canonicalize_name(name) == wheel.name and version_or_none(version) == wheel.version


def _fields(content: bytes) -> bytes:
    """The header part of METADATA or WHEEL: a long description behind it costs more to parse than all else."""
    ends = [content.find(mark) for mark in (b"\n\n", b"\n\r\n")]
    ends = [end for end in ends if end >= 0]
    return content[: min(ends) + 1] if ends else content


def parse_metadata(content: bytes, where: str) -> WheelMetadata:
    """Parse a METADATA file (PEP 566 and later); raises `WheelError`."""
    from packaging.metadata import parse_email

    fields = _fields(content)
    if len(fields) > FIELDS_LIMIT:
        raise WheelError(f"its METADATA has more than {FIELDS_LIMIT:,} bytes of fields", where=where)
    raw, unread = parse_email(fields)
    _refuse_unread(unread, where)
    name, version = raw.get("name"), raw.get("version")
    if not name or not version:
        raise WheelError("its METADATA lacks Name or Version", where=where)
    requires = [_FOLD.sub(" ", text) for text in raw.get("requires_dist", [])]
    _refuse_too_much(version, requires, where)
    # of several, installers take the first
    python = raw.get("requires_python") or next(iter(unread.get("requires-python", [])), None)
    try:
        canonicalize_name(name, validate=True)
        return WheelMetadata.build(name, version, requires, python, raw.get("provides_extra", []))
    except (InvalidName, InvalidRequirement, InvalidVersion) as error:
        line = shortened(" ".join(str(error).split()), 200)
        raise WheelError(
            f"its METADATA cannot be read: {line}", where=where, hint="current pip and uv refuse such a wheel, too"
        ) from None


def _refuse_unread(unread: Mapping[str, Sequence[str]], where: str) -> None:
    """Refuse what packaging leaves unread: of a field that counts, all values would be lost."""
    for field in _FIELDS_THAT_COUNT:
        values = unread.get(field.lower(), ())
        if len(values) > 1 and field in _FIELDS_ONCE:
            raise WheelError(f"its METADATA has {len(values)} lines {field}", where=where, hint="build it again")
        if values:
            raise WheelError(
                f"its METADATA has a {field} that is not UTF-8",
                where=where,
                hint="current pip and uv refuse such a wheel, too",
            )


def _refuse_too_much(version: str, requires: Sequence[str], where: str) -> None:
    """Refuse what would take too long to plan with; pip and uv have other limits, or none."""
    problem = next(filter(None, map(problem_of, (version, *requires))), "")
    if len(requires) > MOST_REQUIREMENTS:
        problem = f"more than {MOST_REQUIREMENTS:,} Requires-Dist"
    if problem:
        raise WheelError(f"its METADATA cannot be read: {problem}", where=where, hint="no plan can use it")


def _check_names(archive: Archive, wheel: Wheel, metadata: WheelMetadata) -> None:
    if canonicalize_name(metadata.name) != wheel.name or metadata.version != wheel.version:
        says = shortened(f"{metadata.name} {metadata.version}")
        raise archive.wrong(
            f"the file name says {wheel.name} {wheel.version}, METADATA says {says}",
            _RENAMED,
        )


def _check_wheel_file(archive: Archive, info: str, wheel: Wheel) -> None:
    content = _fields(archive.read(f"{info}/WHEEL", TEXT_LIMIT)).decode("utf-8", "replace")
    fields = [
        (key.strip().lower(), value.strip()) for key, _, value in (line.partition(":") for line in content.splitlines())
    ]
    versions = [value for key, value in fields if key == "wheel-version"]
    major = versions[0].partition(".")[0] if versions else ""
    if not (major.isascii() and major.isdigit()):
        raise archive.wrong(f"{info}/WHEEL has no Wheel-Version")
    if len(major) > MOST_DIGITS or int(major) > WHEEL_MAJOR:
        raise archive.wrong(
            f"is a wheel of format {shortened(versions[0], 20)}; this envfab reads {WHEEL_MAJOR}.x",
            "a newer envfab may be able to read it",
        )
    _check_tags([value for key, value in fields if key == "tag"], archive, info, wheel)


def _check_tags(texts: Sequence[str], archive: Archive, info: str, wheel: Wheel) -> None:
    """Refuse the WHEEL file of another wheel, and one with too many tags."""
    said = [text.split("-") for text in texts if text.count("-") == 2]
    number = sum(count_tags(parts) for parts in said)
    if number > MOST_TAGS:
        raise archive.wrong(f"{info}/WHEEL has {number:,} tags; {MOST_TAGS:,} are allowed")
    pythons = {python for parts in said for python in parts[0].lower().split(".")}
    if said and not pythons & {tag.interpreter for tag in wheel.tags}:
        shown = shortened(", ".join(sorted("-".join(parts) for parts in said)), 200)
        raise archive.wrong(f"{info}/WHEEL does not have the file name's tags, but {shown}", _RENAMED)


def _check_data(archive: Archive, wheel: Wheel) -> None:
    """What an installer would put outside the packages folder: only under the keys there are."""
    for path in archive.members:
        top, _, rest = path.partition("/")
        if not top.endswith(".data") or not _names_release(top.removesuffix(".data"), wheel):
            continue
        key, _, file = rest.partition("/")
        if key not in DATA_KEYS or not file:
            raise archive.wrong(
                f"has a data folder that installers do not know: {path}", f"they know {', '.join(DATA_KEYS)}"
            )


def _check_record(archive: Archive, info: str) -> None:
    record = f"{info}/RECORD"
    exempt = {record, *(f"{info}/{name}" for name in SIGNATURES)}
    recorded = _parse_record(archive, record, exempt)
    for path in archive.members:
        if path in exempt:
            continue
        expected = recorded.get(path)
        if expected is None:
            raise archive.wrong(f"has a file that its RECORD does not list: {path}")
        if expected.digest is None:
            raise archive.wrong(f"its RECORD has no hash for {path}")
        _check_member(archive, path, expected)


def _check_member(archive: Archive, path: str, expected: _Recorded) -> None:
    digest = hashlib.new(expected.algorithm)
    size = 0
    for chunk in archive.chunks(path):
        digest.update(chunk)
        size += len(chunk)
    if digest.digest() != expected.digest:
        raise archive.wrong(f"{path} does not match its RECORD: the {expected.algorithm} differs")
    if expected.size is not None and size != expected.size:
        raise archive.wrong(f"{path} has {size:,} bytes, its RECORD says {expected.size:,}")


def _parse_record(archive: Archive, record: str, exempt: Set[str]) -> dict[str, _Recorded]:
    recorded: dict[str, _Recorded] = {}
    try:
        text = archive.read(record, RECORD_LIMIT).decode("utf-8")
        for row in csv.reader(io.StringIO(text, newline="")):
            if not row:
                continue
            path, digest, size = (*row, "", "")[:3] if len(row) < 3 else row[:3]
            # told here, so that a RECORD of millions of paths that are not there is not kept in memory
            if path not in archive.members and path not in exempt:
                raise archive.wrong(f"lacks a file that its RECORD lists: {shortened(one_line(path), 200)}")
            if path in recorded:
                raise archive.wrong(f"its RECORD lists {path} twice")
            recorded[path] = _Recorded(*_parse_digest(archive, path, digest), _size(size))
    except (csv.Error, ValueError) as error:
        raise archive.wrong(f"its RECORD cannot be read: {shortened(one_line(str(error)), 200)}") from None
    return recorded


def _size(text: str) -> int | None:
    """Return a size in bytes, or None for an empty text; raises `ValueError` for what is not a number or too long."""
    text = text.strip()
    if len(text) > MOST_DIGITS:
        raise ValueError("a size has too many digits")
    return int(text) if text else None


def _parse_digest(archive: Archive, path: str, text: str) -> tuple[str, bytes | None]:
    if not text:
        return "", None
    algorithm, _, encoded = text.partition("=")
    length = ALGORITHMS.get(algorithm.lower())
    if length is None:
        raise archive.wrong(
            f"its RECORD has a hash that is not allowed for {path}: {shortened(one_line(algorithm))}",
            "SHA-256 or better is allowed",
        )
    try:
        digest = base64.urlsafe_b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != length:
        raise archive.wrong(f"its RECORD has a hash that cannot be read for {path}")
    return algorithm.lower(), digest
