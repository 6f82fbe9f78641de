"""Releases that an advisory export reports as malicious: records with the id, or an alias, `MAL-…`.

Which projects have such records is remembered between runs, by the export's size, times and inode: reading the whole
export takes seconds, and most projects have none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.audit.osv import ECOSYSTEM, Advisory, OSVExport, read
from envfab.audit.osv_records import every_record
from envfab.models.wheel import Wheel
from envfab.util.atomic import write_file
from envfab.util.paths import read_file
from envfab.util.times import in_utc, parse_time
from envfab.util.untrusted import parse_json

PREFIX = "MAL-"
FORMAT = 1
CACHE_LIMIT = 64 << 20  # bytes
# a file that was written twice within one tick of the file system's clock looks unchanged
SETTLED = 2 * 10**9  # nanoseconds
# what reading an invalid record raises
_STRANGE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Summary:
    """The projects of which an export has malicious releases; its age and size, and what in it cannot be read."""

    names: frozenset[NormalizedName]
    export: OSVExport


@dataclass(frozen=True, slots=True)
class MaliciousRelease:
    """A wheel, and the record that reports its release as malicious."""

    wheel: Wheel
    id: str
    summary: str

    def __str__(self) -> str:
        said = f": {self.summary}" if self.summary else ""
        return f"{self.wheel.shown_as} {self.wheel.version} is reported as malicious by {self.id}{said}"


class MaliciousReleases:
    """The malicious releases of the export at `place`, whose summary is kept in the folder `cache`.

    Raises `SupplyError` where the export cannot be read, or holds nothing on PyPI.
    """

    def __init__(self, place: Path, cache: Path | None) -> None:
        self.place = place
        name = hashlib.sha256(os.fsencode(os.path.abspath(place))).hexdigest()[:32]
        # the times of a folder do not tell whether a file in it has changed
        self._file = cache / "advisories" / f"{name}.json" if cache is not None and place.is_file() else None
        self._summary = self._remembered() or self._read()

    @property
    def export(self) -> OSVExport:
        """The export's age and size; its advisories are left out."""
        return self._summary.export

    def among(self, wheels: Iterable[Wheel]) -> list[MaliciousRelease]:
        """The wheels of malicious releases; a local part of a version does not count, as in an audit."""
        suspects = [wheel for wheel in wheels if wheel.name in self._summary.names]
        if not suspects:
            return []
        known = read(self.place, {wheel.name for wheel in suspects}).advisories
        return [found for wheel in suspects for found in _reported(wheel, known.get(wheel.name, ()))]

    def _read(self) -> Summary:
        before = _stamp(self.place)
        summary = _summarize(self.place)
        settled = time.time_ns() - max(before[1:3]) > SETTLED
        if self._file is not None and settled and before == _stamp(self.place):
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_file(self._file, json.dumps(_to_json(summary, before)).encode())
        return summary

    def _remembered(self) -> Summary | None:
        """What an earlier run wrote, if the export is still that one; damaged or newer files count as none."""
        if self._file is None:
            return None
        try:
            document = parse_json(read_file(self._file, CACHE_LIMIT))
            if document["format"] != FORMAT or document["stamp"] != _stamp(self.place):
                return None
            return _from_json(document)
        except (OSError, *_STRANGE):
            return None


def _stamp(place: Path) -> list[int]:
    try:
        status = place.stat()
    except OSError:
        return [0, 0, 0, 0]
    # the change time cannot be set back, unlike the modification time
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _summarize(place: Path) -> Summary:
    export = OSVExport()
    names: set[NormalizedName] = set()
    for name, content in every_record(place):
        try:
            record = parse_json(content)
            projects = _projects(record)
            modified = in_utc(parse_time(record["modified"]))
            malicious = _is_malicious([str(record["id"]), *map(str, record.get("aliases") or ())])
        except _STRANGE:
            export.unreadable.append(name)
            continue
        if projects:
            export.records += 1
            export.as_of = modified if export.as_of is None else max(export.as_of, modified)
        if malicious:
            names |= projects
    return Summary(frozenset(names), export.checked(place))


def _projects(record: Mapping[str, Any]) -> set[NormalizedName]:
    packages = [one.get("package") or {} for one in record.get("affected") or ()]
    of_pypi = [one for one in packages if str(one.get("ecosystem", "")).partition(":")[0] == ECOSYSTEM]
    return {canonicalize_name(one["name"]) for one in of_pypi}


def _is_malicious(ids: Iterable[str]) -> bool:
    return any(one.startswith(PREFIX) for one in ids)


def _reported(wheel: Wheel, advisories: Sequence[Advisory]) -> Iterator[MaliciousRelease]:
    """The first record that reports the wheel's release, by its `MAL-` id."""
    for one in advisories:
        ids = sorted(name for name in (one.id, *one.aliases) if name.startswith(PREFIX))
        if ids and one.affects(Version(wheel.version.public)):
            yield MaliciousRelease(wheel, ids[0], one.summary)
            return


def _to_json(summary: Summary, stamp: Sequence[int]) -> dict[str, Any]:
    export = summary.export
    as_of = export.as_of.isoformat() if export.as_of is not None else None
    return {
        "format": FORMAT,
        "stamp": list(stamp),
        "as_of": as_of,
        "records": export.records,
        "unreadable": export.unreadable,
        "names": sorted(summary.names),
    }


def _from_json(document: Mapping[str, Any]) -> Summary:
    as_of: datetime | None = in_utc(parse_time(document["as_of"])) if document["as_of"] is not None else None
    unreadable = [str(one) for one in document["unreadable"]]
    export = OSVExport(as_of=as_of, records=int(document["records"]), unreadable=unreadable)
    return Summary(frozenset(canonicalize_name(one) for one in document["names"]), export)
