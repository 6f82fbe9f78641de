"""What pages and JSON ask of rollouts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from packaging.utils import canonicalize_name
from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, or_, select

from envfab.collector.db.application_queries import contains
from envfab.collector.db.schema import change_sets, rollout_changes, rollout_virtualenvs, rollouts, virtualenvs
from envfab.models.rollout_document import ENDED, SAID_AGAIN_AFTER, UNDER_WAY

# Milliseconds, for which a rollout that is under way would have said so four times: it may have been killed, or its
# network be gone.
SILENT_AFTER = 4 * 1000 * SAID_AGAIN_AFTER
SILENT = "not heard of"


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A package that a rollout changes, and of how many virtualenvs; `deployed` is None where that is not asked for."""

    action: str
    name: str
    shown_as: str
    before: str | None
    after: str | None
    virtualenvs: int
    deployed: int | None = None


@dataclass(frozen=True, slots=True)
class ToldRollout:
    """A rollout as lists show it. Times are milliseconds since 1970; `statuses` counts virtualenvs."""

    id: int
    rollout: str
    number: int
    state: str
    task: str
    who: str
    origin: str
    command: str
    version: str
    began: int
    ended: int | None
    heard_at: int
    slice: str | None
    log: str | None
    approved_by: tuple[str, ...]
    out_of_service: tuple[str, ...]
    virtualenvs: int
    statuses: Mapping[str, int]
    packages: int
    main_changes: tuple[ToldChange, ...]

    @property
    def is_good(self) -> bool:
        """Whether it ended, and all of its virtualenvs are as they should be."""
        return self.state == ENDED and set(self.statuses) <= {"deployed", "current"}

    def state_at(self, now: int) -> str:
        """Its state in words; one that should be under way and was not heard of for long is `SILENT`."""
        return SILENT if self.state == UNDER_WAY and self.heard_at < now - SILENT_AFTER else self.state


@dataclass(frozen=True, slots=True)
class RolloutFilter:
    """Which rollouts are asked for. `state` is one of a document, or `SILENT`; times are milliseconds."""

    text: str = ""
    state: str = ""
    task: str = ""
    who: str = ""
    host: str = ""
    package: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class RolloutMember:
    """A virtualenv in a rollout. `drift_…` is what was found before it."""

    host: str
    owner: str
    path: str
    status: str
    deployment: str | None
    set_number: int | None
    changes: int
    interpreter: str | None
    digest: str | None
    drift_packages: int | None
    drift_files: int | None
    drift_since: int | None
    migrated: tuple[str, ...]
    message: str
    seconds: float | None


ALL = RolloutFilter()
# all virtualenvs in all rollouts; a virtualenv's own row names its latest rollout alone
MEMBERS = rollouts.join(rollout_virtualenvs, rollout_virtualenvs.c.rollout_id == rollouts.c.id).join(
    virtualenvs, rollout_virtualenvs.c.virtualenv_id == virtualenvs.c.id
)


def list_rollouts(
    connection: Connection, wanted: RolloutFilter, now: int, *, limit: int, offset: int = 0
) -> tuple[ToldRollout, ...]:
    """Rollouts, those that began last first."""
    query = _filtered(select(rollouts), wanted, now).order_by(rollouts.c.began.desc(), rollouts.c.id.desc())
    return tuple(_rollout(row) for row in connection.execute(query.limit(limit).offset(offset)))


def count_rollouts(connection: Connection, wanted: RolloutFilter, now: int) -> int:
    """How many `list_rollouts` would list."""
    query = _filtered(select(func.count()).select_from(rollouts), wanted, now)
    return int(connection.execute(query).scalar_one())


def find_rollout(connection: Connection, name: str) -> ToldRollout | None:
    """The rollout of a name."""
    row = connection.execute(select(rollouts).where(rollouts.c.rollout == name)).first()
    return None if row is None else _rollout(row)


def list_tasks(connection: Connection) -> tuple[str, ...]:
    """The tasks of all rollouts."""
    return tuple(connection.execute(select(rollouts.c.task).distinct().order_by(rollouts.c.task)).scalars())


def changes_of(connection: Connection, rollout: int, limit: int | None) -> tuple[ToldChange, ...]:
    """The changes of a rollout, those of most virtualenvs first."""
    columns = [rollout_changes.c[one.name] for one in fields(ToldChange)]
    query = select(*columns).where(rollout_changes.c.rollout_id == rollout).order_by(rollout_changes.c.position)
    return tuple(ToldChange(**row._mapping) for row in connection.execute(query.limit(limit)))


