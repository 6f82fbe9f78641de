"""SSH configuration files as text: which of their lines may apply to a host (ssh_config(5)).

The lines are not evaluated; they show whether Paramiko reads a file as OpenSSH does, and which hosts share lines.
"""

from __future__ import annotations

import fnmatch
import glob
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# OpenSSH's limit on the depth of includes
DEPTH = 16
# criteria of a Match line whose results are the same for every host
SAME_FOR_ALL_HOSTS = frozenset(("all", "final", "localuser", "localnetwork", "version", "sessiontype", "command"))
_LINE = re.compile(r"(\w+)(?:[ \t]*=[ \t]*|[ \t]+|$)(.*)", re.DOTALL)
_PLAIN_PATTERN = re.compile(r"!?[A-Za-z0-9._:*?-]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """A `Host` or `Match` line; `words` are what follows it."""

    keyword: str
    words: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether Paramiko surely understands it as OpenSSH does: a `Host` line with simple patterns."""
        return self.keyword == "host" and all(_PLAIN_PATTERN.fullmatch(word) for word in self.words)

    @property
    def same_for_all_hosts(self) -> bool:
        """Whether a `Match` line has only criteria that do not differ between hosts."""
        words = list(self.words)
        while words:
            criterion = words.pop(0).lstrip("!").lower()
            name, _, value = criterion.partition("=")
            if name not in SAME_FOR_ALL_HOSTS and name != "exec":
                return False
            if name not in ("all", "final") and not value:
                value = words.pop(0) if words else ""
            if name == "exec" and "%" in value:
                return False
        return True

    def matches(self, name: str) -> bool:
        """Return whether a `Host` line matches the host; a `Match` line is assumed to match."""
        if self.keyword != "host":
            return True
        found = False
        for pattern in self.words:
            negated = pattern.startswith("!")
            # brackets are not a character class here
            if fnmatch.fnmatchcase(name, pattern[negated:].replace("[", "[[]")):
                if negated:
                    return False
                found = True
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A setting: its keyword in lower case, the rest of the line, its file and number, and its conditions."""

    keyword: str
    value: str
    conditions: tuple[Condition, ...]
    file: Path
    number: int
    included: bool

    @property
    def place(self) -> str:
        """The file and line number, as in messages."""
        return f"{self.file}:{self.number}"


@dataclass(slots=True)
class ConfigText:
    """The settings of some files, in order, with those of included files.

    `opaque` are places that only OpenSSH can interpret.
    """

    lines: list[Line] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)

    def read(self, file: Path, folder: Path) -> None:
        """Read a file, which may not exist; relative paths of files that it includes are below `folder`."""
        self._read(file, folder, (), 0)

    def applied(self, name: str) -> Iterator[Line]:
        """Return the lines that apply, or may apply, to a host."""
        matched: dict[int, bool] = {}

        def holds(condition: Condition) -> bool:
            if id(condition) not in matched:
                matched[id(condition)] = condition.matches(name)
            return matched[id(condition)]

        return (line for line in self.lines if all(map(holds, line.conditions)))

    def _read(self, file: Path, folder: Path, outer: tuple[Condition, ...], depth: int) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except (OSError, UnicodeDecodeError):
            self.opaque.append(str(file))
            return
        conditions = outer
        for number, written in enumerate(text.split("\n"), 1):
            # ssh knows only these as white space, and only this end of a line; Python knows more
            stripped = written.strip(" \t\r")
            if not stripped or stripped.startswith("#"):
                continue
            found = _LINE.fullmatch(stripped)
            keyword, value = (found[1].lower(), found[2]) if found else ("", stripped)
            if not found or not value:
                self.opaque.append(f"{file}:{number}")
            elif keyword in ("host", "match"):
                condition = self._condition(keyword, value, f"{file}:{number}")
                conditions = (*outer, condition)
            elif keyword == "include":
                for included in self._included(value, folder, f"{file}:{number}"):
                    if depth < DEPTH:
                        self._read(included, folder, conditions, depth + 1)
            else:
                self.lines.append(Line(keyword, value, conditions, file, number, depth > 0))

    def _condition(self, keyword: str, value: str, place: str) -> Condition:
        condition = Condition(keyword, tuple(self._words(value, place)))
        self.conditions.append(condition)
        return condition

    def _included(self, value: str, folder: Path, place: str) -> Iterator[Path]:
        for word in self._words(value, place):
            if "%" in word or "$" in word or (word.startswith("~") and not word.startswith("~/")):
                self.opaque.append(place)
                continue
            path = str(folder.parent / word[2:]) if word.startswith("~/") else str(folder / word)
            yield from map(Path, sorted(glob.glob(path)))

    def _words(self, value: str, place: str) -> Sequence[str]:
        try:
            return shlex.split(value, comments=True)
        except ValueError:
            self.opaque.append(place)
            return ()
