"""Many rows or values in several statements: both databases limit how much one statement has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, Table, insert

AT_ONCE = 500
T = TypeVar("T")


def in_parts(many: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """The same in lists of at most `size`."""
    rest = iter(many)
    while some := list(islice(rest, size)):
        yield some


def insert_in_parts(connection: Connection, table: Table, rows: Iterable[Mapping[str, object]]) -> None:
    """Insert rows as they are made, so that they are never in memory all at once."""
    for some in in_parts(rows, 2_000):
        connection.execute(insert(table), some)
