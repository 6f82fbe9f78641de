"""Names on the command line: which virtualenvs each of them selects.

A name is `[user@][host][:full_path]`, where the user is the owner of the virtualenv and the host may be
`%group`. Each part may be a shell glob; `*` matches slashes too, as names of a flat list.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from envfab.config.target import Member
from envfab.errors import SelectorError

FORMS = "names are host, user@host, user@host:/path, host:/path, :/path, user@ or %group; * ? [a-z] are globs"


@dataclass(frozen=True, slots=True)
class Selector:
    """A name taken apart; a part that is None matches everything."""

    user: str | None
    host: str | None
    path: str | None

    @classmethod
    def parse(cls, name: str) -> Selector:
        """Take `name` apart; raises `SelectorError` where a part is left empty that must not be."""
        if not name.strip():
            raise SelectorError("an empty name selects nothing", hint="is a variable of your shell unset? " + FORMS)
        place, colon, path = name.partition(":")
        user, at, host = place.rpartition("@")
        if (colon and not path) or (at and not user) or host == "%":
            raise SelectorError(f"{name!r} has an empty part", hint="is a variable of your shell unset? " + FORMS)
        return cls(user or None, host or None, normal_path(path) if colon else None)

    def matches(self, member: Member, same: Callable[[str, str], bool]) -> bool:
        """Whether the name selects `member`; `same(value, part)` compares the parts."""
        target = member.target
        return (
            (self.user is None or same(target.owner, self.user))
            and (self.path is None or same(normal_path(target.path), self.path))
            and (self.host is None or self._on_host(member, same))
        )

    def _on_host(self, member: Member, same: Callable[[str, str], bool]) -> bool:
        assert self.host is not None
        if self.host.startswith("%"):
            return any(same(group, self.host[1:]) for group in member.host.groups)
        return same(member.target.host, self.host)


def select(names: Sequence[str], members: Sequence[Member], only_hosts: Sequence[str] = ()) -> tuple[Member, ...]:
    """The members that any of `names` selects, in the fleet's order; without names all of them.

    `only_hosts` (of `fab -H`) limits them first. Raises `SelectorError` for names that select nothing.
    """
    selectors = [(name, Selector.parse(name)) for name in names]
    allowed = _on(only_hosts, members)
    if not selectors:
        return tuple(allowed)
    chosen: set[int] = set()
    unknown = []
    for name, selector in selectors:
        found = _find(selector, allowed)
        if not found:
            unknown.append(name)
        chosen.update(found)
    if unknown:
        raise _nothing(unknown, allowed, only_hosts)
    return tuple(member for index, member in enumerate(allowed) if index in chosen)


def normal_path(path: str) -> str:
    """A path as it is compared: no trailing or doubled slashes, no dots."""
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal


def _find(selector: Selector, members: Sequence[Member]) -> list[int]:
    """The positions of the selected members; exact names take precedence over globs."""
    exact = [index for index, member in enumerate(members) if selector.matches(member, str.__eq__)]
    return exact or [index for index, member in enumerate(members) if selector.matches(member, fnmatchcase)]


def _on(hosts: Sequence[str], members: Sequence[Member]) -> list[Member]:
    """The members on `hosts`; all of them without `hosts`. Raises `SelectorError` for a host without members."""
    if not hosts:
        return list(members)
    if not all(host.strip() for host in hosts):
        raise SelectorError("-H has an empty host name", hint="is a variable of your shell unset?")
    there = sorted({member.target.host for member in members})
    for host in hosts:
        if not any(_same_host(name, host) for name in there):
            raise SelectorError(
                f"-H {host} matches no host that has a virtualenv",
                known=[str(member.target) for member in members],
                hint=_did_you_mean([host], there) or "-H takes the host names of the fabfile, without user or port",
            )
    return [member for member in members if any(_same_host(member.target.host, host) for host in hosts)]


def _same_host(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _nothing(names: Sequence[str], members: Sequence[Member], only_hosts: Sequence[str]) -> SelectorError:
    limit = f" on the hosts of -H {','.join(only_hosts)}" if only_hosts else ""
    verb = "matches" if len(names) == 1 else "match"
    return SelectorError(
        f"{', '.join(map(repr, names))} {verb} no virtualenv{limit}",
        known=[str(member.target) for member in members],
        hint=_hint(names, members),
    )


def _hint(names: Sequence[str], members: Sequence[Member]) -> str:
    if not members:
        return "the fabfile configures no virtualenvs"
    spellings = {spelling for member in members for spelling in _spellings(member)}
    if suggestion := _did_you_mean(names, sorted(spellings)):
        return suggestion
    if any("," in name for name in names):
        return "give several names as deploy:NAME,NAME or as --name NAME --name NAME"
    return FORMS


def _spellings(member: Member) -> Iterable[str]:
    """The names without globs that select `member`, most of them together with others."""
    target = member.target
    yield from (str(target), target.host, f"{target.owner}@{target.host}", f"{target.owner}@")
    yield from (f"{target.host}:{target.path}", f":{target.path}")
    yield from (f"%{group}" for group in member.host.groups)


def _did_you_mean(names: Sequence[str], known: Sequence[str]) -> str:
    close = [match for name in names for match in difflib.get_close_matches(name, known, n=1, cutoff=0.7)]
    return f"did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
