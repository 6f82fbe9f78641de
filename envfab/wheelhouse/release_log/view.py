"""A release log as a whole: what its lines say together, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import FormatError, WheelhouseError
from envfab.util.times import in_utc
from envfab.util.versions import shortened
from envfab.wheelhouse.release_log.records import (
    FORMAT,
    Record,
    ReleaseRecord,
    YankRecord,
    is_as_written,
    parse_line,
)
from envfab.wheelhouse.release_log.signed_lines import SignedRelease, encoded, parse_signed


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
class SkippedLine:
    """A line that was skipped: its number, its text, and why."""

    number: int
    line: str
    why: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.why}: {self.line!r}"


class LogText:
    """A release log as it was read. Lines are parsed only when needed.

    The `torn` last line, one without its line end, is None in a log that is whole. `where` names the file in errors.
    """

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        *lines, torn = text.removeprefix("\ufeff").split("\n")
        self._lines = lines
        self.torn = torn or None
        self._refuse_newer(text)
        self._index: dict[NormalizedName, list[str]] | None = None
        self._problems: tuple[SkippedLine, ...] | None = None

    def _refuse_newer(self, text: str) -> None:
        # Two searches through the text cost a tenth of a loop over its lines.
        if not text.startswith("format: ") and "\nformat: " not in text:
            return
        for line in self._lines:
            number = line.removeprefix("format: ").strip() if line.startswith("format: ") else ""
            # without leading zeros a longer number is a larger one, and Python reads no number of 5,000 digits
            digits = number.lstrip("0")
            if number.isdecimal() and (len(digits) > 9 or int(digits or "0") > FORMAT):
                raise FormatError(
                    f"the release log has format {shortened(number, 9)}; this envfab reads format {FORMAT}",
                    where=self._where,
                    hint="upgrade envfab",
                )

    def followed_by(self, lines: Iterable[str]) -> LogText:
        """The log once `lines` were added to it, which ends a torn one; this one stays as it is."""
        ended = [self.torn] if self.torn is not None else []
        longer = LogText("".join(f"{line}\n" for line in (*ended, *lines)), self._where)
        if self._index is not None:
            news = longer._by_name()
            longer._index = self._index | {name: [*self._index.get(name, ()), *new] for name, new in news.items()}
        longer._lines = [*self._lines, *longer._lines]
        return longer

    @property
    def lines(self) -> Sequence[str]:
        """All whole lines, in the file's order."""
        return self._lines

    def names(self) -> Iterable[NormalizedName]:
        """The canonical names of all projects that have a line."""
        return self._by_name().keys()

    def mentions(self, name: NormalizedName, filenames: Iterable[str]) -> bool:
        """Whether a project was released with one of these files: a look that parses nothing."""
        marks = [f" {filename} at " for filename in filenames]
        return any(line[0] == "r" and mark in line for line in self._by_name().get(name, ()) for mark in marks)

    def filenames(self) -> Iterator[tuple[NormalizedName, str]]:
        """(project, file) of every release line: a look that parses nothing, so that damaged ones may be among it."""
        for name, lines in self._by_name().items():
            for line in lines:
                words = line.split(" ", 3)
                if line[0] == "r" and len(words) == 4:
                    yield name, words[2]

    def wheels(self, name: NormalizedName) -> dict[str, LoggedWheel]:
        """A project's wheels by file name, the damaged lines passed over."""
        return derive(self._parsed(self._by_name().get(name, ())))

    def signed_release(self, name: NormalizedName, filename: str, sha256: str) -> SignedRelease:
        """Return what was signed of the release of a file, the last time; raises `WheelhouseError` if nothing was."""
        for line in reversed(self._by_name().get(name, ())):
            signed = parse_signed(line) if f" {filename} at " in line and f" sha256={sha256}" in line else None
            if signed is not None and line.startswith("release: "):
                return SignedRelease(sha256, filename, encoded(signed.text), signed.signature)
        raise WheelhouseError(f"the release of {filename} is not signed", where=self._where, hint="fab sign_wheels")

    def records(self) -> Iterator[Record]:
        """Every record, in the file's order."""
        return self._parsed(self._lines)

    def problems(self) -> tuple[SkippedLine, ...]:
        """What was skipped, a torn last line included; looks at the whole log, once."""
        if self._problems is None:
            self._problems = self._find_problems()
        return self._problems

    def _find_problems(self) -> tuple[SkippedLine, ...]:
        found = []
        for number, line in enumerate(self._lines, 1):
            if is_as_written(line) or not line.strip() or line.startswith("format: "):
                continue
            try:
                parse_line(line)
            except WheelhouseError as error:
                found.append(SkippedLine(number, line, error.what))
        if self.torn is not None:
            found.append(
                SkippedLine(len(self._lines) + 1, self.torn, "the last line is incomplete: it has no line end")
            )
        return tuple(found)

    def _parsed(self, lines: Iterable[str]) -> Iterator[Record]:
        for line in lines:
            try:
                yield parse_line(line)
            except WheelhouseError:
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
    """Return what release and yank records say of each file, in any order.

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
        releases, key=lambda record: (in_utc(record.at), record.project, record.version, record.sha256 or "")
    )
    last = in_time[-1]
    digests = [record.sha256 for record in in_time if record.sha256 is not None]
    yank = max(yanks, key=lambda record: (in_utc(record.at), record.reason), default=None)
    withdrawn = yank is not None and in_utc(yank.at) >= in_utc(last.at)
    return LoggedWheel(
        last.project,
        last.version,
        last.filename,
        in_utc(in_time[0].at),
        digests[0] if digests else None,
        yank.reason if yank is not None and withdrawn else None,
    )
