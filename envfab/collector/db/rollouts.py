"""Rollouts in the tables: each as its latest document tells, and what its virtualenvs have since.

What several virtualenvs have in common, changes and packages, is stored once, so that a document of many virtualenvs
takes no more room than its own size. Documents are stored one after another, under a lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from packaging.utils import canonicalize_name
from sqlalchemy import Connection, delete, func, select, update

from envfab.collector.days import milliseconds_of
from envfab.collector.db.batches import insert_in_parts
from envfab.collector.db.engine import insert_or
from envfab.collector.db.rollout_sums import RolloutSums
from envfab.collector.db.schema import change_sets, rollout_changes, rollout_virtualenvs, rollouts
from envfab.collector.db.told_virtualenvs import drift_row, note_virtualenvs
from envfab.models.rollout_document import UNDER_WAY, PackageChange, RolloutDocument, RolloutVirtualenv

STORED, KNOWN, OLDER = "stored", "known already", "ignored: a newer document is known"
# An arbitrary number that no other program on the same database should use.
_LOCK = 0x656E76666165
MAIN_CHANGES = 5


def lock(connection: Connection) -> None:
    """Wait until no other transaction writes rollouts; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def store(connection: Connection, document: RolloutDocument, now: int) -> str:
    """Store a document that came `now`, in milliseconds; returns what was done, one of the three words above.

    It replaces all that is known of its rollout, unless that is newer, or final and the document is not.
    """
    lock(connection)
    query = select(rollouts.c.id, rollouts.c.number, rollouts.c.state).where(rollouts.c.rollout == document.rollout)
    known = connection.execute(query).first()
    if known is not None:
        if document.number == known.number:
            connection.execute(update(rollouts).where(rollouts.c.id == known.id).values(heard_at=now))
            return KNOWN
        if document.number < known.number or (known.state != UNDER_WAY and document.state == UNDER_WAY):
            return OLDER
        for table in (rollout_virtualenvs, rollout_changes, change_sets):
            connection.execute(delete(table).where(table.c.rollout_id == known.id))
    sums = RolloutSums.of(document)
    number = _store_rollout(connection, document, sums, now)
    _store_changes(connection, number, sums)
    numbers = note_virtualenvs(connection, document, number, now)
    _store_virtualenvs(connection, number, document, numbers, sums)
    return STORED


def _store_rollout(connection: Connection, document: RolloutDocument, sums: RolloutSums, now: int) -> int:
    copied = ("number", "state", "task", "who", "origin", "command", "version", "slice", "log")
    said = {
        **{name: getattr(document, name) for name in copied},
        "began": milliseconds_of(document.began),
        "ended": milliseconds_of(document.ended) if document.ended is not None else None,
        "heard_at": now,
        "approved_by": json.dumps(document.approved_by),
        "out_of_service": json.dumps(document.out_of_service),
        "virtualenvs": len(document.virtualenvs),
        "statuses": json.dumps(sums.statuses),
        "packages": len({canonicalize_name(one.name) for one in sums.changes}),
        "main_changes": json.dumps([[*_entry(one), many] for one, (many, _) in sums.main(MAIN_CHANGES)]),
    }
    statement = insert_or(connection, rollouts).values(rollout=document.rollout, **said)
    statement = statement.on_conflict_do_update(index_elements=[rollouts.c.rollout], set_=said)
    number: int = connection.execute(statement.returning(rollouts.c.id)).scalar_one()
    return number


def _store_changes(connection: Connection, number: int, sums: RolloutSums) -> None:
    sets = (
        {"rollout_id": number, "number": position, "changes": json.dumps([_entry(one) for one in changes])}
        for position, changes in enumerate(sums.sets)
    )
    insert_in_parts(connection, change_sets, sets)
    rows = (
        {
            "rollout_id": number,
            "position": position,
            "action": one.action,
            "name": canonicalize_name(one.name),
            "shown_as": one.name,
            "before": one.installed,
            "after": one.version,
            "virtualenvs": many,
            "deployed": deployed,
        }
        for position, (one, (many, deployed)) in enumerate(sums.main(None))
    )
    insert_in_parts(connection, rollout_changes, rows)


def _store_virtualenvs(
    connection: Connection, number: int, document: RolloutDocument, numbers: Sequence[int], sums: RolloutSums
) -> None:
    rows = (
        {"rollout_id": number, "position": position, "virtualenv_id": numbers[position]}
        | _virtualenv_row(one, sums.number_of(one))
        for position, one in enumerate(document.virtualenvs)
    )
    insert_in_parts(connection, rollout_virtualenvs, rows)


def _virtualenv_row(one: RolloutVirtualenv, set_number: int | None) -> dict[str, object]:
    return {
        "status": one.status,
        "deployment": one.deployment,
        "set_number": set_number,
        "changes": len(one.changes),
        "interpreter": one.interpreter,
        "digest": one.digest,
        **drift_row(one),
        "migrated": json.dumps(one.migrated) if one.migrated else None,
        "message": one.message,
        "seconds": one.seconds,
    }


def _entry(one: PackageChange) -> list[str | None]:
    return [one.action, one.name, one.installed, one.version]
