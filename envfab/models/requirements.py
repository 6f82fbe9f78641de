"""Requirements files (pip's format, PEP 751, PEP 735): what a virtualenv must satisfy.

The grammar is pip's (one requirement per line, `-r`, `-c`, comments, continuations, `${VARIABLE}`, `--hash`,
`--require-hashes`), without what would install anything but wheels of the wheelhouse. A file named `pylock.toml` or
`pylock.NAME.toml` is a lock file (PEP 751), one named `pyproject.toml` has dependencies, extras and dependency groups
(PEP 735).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from packaging.requirements import InvalidRequirement

from envfab.errors import RequirementsError, SeveralErrors
from envfab.models import lock_file, project_file
from envfab.models.group_choice import Choice
from envfab.models.requirement_entries import Entry, LockFile, Requirements
from envfab.models.requirement_lines import IGNORED, divide, expand, logical_lines, without_comment
from envfab.util.versions import parse_requirement, shortened

__all__ = ["Entry", "Requirements", "parse"]

# Real files include a handful of others; what includes more is damaged, or meant to do harm.
MOST_DEEP = 50
MOST_FILES = 2_000
MOST_ENTRIES = 50_000

_USERINFO = re.compile(r"//[^/@]*@")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALGORITHMS = frozenset({"sha384", "sha512"})
_LOOKS_LIKE_A_FILE = re.compile(r"^[./~]|^[A-Za-z+]+:/|://|\.(whl|tar\.gz|tgz|zip)$")
_REFUSED = {
    "--editable": "editables are not deployed: build a wheel, add it with add_wheel and require it by name",
    "--pre": "a pre-release is used only where a requirement names one: NAME>=2.0rc1",
}
_NO_FILES = "only wheels of the wheelhouse are deployed: add the wheel with add_wheel and require it by name"


def parse(  # noqa: PLR0913  # what a fabfile says of requirements, and how its files are read
    files: Sequence[str],
    read: Callable[[str], str],
    packages: Sequence[str] = (),
    packages_origin: str = "fabfile",
    *,
    groups: Sequence[str] | None = None,
    extras: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Requirements:
    """Parse the requirements in `files`, whose text `read` returns, and in the lines `packages`.

    `groups` (None: a lock file's defaults) and `extras` choose among those of lock files and pyproject.toml files;
    `environment` has the variables for `${NAME}`. Raises `RequirementsError` with `file:line` for what cannot be read
    or is not a requirement on a wheel; for several such lines, one `SeveralErrors`.
    """
    reading = _Reading(read, Choice.of(groups, extras), environment or {})
    try:
        for file in files:
            reading.file(file, constraint=False, included_from=(), where=file)
        for text in packages:
            reading.line(without_comment(text), packages_origin, file=None, constraint=False, included_from=())
        if not reading.errors:
            reading.choice.check(files)
            reading.check_hashes()
    except _TooMuch as error:
        raise RequirementsError(error.what, where=error.where, hint=error.hint) from None
    except RequirementsError as error:
        reading.errors.append(error)
    if reading.errors:
        raise SeveralErrors.of(reading.errors)
    return reading.requirements()


class _TooMuch(RequirementsError):
    """Reading on would take too long, or too much memory."""


@dataclass(slots=True)
class _Reading:
    """Requirements files on their way to entries and constraints."""

    read: Callable[[str], str]
    choice: Choice
    environment: Mapping[str, str]
    entries: list[Entry] = field(default_factory=list)
    constraints: list[Entry] = field(default_factory=list)
    locks: list[LockFile] = field(default_factory=list)
    errors: list[RequirementsError] = field(default_factory=list)
    hashes_required: str = ""
    ignored: dict[str, dict[str, None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files_read: int = 0

    def requirements(self) -> Requirements:
        """What was read."""
        ignored = [f"{place}: ignored: {', '.join(names)}" for place, names in self.ignored.items()]
        return Requirements(
            tuple(self.entries),
            tuple(self.constraints),
            tuple(self.locks),
            self.hashes_required,
            (*self.notes, *ignored),
        )

    def file(self, name: str, *, constraint: bool, included_from: tuple[str, ...], where: str) -> None:
        """Read the file `name`; `where` is the line that includes it."""
        if name in included_from:
            raise RequirementsError(
                f"{name} includes itself" + (f", by way of {included_from[-1]}" if name != included_from[-1] else ""),
                where=where,
                hint="remove one of the -r or -c lines",
            )
        self.files_read += 1
        if len(included_from) > MOST_DEEP or self.files_read > MOST_FILES:
            limit = f"{MOST_DEEP} deep" if len(included_from) > MOST_DEEP else f"{MOST_FILES:,} times"
            raise _TooMuch(f"files include each other more than {limit}", where=where, hint="include fewer files")
        text = self._text(name, where)
        if lock_file.NAME.search(name):
            lock, entries = lock_file.parse_lock_file(text, name, self.choice)
            self.locks.append(lock)
            self._add(entries, constraint)
        elif project_file.NAME.search(name):
            lines, notes = project_file.parse_project_file(text, name, self.choice)
            self.notes += notes
            for line, origin in lines:
                self._collect(partial(self._line_of_project, line, origin, constraint))
        else:
            for number, line in logical_lines(text):
                self.line(line, f"{name}:{number}", name, constraint, (*included_from, name))

    def line(self, line: str, where: str, file: str | None, constraint: bool, included_from: tuple[str, ...]) -> None:
        """Read one logical line, without its comment; what is wrong with it is kept in `errors`."""
        self._collect(partial(self._line, line, where, file, constraint, included_from))

    def _collect(self, step: Callable[[], None]) -> None:
        try:
            step()
        except _TooMuch:
            raise
        except RequirementsError as error:
            self.errors.append(error)

    def _line_of_project(self, line: str, where: str, constraint: bool) -> None:
        self._add([_entry(line, [], where)], constraint)

    def _line(self, line: str, where: str, file: str | None, constraint: bool, included_from: tuple[str, ...]) -> None:
        text, options = divide(expand(line, self.environment), where)
        if text:
            shown = divide(line, where)[0]
            for name, _value in options:
                if name != "--hash":
                    self._pass_over(name, where)
            hashes = [value for name, value in options if name == "--hash"]
            entry = _entry(text, hashes, where, shown)
            if constraint and entry.requirement.extras:
                raise RequirementsError(f"the constraint {shown!r} has extras", where=where, hint="remove the brackets")
            self._add([entry], constraint)
            return
        for name, value in options:
            if name in ("--requirement", "--constraint") and file is not None:
                if "://" in value:
                    raise RequirementsError(
                        f"{_without_secrets(value)} is not a file",
                        where=where,
                        hint="keep the file beside the one that includes it",
                    )
                path = posixpath.normpath(posixpath.join(posixpath.dirname(file), value))
                self.file(path, constraint=name == "--constraint", included_from=included_from, where=where)
            elif name == "--require-hashes":
                self.hashes_required = self.hashes_required or where
            else:
                self._pass_over(name, where)

    def check_hashes(self) -> None:
        """With `--require-hashes`, note an error for each requirement whose project has no hash on any line."""
        if not self.hashes_required:
            return
        hashed = {entry.name for entry in (*self.entries, *self.constraints) if entry.hashes}
        for entry in self.entries:
            if entry.name not in hashed and entry.locked is None:
                self.errors.append(
                    RequirementsError(
                        f"{str(entry.requirement)!r} has no hash, but {self.hashes_required} has --require-hashes",
                        where=entry.origin,
                        hint="add --hash=sha256:…, or lock the file again: fab lock",
                    )
                )

    def _add(self, entries: Sequence[Entry], constraint: bool) -> None:
        into = self.constraints if constraint else self.entries
        into.extend(entries)
        if len(into) > MOST_ENTRIES:
            raise _TooMuch(f"there are more than {MOST_ENTRIES:,} requirements", where=entries[0].origin)

    def _pass_over(self, name: str, where: str) -> None:
        """Note one of pip's options that is ignored; raise `RequirementsError` for every other."""
        if name in IGNORED:
            place, _, number = where.rpartition(":")
            self.ignored.setdefault(place or where, {})[f"{name} (line {number})" if place else name] = None
            return
        if name == "--hash":
            raise RequirementsError("--hash must follow a requirement", where=where, hint="say NAME==VERSION --hash=…")
        hint = _REFUSED.get(
            name, "a line must be a requirement, -r, -c, or one of pip's index options (which are ignored)"
        )
        raise RequirementsError(f"{shortened(name)} cannot be used here", where=where, hint=hint)

    def _text(self, name: str, where: str) -> str:
        missing = "" if where == name else name
        try:
            return self.read(name).removeprefix("\ufeff")
        except FileNotFoundError:
            raise RequirementsError(
                f"there is no file {missing}".rstrip() if missing else "there is no such requirements file",
                where=where,
                hint="-r and -c are relative to the file that has them" if missing else "",
            ) from None
        except UnicodeDecodeError:
            raise RequirementsError(
                f"{missing or 'the file'} is not UTF-8 text", where=where, hint="save it as UTF-8"
            ) from None
        except ValueError:
            # a NUL in it, or half of a surrogate pair
            raise RequirementsError(f"{shortened(name)!a} cannot be the name of a file", where=where) from None
        except OSError as error:
            reason = error.strerror or error
            raise RequirementsError(
                f"{shortened(missing) or 'the file'} cannot be read: {reason}", where=where
            ) from None


def _entry(text: str, hashes: Sequence[str], where: str, shown: str = "") -> Entry:
    """The entry of a line; `shown` is the line as messages have it, with the names of variables in place of values."""
    told = shortened(_without_secrets(shown or text))
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement as error:
        if _LOOKS_LIKE_A_FILE.search(text):
            raise RequirementsError(f"{told!r} is a file or a URL", where=where, hint=_NO_FILES) from None
        problem = shortened(str(error).splitlines()[0])
        hint = "write NAME, NAME==VERSION or NAME>=VERSION"
        if shown not in ("", text):
            # what stands in variables may be a secret
            problem = "it cannot be read with the values of its variables"
        elif "${" in text:
            hint = "is the variable set, and spelled in capitals?"
        raise RequirementsError(f"{told!r} is not a requirement: {problem}", where=where, hint=hint) from None
    if requirement.url:
        raise RequirementsError(f"{told!r} names a URL", where=where, hint=_NO_FILES)
    if _LOOKS_LIKE_A_FILE.search(requirement.name):
        raise RequirementsError(f"{told!r} is a file", where=where, hint=_NO_FILES)
    return Entry(requirement, _hashes(hashes, where), where)


def _without_secrets(text: str) -> str:
    return _USERINFO.sub("//…@", text)


def _hashes(values: Sequence[str], where: str) -> frozenset[str]:
    """The SHA-256 digests among `values`, which are `ALGORITHM:DIGEST`."""
    digests = set()
    for value in values:
        algorithm, _colon, digest = value.partition(":")
        if algorithm == "sha256" and _SHA256.fullmatch(digest.lower()):
            digests.add(digest.lower())
        elif algorithm not in _ALGORITHMS:
            raise RequirementsError(
                f"--hash={shortened(value)} is not a SHA-256",
                where=where,
                hint="say --hash=sha256: and 64 hexadecimal digits",
            )
    if values and not digests:
        raise RequirementsError(
            "no SHA-256 is given, and the release log has no other hashes", where=where, hint="add --hash=sha256:…"
        )
    return frozenset(digests)
