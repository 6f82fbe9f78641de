"""Registrations in the tables: what an application has, and what changed since it last said so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from sqlalchemy import Connection, bindparam, delete, insert, select

from envfab.collector.days import milliseconds_of
from envfab.collector.db.engine import insert_or, run_many
from envfab.collector.db.schema import applications, changes, installed, updates
from envfab.registration.difio.drift import RegisteredDrift, drift_to_json
from envfab.registration.difio.protocol import Registration

Package = tuple[str, str]  # as published, and its version


@dataclass(frozen=True, slots=True)
class RegisteredChange:
    """The versions of one package before and after a registration; None where it is not installed."""

    name: str
    shown_as: str
    before: str | None
    after: str | None


def differences(before: Mapping[str, Package], after: Mapping[str, Package]) -> tuple[RegisteredChange, ...]:
    """What changed from one state (canonical name → package) to the next, by name."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if (old and old[1]) != (new and new[1]):
            shown_as = (new or old or (name, ""))[0]
            found.append(RegisteredChange(name, shown_as, old and old[1], new and new[1]))
    return tuple(found)


def store(connection: Connection, registration: Registration, now: int) -> int:
    """Store a registration that came `now`; the application's number.

    History grows by what changed: an agent that registers every hour adds nothing while nothing does.
    """
    after: dict[str, Package] = {canonicalize_name(name): (name, version) for name, version in registration.packages}
    number = _store_application(connection, registration, now)
    before = _installed(connection, number)
    first = _is_first(connection, number)
    found = differences(before, after)
    if found or first:
        values = {"application_id": number, "at": now, "first": first, "packages": len(after)}
        made = connection.execute(insert(updates).values(values).returning(updates.c.id)).scalar_one()
        if not first:
            rows = [_change_row(made, change) for change in found]
            run_many(connection, insert(changes), rows)
    _store_installed(connection, number, before, after)
    return number


def _store_application(connection: Connection, registration: Registration, now: int) -> int:
    """Write the application's own row, which also keeps others from storing it at the same time."""
    said = {
        "user_id": registration.user_id,
        "name": registration.name,
        "url": registration.url,
        "type": registration.type,
        "last_seen": now,
        "packages": len(registration.packages),
        "digest": registration.digest,
        "siblings": registration.siblings,
        **_drift_row(registration.drift),
    }
    statement = insert_or(connection, applications).values(uuid=registration.uuid, first_seen=now, **said)
    statement = statement.on_conflict_do_update(index_elements=[applications.c.uuid], set_=said)
    number: int = connection.execute(statement.returning(applications.c.id)).scalar_one()
    return number


def _drift_row(drift: RegisteredDrift | None) -> dict[str, object]:
    """What is told of drift; all empty where it is not known, also if it was known before."""
    since = drift.since if drift is not None else None
    return {
        "drift_packages": drift.package_count if drift is not None else None,
        "drift_files": drift.file_count if drift is not None else None,
        "drift_since": milliseconds_of(since) if since is not None else None,
        "drift": json.dumps(drift_to_json(drift)) if drift is not None else None,
    }


def _installed(connection: Connection, application: int) -> dict[str, Package]:
    columns = installed.c.name, installed.c.shown_as, installed.c.version
    rows = connection.execute(select(*columns).where(installed.c.application_id == application))
    return {name: (shown_as, version) for name, shown_as, version in rows}


def _is_first(connection: Connection, application: int) -> bool:
    found = connection.execute(select(updates.c.id).where(updates.c.application_id == application).limit(1))
    return found.first() is None


def _store_installed(
    connection: Connection, application: int, before: Mapping[str, Package], after: Mapping[str, Package]
) -> None:
    gone = [{"gone": name} for name in before if name not in after]
    statement = delete(installed).where(
        installed.c.application_id == application, installed.c.name == bindparam("gone")
    )
    run_many(connection, statement, gone)
    fresh = [
        {"application_id": application, "name": name, "shown_as": package[0], "version": package[1]}
        for name, package in after.items()
        if before.get(name) != package
    ]
    upsert = insert_or(connection, installed)
    upsert = upsert.on_conflict_do_update(
        index_elements=[installed.c.application_id, installed.c.name],
        set_={"shown_as": upsert.excluded.shown_as, "version": upsert.excluded.version},
    )
    run_many(connection, upsert, fresh)


def _change_row(update: int, change: RegisteredChange) -> dict[str, object]:
    return {
        "update_id": update,
        "name": change.name,
        "shown_as": change.shown_as,
        "before": change.before,
        "after": change.after,
    }
