"""The release log: what came into the house, what was withdrawn, and where it went. One record a line.

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import FormatError, HouseError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A wheel came into the house; `sha256` is None in lines of older tools."""

    project: str
    version: str
    filename: str
    at: datetime
    sha256: str | None = None


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


@dataclass(frozen=True, slots=True)
class LoggedWheel:
    """What the log says of one wheel, all its lines taken together."""

    project: str
    version: str
    filename: str
    added: datetime
    sha256: str | None
    yanked_reason: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that was skipped: its number, its text, and why."""

    number: int
    line: str
    why: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.why}: {self.line!r}"


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


def parse_line(line: str) -> Record:
    """The record that a line holds, its line end taken off or not; raises `HouseError` where it holds none."""
    line = line.removesuffix("\n").removesuffix("\r")
    kind, _, rest = line.partition(": ")
    grammar = _GRAMMAR.get(kind)
    if grammar is None:
        raise HouseError("not a line of a release log")
    match = grammar.fullmatch(rest)
    if match is None:
        raise HouseError(f"the {kind} line is damaged or incomplete")
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
        raise HouseError("the release line has a damaged SHA-256")
    return ReleaseRecord(said["project"], said["version"], said["filename"], at, digest)


def is_whole(line: str) -> bool:
    """Whether a line that has no line end can have lost nothing else that counts.

    A release that is cut off before its SHA-256 would read as one of an older tool's.
    """
    try:
        record = parse_line(line)
    except HouseError:
        return False
    return not isinstance(record, ReleaseRecord) or record.sha256 is not None


def format_line(record: Record) -> str:
    """The line of a record, without a line end; raises `HouseError` for what could not be read back."""
    match record:
        case ReleaseRecord():
            line = f"release: {record.project}=={record.version} {record.filename} at {record.at.isoformat()}"
            line += f" sha256={record.sha256}" if record.sha256 is not None else ""
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
        raise HouseError(f"the release log has no way to write this: {line!r}")
    return line


def _reads_back(line: str, record: Record) -> bool:
    try:
        return parse_line(line) == record
    except HouseError:
        return False


def _parse_time(text: str) -> datetime:
    try:
        # Python 3.10 does not know the Z of ISO 8601.
        return datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise HouseError(f"{text} is not a time") from None


def moment(at: datetime) -> datetime:
    """A time that can be compared with others: those without a zone count as UTC."""
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


class LogText:
    """A release log as it was read. Lines are parsed only when somebody asks for what they say.

    The `torn` last line, one without its line end, is None in a log that is whole. `where` names the file in errors.
    """

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        *lines, torn = text.removeprefix("\ufeff").split("\n")
        self._lines = lines
        self.torn = torn or None
        self._refuse_newer(text)
        self._index: dict[NormalizedName, list[str]] | None = None

    def _refuse_newer(self, text: str) -> None:
        # Two searches through the text cost a tenth of a loop over its lines.
        if not text.startswith("format: ") and "\nformat: " not in text:
            return
        for line in self._lines:
            number = line.removeprefix("format: ").strip() if line.startswith("format: ") else ""
            if number.isdecimal() and int(number) > FORMAT:
                raise FormatError(
                    f"the release log has format {number}; this envfab reads format {FORMAT}",
                    where=self._where,
                    hint="upgrade envfab",
                )

    def names(self) -> Iterable[NormalizedName]:
        """The canonical names of all projects that have a line."""
        return self._by_name().keys()

    def mentions(self, name: NormalizedName, filenames: Iterable[str]) -> bool:
        """Whether a project was released with one of these files: a look that parses nothing."""
        marks = [f" {filename} at " for filename in filenames]
        return any(line[0] == "r" and mark in line for line in self._by_name().get(name, ()) for mark in marks)

    def wheels(self, name: NormalizedName) -> dict[str, LoggedWheel]:
        """A project's wheels by file name, the damaged lines passed over."""
        return derive(self._parsed(self._by_name().get(name, ())))

    def records(self) -> Iterator[Record]:
        """Every record, in the file's order."""
        return self._parsed(self._lines)

    def problems(self) -> tuple[Problem, ...]:
        """What was skipped, a torn last line included; reads the whole log."""
        found = []
        for number, line in enumerate(self._lines, 1):
            if not line.strip() or line.startswith("format: "):
                continue
            try:
                parse_line(line)
            except HouseError as error:
                found.append(Problem(number, line, error.what))
        if self.torn is not None:
            found.append(Problem(len(self._lines) + 1, self.torn, "the last line is torn: it has no line end"))
        return tuple(found)

    def _parsed(self, lines: Iterable[str]) -> Iterator[Record]:
        for line in lines:
            try:
                yield parse_line(line)
            except HouseError:
                continue

    def _by_name(self) -> dict[NormalizedName, list[str]]:
        if self._index is None:
            index: dict[NormalizedName, list[str]] = {}
            known: dict[str, list[str]] = {}
            for line in self._lines:
                if line.startswith(("release: ", "yank: ")):
                    project = line[line.index(" ") + 1 :].partition("==")[0]
                    if project not in known:
                        known[project] = index.setdefault(canonicalize_name(project), [])
                    known[project].append(line)
            self._index = index
        return self._index


def derive(records: Iterable[Record]) -> dict[str, LoggedWheel]:
    """What release and yank records say of each file, whatever their order.

    A file's date and SHA-256 are the first that were logged, so that a name stays bound to its first contents. It is
    withdrawn where no release is later than its last yank.
    """
    releases: dict[str, list[ReleaseRecord]] = {}
    yanks: dict[str, list[YankRecord]] = {}
    for record in records:
        if isinstance(record, ReleaseRecord):
            releases.setdefault(record.filename, []).append(record)
        elif isinstance(record, YankRecord):
            yanks.setdefault(record.filename, []).append(record)
    return {filename: _combine(found, yanks.get(filename, [])) for filename, found in releases.items()}


def _combine(releases: list[ReleaseRecord], yanks: list[YankRecord]) -> LoggedWheel:
    in_time = sorted(
        releases, key=lambda record: (moment(record.at), record.project, record.version, record.sha256 or "")
    )
    last = in_time[-1]
    digests = [record.sha256 for record in in_time if record.sha256 is not None]
    yank = max(yanks, key=lambda record: (moment(record.at), record.reason), default=None)
    withdrawn = yank is not None and moment(yank.at) >= moment(last.at)
    return LoggedWheel(
        last.project,
        last.version,
        last.filename,
        moment(in_time[0].at),
        digests[0] if digests else None,
        yank.reason if yank is not None and withdrawn else None,
    )
