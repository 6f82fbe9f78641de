"""The release log: what was added to the wheelhouse, withdrawn, and installed where. One record per line.

    release: Django==5.2.1 django-5.2.1-py3-none-any.whl at 2026-11-20T21:49:00+00:00 sha256=…
    install: shop@web1:/srv/shop/venv: django-5.2.1-py3-none-any.whl at … deployment=…
    yank: Django==5.2.1 django-5.2.1-py3-none-any.whl at … reason=…
    error: shop@web1:/srv/shop/venv: message
    aborting: shop@web1:/srv/shop/venv: message

Older tools wrote `release` and `install` lines without zone, hash and deployment; a time without zone counts as UTC,
so that every machine of a team reads the same.

Format: lines are self-describing, and this is format 1, which needs no mark. Further `key=value` words at the end of a
`release` or `install` line are no new format: they are passed over. An envfab that must write lines which format 1
would misread adds a line `format: 2` (anywhere, because merging moves lines); a log with such a line is refused as a
whole. Unknown and damaged lines are reported with their number and skipped.

Nothing that is derived from the log depends on the order of its lines, and a line that is there twice counts once:
git's union merge shuffles and repeats them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from envfab.errors import WheelhouseError
from envfab.util.times import parse_time
from envfab.wheelhouse.release_log.signed_lines import record_of

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A wheel came into the wheelhouse; `sha256` is None in lines of older tools, `size` (bytes) in unsigned ones."""

    project: str
    version: str
    filename: str
    at: datetime
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class YankRecord:
    """A wheel was withdrawn from new plans."""

    project: str
    version: str
    filename: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InstallRecord:
    """A wheel was installed; `target` is `owner@host:path`, or `host:path` in lines of older tools."""

    target: str
    filename: str
    at: datetime
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Something failed on a target. The first `: ` ends the target, also where its path has one."""

    target: str
    message: str


@dataclass(frozen=True, slots=True)
class AbortingRecord:
    """A rollout gave up on a target. The first `: ` ends the target, also where its path has one."""

    target: str
    message: str


Record = ReleaseRecord | YankRecord | InstallRecord | ErrorRecord | AbortingRecord


_RELEASE = r"(?P<project>[^\s=]+)==(?P<version>\S+) (?P<filename>.+?)"
_AT = r" at (?P<at>\d{4}-\d\d-\d\d(?:[T ]\d\d:\S+)?)"
_FIELDS = r"(?P<fields>(?: [^\s=]+=\S*)*)"
_GRAMMAR = {
    "release": re.compile(_RELEASE + _AT + _FIELDS),
    "yank": re.compile(_RELEASE + _AT + r"(?: reason=(?P<reason>.*))?"),
    # The last `: ` ends the target: a path may have one, the name of a wheel has none.
    "install": re.compile(r"(?P<target>.+): (?P<filename>.+?)" + _AT + _FIELDS),
    "error": re.compile(r"(?P<target>.+?): (?P<message>.*)"),
    "aborting": re.compile(r"(?P<target>.+?): (?P<message>.*)"),
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"[1-9][0-9]{0,14}")
# Days that every such month has, in the one form in which times are written.
_DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_WRITTEN_AT = rf" at [1-9]\d{{3}}-{_DAY}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\+00:00"
_AS_WRITTEN = re.compile(
    rf"install: [^\s:]+:[^\s:]+: \S+{_WRITTEN_AT}(?: deployment=\S*)?"
    rf"|release: [^\s=]+==\S+ \S+{_WRITTEN_AT}(?: sha256=[0-9a-f]{{64}})?",
    re.ASCII,
)


def parse_line(line: str) -> Record:
    """Parse a line, with or without its line end; raises `WheelhouseError` where it is not a record."""
    line = record_of(line.removesuffix("\n").removesuffix("\r"))
    kind, _, rest = line.partition(": ")
    grammar = _GRAMMAR.get(kind)
    if grammar is None:
        raise WheelhouseError("not a line of a release log")
    match = grammar.fullmatch(rest)
    if match is None:
        raise WheelhouseError(f"the {kind} line is damaged or incomplete")
    said = match.groupdict()
    if kind == "error":
        return ErrorRecord(said["target"], said["message"])
    if kind == "aborting":
        return AbortingRecord(said["target"], said["message"])
    at = _parse_time(said["at"])
    if kind == "yank":
        return YankRecord(said["project"], said["version"], said["filename"], at, said["reason"] or "")
    fields = dict(word.split("=", 1) for word in said["fields"].split())
    if kind == "install":
        return InstallRecord(said["target"], said["filename"], at, fields.get("deployment"))
    digest = fields.get("sha256")
    if digest is not None and not _SHA256.fullmatch(digest):
        raise WheelhouseError("the release line has a damaged SHA-256")
    size = fields.get("size")
    if size is not None and not _SIZE.fullmatch(size):
        raise WheelhouseError("the release line has a damaged size")
    return ReleaseRecord(said["project"], said["version"], said["filename"], at, digest, int(size) if size else None)


def is_as_written(line: str) -> bool:
    """Whether `parse_line` is certain to read a line: a quick test that recognises most lines."""
    return _AS_WRITTEN.fullmatch(line) is not None


def is_whole(line: str) -> bool:
    """Whether a line without a line end has lost nothing else that matters.

    A release that is cut off before its SHA-256 would look like an older tool's.
    """
    try:
        record = parse_line(line)
    except WheelhouseError:
        return False
    return not isinstance(record, ReleaseRecord) or record.sha256 is not None


def format_line(record: Record) -> str:
    """Format a record without a line end; raises `WheelhouseError` for what could not be read back."""
    match record:
        case ReleaseRecord():
            line = f"release: {record.project}=={record.version} {record.filename} at {record.at.isoformat()}"
            line += f" sha256={record.sha256}" if record.sha256 is not None else ""
            line += f" size={record.size}" if record.size is not None else ""
        case YankRecord():
            line = f"yank: {record.project}=={record.version} {record.filename} at {record.at.isoformat()}"
            line += f" reason={record.reason}"
        case InstallRecord():
            line = f"install: {record.target}: {record.filename} at {record.at.isoformat()}"
            line += f" deployment={record.deployment}" if record.deployment is not None else ""
        case ErrorRecord():
            line = f"error: {record.target}: {record.message}"
        case AbortingRecord():
            line = f"aborting: {record.target}: {record.message}"
    free_text = isinstance(record, (ErrorRecord, AbortingRecord))
    if "\n" in line or "\r" in line or not (free_text or _reads_back(line, record)):
        raise WheelhouseError(f"cannot be written as a line of the release log: {line!r}")
    return line


def _reads_back(line: str, record: Record) -> bool:
    try:
        return parse_line(line) == record
    except WheelhouseError:
        return False


def _parse_time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise WheelhouseError(f"{text} is not a time") from None