def count_changes(connection: Connection, rollout: int) -> int:
    """How many `changes_of` would list."""
    query = select(func.count()).select_from(rollout_changes).where(rollout_changes.c.rollout_id == rollout)
    return int(connection.execute(query).scalar_one())


def members_of(
    connection: Connection,
    rollout: int,
    *,
    status: str = "",
    text: str = "",
    limit: int | None = None,
    offset: int = 0,
) -> tuple[RolloutMember, ...]:
    """The virtualenvs of a rollout, in its order: those of a status, and those with a text in host, path or owner."""
    columns = [(virtualenvs if name in ("host", "owner", "path") else rollout_virtualenvs).c[name] for name in _MEMBER]
    query = _members(select(*columns), rollout, status, text).order_by(rollout_virtualenvs.c.position)
    return tuple(_member(row) for row in connection.execute(query.limit(limit).offset(offset)))


def count_members(connection: Connection, rollout: int, *, status: str = "", text: str = "") -> int:
    """How many `members_of` would list."""
    return int(connection.execute(_members(select(func.count()), rollout, status, text)).scalar_one())


def sets_of(connection: Connection, rollout: int) -> list[list[dict[str, str | None]]]:
    """The sets of changes of a rollout, by their numbers, as its document has them."""
    query = select(change_sets.c.changes).where(change_sets.c.rollout_id == rollout).order_by(change_sets.c.number)
    names = ("action", "name", "installed", "version")
    return [
        [dict(zip(names, entry, strict=True)) for entry in json.loads(text)]
        for text in connection.execute(query).scalars()
    ]


_MEMBER = tuple(one.name for one in fields(RolloutMember))


def _members(query: Select[Any], rollout: int, status: str, text: str) -> Select[Any]:
    query = query.join_from(rollout_virtualenvs, virtualenvs).where(rollout_virtualenvs.c.rollout_id == rollout)
    if status:
        query = query.where(rollout_virtualenvs.c.status == status)
    if text:
        query = query.where(or_(*(contains(virtualenvs.c[name], text) for name in ("host", "owner", "path"))))
    return query


def _member(row: Row[Any]) -> RolloutMember:
    return RolloutMember(**{**row._mapping, "migrated": tuple(json.loads(row.migrated or "[]"))})


def _rollout(row: Row[Any]) -> ToldRollout:
    main = tuple(
        ToldChange(action, canonicalize_name(name), name, before, after, many)
        for action, name, before, after, many in json.loads(row.main_changes)
    )
    read = {
        "approved_by": tuple(json.loads(row.approved_by)),
        "out_of_service": tuple(json.loads(row.out_of_service)),
        "statuses": json.loads(row.statuses),
        "main_changes": main,
    }
    return ToldRollout(**{**row._mapping, **read})


def _filtered(query: Select[Any], wanted: RolloutFilter, now: int) -> Select[Any]:
    return query.where(*_conditions(wanted, now))


def _conditions(wanted: RolloutFilter, now: int) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.text:
        found.append(
            or_(*(contains(rollouts.c[name], wanted.text) for name in ("rollout", "who", "origin", "command")))
        )
    if wanted.state:
        found += _in_state(wanted.state, now)
    found += [rollouts.c[name] == value for name in ("task", "who") if (value := getattr(wanted, name))]
    if wanted.host:
        there = exists().where(
            rollout_virtualenvs.c.rollout_id == rollouts.c.id,
            rollout_virtualenvs.c.virtualenv_id == virtualenvs.c.id,
            virtualenvs.c.host == wanted.host,
        )
        found.append(there)
    if wanted.package:
        name = rollout_changes.c.name == canonicalize_name(wanted.package)
        found.append(rollouts.c.id.in_(select(rollout_changes.c.rollout_id).where(name)))
    if wanted.since is not None:
        found.append(rollouts.c.began >= wanted.since)
    if wanted.until is not None:
        found.append(rollouts.c.began < wanted.until)
    return found


def _in_state(state: str, now: int) -> list[ColumnElement[bool]]:
    silent = rollouts.c.heard_at < now - SILENT_AFTER
    if state == SILENT:
        return [rollouts.c.state == UNDER_WAY, silent]
    return [rollouts.c.state == state, *([~silent] if state == UNDER_WAY else [])]
