"""Candidates for a project, best first: the installed version, and the wheels that fit the interpreter."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.errors import EnvfabError, WheelError
from envfab.models.distribution import Distribution
from envfab.models.wheel import Release, Wheel, WheelMetadata
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment


class TagsUnknown(EnvfabError):
    """A choice among wheels depends on the interpreter's tags, and they are not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A version of a project, with its dependencies; `wheel` is None for the installed version.

    There is one object for each version and set of extras, so candidates are compared by identity. `base` is the
    candidate without extras, if there are `extras`.
    """

    name: NormalizedName
    version: Version
    shown_as: str
    requires: tuple[Requirement, ...]
    provides: frozenset[NormalizedName]
    wheel: Wheel | None
    extras: frozenset[NormalizedName] = frozenset()
    base: Candidate | None = None

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.shown_as}{extras} {self.version}"


@dataclass(slots=True)
class Candidates:
    """Candidates by name, made on demand: a wheel's METADATA is not read before it is considered.

    If `free` is set, projects that are not in it stay as they are; what is `assumed` counts as installed. Methods raise
    `TagsUnknown` if their result depends on the interpreter's tags and the interpreter has none.
    """

    environment: Environment
    installed: Mapping[NormalizedName, Distribution]
    catalogue: Catalogue
    free: Container[NormalizedName] | None = None
    assumed: Mapping[NormalizedName, Candidate] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    _shelves: dict[NormalizedName, Mapping[Version, Sequence[Release]]] = field(default_factory=dict)
    _made: dict[tuple[str, frozenset[NormalizedName]], Candidate] = field(default_factory=dict)
    _metadata: dict[str, WheelMetadata | None] = field(default_factory=dict)
    _ranks: Mapping[Tag, int] | None = None

    def matching(
        self,
        name: NormalizedName,
        specifier: SpecifierSet,
        hashes: frozenset[str] | None = None,
        newest: bool = True,
    ) -> Iterator[Candidate]:
        """Yield the candidates that `specifier` and `hashes` allow.

        With `newest`, the newest version comes first; without, the installed version comes before all others.
        """
        kept = self.kept(name, specifier)
        if self.free is not None and name not in self.free:
            if kept:
                yield kept
            return
        if kept and not newest:
            yield kept
        yield from self._ordered(name, specifier, hashes, kept, kept is not None and newest)

    def kept(self, name: NormalizedName, specifier: SpecifierSet) -> Candidate | None:
        """Return the candidate for the installed version if `specifier` allows it, else None."""
        if name in self.assumed:
            assumed = self.assumed[name]
            return assumed if specifier.contains(assumed.version, prereleases=True) else None
        distribution = self.installed.get(name)
        if distribution is None or distribution.version is None:
            return None
        if not specifier.contains(distribution.version, prereleases=True):
            return None
        key = (f"installed {name}", frozenset[NormalizedName]())
        if key not in self._made:
            self._made[key] = Candidate(
                name,
                distribution.version,
                distribution.shown_as,
                distribution.requires,
                distribution.extras,
                None,
            )
        return self._made[key]

    def with_extras(self, base: Candidate, extras: frozenset[NormalizedName]) -> Candidate:
        """Return the candidate for `base` with extras; as in pip, it is a candidate of its own that requires `base`."""
        if not extras:
            return base
        key = (base.wheel.filename if base.wheel else f"installed {base.name}", extras)
        if key not in self._made:
            self._made[key] = Candidate(
                base.name, base.version, base.shown_as, base.requires, base.provides, base.wheel, extras, base
            )
        return self._made[key]

    def shelf(self, name: NormalizedName) -> Mapping[Version, Sequence[Release]]:
        """Return the wheelhouse's releases of a project by version, newest first."""
        if name not in self._shelves:
            by_version: dict[Version, list[Release]] = {}
            for release in self.catalogue.releases(name):
                by_version.setdefault(release.wheel.version, []).append(release)
            self._shelves[name] = {version: by_version[version] for version in sorted(by_version, reverse=True)}
        return self._shelves[name]

    def fitting(self, releases: Sequence[Release]) -> list[Release]:
        """Return the releases of one version whose tags the interpreter supports.

        The best tag comes first, then the highest build number, then the last file name.
        """
        ranks = self._tag_ranks()
        ranked = []
        for release in releases:
            rank = min((ranks[tag] for tag in release.wheel.tags if tag in ranks), default=None)
            if rank is not None:
                ranked.append((-rank, release.wheel.build, release.wheel.filename, release))
        return [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1], reverse=True)]

    def fits(self, wheel: Wheel) -> bool:
        """Return whether the interpreter supports one of the wheel's tags."""
        return not wheel.tags.isdisjoint(self._tag_ranks())

    def supported(self, release: Release) -> bool:
        """Return whether the wheel can be read and its Requires-Python admits the interpreter."""
        metadata = self.metadata(release.wheel)
        return metadata is not None and self.environment.supports(metadata.requires_python)

    def metadata(self, wheel: Wheel) -> WheelMetadata | None:
        """Return the wheel's metadata; None if it cannot be read, then `unreadable` has the reason by file name."""
        if wheel.filename not in self._metadata:
            try:
                self._metadata[wheel.filename] = self.catalogue.metadata(wheel)
            except WheelError as error:
                self._metadata[wheel.filename] = None
                self.unreadable[wheel.filename] = error.what
        return self._metadata[wheel.filename]

    def wheel_of(self, name: NormalizedName, version: Version, hashes: frozenset[str] | None = None) -> Wheel | None:
        """Return the best wheel of exactly this version, yanked or not, or None."""
        for release in self.fitting(self.shelf(name).get(version, ())):
            if self.supported(release) and allowed(release.wheel, hashes):
                return release.wheel
        return None

    def _ordered(
        self,
        name: NormalizedName,
        specifier: SpecifierSet,
        hashes: frozenset[str] | None,
        kept: Candidate | None,
        pending: bool,
    ) -> Iterator[Candidate]:
        """The wheelhouse's candidates, newest first, with the installed one in its place if it is `pending`."""
        versions = [version for version in self.shelf(name) if specifier.contains(version, prereleases=True)]
        for stage in self._stages(name, versions, specifier, kept):
            some_fit = False
            withdrawn = []
            chosen = False
            for version in stage:
                if kept and pending and kept.version >= version:
                    yield kept
                    pending = False
                if kept and kept.version == version:
                    some_fit = True
                    continue
                for release in self.fitting(self.shelf(name)[version]):
                    if not self.supported(release):
                        continue
                    some_fit = True
                    if not allowed(release.wheel, hashes):
                        continue
                    if release.yanked:
                        withdrawn.append(release)
                        continue
                    yield self._from_wheel(release.wheel)
                    chosen = True
                    break
            if not chosen and pinned(specifier):
                yield from self._one_a_version(withdrawn)
            if some_fit:
                break
        if kept and pending:
            yield kept

    def _stages(
        self, name: NormalizedName, versions: list[Version], specifier: SpecifierSet, kept: Candidate | None
    ) -> list[list[Version]]:
        """Versions in groups: pre-releases come second, since PEP 440 allows them only if no final release fits."""
        if specifier.prereleases:
            return [versions]
        finals = [version for version in versions if not version.is_prerelease]
        pre_releases = [version for version in versions if version.is_prerelease]
        if kept and not kept.version.is_prerelease:
            return [finals]
        if kept and pre_releases and pre_releases[0] > kept.version:
            return [finals if any(self._fits(name, version) for version in finals) else pre_releases]
        return [finals, pre_releases]

    def _fits(self, name: NormalizedName, version: Version) -> bool:
        return any(self.supported(release) for release in self.fitting(self.shelf(name)[version]))

    def _one_a_version(self, releases: Sequence[Release]) -> Iterator[Candidate]:
        seen = set()
        for release in releases:
            if release.wheel.version not in seen:
                seen.add(release.wheel.version)
                yield self._from_wheel(release.wheel)

    def _from_wheel(self, wheel: Wheel) -> Candidate:
        key = (wheel.filename, frozenset[NormalizedName]())
        if key not in self._made:
            metadata = self.metadata(wheel)
            assert metadata is not None  # `supported` has read it
            self._made[key] = Candidate(
                wheel.name, wheel.version, metadata.name, metadata.requires, metadata.extras, wheel
            )
        return self._made[key]

    def _tag_ranks(self) -> Mapping[Tag, int]:
        if self._ranks is None:
            tags = self.environment.interpreter.tags
            if tags is None:
                raise TagsUnknown(
                    "internal error: which wheels fit depends on the interpreter's tags, which are not known",
                    where=self.environment.interpreter.title,
                )
            self._ranks = {tag: rank for rank, tag in reversed(list(enumerate(tags)))}
        return self._ranks


def allowed(wheel: Wheel, hashes: frozenset[str] | None) -> bool:
    """Return whether the wheel's SHA-256 is one of the pinned hashes, or `hashes` is None: no hash is pinned."""
    return hashes is None or wheel.sha256 in hashes


def pinned(specifier: SpecifierSet) -> bool:
    """Return whether the specifier names one exact version, so that a yanked release may be used (PEP 592)."""
    return any(one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*")) for one in specifier)
