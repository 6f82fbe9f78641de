"""Hosts: those of virtualenvs in rollouts, and those that the addresses of applications name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, func, or_, select

from envfab.collector.db.application_queries import Application, contains
from envfab.collector.db.batches import in_parts
from envfab.collector.db.registered_virtualenvs import REGISTERED
from envfab.collector.db.rollout_queries import MEMBERS
from envfab.collector.db.schema import (
    applications,
    package_sets,
    rollout_virtualenvs,
    rollouts,
    virtualenvs,
)


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host, how many virtualenvs and applications are known of it, and when it was last told or registered."""

    name: str
    virtualenvs: int
    applications: int
    last: int


@dataclass(frozen=True, slots=True)
class ToldVirtualenv:
    """A virtualenv, and what it has as was last told at `known_at`; None stands for "not known".

    `status` is that in `rollout`, the latest, which `began` then and was of that `task`.
    """

    id: int
    host: str
    owner: str
    path: str
    rollout: str
    began: int
    task: str
    status: str
    known_at: int | None
    interpreter: str | None
    digest: str | None
    package_set_id: int | None
    drift_packages: int | None
    drift_files: int | None
    drift_since: int | None


@dataclass(frozen=True, slots=True)
class HostRollout:
    """A rollout of a host, and how its virtualenvs ended there."""

    rollout: str
    began: int
    task: str
    who: str
    statuses: Mapping[str, int]


def host_name(url: str) -> str:
    """The host that an address names, without port and in lower case; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def list_hosts(connection: Connection, text: str = "") -> list[HostLine]:
    """All hosts with a text in their name, by name.

    A host of rollouts also has the applications that its virtualenvs register, and those whose address names it.
    """
    found: dict[str, list[int]] = {}
    query = select(virtualenvs.c.host, func.count(), func.max(virtualenvs.c.began)).group_by(virtualenvs.c.host)
    for host, many, last in connection.execute(query.where(contains(virtualenvs.c.host, text)) if text else query):
        found[host] = [many, 0, last]
    spellings = {host.lower(): host for host in found}
    place = applications.c.url, virtualenvs.c.host
    query = select(*place, func.count(), func.max(applications.c.last_seen)).select_from(REGISTERED).group_by(*place)
    for url, host, many, last in connection.execute(query):
        name = host_name(url)
        if host is not None and text.lower() in host.lower():
            name = host
        elif not name or text.lower() not in name:
            continue
        line = found.setdefault(spellings.get(name.lower(), name), [0, 0, 0])
        line[1] += many
        line[2] = max(line[2], last)
    return [HostLine(host, *numbers) for host, numbers in sorted(found.items(), key=lambda one: one[0].lower())]


def virtualenvs_of(connection: Connection, host: str, limit: int, offset: int = 0) -> tuple[ToldVirtualenv, ...]:
    """The virtualenvs of a host, by owner and path."""
    query = told_virtualenvs().where(virtualenvs.c.host == host)
    query = query.order_by(virtualenvs.c.owner, virtualenvs.c.path, virtualenvs.c.id).limit(limit).offset(offset)
    return tuple(ToldVirtualenv(**row._mapping) for row in connection.execute(query))


def count_virtualenvs(connection: Connection, host: str) -> int:
    """How many virtualenvs a host has."""
    query = select(func.count()).select_from(virtualenvs).where(virtualenvs.c.host == host)
    return int(connection.execute(query).scalar_one())


def applications_on(connection: Connection, host: str) -> list[Application]:
    """The applications that a host's virtualenvs register, and those whose address names it, by name."""
    wanted = host.lower()
    its_own = applications.c.uuid.in_(select(virtualenvs.c.uuid).where(virtualenvs.c.host == host))
    query = select(*applications.c, its_own.label("its_own")).where(or_(contains(applications.c.url, host), its_own))
    rows = connection.execute(query.order_by(func.lower(applications.c.name), applications.c.id)).mappings()
    return [
        Application(**{name: value for name, value in row.items() if name != "its_own"})
        for row in rows
        if row["its_own"] or host_name(row["url"]) == wanted
    ]


def rollouts_of_host(connection: Connection, host: str, limit: int) -> list[HostRollout]:
    """The latest rollouts of a host, newest first."""
    began = (rollouts.c.id, rollouts.c.rollout, rollouts.c.began, rollouts.c.task, rollouts.c.who)
    on_host = virtualenvs.c.host == host
    latest = select(*began).select_from(MEMBERS).where(on_host).distinct()
    rows = connection.execute(latest.order_by(rollouts.c.began.desc(), rollouts.c.id.desc()).limit(limit)).all()
    columns = rollout_virtualenvs.c.rollout_id, rollout_virtualenvs.c.status
    query = select(*columns, func.count()).select_from(MEMBERS).where(on_host)
    query = query.where(rollout_virtualenvs.c.rollout_id.in_([row.id for row in rows])).group_by(*columns)
    statuses: dict[int, dict[str, int]] = defaultdict(dict)
    for rollout, status, many in connection.execute(query):
        statuses[rollout][status] = many
    return [HostRollout(row.rollout, row.began, row.task, row.who, statuses[row.id]) for row in rows]


def told_virtualenvs() -> Any:
    """The query of all virtualenvs, whose rows make `ToldVirtualenv`."""
    names = [one.name for one in fields(ToldVirtualenv)]
    columns = [rollouts.c[name] if name in ("rollout", "task") else virtualenvs.c[name] for name in names]
    return select(*columns).join_from(virtualenvs, rollouts)


def packages_in(connection: Connection, numbers: Collection[int | None]) -> dict[int, dict[str, str]]:
    """The packages of sets, by their numbers: names as published, and versions."""
    found: dict[int, dict[str, str]] = {}
    for some in in_parts(sorted({one for one in numbers if one is not None})):
        query = select(package_sets.c.id, package_sets.c.packages).where(package_sets.c.id.in_(some))
        found |= {number: json.loads(text) for number, text in connection.execute(query)}
    return found
