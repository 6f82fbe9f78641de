"""The latest versions that the wheelhouse and an index offer, compared with what is installed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import parse_email
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.collector.config import WheelhouseFolders
from envfab.errors import EnvfabError, WheelError
from envfab.models.wheel import Release
from envfab.util.versions import parse_specifiers, version_or_none
from envfab.wheelhouse.validate import metadata_file, parse_metadata
from envfab.wheelhouse.wheelhouse import Wheelhouse

log = logging.getLogger(__name__)

Signature = tuple[tuple[int, int, int], ...]
Affects = Callable[[Version], bool]


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that is offered, and the Pythons it is for."""

    version: Version
    requires_python: SpecifierSet


@dataclass(frozen=True, slots=True)
class WheelhouseFile:
    """A wheel of the wheelhouse, its size in bytes, and two fields of its METADATA; None where it lacks them."""

    release: Release
    size: int
    requires_python: str | None
    summary: str | None


def newest(offers: Iterable[Offer], python: Version | None) -> Version | None:
    """The newest version for a Python (None: any); pre-releases only where there is nothing else."""
    fitting = [
        offer.version for offer in offers if python is None or offer.requires_python.contains(python, prereleases=True)
    ]
    final = [version for version in fitting if not version.is_prerelease]
    return max(final or fitting, default=None)


def newer_than(installed: str, offered: Version | None) -> str | None:
    """The offered version where it is newer than the installed one, and both are versions by PEP 440; else None."""
    there = version_or_none(installed)
    return str(offered) if there is not None and offered is not None and offered > there else None


def python_of(application_type: str) -> Version | None:
    """The Python of an application: `python-3.11.7` → 3.11.7."""
    kind, _, version = application_type.partition("-")
    return version_or_none(version) if kind == "python" else None


def runs_on(tags: Iterable[Tag], python: Version | None) -> bool:
    """Whether a wheel is for a CPython, whatever its platform: an application does not tell its own."""
    return python is None or any(_fits(tag, python) for tag in tags)


class WheelhouseNews:
    """The newest of the wheelhouse. What was worked out is remembered until the wheels' folder or the log change."""

    def __init__(self, folders: WheelhouseFolders) -> None:
        self._folders = folders
        self._opened: Wheelhouse | None = None
        self._known: dict[tuple[str, str], Version | None] = {}
        self._files: dict[NormalizedName, tuple[WheelhouseFile, ...]] = {}
        self._seen: Signature | None = None
        self._problem = ""
        self._turn = threading.Lock()

    def newest(self, name: str, python: Version | None) -> Version | None:
        """The newest version of a project that is neither withdrawn nor for other Pythons.

        A wheelhouse that cannot be read has none: that stops no registration, and is logged.
        """
        key = (name, str(python))
        with self._turn:
            if key not in self._known:
                self._known[key] = self._look_up(NormalizedName(name), python)
            return self._known[key]

    def is_readable(self) -> bool:
        """Whether it can be read: what one that cannot be read has is not known."""
        with self._turn:
            try:
                self._wheelhouse.releases(NormalizedName("pip"))
            except EnvfabError:
                return False
            return True

    def refresh(self) -> Signature:
        """Forget what was known where the wheelhouse changed since; what tells its present state from others."""
        folders = self._folders
        now = tuple(_signature(path) for path in (folders.wheels, folders.log, folders.signers) if path is not None)
        with self._turn:
            if now != self._seen:
                self._seen = now
                self._known.clear()
                self._files.clear()
                self._problem = ""
                self._opened = None
            return now

    @property
    def _wheelhouse(self) -> Wheelhouse:
        if self._opened is None:
            self._opened = self._folders.open()
        return self._opened

    def files(self, name: NormalizedName) -> tuple[WheelhouseFile, ...]:
        """Every sound wheel of a project; raises `EnvfabError` where the wheelhouse cannot be read."""
        with self._turn:
            if name not in self._files:
                found = [self._file(release) for release in self._wheelhouse.releases(name)]
                self._files[name] = tuple(one for one in found if one is not None)
            return self._files[name]

    def mending(self, name: str, python: Version | None, installed: str, affects: Affects) -> Version | None:
        """The lowest version that is newer than the installed one, for that Python, not withdrawn and not affected.

        Raises `EnvfabError` where the wheelhouse cannot be read.
        """
        there = version_or_none(installed)
        if there is None:
            return None
        fitting = sorted(
            file.release.wheel.version
            for file in self.files(NormalizedName(name))
            if not file.release.yanked and runs_on(file.release.wheel.tags, python) and _is_for(file, python)
        )
        return next((version for version in fitting if version > there and not affects(version)), None)

    def _file(self, release: Release) -> WheelhouseFile | None:
        path = self._wheelhouse.path_of(release.wheel)
        try:
            content = metadata_file(path)
            requires_python = str(parse_metadata(content, path.name).requires_python)
            summary = parse_email(content)[0].get("summary")
            return WheelhouseFile(release, path.stat().st_size, requires_python or None, summary)
        except (WheelError, OSError):
            return None  # it cannot be installed; `fab verify_wheels` says so

    def _look_up(self, name: NormalizedName, python: Version | None) -> Version | None:
        try:
            return newest(self._offers(name, python), python)
        except EnvfabError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("%s", error)
            return None

    def _offers(self, name: NormalizedName, python: Version | None) -> Iterator[Offer]:
        """The best offers alone: METADATA is read from the newest down, until one fits."""
        standing = [release for release in self._wheelhouse.releases(name) if not release.yanked]
        for prerelease in (False, True):
            for release in sorted(standing, key=lambda one: one.wheel.version, reverse=True):
                if release.wheel.version.is_prerelease == prerelease and runs_on(release.wheel.tags, python):
                    offer = self._offer(release)
                    if offer is not None and newest([offer], python) is not None:
                        yield offer
                        return

    def _offer(self, release: Release) -> Offer | None:
        try:
            return Offer(release.wheel.version, self._wheelhouse.metadata(release.wheel).requires_python)
        except WheelError:
            return None  # it cannot be installed; `fab verify_wheels` says so


def _is_for(file: WheelhouseFile, python: Version | None) -> bool:
    if python is None or file.requires_python is None:
        return True
    return parse_specifiers(file.requires_python).contains(python, prereleases=True)


def _fits(tag: Tag, python: Version) -> bool:
    kind, major, minor = tag.interpreter[:2], tag.interpreter[2:3], tag.interpreter[3:]
    if kind not in ("py", "cp") or major != str(python.major) or not (minor.isdecimal() or not minor):
        return False
    if not minor or kind == "py" or tag.abi == "abi3":
        return int(minor or 0) <= python.minor
    return int(minor) == python.minor


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        there = os.stat(path)
    except OSError:
        return 0, 0, 0
    return there.st_ino, there.st_size, there.st_mtime_ns
