"""Small real wheels, made in milliseconds, and wheelhouses full of them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from packaging.utils import canonicalize_name

WHEEL_DATE = (2020, 1, 1, 0, 0, 0)
FIRST_RELEASE = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)


def make_wheel(
    folder: str | os.PathLike[str],
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    tags: Sequence[str] = ("py3-none-any",),
    build: str = "",
    files: Mapping[str, str | bytes] | None = None,
    entry_points: Mapping[str, str] | None = None,
    filename: str | None = None,
    dist_info: Mapping[str, str | bytes] | None = None,
) -> Path:
    """A sound wheel in `folder`, which is made where it is missing; the path of the wheel.

    Args:
        requires: lines of `Requires-Dist`, markers and all; `extras` are the names of `Provides-Extra`.
        tags: full tags (`cp311-cp311-manylinux_2_17_x86_64`); several are compressed into one file name.
        build: a build number (`1`, `2local`).
        files: more members, by path: importable modules, data files (`shop-1.0.data/scripts/…`). Without any,
            the wheel has a module named like the project whose `VERSION` is its version.
        entry_points: console scripts, `name` to `module:function`.
        filename: another file name than the right one.
        dist_info: more members of the dist-info folder, or others in place of METADATA and WHEEL.
    """
    tags = tuple(tags)
    escaped = canonicalize_name(name).replace("-", "_")
    info = f"{escaped}-{version}.dist-info"
    members: dict[str, bytes] = {
        path: _bytes(content)
        for path, content in ({f"{escaped}.py": f"VERSION = {version!r}\n"} if files is None else files).items()
    }
    metadata = [("Metadata-Version", "2.1"), ("Name", name), ("Version", version)]
    metadata += [("Summary", f"{name}, made for a test")]
    if requires_python:
        metadata.append(("Requires-Python", requires_python))
    metadata += [("Provides-Extra", extra) for extra in extras]
    metadata += [("Requires-Dist", line) for line in requires]
    wheel = [("Wheel-Version", "1.0"), ("Generator", "envfab-tests"), ("Root-Is-Purelib", _purelib(tags))]
    wheel += [("Build", build)] if build else []
    wheel += [("Tag", tag) for tag in tags]
    members[f"{info}/METADATA"] = _headers(metadata)
    members[f"{info}/WHEEL"] = _headers(wheel)
    if entry_points:
        lines = [f"{script} = {function}" for script, function in entry_points.items()]
        members[f"{info}/entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""]).encode()
    for member, content in (dist_info or {}).items():
        members[f"{info}/{member}"] = _bytes(content)
    record = f"{info}/RECORD"
    members[record] = record_text(members, record).encode()

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = [escaped, version, *([build] if build else []), compressed_tag(tags)]
    path = folder / (filename or "-".join(parts) + ".whl")
    write_zip(path, members)
    return path


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip file with these members in this order, the same bytes for the same members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            entry = zipfile.ZipInfo(member, WHEEL_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)


def second_name(entry: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """The member with Info-ZIP's Unicode path (0x7075), to which CPython 3.12 and later unpack it."""
    crc = zlib.crc32(entry.filename.encode())
    content = struct.pack("<BL", 1, crc) + name.encode()
    entry.extra = struct.pack("<HH", 0x7075, len(content)) + content
    return entry


def record_text(members: Mapping[str, bytes], record: str) -> str:
    """The RECORD of `members`, itself included without a hash."""
    rows = [(path, f"sha256={record_digest(content)}", len(content)) for path, content in members.items()]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
    return text.getvalue()


def record_digest(content: bytes) -> str:
    """A SHA-256 as RECORD has it: urlsafe base64, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def compressed_tag(tags: Sequence[str]) -> str:
    """The tags as a file name has them: `py2-none-any`, `py3-none-any` → `py2.py3-none-any`."""
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(dict.fromkeys(part)) for part in parts)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release_line(wheel: Path, name: str, version: str, added: datetime = FIRST_RELEASE) -> str:
    """The release log's line for a wheel, as envfab writes it, without a line end."""
    return f"release: {name}=={version} {wheel.name} at {added.isoformat()} sha256={sha256(wheel)}"


def make_wheelhouse(
    root: str | os.PathLike[str], projects: int, versions: int = 1, *, real: bool = True, prefix: str = "project"
) -> tuple[Path, Path]:
    """`projects` times `versions` wheels and their release log: the paths `root/wheels` and `root/release_log`.

    The projects are `project-0`, `project-1`, …, their versions `1.0`, `1.1`, …; each but the first requires the one
    before it. With `real=False` the files are empty and the hashes made up: thousands of them in a second, for whoever
    reads file names and the log alone.
    """
    root = Path(root)
    wheels = root / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    lines = []
    added = FIRST_RELEASE
    for number in range(projects):
        name = f"{prefix}-{number}"
        for minor in range(versions):
            version = f"1.{minor}"
            added += timedelta(minutes=1)
            if real:
                requires = [f"{prefix}-{number - 1}>=1.0"] if number else []
                wheel = make_wheel(wheels, name, version, requires=requires)
                lines.append(release_line(wheel, name, version, added))
                continue
            wheel = wheels / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
            wheel.touch()
            digest = hashlib.sha256(wheel.name.encode()).hexdigest()
            lines.append(f"release: {name}=={version} {wheel.name} at {added.isoformat()} sha256={digest}")
    log = root / "release_log"
    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return wheels, log


def _headers(fields: Sequence[tuple[str, str]]) -> bytes:
    return "".join(f"{field}: {value}\n" for field, value in fields).encode()


def _purelib(tags: Sequence[str]) -> str:
    return "true" if all(tag.endswith("-any") for tag in tags) else "false"


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
