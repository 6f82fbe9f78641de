"""What changed between two times: as rollouts deployed it, and as applications registered it.

A deployment is often followed by a registration of the same change, and the two cannot be told to be the same. So they
are counted side by side, and never added.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, Connection, func, select

from envfab.collector.db.application_queries import version_key
from envfab.collector.db.batches import in_parts
from envfab.collector.db.host_queries import applications_on, host_name
from envfab.collector.db.registered_virtualenvs import IS_REGISTERED
from envfab.collector.db.rollout_queries import MEMBERS
from envfab.collector.db.rollout_sums import DEPLOYED
from envfab.collector.db.schema import (
    applications,
    change_sets,
    changes,
    rollout_changes,
    rollout_virtualenvs,
    rollouts,
    updates,
    virtualenvs,
)


@dataclass(frozen=True, slots=True)
class Span:
    """From a time on, up to another one, in milliseconds."""

    since: int
    until: int

    def has(self, column: ColumnElement[int]) -> tuple[ColumnElement[bool], ...]:
        """The conditions that a column is within it."""
        return column >= self.since, column < self.until


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of a package: in how many virtualenvs and rollouts, the latest of which it was, and in how many
    applications that registered it.
    """

    name: str
    shown_as: str
    before: str | None
    after: str | None
    virtualenvs: int = 0
    rollouts: int = 0
    latest: str | None = None
    applications: int = 0


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """A host, or a virtualenv or application of one, where something changed.

    `virtualenvs` were deployed to by `rollouts`, `applications` registered changes, the last of them at `last`.
    `owner` and `path` are those of a virtualenv, `uuid` and `name` those of an application.
    """

    host: str
    last: int
    virtualenvs: int = 0
    rollouts: int = 0
    applications: int = 0
    owner: str | None = None
    path: str | None = None
    uuid: str | None = None
    name: str | None = None


Key = tuple[str, str | None, str | None]


def changed_packages(connection: Connection, span: Span, host: str = "") -> list[ChangeLine]:
    """What changed, by package and versions; on one host alone if it is named."""
    found = _deployed_on(connection, span, host) if host else _deployed(connection, span)
    for name, shown_as, before, after, many in _registered(connection, span, host):
        line = found.get((name, before, after), ChangeLine(name, shown_as, before, after))
        found[name, before, after] = replace(line, applications=many)
    return sorted(
        found.values(), key=lambda one: (one.name, version_key(one.after or ""), version_key(one.before or ""))
    )


def changed_hosts(connection: Connection, span: Span) -> list[PlaceLine]:
    """On which hosts something changed, by name."""
    many = func.count(rollout_virtualenvs.c.virtualenv_id.distinct()), func.count(rollouts.c.id.distinct())
    query = _deployments(select(virtualenvs.c.host, *many, func.max(rollouts.c.began)), span)
    found = {
        host: PlaceLine(host, last, number, times)
        for host, number, times, last in connection.execute(query.group_by(virtualenvs.c.host))
    }
    spellings = {host.lower(): host for host in found}
    for one in _registering(connection, span):
        host = spellings.get(one.host, one.host)
        line = found.get(host, PlaceLine(host, one.last))
        found[host] = replace(line, applications=line.applications + 1, last=max(line.last, one.last))
    return sorted(found.values(), key=lambda one: one.host.lower())


def changed_places(connection: Connection, span: Span) -> list[PlaceLine]:
    """In which virtualenvs and applications something changed, by host."""
    place = virtualenvs.c.host, virtualenvs.c.owner, virtualenvs.c.path
    times = func.count(rollouts.c.id.distinct()), func.max(rollouts.c.began)
    query = _deployments(select(virtualenvs.c.id, *place, *times), span).group_by(virtualenvs.c.id, *place)
    found = [
        PlaceLine(host, last, 1, many, owner=owner, path=path)
        for _, host, owner, path, many, last in connection.execute(query)
    ]
    found += _registering(connection, span)
    return sorted(found, key=lambda one: (one.host.lower(), one.path or "", one.owner or "", one.name or ""))


