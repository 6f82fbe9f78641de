"""How long registrations and rollouts are kept: applications that no longer register, old history of those that do.

Deleting takes many small transactions, so that registrations never wait for long. What registers meanwhile is kept:
an application's row is held while its age is looked at, and a registration writes that row first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, update

from envfab.collector.days import DAY, day_of
from envfab.collector.db.engine import Storage
from envfab.collector.db.rollouts import lock
from envfab.collector.db.schema import (
    applications,
    behind_weeks,
    change_sets,
    changes,
    findings,
    index_projects,
    installed,
    rollout_changes,
    rollout_virtualenvs,
    rollouts,
    updates,
    virtualenvs,
)
from envfab.collector.db.told_virtualenvs import forget_package_sets

APPLICATIONS_AT_ONCE = 25
ENTRIES_AT_ONCE = 500
# a rollout can have thousands of virtualenvs
ROLLOUTS_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many applications, entries in the history of others (findings that ended, too), and rollouts were deleted."""

    applications: int
    history: int
    rollouts: int


def delete_before(storage: Storage, now: int, days: int) -> Deleted:
    """Delete applications that did not register for `days`, and history and rollouts that are older.

    The latest entry of an application's history stays. A virtualenv goes with the last rollout that spoke of it.
    `now` is in milliseconds. What an index said of packages that are no longer installed anywhere goes, too.
    """
    before = now - days * DAY
    gone = _in_batches(storage, before, _delete_applications)
    entries = _in_batches(storage, before, _delete_history) + _in_batches(storage, before, _delete_findings)
    old = _in_batches(storage, before, _delete_rollouts)
    with storage.writing() as connection:
        connection.execute(delete(behind_weeks).where(behind_weeks.c.week < day_of(before) - 6))
        used = exists().where(installed.c.name == index_projects.c.name)
        connection.execute(delete(index_projects).where(~used))
    return Deleted(gone, entries, old)


def _in_batches(storage: Storage, before: int, delete_some: Callable[[Connection, int], int]) -> int:
    """Repeat a deletion, in a transaction each, until nothing is left for it; how many it deleted."""
    total = 0
    while True:
        with storage.writing() as connection:
            many = delete_some(connection, before)
        total += many
        if not many:
            return total


def _delete_applications(connection: Connection, before: int) -> int:
    query = select(applications.c.id).where(applications.c.last_seen < before).order_by(applications.c.id)
    # PostgreSQL looks at the age again once it holds the row: a registration may have been writing it.
    ids = connection.execute(query.limit(APPLICATIONS_AT_ONCE).with_for_update()).scalars().all()
    theirs = select(updates.c.id).where(updates.c.application_id.in_(ids))
    connection.execute(delete(changes).where(changes.c.update_id.in_(theirs)))
    for table in (updates, installed, behind_weeks, findings):
        connection.execute(delete(table).where(table.c.application_id.in_(ids)))
    connection.execute(delete(applications).where(applications.c.id.in_(ids)))
    return len(ids)


def _delete_history(connection: Connection, before: int) -> int:
    later = updates.alias()
    has_later = exists().where(
        later.c.application_id == updates.c.application_id,
        or_(later.c.at > updates.c.at, and_(later.c.at == updates.c.at, later.c.id > updates.c.id)),
    )
    query = select(updates.c.id).where(updates.c.at < before, has_later).order_by(updates.c.id)
    ids = connection.execute(query.limit(ENTRIES_AT_ONCE)).scalars().all()
    connection.execute(delete(changes).where(changes.c.update_id.in_(ids)))
    connection.execute(delete(updates).where(updates.c.id.in_(ids)))
    return len(ids)


def _delete_findings(connection: Connection, before: int) -> int:
    """Those that ended before; one that lasts is no history, however old it is."""
    query = select(findings.c.id).where(findings.c.ended_at < before).order_by(findings.c.id)
    ids = connection.execute(query.limit(ENTRIES_AT_ONCE)).scalars().all()
    connection.execute(delete(findings).where(findings.c.id.in_(ids)))
    return len(ids)


def _delete_rollouts(connection: Connection, before: int) -> int:
    lock(connection)
    # of a clock that was ahead, the begin says nothing
    is_old = or_(rollouts.c.began < before, rollouts.c.began > rollouts.c.heard_at)
    query = select(rollouts.c.id).where(is_old, rollouts.c.heard_at < before)
    ids = connection.execute(query.order_by(rollouts.c.id).limit(ROLLOUTS_AT_ONCE)).scalars().all()
    for table in (rollout_virtualenvs, rollout_changes, change_sets):
        connection.execute(delete(table).where(table.c.rollout_id.in_(ids)))
    _delete_virtualenvs(connection, ids)
    connection.execute(delete(rollouts).where(rollouts.c.id.in_(ids)))
    return len(ids)


def _delete_virtualenvs(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the virtualenvs of which these are the last rollouts; others, told of late, keep the last one left."""
    theirs = virtualenvs.c.rollout_id.in_(ids)
    others = rollout_virtualenvs.c.virtualenv_id == virtualenvs.c.id
    last = select(func.max(rollout_virtualenvs.c.rollout_id)).where(others).scalar_subquery()
    connection.execute(update(virtualenvs).where(theirs, exists().where(others)).values(rollout_id=last))
    sets = connection.execute(select(virtualenvs.c.package_set_id).where(theirs).distinct()).scalars().all()
    connection.execute(delete(virtualenvs).where(theirs))
    forget_package_sets(connection, {one for one in sets if one is not None})
