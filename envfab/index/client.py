"""A package index as a catalogue for planning: pages, and the metadata of the wheels that the search looks at."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Container, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.errors import SupplyError
from envfab.index import pages
from envfab.index.pages import File, ProjectPage
from envfab.index.project_page import read_project_page
from envfab.index.project_status import ACTIVE, ProjectStatus
from envfab.index.session import AT_ONCE, IndexRefusal, IndexSession, IndexUnavailable
from envfab.models import provenance
from envfab.models.interpreter import Interpreter
from envfab.models.legacy_metadata import read_requires_python
from envfab.models.provenance import Provenance
from envfab.models.wheel import Release, Wheel, WheelMetadata
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment
from envfab.util.thread_pool import ThreadPool
from envfab.util.times import parse_time
from envfab.util.untrusted import shown_url
from envfab.wheelhouse.validate import TEXT_LIMIT, parse_metadata, read_metadata

PROVENANCE_TYPES = "application/vnd.pypi.integrity.v1+json, application/json;q=0.5"
FIRST_INDEX = 2003  # the year in which PyPI began
# stricter than Python, which reads a row of digits as a date, too
_UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


class ProvenanceMissing(SupplyError):
    """An index names a provenance that cannot be had: mirrors take over the addresses of another index."""


class PackageIndex:
    """A catalogue of the wheels that an index offers (PEP 691 or 503, PEP 658); wheels are kept in
    `downloads`.

    It is never asked for projects in `own`: their names are private, and its wheels of such names are other projects'.
    Each page and each metadata file is read once, ahead of time where it will be needed. Methods raise `SupplyError`
    where the index does not answer as an index does.
    """

    def __init__(self, url: str, web: IndexSession, downloads: Path, own: Container[NormalizedName] = ()) -> None:
        self.url = url if url.endswith("/") else f"{url}/"
        self.own = own
        self._web = web
        self._downloads = downloads
        self._pool = ThreadPool(AT_ONCE, "envfab-index")
        self._pages: dict[NormalizedName, Future[ProjectPage]] = {}
        self._releases: dict[NormalizedName, Sequence[Release]] = {}
        self._metadata: dict[str, WheelMetadata] = {}
        self._files: dict[str, File] = {}
        self._no_provenances: ProvenanceMissing | None = None

    def __enter__(self) -> PackageIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)

    def expect(self, names: Iterable[NormalizedName]) -> None:
        """Begin to read the pages of projects that will be asked for."""
        for name in names:
            if name not in self._pages and name not in self.own:
                self._pages[name] = self._pool.submit(self._read_page, name)

    def files(self, name: NormalizedName) -> tuple[File, ...]:
        """The files that the index offers of a project; none where it does not know the project, or is not asked."""
        return self._page(name).files

    def status(self, name: NormalizedName) -> ProjectStatus:
        """The project's status (PEP 792): active where the index is not asked."""
        return self._page(name).status

    def file(self, wheel: Wheel) -> File:
        """What the index says of a wheel that it offers."""
        return self._files[wheel.filename]

    def projects(self) -> Collection[NormalizedName]:
        """The projects that were asked for and are there; the list of all would be long."""
        return [name for name, releases in self._releases.items() if releases]

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Every wheel of the project that can be verified; none of a project that is quarantined (PEP 792)."""
        if name not in self._releases:
            found = []
            for file in () if self.status(name).quarantined else self.files(name):
                wheel = pages.wheel_of(file)
                if wheel is not None and wheel.name == name and wheel.sha256 is not None:
                    self._refuse_another(file, wheel)
                    self._files[wheel.filename] = file
                    found.append(Release(wheel, _moment(file.uploaded), file.yanked))
            self._releases[name] = found
        return self._releases[name]

    def _refuse_another(self, file: File, wheel: Wheel) -> None:
        """Raise `SupplyError` if the index offers two files of one name: which of them is meant cannot be known."""
        known = self._files.get(wheel.filename)
        if known is not None and known.sha256 != file.sha256:
            raise SupplyError(
                f"offers two files named {wheel.filename}, with different SHA-256",
                where=shown_url(self.url),
                hint="tell whoever runs the index; another index may have the file once",
            )

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:  # noqa: ARG002 -- as `Catalogue` has it
        """An index has no log."""
        return ()

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """What the wheel's METADATA says: from the file beside it, or else out of the wheel."""
        if wheel.filename not in self._metadata:
            found = self._metadata_beside(wheel) or read_metadata(self.download(wheel))
            self._metadata[wheel.filename] = found
            self.expect(canonicalize_name(one.name) for one in found.requires if one.marker is None)
        return self._metadata[wheel.filename]

    def download(self, wheel: Wheel) -> Path:
        """The wheel on disk, its SHA-256 checked."""
        file = self._files[wheel.filename]
        assert file.sha256 is not None  # `releases` leaves out all others
        place = self._downloads / file.sha256 / file.filename
        if not place.exists():
            self._web.download(file.url, file.sha256, place, file.size)
        return place

    def provenance(self, wheel: Wheel) -> Provenance | None:
        """The wheel's provenance (PEP 740), None where the index has none.

        Raises `ProvenanceMissing` where the index names one that cannot be had, and `SupplyError` for an invalid one.
        """
        file = self._files[wheel.filename]
        if file.provenance is None:
            return None
        assert file.sha256 is not None  # `releases` leaves out all others
        content = self._read_provenance(file.provenance)
        try:
            return Provenance.parse(content, file.sha256)
        except ValueError as error:
            raise SupplyError(
                f"is not the provenance of {wheel.filename}, which the index says it is: {error}",
                where=shown_url(file.provenance),
                hint="try again, or go without: the setting provenance: off",
            ) from None

    def _read_provenance(self, url: str) -> bytes:
        if self._no_provenances is not None:
            raise self._no_provenances
        try:
            answer = self._web.get(url, PROVENANCE_TYPES, provenance.LIMIT)
        except IndexRefusal as error:
            raise ProvenanceMissing(error.what, where=error.where) from None
        except IndexUnavailable as error:
            # the next would keep the user waiting as long
            self._no_provenances = ProvenanceMissing(error.what, where=error.where)
            raise self._no_provenances from None
        if answer is None:
            raise ProvenanceMissing("there is nothing at this address", where=shown_url(url))
        return answer.content

    def _page(self, name: NormalizedName) -> ProjectPage:
        self.expect([name])
        return self._pages[name].result() if name in self._pages else ProjectPage()

    def _read_page(self, name: NormalizedName) -> ProjectPage:
        return read_project_page(self._web, self.url, name)

    def _metadata_beside(self, wheel: Wheel) -> WheelMetadata | None:
        file = self._files[wheel.filename]
        if file.metadata is None:
            return None
        url = f"{file.url}.metadata"
        answer = self._web.get(url, "*/*", TEXT_LIMIT)
        if answer is None:
            return None
        if file.metadata and hashlib.sha256(answer.content).hexdigest() != file.metadata:
            raise SupplyError(
                "is not the metadata file that the index describes: its SHA-256 is different", where=shown_url(url)
            )
        return parse_metadata(answer.content, wheel.filename)


