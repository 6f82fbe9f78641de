"""Drift: what differs in a virtualenv from what its last deployment left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from envfab.util.counts import count
from envfab.util.versions import version_or_none


class Place(Enum):
    """Where a file is: among the packages, among the scripts, or a package's data file outside of both."""

    PACKAGES = "packages"
    SCRIPTS = "scripts"
    DATA = "data"


class FileChangeKind(Enum):
    """What became of a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was deployed last: the generation, by which deployment, when (ISO 8601), and the digest of all that it has.

    The digest, a SHA-256 in hex, is the same wherever the same packages are, whatever has installed them.
    """

    generation: int
    deployment: str | None
    when: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs, at a path below the virtualenv.

    `how` says in what a changed file differs: content, mode, link, kind. `owner` is the distribution that the file was
    deployed with, or that has it now. `shared` says that the file is a link, so that its other names have the same
    content: the store of unpacked wheels, and other virtualenvs. `seen` is when it was first seen to differ, ISO 8601.
    """

    path: str
    kind: FileChangeKind
    how: tuple[str, ...]
    place: Place
    owner: str | None
    shared: bool
    seen: str


@dataclass(frozen=True, slots=True)
class PackageDrift:
    """A distribution installed, removed or replaced by hand: its version before and after, None for "not there".

    `files` is how many of its files differ; `seen` is when the first of them was first seen to, ISO 8601.
    """

    name: str
    before: str | None
    after: str | None
    files: int
    seen: str

    @property
    def what(self) -> str:
        """What was done to it: installed, removed, upgraded, downgraded, replaced or reinstalled."""
        if self.before is None:
            return "installed"
        if self.after is None:
            return "removed"
        if self.before == self.after:
            return "reinstalled"
        then, now = version_or_none(self.before), version_or_none(self.after)
        if then is None or now is None or then == now:
            return "replaced"
        return "upgraded" if now > then else "downgraded"


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs in the generation `generation`.

    `compared` is how many files were deployed; `others` how many differ beside those of `packages`, of which `files`
    lists at most as many as were asked for.
    """

    generation: int
    compared: int
    packages: tuple[PackageDrift, ...] = ()
    files: tuple[FileChange, ...] = ()
    others: int = 0

    def __bool__(self) -> bool:
        return bool(self.packages or self.others)

    @property
    def since(self) -> str | None:
        """When the first difference was seen, ISO 8601; None if there is none."""
        return min((*(one.seen for one in self.packages), *(one.seen for one in self.files)), default=None)


def packages_and_files(packages: int, files: int) -> str:
    """Return how many packages and files, without what is none: `1 package, 3 files`."""
    return ", ".join(count(number, what) for number, what in ((packages, "package"), (files, "file")) if number)


def to_json(drift: Drift) -> dict[str, Any]:
    """Convert drift to a JSON object, as documents of tasks have it."""
    return {
        "generation": drift.generation,
        "compared": drift.compared,
        "since": drift.since,
        "packages": [
            {"name": one.name, "change": one.what, "before": one.before, "after": one.after, "files": one.files,
             "since": one.seen}
            for one in drift.packages
        ],
        "files": [
            {"path": one.path, "change": one.kind.value, "how": list(one.how), "place": one.place.value,
             "owner": one.owner, "shared": one.shared, "since": one.seen}
            for one in drift.files
        ],
        "more": drift.others - len(drift.files),
    }  # fmt: skip
