"""Verdicts on migrations, where real Djangos (tests/agent/test_migration_plan.py) do not tell enough."""

from __future__ import annotations

import pytest

from envfab.models.migration_plan import ChangeKind, Column, Migration, MigrationPlan, Operation, SchemaChange, Table
from envfab.planning.migration_verdicts import LARGE_BYTES, LARGE_ROWS, Rule, judge, to_json

BOOK = {"code": Column("varchar(20)", False), "note": Column("text", True)}


def plan(
    *operations: Operation, table: Table | None = None, vendor: str = "postgresql", fresh: bool = False
) -> MigrationPlan:
    """A plan of one migration on the table `Shop_Book`."""
    tables = {"Shop_Book": table or Table(BOOK)}
    return MigrationPlan(vendor, (Migration("shop.0002_x", fresh, operations),), tables)


def by_sql(*sql: str) -> Operation:
    """A reversible operation of SQL."""
    return Operation("Raw SQL operation", sql=sql)


def test_a_verdict_says_what_is_wrong_where_and_what_to_do() -> None:
    """In one line for people, and as JSON."""
    (verdict,) = judge(
        plan(
            Operation(
                "Remove field code from book", changes=(SchemaChange(ChangeKind.DROP_COLUMN, "Shop_Book", ("code",)),)
            )
        )
    )
    assert str(verdict) == (
        "shop.0002_x (Remove field code from book) drops column code of Shop_Book, which older code reads and writes;"
        " deploy code without the field first, and drop the column with a later release"
    )
    assert to_json(verdict) == {
        "migration": "shop.0002_x",
        "operation": "Remove field code from book",
        "rule": "drops-column",
        "breaking": True,
        "problem": "drops column code of Shop_Book, which older code reads and writes",
        "instead": "deploy code without the field first, and drop the column with a later release",
        "rows": None,
    }


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("ALTER TABLE shop_book DROP CODE", ["drops-column"]),
        ("ALTER TABLE shop_book DROP legacy", []),
        ("DROP TABLE legacy", []),
        ("ALTER TABLE shop_book ALTER note SET NOT NULL", ["sets-not-null"]),
        ("ALTER TABLE shop_book ALTER code SET NOT NULL", []),
        ("ALTER TABLE shop_book ALTER note SET NOT NULL; ALTER TABLE shop_book ALTER note DROP NOT NULL", []),
        ("ALTER TABLE shop_book ALTER code TYPE varchar(30)", []),
        ("ALTER TABLE shop_book ALTER code TYPE varchar(10)", ["changes-type"]),
        ("ALTER TABLE shop_book ADD n int; ALTER TABLE shop_book ALTER n SET NOT NULL", ["adds-required-column"]),
        ("ALTER TABLE shop_book ADD n int NOT NULL; ALTER TABLE shop_book ALTER n SET DEFAULT 1", []),
        ("ALTER TABLE shop_book ADD n int NOT NULL DEFAULT 1; ALTER TABLE shop_book ALTER n DROP DEFAULT", ["adds-required-column"]),
        ("ALTER TABLE shop_book ADD n int REFERENCES a (id), ADD CHECK (code <> '')", ["adds-check"]),
        ("CREATE UNIQUE INDEX i ON shop_book (code, note)", ["adds-unique"]),
    ],
)  # fmt: skip
def test_sql_is_judged_by_what_the_tables_are_before_it(sql: str, rules: list[str]) -> None:
    """What older code does not know cannot break it, and what is made good does not."""
    assert [verdict.rule.value for verdict in judge(plan(by_sql(sql)))] == rules


@pytest.mark.parametrize(
    ("table", "locked"),
    [
        (Table(BOOK, rows=LARGE_ROWS), "about 100,000 rows"),
        (Table(BOOK, rows=LARGE_ROWS - 1, size=LARGE_BYTES - 1), None),
        (Table(BOOK, size=LARGE_BYTES), "64 MB"),
        (Table(BOOK), None),
    ],
)
def test_only_large_tables_are_locked_for_long(table: Table, locked: str | None) -> None:
    """A table that was never analyzed has its size alone."""
    said = [verdict.problem for verdict in judge(plan(by_sql("CREATE INDEX i ON shop_book (code)"), table=table))]
    assert said == (
        [f"locks table Shop_Book ({locked}) while PostgreSQL builds an index, and writes wait"] if locked else []
    )


def test_other_databases_than_postgresql_are_not_asked_for_locks() -> None:
    """What locks there, and for how long, is not known."""
    large = Table(BOOK, rows=10 * LARGE_ROWS)
    assert judge(plan(by_sql("CREATE INDEX i ON shop_book (code)"), table=large, vendor="mysql")) == ()


@pytest.mark.parametrize("sql", ["VACUUM FULL shop_book", "ALTER TABLE shop_book ALTER code TYPE char(30)"])
def test_a_table_is_named_that_is_written_anew(sql: str) -> None:
    """It is locked for as long as that takes."""
    assert Rule.LOCKS_TABLE in [one.rule for one in judge(plan(by_sql(sql), table=Table(BOOK, rows=LARGE_ROWS)))]


def test_an_app_that_is_new_need_not_be_reversible() -> None:
    """Nor need its operations be known: no older code has it."""
    operation = Operation("Do it", reversible=False, known=False, sql=("DO $$ $$",))
    assert judge(plan(operation, fresh=True)) == ()
    assert [one.rule for one in judge(plan(operation))] == [Rule.NOT_JUDGED, Rule.NOT_JUDGED, Rule.IRREVERSIBLE]


def test_what_cannot_be_told_is_said_and_not_held_for_safe() -> None:
    """Without operations there is one verdict, of no migration."""
    (verdict,) = judge(MigrationPlan("", (Migration("shop.0001_x"),), untold="ImportError: no"))
    assert str(verdict) == "migrations were not judged: ImportError: no; read them before you go on"
    assert not verdict.breaking
    assert to_json(verdict)["migration"] is None
