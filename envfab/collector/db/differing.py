"""Which hosts run something else than their siblings, and in which packages they differ.

Siblings are virtualenvs at one path of one owner on several hosts, as rollouts tell, and, apart from these,
applications of one name and user id at one path, as they register. They are compared among those with the same minor
version of the interpreter, since wheels differ between these. What is not known is neither alike nor different.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name
from sqlalchemy import Connection, select

from envfab.collector.db.application_queries import is_edited
from envfab.collector.db.batches import in_parts
from envfab.collector.db.host_queries import ToldVirtualenv, host_name, packages_in, told_virtualenvs
from envfab.collector.db.registered_virtualenvs import REGISTERED
from envfab.collector.db.schema import applications, installed, virtualenvs
from envfab.collector.db.siblings import kind_of
from envfab.models.rollout_document import BEGUN, NOT_KNOWN

_VERSION = re.compile(r"(\w+) ([0-9]+\.[0-9]+)\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sibling:
    """One of a group: a virtualenv, or an application if it has a uuid.

    `packages` is the number of what it has: of a set of packages, or of the application. `digest` and `packages` are
    None where they are not known. Both are of its deployment; `edited` says whether something was changed since, None
    where that is not known.
    """

    host: str
    digest: str | None
    packages: int | None
    uuid: str | None = None
    edited: bool | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A package that a sibling has in another version than most; None where it is not there."""

    name: str
    shown_as: str
    here: str | None
    most: str | None


@dataclass(frozen=True, slots=True)
class OddSibling:
    """A sibling that runs something else; `differences` is None until, or where, the packages are not known."""

    sibling: Sibling
    differences: tuple[Difference, ...] | None = None


@dataclass(frozen=True, slots=True)
class SiblingGroup:
    """Siblings with one minor version of the interpreter (`kind`, empty where it is not known).

    To `most` the same was deployed, the largest number of them; `tied` says that as many run something else. `path`
    is that of virtualenvs, `user_id` that of applications, and `name` their owner or their name.
    """

    name: str
    kind: str
    most: tuple[Sibling, ...]
    odd: tuple[OddSibling, ...]
    unknown: tuple[Sibling, ...]
    path: str | None = None
    user_id: int | None = None

    @property
    def tied(self) -> bool:
        """Whether no larger number than another one runs the same."""
        counts = Counter(one.sibling.digest or one.sibling.packages for one in self.odd)
        return max(counts.values(), default=0) >= len(self.most)

    @property
    def edited(self) -> tuple[Sibling, ...]:
        """Those of most that were changed by hand since."""
        return tuple(one for one in self.most if one.edited)

    @property
    def differs(self) -> bool:
        """Whether something in it is different, changed by hand, or not known."""
        return bool(self.odd or self.unknown or self.edited)


def virtualenv_groups(connection: Connection) -> list[SiblingGroup]:
    """The groups of virtualenvs on several hosts, without what they differ in."""
    found: dict[tuple[str, str], list[ToldVirtualenv]] = defaultdict(list)
    for row in connection.execute(told_virtualenvs()):
        one = ToldVirtualenv(**row._mapping)
        found[one.owner, one.path].append(one)
    groups = []
    for (owner, path), members in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        by_kind: dict[str, list[Sibling]] = defaultdict(list)
        for one in members:
            by_kind[minor_version(one.interpreter)].append(_sibling(one))
        if len({one.host for one in members}) > 1:
            groups += [_grouped(replace(_EMPTY, name=owner, path=path, kind=kind), of) for kind, of in by_kind.items()]
    return groups


def application_groups(connection: Connection) -> list[SiblingGroup]:
    """The groups of applications, without what they differ in. Those whose agents tell no digest are in none."""
    found: dict[tuple[str, int, str | None, str], list[Sibling]] = defaultdict(list)
    query = select(*applications.c, virtualenvs.c.host.label("told")).select_from(REGISTERED)
    for row in connection.execute(query):
        host, packages = row.told or host_name(row.url) or row.url, row.id if row.digest is not None else None
        edited = is_edited(row.drift_packages, row.drift_files)
        key = row.name, row.user_id, row.siblings, kind_of(row.type)
        found[key].append(Sibling(host, row.digest, packages, row.uuid, edited))
    return [
        _grouped(replace(_EMPTY, name=name, user_id=user_id, kind=kind), members)
        for (name, user_id, _, kind), members in sorted(found.items(), key=lambda item: str(item[0]).lower())
        if len(members) > 1 and any(one.digest is not None for one in members)
    ]


def judge(connection: Connection, members: Sequence[ToldVirtualenv]) -> dict[int, str]:
    """For each of some virtualenvs that has siblings: whether it is `alike`, `edited`, `differs`, or is
    `not known`.
    """
    places = {(one.owner, one.path) for one in members}
    query = told_virtualenvs().where(virtualenvs.c.path.in_({path for _, path in places}))
    found: dict[tuple[str, str, str], list[ToldVirtualenv]] = defaultdict(list)
    for row in connection.execute(query):
        one = ToldVirtualenv(**row._mapping)
        found[one.owner, one.path, minor_version(one.interpreter)].append(one)
    judged = {}
    for one in members:
        kind = minor_version(one.interpreter)
        those = found[one.owner, one.path, kind]
        if len(those) > 1:
            group = _grouped(replace(_EMPTY, kind=kind), [_sibling(it) for it in those])
            judged[one.id] = _place_in(group, _sibling(one))
    return judged


