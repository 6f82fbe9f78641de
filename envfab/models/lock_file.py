"""Lock files (PEP 751): `pylock.toml`, or `pylock.NAME.toml`.

What depends on the target (markers, requires-python, environments) is kept for planning, which checks it for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock, PylockUnsupportedVersionError, PylockValidationError
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from envfab.errors import RequirementsError
from envfab.models.group_choice import Choice
from envfab.models.requirement_entries import Entry, LockedPackage, LockFile
from envfab.models.toml_text import parse_toml
from envfab.util.versions import parse_requirement, problem_of, shortened

NAME = re.compile(r"(^|/)pylock(\.[^./]+)?\.toml$")
NO_WHEELS = "it is not locked to wheels of one version"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_lock_file(text: str, name: str, choice: Choice) -> tuple[LockFile, tuple[Entry, ...]]:
    """Parse the lock file `name` (PEP 751); return it, and its packages pinned to versions and hashes.

    Raises `RequirementsError` for what is not a valid lock file.
    """
    lock = _document(text, name)
    known_extras, known_groups, default_groups = (
        lock.extras or (),
        lock.dependency_groups or (),
        lock.default_groups or (),
    )
    file = LockFile(
        name,
        _specifiers(lock.requires_python, name),
        None if lock.environments is None else tuple(_marker(one, name) for one in lock.environments),
        choice.extras_of(known_extras),
        choice.groups_of(known_groups, default_groups),
        (
            *(f"extra {one}" for one in known_extras),
            *(f"group {one}" for one in dict.fromkeys([*known_groups, *default_groups])),
        ),
    )
    return file, tuple(_entries(lock.packages, file))


def _document(text: str, name: str) -> Pylock:
    document = parse_toml(text, name, "lock file")
    try:
        return Pylock.from_dict(document)
    except PylockUnsupportedVersionError as error:
        problem, hint = shortened(str(error), 200), "a newer envfab may be able to read it"
    except PylockValidationError as error:
        problem, hint = shortened(" ".join(str(error).split()), 200), "fab lock --pylock writes one"
    except (ValueError, RecursionError):
        # packaging reads numbers and markers, for which Python has limits of its own
        problem, hint = "it has a number or a marker that cannot be read", "fab lock --pylock writes one"
    raise RequirementsError(f"is not a valid lock file: {problem}", where=name, hint=hint)


def _specifiers(specifiers: SpecifierSet | None, where: str) -> SpecifierSet | None:
    _refuse_unreadable("requires-python", str(specifiers or ""), where)
    return specifiers


def _marker(marker: Marker, where: str) -> Marker:
    _refuse_unreadable("marker", str(marker), where)
    return marker


def _refuse_unreadable(what: str, text: str, where: str) -> None:
    problem = problem_of(text)
    if problem:
        raise RequirementsError(f"its {what} {shortened(text)!r} cannot be read: {problem}", where=where)


def _entries(packages: Iterable[Package], lock: LockFile) -> Iterator[Entry]:
    for package in packages:
        where = f"{lock.name}:{package.name}"
        marker = _marker(package.marker, where) if package.marker else None
        requires_python = _specifiers(package.requires_python, where)
        version, problem = _version(package)
        _refuse_unreadable("version", str(version or ""), where)
        hashes = frozenset(digest for wheel in package.wheels or () if (digest := _sha256(wheel)))
        if not problem and not hashes:
            problem = "none of its wheels has a SHA-256; lock it again"
        pin = "" if problem else f"=={version}"
        requirement = parse_requirement(f"{package.name}{pin}")
        yield Entry(requirement, hashes, where, LockedPackage(lock, marker, requires_python, problem))


def _version(package: Package) -> tuple[Version | None, str]:
    """Return (the version, from the wheels' names if the lock file has none; the problem, if there is none)."""
    if not package.wheels:
        return None, NO_WHEELS
    if package.version is not None:
        return package.version, ""
    versions = {_version_of(wheel) for wheel in package.wheels}
    if len(versions) != 1 or None in versions:
        return None, NO_WHEELS
    return versions.pop(), ""


def _version_of(wheel: PackageWheel) -> Version | None:
    try:
        return parse_wheel_filename(wheel.filename)[1]
    except (InvalidWheelFilename, ValueError):
        return None


def _sha256(wheel: PackageWheel) -> str | None:
    digest = wheel.hashes.get("sha256", "").lower()
    return digest if _SHA256.fullmatch(digest) else None
