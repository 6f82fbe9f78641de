"""Erasure of all reports under an id: first what the database has of them, with a list of files, then the files.

Cut off in the middle, the next attempt and the work in the background delete the files on the list; reports whose rows
are gone are never indexed again.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from envfab.collector.db.engine import Storage, insert_or, run_many
from envfab.collector.db.erasures import list_proofs, note_erasure, person_of
from envfab.collector.db.schema import erased_files, reports
from envfab.collector.db.usage_reports import count_back
from envfab.collector.report_store import ReportFolder, StoredReport
from envfab.usagestats.erasure import proof_of, proofs_in
from envfab.usagestats.report import Report

_BATCH = 200  # reports a transaction, so that others need not wait for long


class WrongSecret(Exception):
    """The reports under the id do not carry the hash of this secret."""


@dataclass(frozen=True, slots=True)
class OwnedReport:
    """A report under the id: its row, and, unless its file is gone, what is in it."""

    id: int
    file: str
    content: tuple[StoredReport, Report] | None

    @property
    def proofs(self) -> set[str]:
        """The hashes that it carries: one, or none if an older client sent it."""
        return proofs_in(self.content[1]) if self.content is not None else set()


def erase(storage: Storage, folder: ReportFolder, program: str, user: str, secret: str, now: int) -> int:
    """Delete the reports under an id, as files and rows; return how many files went. Raises `WrongSecret`.

    Those without a hash go too, unless reports under the id carry different ones.
    """
    proof = proof_of(secret)
    with storage.reading() as connection:
        earlier = list_proofs(connection, program, user)
    # Once more after the last: a report may have come in the meantime.
    while mine := _select_own(_list_reports(storage, folder, program, user), proof, earlier):
        for start in range(0, len(mine), _BATCH):
            with storage.writing() as connection:
                note_erasure(connection, program, user, proof, now)
                _delete_rows(connection, program, user, mine[start : start + _BATCH])
        earlier |= {proof}
    return finish(storage, folder, person_of(program, user))


def finish(storage: Storage, folder: ReportFolder, person: str | None = None) -> int:
    """Delete the files that are on the list, all or those of one id; return how many."""
    query = select(erased_files.c.program, erased_files.c.file)
    if person is not None:
        query = query.where(erased_files.c.person == person)
    with storage.reading() as connection:
        found = connection.execute(query).all()
    for program, file in found:
        folder.delete(program, file)
        with storage.writing() as connection:
            gone = erased_files.c.program == program, erased_files.c.file == file
            connection.execute(delete(erased_files).where(*gone))
    return len(found)


def _list_reports(storage: Storage, folder: ReportFolder, program: str, user: str) -> list[OwnedReport]:
    query = select(reports.c.id, reports.c.file).where(reports.c.program == program, reports.c.user == user)
    with storage.reading() as connection:
        rows = connection.execute(query.order_by(reports.c.id)).all()
    return [OwnedReport(number, file, _read(folder, program, file)) for number, file in rows]


def _read(folder: ReportFolder, program: str, file: str) -> tuple[StoredReport, Report] | None:
    try:
        stored = folder.read(program, file)
        return stored, stored.parsed()
    except (OSError, ValueError):
        return None


def _select_own(owned: Sequence[OwnedReport], proof: str, earlier: set[str]) -> list[OwnedReport]:
    """Those that the proof's owner may delete; raises `WrongSecret` where there are others only."""
    known = set().union(*(one.proofs for one in owned)) | earlier
    if not _is_among(proof, known):
        if owned or known:
            raise WrongSecret
        return []
    alone = known == {proof}
    return [one for one in owned if proof in one.proofs or (alone and not one.proofs)]


def _is_among(proof: str, known: Iterable[str]) -> bool:
    """Whether it is one of them; each is compared in constant time, and all of them."""
    return sum([hmac.compare_digest(proof.encode(), one.encode("utf-8", "replace")) for one in known]) > 0


def _delete_rows(connection: Connection, program: str, user: str, mine: Sequence[OwnedReport]) -> None:
    for one in mine:
        # Only what is still there is counted back: another request may be at the same reports.
        gone = connection.execute(delete(reports).where(reports.c.id == one.id)).rowcount
        if gone and one.content is not None:
            count_back(connection, *one.content)
    listed = [{"program": program, "file": one.file, "person": person_of(program, user)} for one in mine]
    run_many(connection, insert_or(connection, erased_files).on_conflict_do_nothing(), listed)