def _deployments(query: Any, span: Span) -> Any:
    """The virtualenvs that rollouts deployed changes to."""
    query = query.select_from(MEMBERS).where(*span.has(rollouts.c.began))
    return query.where(rollout_virtualenvs.c.status == DEPLOYED, rollout_virtualenvs.c.changes > 0)


def _deployed(connection: Connection, span: Span) -> dict[Key, ChangeLine]:
    key = rollout_changes.c.name, rollout_changes.c.before, rollout_changes.c.after
    sums = (
        func.max(rollout_changes.c.shown_as),
        func.sum(rollout_changes.c.deployed),
        func.count(rollouts.c.id.distinct()),
        func.max(rollouts.c.rollout),
    )
    query = select(*key, *sums).join_from(rollout_changes, rollouts).where(*span.has(rollouts.c.began))
    rows = connection.execute(query.where(rollout_changes.c.deployed > 0).group_by(*key))
    return {
        (name, before, after): ChangeLine(name, shown_as, before, after, int(many), times, latest)
        for name, before, after, shown_as, many, times, latest in rows
    }


def _deployed_on(connection: Connection, span: Span, host: str) -> dict[Key, ChangeLine]:
    """The same of one host, out of the changes of its virtualenvs."""
    numbers = rollouts.c.rollout, rollout_virtualenvs.c.rollout_id, rollout_virtualenvs.c.set_number
    query = _deployments(select(*numbers, func.count()), span).where(virtualenvs.c.host == host).group_by(*numbers)
    used = {(rollout_id, number): (rollout, many) for rollout, rollout_id, number, many in connection.execute(query)}
    shown: dict[Key, str] = {}
    many_of: Counter[Key] = Counter()
    rollouts_of: dict[Key, set[str]] = defaultdict(set)
    for place, entries in _entries(connection, used):
        rollout, many = used[place]
        for _, shown_as, before, after in entries:
            key = canonicalize_name(shown_as), before, after
            shown[key] = shown_as
            many_of[key] += many
            rollouts_of[key].add(rollout)
    return {
        key: ChangeLine(key[0], shown[key], key[1], key[2], many, len(rollouts_of[key]), max(rollouts_of[key]))
        for key, many in many_of.items()
    }


def _entries(connection: Connection, used: Iterable[tuple[int, int]]) -> Iterable[tuple[tuple[int, int], list[Any]]]:
    wanted = set(used)
    for some in in_parts(sorted({rollout for rollout, _ in wanted})):
        query = select(change_sets).where(change_sets.c.rollout_id.in_(some))
        for rollout, number, text in connection.execute(query):
            if (rollout, number) in wanted:
                yield (rollout, number), json.loads(text)


def _registered(connection: Connection, span: Span, host: str) -> Iterable[Any]:
    """What applications, of one host if it is named, registered as changed, by package and versions."""
    key = changes.c.name, changes.c.before, changes.c.after
    many = func.count(updates.c.application_id.distinct())
    query = select(changes.c.name, func.max(changes.c.shown_as), changes.c.before, changes.c.after, many)
    query = query.join_from(updates, changes).where(*span.has(updates.c.at)).group_by(*key)
    if host:
        query = query.where(updates.c.application_id.in_([one.id for one in applications_on(connection, host)]))
    return connection.execute(query)


def _registering(connection: Connection, span: Span) -> list[PlaceLine]:
    """The applications that registered a change; a first registration is none."""
    place = applications.c.id, applications.c.url, applications.c.uuid, applications.c.name, virtualenvs.c.host
    query = select(*place, func.max(updates.c.at)).select_from(
        updates.join(applications).outerjoin(virtualenvs, IS_REGISTERED)
    )
    query = query.where(*span.has(updates.c.at), updates.c.first.is_(False)).group_by(*place)
    return [
        PlaceLine(told or host_name(url) or url, last, applications=1, uuid=uuid, name=name)
        for _, url, uuid, name, told, last in connection.execute(query)
    ]
