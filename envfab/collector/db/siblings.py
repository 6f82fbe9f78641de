"""Siblings: one application on several hosts, and which of them run something else than the others.

Siblings have the same name and user id, and lie at the same path, where that is told. Their digests are compared among
those with the same minor version of the interpreter, since wheels differ between these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from envfab.collector.db.application_queries import Application
from envfab.collector.db.schema import applications


@dataclass(frozen=True, slots=True)
class DigestGroup:
    """The siblings that run the same: a digest and a minor version (`python-3.11`). None stands for "not known"."""

    digest: str | None
    kind: str
    members: tuple[Application, ...]
    hosts: int


@dataclass(frozen=True, slots=True)
class Siblings:
    """All siblings of an application, itself too, by what they run; the largest groups first, unknown ones last."""

    groups: tuple[DigestGroup, ...]
    hosts: int

    @property
    def digests(self) -> int:
        """How many digests they have."""
        return len({group.digest for group in self.groups} - {None})

    @property
    def unknown(self) -> int:
        """Of how many the digest is not known."""
        return sum(len(group.members) for group in self.groups if group.digest is None)

    def others_alike(self, application: Application) -> Mapping[int, int]:
        """The same as `others_alike` tells of an application that is one of these."""
        kind = kind_of(application.type)
        counts = {one.digest: len(one.members) for one in self.groups if one.digest is not None and one.kind == kind}
        most = _others(counts, application.digest)
        return {application.id: most} if most else {}


def siblings_of(connection: Connection, application: Application) -> Siblings:
    """The siblings of an application. Hosts are told apart by the applications' addresses."""
    found = defaultdict(list)
    query = select(*applications.c).where(
        applications.c.name == application.name,
        applications.c.user_id == application.user_id,
        applications.c.siblings.is_not_distinct_from(application.siblings),
    )
    for row in connection.execute(query.order_by(func.lower(applications.c.url), applications.c.id)):
        one = Application(**row._mapping)
        found[one.digest, kind_of(one.type)].append(one)
    groups = [
        DigestGroup(digest, kind, tuple(members), len({one.url for one in members}))
        for (digest, kind), members in found.items()
    ]
    groups.sort(key=lambda group: (group.digest is None, -len(group.members), group.kind, group.digest or ""))
    return Siblings(tuple(groups), len({one.url for group in groups for one in group.members}))


def others_alike(connection: Connection, listed: Sequence[Application]) -> Mapping[int, int]:
    """For each of the applications that runs something else than its siblings: how many of them run the same.

    That is the largest group with another digest, if it is at least as large as the application's own.
    """
    columns = applications.c.name, applications.c.user_id, applications.c.siblings
    names = {one.name for one in listed if one.digest is not None}
    query = select(*columns, applications.c.type, applications.c.digest, func.count())
    query = query.where(applications.c.name.in_(names), applications.c.digest.is_not(None))
    found: dict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    for *key, kind, digest, number in connection.execute(
        query.group_by(*columns, applications.c.type, applications.c.digest)
    ):
        found[(*key, kind_of(kind))][digest] += number
    odd = {}
    for one in listed:
        most = _others(found[one.name, one.user_id, one.siblings, kind_of(one.type)], one.digest)
        if most:
            odd[one.id] = most
    return odd


def _others(counts: Mapping[str, int], digest: str | None) -> int:
    """How many have the most frequent of the other digests; 0 if they are fewer than those with this one."""
    if digest is None:
        return 0
    most = max((number for other, number in counts.items() if other != digest), default=0)
    return most if most >= counts.get(digest, 0) else 0


def kind_of(type_: str) -> str:
    """`python-3.11` of `python-3.11.7`."""
    return ".".join(type_.split(".")[:2])