def _place_in(group: SiblingGroup, one: Sibling) -> str:
    if one in group.unknown:
        return "not known"
    if one not in group.most:
        return "differs"
    return "edited" if one.edited else "alike"


def with_differences(connection: Connection, groups: Sequence[SiblingGroup]) -> list[SiblingGroup]:
    """The same groups, with the packages in which the odd ones differ from most."""
    told = [group for group in groups if group.path is not None]
    sets = packages_in(connection, _numbers(told))
    registered = _installed(connection, _numbers(group for group in groups if group.path is None))
    return [_compared(group, sets if group.path is not None else registered) for group in groups]


def minor_version(interpreter: str | None) -> str:
    """`CPython 3.11` of `CPython 3.11.7`; empty where it is not known."""
    found = _VERSION.match(interpreter or "")
    return f"{found[1]} {found[2]}" if found else interpreter or ""


_EMPTY = SiblingGroup("", "", (), (), ())


def _sibling(one: ToldVirtualenv) -> Sibling:
    """What a virtualenv has; of one that a rollout was changing when it was last heard of, that is not known."""
    is_known = one.status not in (BEGUN, NOT_KNOWN)
    edited = is_edited(one.drift_packages, one.drift_files)
    return Sibling(one.host, one.digest if is_known else None, one.package_set_id if is_known else None, edited=edited)


def _grouped(group: SiblingGroup, members: Sequence[Sibling]) -> SiblingGroup:
    """A group with its members told apart: by digest, or by packages where no digest is known."""
    members = sorted(members, key=lambda one: one.host.lower())
    digests = Counter(one.digest for one in members if one.digest is not None)
    sets = Counter(one.packages for one in members if one.packages is not None)
    if not group.kind or not (digests or sets):
        return replace(group, unknown=tuple(members))
    usual = _Usual.of(members, digests, sets)
    judged = [(one, usual.judge(one)) for one in members]
    return replace(
        group,
        most=tuple(one for one, alike in judged if alike),
        odd=tuple(OddSibling(one) for one, alike in judged if alike is False),
        unknown=tuple(one for one, alike in judged if alike is None),
    )


@dataclass(frozen=True, slots=True)
class _Usual:
    """What most siblings have: the digest, None if that of none is known, and the packages."""

    digest: str | None
    packages: frozenset[int]

    @classmethod
    def of(cls, members: Sequence[Sibling], digests: Counter[str], sets: Counter[int]) -> _Usual:
        if not digests:
            return cls(None, frozenset({sets.most_common(1)[0][0]}))
        digest = digests.most_common(1)[0][0]
        return cls(digest, frozenset(it.packages for it in members if it.digest == digest and it.packages is not None))

    def judge(self, one: Sibling) -> bool | None:
        """Whether a sibling has the same; None if that is not known."""
        if self.digest is not None and one.digest is not None:
            return one.digest == self.digest
        if one.packages is None or not self.packages or one.uuid is not None:
            return None
        if one.packages not in self.packages:
            return False
        return True if self.digest is None else None


def _numbers(groups: Iterable[SiblingGroup]) -> set[int | None]:
    """Of what packages are to be looked at: one of most, and each odd one."""
    found: set[int | None] = set()
    for group in groups:
        found |= {one.sibling.packages for one in group.odd}
        found.add(_usual(group))
    return found


def _usual(group: SiblingGroup) -> int | None:
    return next((one.packages for one in group.most if one.packages is not None), None)


def _compared(group: SiblingGroup, packages: Mapping[int, Mapping[str, str]]) -> SiblingGroup:
    usual = packages.get(_usual(group) or 0)
    odd = []
    for one in group.odd:
        here = packages.get(one.sibling.packages or 0)
        differences = tuple(_differences(here, usual)) if here is not None and usual is not None else None
        odd.append(replace(one, differences=differences))
    return replace(group, odd=tuple(odd))


def _differences(here: Mapping[str, str], most: Mapping[str, str]) -> Iterator[Difference]:
    mine = {canonicalize_name(name): (name, version) for name, version in here.items()}
    theirs = {canonicalize_name(name): (name, version) for name, version in most.items()}
    for name in sorted(mine.keys() | theirs.keys()):
        own, usual = mine.get(name), theirs.get(name)
        if (own and own[1]) != (usual and usual[1]):
            yield Difference(name, (own or usual or (name,))[0], own and own[1], usual and usual[1])


def _installed(connection: Connection, numbers: Iterable[int | None]) -> dict[int, dict[str, str]]:
    """What applications registered as installed, by their numbers."""
    found: dict[int, dict[str, str]] = {number: {} for number in numbers if number is not None}
    columns = installed.c.application_id, installed.c.shown_as, installed.c.version
    for some in in_parts(sorted(found)):
        for number, name, version in connection.execute(select(*columns).where(columns[0].in_(some))):
            found[number][name] = version
    return found
