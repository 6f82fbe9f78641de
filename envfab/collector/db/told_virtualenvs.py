"""The virtualenvs of all rollouts: what each has, as rollouts last told.

A rollout that cannot tell what a virtualenv has leaves what was known before only where nothing was changed: else it is
not known any more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, select, update

from envfab.collector.days import milliseconds_of
from envfab.collector.db.batches import in_parts, insert_in_parts
from envfab.collector.db.engine import insert_or, run_many
from envfab.collector.db.registered_virtualenvs import uuid_of_virtualenv
from envfab.collector.db.schema import package_sets, virtualenvs
from envfab.models.rollout_document import PLANNED, RolloutDocument, RolloutVirtualenv

# of these a virtualenv has what it had before the rollout
UNTOUCHED = frozenset({PLANNED, "current", "skipped", "blocked", "locked", "unreachable", "rolled-back"})
KNOWLEDGE = ("known_at", "interpreter", "digest", "package_set_id", "drift_packages", "drift_files", "drift_since")
STATE = ("rollout_id", "began", "status", *KNOWLEDGE)


def note_virtualenvs(connection: Connection, document: RolloutDocument, rollout: int, now: int) -> list[int]:
    """Note what a rollout's document tells of its virtualenvs; their numbers, in its order."""
    keys = [key_of(one) for one in document.virtualenvs]
    sets = _store_package_sets(connection, document.virtualenvs)
    known = _known(connection, keys)
    # a clock that is ahead must not make later rollouts look older
    began = min(milliseconds_of(document.began), now)
    fresh: list[dict[str, object]] = []
    changed: list[tuple[Row[Any], dict[str, object]]] = []
    for key, one in zip(keys, document.virtualenvs, strict=True):
        before = known.get(key)
        after = {"rollout_id": rollout, "began": began, "status": one.status}
        after |= _told_again(_knowledge(one, before, sets, now), before, rollout)
        if before is None:
            place = {"host": one.host, "owner": one.owner, "path": one.path}
            fresh.append({"key": key, "uuid": uuid_of_virtualenv(**place)} | place | after)
        elif before.began <= began and any(after[name] != getattr(before, name) for name in STATE):
            changed.append((before, after))
    insert_in_parts(connection, virtualenvs, fresh)
    _change(connection, changed)
    if fresh:
        known |= _known(connection, [key for key in keys if key not in known])
    return [known[key].id for key in keys]


def _change(connection: Connection, changed: Sequence[tuple[Row[Any], dict[str, object]]]) -> None:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in STATE}
    rows = [{"id_": before.id} | {f"new_{name}": after[name] for name in STATE} for before, after in changed]
    run_many(connection, update(virtualenvs).where(virtualenvs.c.id == bindparam("id_")).values(values), rows)
    forget_package_sets(connection, {before.package_set_id for before, _ in changed} - {None})


def forget_package_sets(connection: Connection, numbers: Collection[int]) -> None:
    """Delete those of some sets of packages that no virtualenv has any more."""
    used = exists().where(virtualenvs.c.package_set_id == package_sets.c.id)
    for some in in_parts(sorted(numbers)):
        connection.execute(delete(package_sets).where(package_sets.c.id.in_(some), ~used))


def key_of(one: RolloutVirtualenv) -> str:
    """What a virtualenv is found by."""
    return hashlib.sha256("\0".join((one.host, one.owner, one.path)).encode()).hexdigest()


def drift_row(one: RolloutVirtualenv) -> dict[str, object]:
    """The drift of a virtualenv, as tables have it."""
    found = one.drift
    since = found.since if found is not None else None
    return {
        "drift_packages": found.packages if found is not None else None,
        "drift_files": found.files if found is not None else None,
        "drift_since": milliseconds_of(since) if since is not None else None,
    }


def _knowledge(one: RolloutVirtualenv, before: Row[Any] | None, sets: Mapping[int, int], now: int) -> dict[str, object]:
    """What a virtualenv has by now. Drift was found before a deployment, and is not known after it."""
    untouched = one.status in UNTOUCHED
    if one.packages is None and one.digest is None:
        if untouched and before is not None:
            return {name: getattr(before, name) for name in KNOWLEDGE}
        # a virtualenv's interpreter seldom changes, and it tells which siblings to compare with
        interpreter = one.interpreter or (before.interpreter if before is not None else None)
        return dict.fromkeys(KNOWLEDGE) | {"interpreter": interpreter}
    return {
        "known_at": now,
        "interpreter": one.interpreter,
        "digest": one.digest,
        "package_set_id": sets[id(one.packages)] if one.packages is not None else None,
        **(drift_row(one) if untouched else dict.fromkeys(("drift_packages", "drift_files", "drift_since"))),
    }


def _told_again(after: dict[str, object], before: Row[Any] | None, rollout: int) -> dict[str, object]:
    """The same, told when it was first told by the same rollout, so that what did not change is not written again."""
    if before is None or before.rollout_id != rollout or before.known_at is None:
        return after
    is_alike = all(after[name] == getattr(before, name) for name in KNOWLEDGE[1:])
    return after | {"known_at": before.known_at} if is_alike else after


def _known(connection: Connection, keys: Sequence[str]) -> dict[str, Row[Any]]:
    columns = virtualenvs.c.id, virtualenvs.c.key, *(virtualenvs.c[name] for name in STATE)
    found: dict[str, Row[Any]] = {}
    for some in in_parts(keys):
        found |= {row.key: row for row in connection.execute(select(*columns).where(virtualenvs.c.key.in_(some)))}
    return found


def _store_package_sets(connection: Connection, told: Sequence[RolloutVirtualenv]) -> dict[int, int]:
    """The numbers of all sets of packages, by the identity that virtualenvs of a document share."""
    sets = {id(one.packages): one.packages for one in told if one.packages is not None}
    digests: dict[int, str] = {}
    rows: dict[str, dict[str, object]] = {}
    for identity, packages in sets.items():
        text = json.dumps(dict(packages))
        digests[identity] = digest = hashlib.sha256(text.encode()).hexdigest()
        rows[digest] = {"digest": digest, "packages": text, "many": len(packages)}
    statement = insert_or(connection, package_sets).on_conflict_do_nothing()
    for some in in_parts(list(rows.values())):
        run_many(connection, statement, some)
    numbers: dict[str, int] = {}
    for names in in_parts(list(rows)):
        query = select(package_sets.c.digest, package_sets.c.id).where(package_sets.c.digest.in_(names))
        numbers |= {row.digest: row.id for row in connection.execute(query)}
    return {identity: numbers[digest] for identity, digest in digests.items()}
