"""Which extras and dependency groups of lock files and pyproject.toml files are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from envfab.errors import RequirementsError


@dataclass(slots=True)
class Choice:
    """The chosen `groups` (None: those that a lock file has as its defaults) and `extras`; names are canonical.

    Files say which they have; what no file has is refused at the end.
    """

    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    known_groups: dict[str, None] = field(default_factory=dict)
    known_extras: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: Sequence[str] | None, extras: Sequence[str]) -> Choice:
        """Make a choice from names as a fabfile spells them."""
        return cls(None if groups is None else _canonical(groups), _canonical(extras))

    def extras_of(self, known: Iterable[str]) -> frozenset[str]:
        """Return the chosen extras among those that a file has."""
        names = _canonical(known)
        self.known_extras.update(dict.fromkeys(names))
        return frozenset(names) & frozenset(self.extras)

    def groups_of(self, known: Iterable[str], default: Iterable[str] = ()) -> frozenset[str]:
        """Return the chosen groups among those that a file has, or its defaults if `groups` is None."""
        defaults = _canonical(default)
        names = (*_canonical(known), *defaults)
        self.known_groups.update(dict.fromkeys(names))
        return frozenset(defaults if self.groups is None else frozenset(names) & frozenset(self.groups))

    def check(self, files: Sequence[str]) -> None:
        """Raise `RequirementsError` where a group or an extra was chosen that no file has."""
        for kind, chosen, known in (
            ("group", self.groups or (), self.known_groups),
            ("extra", self.extras, self.known_extras),
        ):
            unknown = [name for name in chosen if name not in known]
            if unknown:
                there = f"there are {', '.join(known)}" if known else "a pylock.toml or a pyproject.toml can have some"
                raise RequirementsError(
                    f"no {kind} {', '.join(map(repr, unknown))}", where=", ".join(files) or "fabfile", hint=there
                )


def _canonical(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(canonicalize_name(name) for name in names))
