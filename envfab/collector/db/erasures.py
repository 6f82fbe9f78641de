"""Which ids had their reports erased: told by a hash, so that the ids themselves are forgotten."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, func, select

from envfab.collector.db.engine import insert_or
from envfab.collector.db.schema import erasures
from envfab.usagestats.erasure import carried_proof
from envfab.usagestats.report import Report
from envfab.util.times import DAY

# Reports under the id that come later, from another machine's queue for example, are deleted for so long.
REMEMBERED = 180 * DAY * 1000  # milliseconds


def person_of(program: str, user: str) -> str:
    """What stands for the user of a program: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(f"{program}\n{user}".encode("utf-8", "surrogatepass")).hexdigest()


def hold(connection: Connection, program: str, user: str, *, alone: bool) -> None:
    """Until the transaction ends, keep erasure of reports under an id, which is `alone`, and their indexing apart.

    Else a report that is being indexed would be seen by neither. SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        # 64 bits, signed; two ids that share them only wait for each other
        connection.execute(select(lock(int.from_bytes(bytes.fromhex(person_of(program, user))[:8], signed=True))))


def is_erased(connection: Connection, report: Report) -> bool:
    """Whether a report is one of those that were erased, so that it may not stay.

    With a proof of its own it may: an erasure is not to silence somebody else under the same id.
    """
    if report.user is None:
        return False
    hold(connection, report.program, report.user, alone=False)
    erased = list_proofs(connection, report.program, report.user)
    carried = carried_proof(report)
    return bool(erased) and (carried is None or carried in erased)


def list_proofs(connection: Connection, program: str, user: str) -> set[str]:
    """The hashes of the secrets by which reports under this id were erased."""
    query = select(erasures.c.proof).where(erasures.c.person == person_of(program, user))
    return set(connection.execute(query).scalars())


def note_erasure(connection: Connection, program: str, user: str, proof: str, now: int) -> None:
    """Remember from `now` (milliseconds since 1970) on that reports under this id are erased."""
    row = {"person": person_of(program, user), "proof": proof, "at": now}
    statement = insert_or(connection, erasures).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["person", "proof"], set_={"at": now}))


def forget_erasures(connection: Connection, now: int) -> None:
    """Forget those that are long ago."""
    connection.execute(delete(erasures).where(erasures.c.at < now - REMEMBERED))