@dataclass(frozen=True, slots=True)
class ForInterpreter:
    """An index for one interpreter: no metadata is read of wheels whose page excludes that interpreter."""

    index: PackageIndex
    environment: Environment

    @classmethod
    def of(cls, index: PackageIndex, interpreter: Interpreter) -> ForInterpreter:
        """The index as `interpreter` sees it."""
        return cls(index, Environment(interpreter))

    def projects(self) -> Collection[NormalizedName]:
        """As the index has it."""
        return self.index.projects()

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """As the index has it."""
        return self.index.releases(name)

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """As the index has it."""
        return self.index.unlogged(name)

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """The wheel's metadata; only Requires-Python, where that excludes the interpreter."""
        wanted = requires_python_of(self.index.file(wheel))
        if not self.environment.supports(wanted):
            return WheelMetadata(wheel.shown_as, wheel.version, (), wanted, frozenset())
        return self.index.metadata(wheel)


@dataclass(frozen=True, slots=True)
class PagesAlone:
    """An index of which only the pages are read: which versions there are, not what they require.

    It stands beside something that goes on without it: a page that cannot be read is an empty one, and told in
    `problems`; once no answer came at all, nothing more is asked.
    """

    index: PackageIndex
    problems: dict[NormalizedName, SupplyError] = field(default_factory=dict)

    def projects(self) -> Collection[NormalizedName]:
        """As the index has it."""
        return self.index.projects()

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """As the index has it, if it answers."""
        if self._is_silent_on(name):
            return ()
        try:
            return self.index.releases(name)
        except SupplyError as problem:
            self.problems[name] = problem
            return ()

    def status(self, name: NormalizedName) -> ProjectStatus:
        """As the index has it, if it answers; else active, and `problems` tells why that is not known."""
        self.releases(name)
        return ACTIVE if self._is_silent_on(name) else self.index.status(name)

    def _is_silent_on(self, name: NormalizedName) -> bool:
        return name in self.problems or any(isinstance(one, IndexUnavailable) for one in self.problems.values())

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """As the index has it."""
        return self.index.unlogged(name)

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """What the page says: Requires-Python, and nothing of what is required."""
        return WheelMetadata(wheel.shown_as, wheel.version, (), requires_python_of(self.index.file(wheel)), frozenset())


@dataclass(frozen=True, slots=True)
class Both:
    """The wheelhouse and an index as one; of a wheel that both have, the wheelhouse's counts."""

    wheelhouse: Catalogue
    index: Catalogue

    def projects(self) -> Collection[NormalizedName]:
        """The names that either has."""
        return {*self.wheelhouse.projects(), *self.index.projects()}

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """The wheels that either has."""
        here = self.wheelhouse.releases(name)
        known = {release.wheel.identity for release in here}
        there = [release for release in self.index.releases(name) if release.wheel.identity not in known]
        withdrawn = _withdrawn(here)
        return [
            *here,
            *(
                replace(release, yanked_reason=withdrawn.get(release.wheel.version, release.yanked_reason))
                for release in there
            ),
        ]

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """The wheelhouse's."""
        return self.wheelhouse.unlogged(name)

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """From whichever has the wheel."""
        return (self.wheelhouse if self.has(wheel) else self.index).metadata(wheel)

    def has(self, wheel: Wheel) -> bool:
        """Whether the wheelhouse has the wheel."""
        return any(release.wheel.identity == wheel.identity for release in self.wheelhouse.releases(wheel.name))


def _withdrawn(releases: Sequence[Release]) -> dict[Version, str | None]:
    """The reasons, by version, of what the wheelhouse has withdrawn: the index's wheels of it are withdrawn, too."""
    standing = {release.wheel.version for release in releases if not release.yanked}
    return {one.wheel.version: one.yanked_reason for one in releases if one.wheel.version not in standing}


def requires_python_of(file: File) -> SpecifierSet:
    """A file's Requires-Python, as its page says; what cannot be read excludes no interpreter, as in pip."""
    return read_requires_python(file.requires_python or "")[0]


def _moment(text: str | None) -> datetime | None:
    """An upload time (PEP 700); None for other texts, and for times before there were indexes, which stand for none."""
    if text is None or not _UPLOAD_TIME.fullmatch(text):
        return None
    try:
        found = parse_time(text)
    except ValueError:
        return None
    return found if found.year >= FIRST_INDEX else None
