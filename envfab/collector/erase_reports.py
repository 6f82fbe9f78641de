"""Erasure of all reports under an id: first what the database has of them, with a list of files, then the files.

Cut off in the middle, the next attempt and the work in the background delete the files on the list; reports whose rows
are gone are never indexed again.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from envfab.collector.db.engine import Storage, insert_or, run_many
from envfab.collector.db.erasures import hold, list_proofs, note_erasure, person_of
from envfab.collector.db.schema import erased_files, reports
from envfab.collector.db.usage_reports import count_back
from envfab.collector.report_store import ReportFolder, StoredReport
from envfab.usagestats.erasure import proof_of
from envfab.usagestats.report import Report

_BATCH = 200  # reports a transaction, so that others need not wait for long


class WrongSecret(Exception):
    """The reports under the id do not carry the hash of this secret."""


def erase(storage: Storage, folder: ReportFolder, program: str, user: str, secret: str, now: int) -> int:
    """Delete the reports under an id, as files and rows; return how many files went. Raises `WrongSecret`.

    Those without a hash go too, unless reports under the id carry different ones.
    """
    proof = proof_of(secret)
    while mine := _list_own(storage, program, user, proof):
        contents = [_read(folder, program, file) for _, file in mine]
        with storage.writing() as connection:
            hold(connection, program, user, alone=True)
            note_erasure(connection, program, user, proof, now)
            for (number, _), content in zip(mine, contents, strict=True):
                _delete_row(connection, number, content)
            listed = [{"program": program, "file": file, "person": person_of(program, user)} for _, file in mine]
            run_many(connection, insert_or(connection, erased_files).on_conflict_do_nothing(), listed)
    return finish(storage, folder, person_of(program, user))


def finish(storage: Storage, folder: ReportFolder, person: str | None = None) -> int:
    """Delete the files that are on the list, all or those of one id; return how many.

    Raises `OSError` if one cannot be deleted, after all others are.
    """
    query = select(erased_files.c.program, erased_files.c.file)
    if person is not None:
        query = query.where(erased_files.c.person == person)
    with storage.reading() as connection:
        found = connection.execute(query).all()
    left: OSError | None = None
    for program, file in found:
        try:
            folder.delete(program, file)
        except OSError as error:
            left = error  # those after it go all the same
            continue
        with storage.writing() as connection:
            gone = erased_files.c.program == program, erased_files.c.file == file
            connection.execute(delete(erased_files).where(*gone))
    if left is not None:
        raise left
    return len(found)


def _list_own(storage: Storage, program: str, user: str, proof: str) -> list[tuple[int, str]]:
    """Number and file of the next reports that the proof's owner may delete; raises `WrongSecret` for a stranger."""
    under = reports.c.program == program, reports.c.user == user
    with storage.reading() as connection:
        carried = set(connection.execute(select(reports.c.proof).where(*under).distinct()).scalars())
        known = {one for one in carried if one is not None} | list_proofs(connection, program, user)
        if not _is_among(proof, known):
            if carried or known:
                raise WrongSecret
            return []
        its = reports.c.proof == proof
        if known == {proof}:
            its |= reports.c.proof.is_(None)
        query = select(reports.c.id, reports.c.file).where(*under, its).order_by(reports.c.id).limit(_BATCH)
        return [(number, file) for number, file in connection.execute(query)]


def _read(folder: ReportFolder, program: str, file: str) -> tuple[StoredReport, Report] | None:
    try:
        stored = folder.read(program, file)
        return stored, stored.parsed()
    except (OSError, ValueError):
        return None


def _is_among(proof: str, known: Iterable[str]) -> bool:
    """Whether it is one of them; each is compared in constant time, and all of them."""
    return sum([hmac.compare_digest(proof.encode(), one.encode("utf-8", "replace")) for one in known]) > 0


def _delete_row(connection: Connection, number: int, content: tuple[StoredReport, Report] | None) -> None:
    # Only what is still there is counted back: another request may be at the same reports.
    gone = connection.execute(delete(reports).where(reports.c.id == number)).rowcount
    if gone and content is not None:
        count_back(connection, *content)
