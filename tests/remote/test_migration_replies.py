"""What a host tells of its migrations: of the right shape and size, or one line that says what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from envfab.errors import AgentError
from envfab.models.migration_plan import ChangeKind, Column, Migration, MigrationPlan, Operation, SchemaChange, Table
from envfab.remote.migration_replies import to_migration_plan

CHANGE = {
    "kind": "drop-column", "table": "b\u202eook", "columns": ["x"], "before": "", "after": "", "null": True, "default": False,
}  # fmt: skip
OPERATION = {
    "does": "Remove\nfield x", "reversible": True, "known": True, "gentle": False, "changes": [CHANGE], "sql": ["a\nb"],
    "cut": False,
}  # fmt: skip
MIGRATION = {"name": "shop.0001_x", "fresh": False, "operations": [OPERATION]}
TABLES = {"b\u202eook": {"columns": {"x": {"type": "int", "null": False}}, "rows": 5, "bytes": None}}
DOCUMENT = {"vendor": "sqlite", "migrations": [MIGRATION], "tables": TABLES}


def decode(document: Any) -> MigrationPlan:
    """The document, as it comes in a reply."""
    return to_migration_plan({"plan": json.dumps(document)}, "t")


def test_names_are_read_without_what_would_steer_a_terminal() -> None:
    """A table's name is the same in all places, so that it is found again; SQL stays as it is."""
    operation = Operation(
        "Remove field x", changes=(SchemaChange(ChangeKind.DROP_COLUMN, "b ook", ("x",)),), sql=("a\nb",)
    )
    table = Table({"x": Column("int", False)}, 5, None)
    assert decode(DOCUMENT) == MigrationPlan(
        "sqlite", (Migration("shop.0001_x", False, (operation,)),), {"b ook": table}
    )


def test_an_operation_whose_sql_was_cut_off_is_not_known() -> None:
    """What it does in the rest cannot be judged."""
    document = {**DOCUMENT, "migrations": [{**MIGRATION, "operations": [{**OPERATION, "cut": True}]}]}
    assert not decode(document).migrations[0].operations[0].known


def of(**changed: Any) -> Any:
    """A document with another operation."""
    return {**DOCUMENT, "migrations": [{**MIGRATION, "operations": [{**OPERATION, **changed}]}]}


WRONG = [
    ([], "the plan of the migrations must be an object, not a list"),
    ({"too_old": 1}, "'too_old' must be a text, not a number"),
    ({**DOCUMENT, "tables": None}, "'tables' must be an object, not null"),
    ({**DOCUMENT, "tables": {"a": {"columns": {}, "rows": -1, "bytes": 0}}}, "'rows' must be a whole number from 0 up, not -1"),
    ({**DOCUMENT, "tables": {str(n): 1 for n in range(20_001)}}, "a plan has 20001 entries, and may have 20000"),
    ({**DOCUMENT, "tables": {"a" * 1001: 1}}, "a plan has a name of more than 1000 characters"),
    ({**DOCUMENT, "migrations": [MIGRATION] * 10_001}, "'migrations' has 10001 entries, and may have 10000"),
    ({**DOCUMENT, "migrations": [{"name": "x"}]}, "'operations' is missing"),
    (of(reversible="yes"), "'reversible' must be true or false, not a text"),
    (of(sql=["x" * 20_000] * 26), "the SQL of all migrations has more than 500000 characters"),
    (of(sql=["x" * 20_001]), "an entry of 'sql' has 20001 characters, and may have 20000"),
    (of(changes=[{**CHANGE, "kind": "explode"}]), "'explode' is not a change of a table"),
    (of(changes=[{**CHANGE, "columns": "x"}]), "'columns' must be a list, not a text"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "says"), WRONG)
def test_an_answer_of_another_shape_or_size_is_refused(document: Any, says: str) -> None:
    """With the target, and what is wrong."""
    with pytest.raises(AgentError) as caught:
        decode(document)
    assert str(caught.value) == f"t: invalid reply of the agent: {says}\n  check that this is the right host"
