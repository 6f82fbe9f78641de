"""Keeps what the tables say of newer versions in step with the house."""

from __future__ import annotations

import threading

from sqlalchemy import Connection, bindparam, func, select, update

from envfab.collector.newer import HouseNews, newer_than, python_of
from envfab.collector.schema import applications, installed
from envfab.collector.storage import Storage, run_many


class Freshness:
    """Marks installed packages of which something newer is to be had."""

    def __init__(self, storage: Storage, house: HouseNews | None) -> None:
        self._storage = storage
        self._house = house
        self._turn = threading.Lock()

    def catch_up(self) -> None:
        """Where the house changed, mark all applications anew; who comes while that is done sees the old marks."""
        if self._house is None or not self._turn.acquire(blocking=False):
            return
        try:
            if self._house.look_again():
                with self._storage.writing() as connection:
                    self.mark(connection)
        finally:
            self._turn.release()

    def mark(self, connection: Connection, application: int | None = None) -> None:
        """Mark one application's packages, or everybody's; what is unchanged is not written again."""
        columns = (installed.c.application_id, installed.c.name, installed.c.version, installed.c.newer_house)
        query = select(*columns, applications.c.type).join_from(installed, applications)
        if application is not None:
            query = query.where(installed.c.application_id == application)
        rows = []
        for number, name, version, marked, kind in connection.execute(query):
            found = self._in_house(name, version, kind)
            if found != marked:
                rows.append({"application": number, "package": name, "newer": found})
        statement = update(installed).where(
            installed.c.application_id == bindparam("application"), installed.c.name == bindparam("package")
        )
        run_many(connection, statement.values(newer_house=bindparam("newer")), rows)
        _count_behind(connection, application)

    def _in_house(self, name: str, version: str, kind: str) -> str | None:
        if self._house is None:
            return None
        return newer_than(version, self._house.newest(name, python_of(kind)))


def _count_behind(connection: Connection, application: int | None) -> None:
    behind = (
        select(func.count())
        .select_from(installed)
        .where(installed.c.application_id == applications.c.id, installed.c.newer_house.is_not(None))
        .scalar_subquery()
    )
    statement = update(applications).values(behind=behind)
    if application is not None:
        statement = statement.where(applications.c.id == application)
    connection.execute(statement)
