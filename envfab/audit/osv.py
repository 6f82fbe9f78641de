"""Known vulnerabilities out of an OSV export on disk: the ecosystem's zip, a folder of its records, or one record.

Versions are compared as PEP 440 orders them, without their local part: `5.1.3+corp1` counts as 5.1.3, since a
database cannot know what was fixed in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.audit.osv_records import HINT, every_record, some_records
from envfab.audit.severity import UNRATED, Rating, rate, worst
from envfab.errors import SupplyError
from envfab.models.distribution import Distribution
from envfab.util.counts import count
from envfab.util.times import in_utc, parse_time
from envfab.util.untrusted import parse_json
from envfab.util.versions import version_or_none

ECOSYSTEM = "PyPI"
# what reading an invalid record raises
_STRANGE = (ValueError, KeyError, TypeError, AttributeError)
# what people look for first
_FIRST = ("CVE-", "PYSEC-", "GHSA-")


@dataclass(frozen=True, slots=True)
class Range:
    """From each `introduced` to the next `fixed` (exclusive), `last_affected` (inclusive) or `limit` (exclusive)."""

    events: tuple[tuple[str, Version | None], ...]

    def affects(self, version: Version) -> bool:
        """Whether a version lies in it; an event without a version, `introduced: 0`, is before all."""
        inside = False
        for kind, at in self.events:
            if kind == "introduced":
                inside = inside or at is None or at <= version
            elif at is not None and (at < version or (at == version and kind != "last_affected")):
                inside = False
        return inside

    def fix(self, version: Version) -> Version | None:
        """The first fixed version after `version`."""
        return next((at for kind, at in self.events if kind == "fixed" and at is not None and at > version), None)


@dataclass(frozen=True, slots=True)
class Advisory:
    """What one record says of one project."""

    id: str
    aliases: frozenset[str]
    summary: str
    severity: str | None
    ranges: tuple[Range, ...]
    versions: frozenset[Version]
    # (type, vector) of each entry of `severity`
    vectors: tuple[tuple[str, str], ...] = ()

    def affects(self, version: Version) -> bool:
        """Whether the record lists the version, or has a range that it lies in."""
        return version in self.versions or any(one.affects(version) for one in self.ranges)


@dataclass(slots=True)
class OSVExport:
    """What an export says of the projects that were asked for, and how old it is."""

    advisories: dict[NormalizedName, list[Advisory]] = field(default_factory=dict)
    as_of: datetime | None = None
    records: int = 0
    unreadable: list[str] = field(default_factory=list)

    def count(self, record: _Record) -> None:
        """Count a record for the export's size and age; records on other ecosystems do not count."""
        if record.affected:
            self.records += 1
            self.as_of = record.modified if self.as_of is None else max(self.as_of, record.modified)

    def add(self, found: Mapping[NormalizedName, Advisory]) -> None:
        """Add what a record says of projects."""
        for name, advisory in found.items():
            self.advisories.setdefault(name, []).append(advisory)

    def checked(self, place: Path) -> OSVExport:
        """This export; raises `SupplyError` where it holds nothing on PyPI, which would look like an all-clear."""
        if not self.records:
            raise SupplyError(f"has no OSV record on a {ECOSYSTEM} project", where=str(place), hint=HINT)
        return self

    def age(self, now: datetime) -> str:
        """Its age in words: `as of 2026-11-01, 20 days old`."""
        if self.as_of is None:
            return "of unknown age"
        days = max((now - self.as_of).days, 0)
        return f"as of {self.as_of:%Y-%m-%d}, {count(days, 'day')} old"


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of an installed distribution, by all names that it has.

    `severity` is the word of the database that has one, `rating` what follows from all records' CVSS vectors and words.
    """

    shown_as: str
    version: str
    ids: tuple[str, ...]
    summary: str
    severity: str | None
    fixed: tuple[str, ...]
    rating: Rating = UNRATED
    advisories: tuple[Advisory, ...] = field(default=(), repr=False)

    def affects(self, version: Version) -> bool:
        """Whether another version of the same project has it as well; a local part does not count."""
        public = Version(version.public)
        return any(one.affects(public) for one in self.advisories)


def read(place: Path, names: Collection[NormalizedName]) -> OSVExport:
    """The export at `place`, as far as it tells of `names`; raises `SupplyError` where it holds nothing on PyPI."""
    export = OSVExport()
    for name, content in every_record(place):
        try:
            record = _Record.parse(content)
            found = {one: record.advisory(one) for one in record.affected if one in names}
        except _STRANGE:
            export.unreadable.append(name)
            continue
        export.count(record)
        if not record.withdrawn:
            export.add(found)
    return export.checked(place)


class AdvisoryIndex:
    """Which records of an export are about which project. The records stay on disk until they are asked for.

    Making an index reads the whole export; raises `SupplyError`.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.export = OSVExport()
        self._names: dict[NormalizedName, list[str]] = {}
        for name, content in every_record(place):
            try:
                record = _Record.parse(content)
            except _STRANGE:
                self.export.unreadable.append(name)
                continue
            self.export.count(record)
            for one in () if record.withdrawn else record.affected:
                self._names.setdefault(one, []).append(name)
        self.export.checked(place)

    def about(self, names: Iterable[NormalizedName]) -> OSVExport:
        """What the export tells of `names`; raises `SupplyError` where that cannot be read any more."""
        wanted = set(names)
        export = OSVExport(as_of=self.export.as_of, records=self.export.records)
        keys = dict.fromkeys(key for name in wanted for key in self._names.get(name, ()))
        for key, content in some_records(self.place, keys) if keys else ():
            try:
                record = _Record.parse(content)
                export.add({one: record.advisory(one) for one in record.affected if one in wanted})
            except _STRANGE:
                export.unreadable.append(key)
        return export


