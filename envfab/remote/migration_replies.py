"""Decoding of what a project's Django tells of its migrations: frozen types, with bounded sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envfab.models.migration_plan import ChangeKind, Column, Migration, MigrationPlan, Operation, SchemaChange, Table
from envfab.remote.agent_frames import MAX_FRAME, MAX_NAME, decoding
from envfab.util.json_fields import Fields
from envfab.util.untrusted import one_line, parse_json

MAX_MIGRATIONS = 10_000
MAX_OPERATIONS = 10_000  # of one migration
MAX_TABLES = 20_000
MAX_COLUMNS = 2_000  # of one table, or one change: PostgreSQL has at most 1,600
MAX_DESCRIPTION = 1_000
MAX_SQL, MAX_ALL_SQL = 20_000, 500_000  # characters of one text, and of all: `agent.migration_plan` sends no more

_KINDS = {kind.value: kind for kind in ChangeKind}


def to_migration_plan(reply: Mapping[str, Any], where: str) -> MigrationPlan:
    """Decode the document that `agent.migration_plan` prints; raises `AgentError` if it is invalid."""
    with decoding(where):
        fields = Fields.of(parse_json(Fields(reply).text("plan", MAX_FRAME)), "the plan of the migrations")
        if "too_old" in fields.values:
            return MigrationPlan("", untold=f"Django {fields.line('too_old', MAX_NAME)} cannot tell what they do")
        tables = fields.object("tables")
        migrations = tuple(_migration(one) for one in fields.objects("migrations", MAX_MIGRATIONS))
        if sum(len(sql) for migration in migrations for one in migration.operations for sql in one.sql) > MAX_ALL_SQL:
            raise ValueError(f"the SQL of all migrations has more than {MAX_ALL_SQL} characters")
        return MigrationPlan(
            fields.line("vendor", MAX_NAME),
            migrations,
            {one_line(name): _table(tables.object(name)) for name in _names(tables, "a plan", MAX_TABLES)},
        )


def _names(fields: Fields, what: str, most: int) -> list[str]:
    """The names of an object, which are of tables or columns, as they are."""
    names = list(fields.values)
    if len(names) > most:
        raise ValueError(f"{what} has {len(names)} entries, and may have {most}")
    if any(len(name) > MAX_DESCRIPTION for name in names):
        raise ValueError(f"{what} has a name of more than {MAX_DESCRIPTION} characters")
    return names


def _table(fields: Fields) -> Table:
    columns = fields.object("columns")
    return Table(
        {one_line(name): _column(columns.object(name)) for name in _names(columns, "a table", MAX_COLUMNS)},
        fields.number_or_none("rows"),
        fields.number_or_none("bytes"),
    )


def _column(fields: Fields) -> Column:
    return Column(fields.line("type", MAX_DESCRIPTION), fields.truth("null"))


def _migration(fields: Fields) -> Migration:
    operations = fields.objects("operations", MAX_OPERATIONS)
    return Migration(
        fields.line("name", MAX_DESCRIPTION), fields.truth("fresh"), tuple(_operation(one) for one in operations)
    )


def _operation(fields: Fields) -> Operation:
    gentle = fields.truth("gentle")
    return Operation(
        fields.line("does", MAX_DESCRIPTION),
        fields.truth("reversible"),
        # of what was cut off nothing is known
        fields.truth("known") and not fields.truth("cut"),
        tuple(_change(one, gentle) for one in fields.objects("changes")),
        fields.texts("sql", longest=MAX_SQL),
    )


def _change(fields: Fields, gentle: bool) -> SchemaChange:
    kind = fields.line("kind", MAX_NAME)
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is not a change of a table")
    return SchemaChange(
        _KINDS[kind],
        fields.line("table", MAX_DESCRIPTION),
        fields.lines("columns", MAX_COLUMNS, MAX_DESCRIPTION),
        fields.line("before", MAX_DESCRIPTION),
        fields.line("after", MAX_DESCRIPTION),
        fields.truth("null"),
        fields.truth("default"),
        gentle,
    )
