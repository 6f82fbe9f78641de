"""Which changes of a column's type older code does not feel."""

from __future__ import annotations

import pytest

from envfab.planning.column_types import is_wider, rewrites
from tests.support.postgres import Postgres

CASES = [
    ("varchar(50)", "varchar(50)", True, False),
    ("varchar(50)", "varchar(51)", True, False),
    ("character varying(50)", "VARCHAR (200)", True, False),
    ("varchar(50)", "varchar", True, False),
    ("varchar(50)", "text", True, False),
    ("varchar(50)", "varchar(49)", False, True),
    ("varchar", "varchar(50)", False, True),
    ("text", "varchar(50)", False, True),
    ("char(3)", "char(4)", True, True),
    ("integer", "bigint", True, True),
    ("serial", "bigserial", True, True),
    ("serial", "integer", True, False),
    ("bigint", "integer", False, True),
    ("integer", "text", False, True),
    ("smallint unsigned", "integer", True, True),
    ("integer unsigned", "integer", False, True),
    ("integer", "integer unsigned", False, True),
    ("numeric(10, 2)", "numeric(12, 2)", True, False),
    ("numeric(10,2)", "numeric(12,4)", True, True),
    ("numeric(10, 2)", "numeric(10, 4)", False, True),
    ("real", "double precision", True, True),
    ("date", "timestamp with time zone", False, True),
    ("geometry(POINT,4326)", "geometry(POINT,4326)", True, False),
    ("", "integer", False, True),
]
# types that PostgreSQL does not have, or not without more
ELSEWHERE = ("unsigned", "geometry", "serial")


@pytest.mark.parametrize(("old", "new", "wider", "rewritten"), CASES)
def test_a_wider_type_takes_and_gives_all_that_the_old_one_did(
    old: str, new: str, wider: bool, rewritten: bool
) -> None:
    """And PostgreSQL keeps the rows of some as they are."""
    assert (is_wider(old, new), rewrites(old, new)) == (wider, rewritten)


def test_postgresql_keeps_the_rows_that_it_is_said_to_keep(postgres: Postgres) -> None:
    """A table that is written anew gets another file."""
    import psycopg

    with psycopg.connect(postgres.make_database(), autocommit=True) as connection:

        def file_of(statement: str) -> object:
            connection.execute(statement.encode())
            return connection.execute("SELECT pg_relation_filenode('t')").fetchone()

        for old, new, _, rewritten in CASES:
            if old and not any(word in old + new for word in ELSEWHERE):
                before = file_of(f"DROP TABLE IF EXISTS t; CREATE TABLE t (x {old})")
                after = file_of(f"ALTER TABLE t ALTER x TYPE {new}")
                assert (after != before) is rewritten, (old, new)
