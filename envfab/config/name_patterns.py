"""Names of projects and patterns of such names (`mycorp-*`), as settings and command lines have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_PATTERN = re.compile(r"[A-Za-z0-9*?]([A-Za-z0-9._*?-]*[A-Za-z0-9*?])?")
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """The projects whose names, normalised (PEP 503), match one of the patterns; `*` and `?` are as in a shell."""

    patterns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, words: Sequence[str]) -> NamePatterns:
        """Read patterns as users type them; raises `ValueError` with the first that matches no name."""
        for word in words:
            if not _PATTERN.fullmatch(word):
                raise ValueError(word)
        return cls(tuple(_SEPARATORS.sub("-", word).lower() for word in words))

    def __contains__(self, name: object) -> bool:
        return any(fnmatchcase(str(name), pattern) for pattern in self.patterns)

    def __or__(self, other: NamePatterns) -> NamePatterns:
        return NamePatterns((*self.patterns, *other.patterns))


NO_NAMES = NamePatterns()