def vulnerabilities(installed: Iterable[Distribution], export: OSVExport) -> list[Vulnerability]:
    """The known vulnerabilities of what is installed; records on the same one are merged."""
    found = []
    for there in sorted(installed, key=lambda one: one.name):
        if there.version is None:
            continue
        version = Version(there.version.public)
        affecting = [one for one in export.advisories.get(there.name, ()) if one.affects(version)]
        found += [_merged(there, version, group) for group in _groups(affecting)]
    return found


def unchecked(installed: Iterable[Distribution]) -> list[Distribution]:
    """What `vulnerabilities` cannot compare with anything, for its version is not one by PEP 440; by name."""
    return sorted((one for one in installed if one.version is None), key=lambda one: one.name)


@dataclass(frozen=True, slots=True)
class _Record:
    """A record, as far as it is on projects of PyPI: `affected` has what it says of each."""

    id: str
    modified: datetime
    withdrawn: bool
    affected: Mapping[NormalizedName, Sequence[Mapping[str, Any]]]
    fields: Mapping[str, Any]

    @classmethod
    def parse(cls, content: bytes) -> _Record:
        """The record in a JSON text; raises one of `_STRANGE` for anything else."""
        fields = parse_json(content)
        identity, modified = str(fields["id"]), in_utc(parse_time(fields["modified"]))
        affected: dict[NormalizedName, list[Mapping[str, Any]]] = {}
        for one in fields.get("affected") or ():
            if _ecosystem(one) == ECOSYSTEM:
                affected.setdefault(canonicalize_name(one["package"]["name"]), []).append(one)
        return cls(identity, modified, bool(fields.get("withdrawn")), affected, fields)

    def advisory(self, name: NormalizedName) -> Advisory:
        """What it says of a project."""
        return _advisory(self.id, self.fields, self.affected[name])


def _ecosystem(affected: Mapping[str, Any]) -> str:
    return str((affected.get("package") or {}).get("ecosystem", "")).partition(":")[0]


def _advisory(identity: str, record: Mapping[str, Any], affected: Sequence[Mapping[str, Any]]) -> Advisory:
    ranges = [one for part in affected for one in part.get("ranges") or () if one.get("type") == "ECOSYSTEM"]
    versions = {version_or_none(text) for part in affected for text in part.get("versions") or ()}
    severity = (record.get("database_specific") or {}).get("severity")
    return Advisory(
        identity,
        frozenset(str(alias) for alias in record.get("aliases") or ()),
        " ".join(str(record.get("summary") or record.get("details") or "").split()),
        severity if isinstance(severity, str) else None,
        tuple(_range(one) for one in ranges),
        frozenset(one for one in versions if one is not None),
        tuple(_vectors(record, affected)),
    )


def _vectors(record: Mapping[str, Any], affected: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The entries of `severity`, of the package and of the record; what is not such an entry is one of no type."""
    for holder in (*affected, record):
        entries = holder.get("severity") or ()
        for one in entries if isinstance(entries, list | tuple) else (entries,):
            fields = one if isinstance(one, Mapping) else {}
            yield str(fields.get("type")), str(fields.get("score"))


def _range(one: Mapping[str, Any]) -> Range:
    events = []
    for event in one["events"]:
        for kind, text in event.items():
            at = None if str(text) == "0" else version_or_none(str(text))
            # an end that cannot be read must not end a range
            if at is not None or kind == "introduced":
                events.append((str(kind), at))
    first = Version("0.dev0")
    # what is fixed and introduced again at once is affected; `last_affected` ends after its version
    order = {"fixed": 0, "limit": 0, "introduced": 1, "last_affected": 2}
    return Range(tuple(sorted(events, key=lambda pair: (pair[1] or first, order.get(pair[0], 3)))))


def _groups(advisories: Sequence[Advisory]) -> list[list[Advisory]]:
    """The advisories in groups that name each other, at any remove."""
    groups: list[tuple[set[str], list[Advisory]]] = []
    for one in advisories:
        names, members = {one.id, *one.aliases}, [one]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members = group[1] + members
        groups.append((names, members))
    return [members for _names, members in groups]


def _merged(there: Distribution, version: Version, group: Sequence[Advisory]) -> Vulnerability:
    names = {name for one in group for name in (one.id, *one.aliases)}
    fixes = {span.fix(version) for one in group for span in one.ranges if span.affects(version)}
    return Vulnerability(
        there.shown_as,
        there.version_text,
        tuple(sorted(names, key=_prominence)),
        max((one.summary for one in group), key=len),
        next((one.severity for one in group if one.severity), None),
        tuple(str(one) for one in sorted(fix for fix in fixes if fix is not None)),
        worst([rating for one in group if (rating := rate(one.vectors, one.severity)) is not None]),
        tuple(group),
    )


def _prominence(name: str) -> tuple[int, str]:
    return next((rank for rank, prefix in enumerate(_FIRST) if name.startswith(prefix)), len(_FIRST)), name
