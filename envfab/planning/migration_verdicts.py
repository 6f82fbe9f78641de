"""Verdicts on migrations: what breaks older code, what locks a large table, and what cannot be reversed.

Older code knows the tables and columns that exist before the first of the migrations. So what is new since then breaks
nothing, and neither does what a later one of the migrations makes good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from envfab.models.migration_plan import ChangeKind, Column, Migration, MigrationPlan, Operation, SchemaChange, Table
from envfab.planning.column_types import is_wider, rewrites
from envfab.planning.sql_changes import changes_of, is_known
from envfab.planning.sql_tokens import statements

# from here on PostgreSQL may take a second or more to read a table
LARGE_ROWS = 100_000
LARGE_BYTES = 64 << 20
SHOWN_WORDS = 4


class Rule(Enum):
    """What a verdict is about."""

    DROPS_TABLE = "drops-table"
    RENAMES_TABLE = "renames-table"
    DROPS_COLUMN = "drops-column"
    RENAMES_COLUMN = "renames-column"
    ADDS_REQUIRED_COLUMN = "adds-required-column"
    SETS_NOT_NULL = "sets-not-null"
    DROPS_DEFAULT = "drops-default"
    CHANGES_TYPE = "changes-type"
    ADDS_UNIQUE = "adds-unique"
    ADDS_CHECK = "adds-check"
    ADDS_FOREIGN_KEY = "adds-foreign-key"
    LOCKS_TABLE = "locks-table"
    IRREVERSIBLE = "irreversible"
    NOT_JUDGED = "not-judged"


NOT_BREAKING = frozenset({Rule.LOCKS_TABLE, Rule.IRREVERSIBLE, Rule.NOT_JUDGED})
# kind of change → (rule, what is wrong, what to do instead)
FELT = {
    ChangeKind.DROP_TABLE: (
        Rule.DROPS_TABLE,
        "drops table {table}, which older code uses",
        "deploy code without the model first, and drop the table with a later release",
    ),
    ChangeKind.RENAME_TABLE: (
        Rule.RENAMES_TABLE,
        "renames table {table} to {after}, and older code uses the old name",
        "keep the name of the table (Meta.db_table)",
    ),
    ChangeKind.DROP_COLUMN: (
        Rule.DROPS_COLUMN,
        "drops column {column} of {table}, which older code reads and writes",
        "deploy code without the field first, and drop the column with a later release",
    ),
    ChangeKind.RENAME_COLUMN: (
        Rule.RENAMES_COLUMN,
        "renames column {column} of {table} to {after}, and older code uses the old name",
        "keep the name of the column (db_column)",
    ),
    ChangeKind.ADD_COLUMN: (
        Rule.ADDS_REQUIRED_COLUMN,
        "adds column {column} to {table}, NOT NULL and without a default in the database: INSERTs of older code fail",
        "add it with null=True or db_default, and set NOT NULL with a later release",
    ),
    ChangeKind.SET_NOT_NULL: (
        Rule.SETS_NOT_NULL,
        "sets column {column} of {table} to NOT NULL, and older code may write NULL",
        "deploy code that writes none first",
    ),
    ChangeKind.DROP_DEFAULT: (
        Rule.DROPS_DEFAULT,
        "drops the default of column {column} of {table} in the database, and older code may rely on it",
        "deploy code that always gives a value first",
    ),
    ChangeKind.CHANGE_TYPE: (
        Rule.CHANGES_TYPE,
        "changes column {column} of {table} from {before} to {after}, which may not take or give what older code has",
        "add a column of the new type, and drop the old one with a later release",
    ),
    ChangeKind.ADD_UNIQUE: (
        Rule.ADDS_UNIQUE,
        "makes {column} of {table} unique, and older code may write duplicates",
        "deploy code that writes none first",
    ),
    ChangeKind.ADD_CHECK: (
        Rule.ADDS_CHECK,
        "adds a constraint to {table}, and older code may write rows that violate it",
        "deploy code that writes none first",
    ),
    ChangeKind.ADD_FOREIGN_KEY: (
        Rule.ADDS_FOREIGN_KEY,
        "adds a foreign key to column {column} of {table}, and older code may write values that refer to nothing",
        "deploy code that writes none first",
    ),
}
# what a later change of the same column makes good
HEALED = {ChangeKind.DROP_NOT_NULL: Rule.SETS_NOT_NULL, ChangeKind.SET_DEFAULT: Rule.DROPS_DEFAULT}
OF_A_COLUMN = frozenset(ChangeKind) - {
    *(ChangeKind.DROP_TABLE, ChangeKind.RENAME_TABLE, ChangeKind.REWRITE_TABLE),
    *(ChangeKind.ADD_UNIQUE, ChangeKind.ADD_CHECK, ChangeKind.ADD_FOREIGN_KEY, ChangeKind.ADD_INDEX),
}
# kind of change → (what PostgreSQL does meanwhile, what to do instead)
LOCKS = {
    ChangeKind.ADD_INDEX: (
        "builds an index, and writes wait",
        "AddIndexConcurrently, in a migration with atomic = False",
    ),
    ChangeKind.ADD_UNIQUE: (
        "builds a unique index, and writes wait",
        "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX",
    ),
    ChangeKind.ADD_CHECK: (
        "checks all rows",
        "AddConstraintNotValid, then ValidateConstraint in a migration of its own",
    ),
    ChangeKind.ADD_FOREIGN_KEY: ("checks all rows", "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT"),
    ChangeKind.SET_NOT_NULL: (
        "reads all rows",
        "CHECK (… IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL",
    ),
    ChangeKind.CHANGE_TYPE: ("writes all rows anew", "add a column of the new type, and copy in small steps"),
    ChangeKind.REWRITE_TABLE: ("writes all of it anew", "do so while nothing uses the table"),
}
REVERSE = "give it reverse_code or reverse_sql: noop where there is nothing to do"
READ_IT = "read it before you go on"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an operation of a migration, and what to do instead.

    `migration` and `operation` are empty if it is about all of them. `rows` is about how many the table has, where that
    matters and is known.
    """

    rule: Rule
    problem: str
    instead: str
    migration: str = ""
    operation: str = ""
    rows: int | None = None

    @property
    def breaking(self) -> bool:
        """Whether older code fails, or may fail, on the database as it is afterwards."""
        return self.rule not in NOT_BREAKING

    def __str__(self) -> str:
        of = f"{self.migration} ({self.operation}) " if self.migration else ""
        return f"{of}{self.problem}; {self.instead}"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Convert a verdict to a JSON object."""
    return {
        "migration": verdict.migration or None,
        "operation": verdict.operation or None,
        "rule": verdict.rule.value,
        "breaking": verdict.breaking,
        "problem": verdict.problem,
        "instead": verdict.instead,
        "rows": verdict.rows,
    }


def judge(plan: MigrationPlan) -> tuple[Verdict, ...]:
    """Return the verdicts on the migrations of a plan, in its order."""
    if plan.untold:
        return (Verdict(Rule.NOT_JUDGED, f"migrations were not judged: {plan.untold}", "read them before you go on"),)
    judgement = _Judgement(plan)
    for migration in plan.migrations:
        for operation in migration.operations:
            judgement.take(migration, operation)
    return tuple(judgement.found.values())


def is_large(table: Table) -> bool:
    """Whether PostgreSQL needs a while to read it."""
    return (table.rows or 0) >= LARGE_ROWS or (table.size or 0) >= LARGE_BYTES


class _Judgement:
    """The verdicts so far, and the columns that came since the start; operations are taken in their order."""

    def __init__(self, plan: MigrationPlan) -> None:
        self._locks = plan.vendor == "postgresql"
        self._tables = {name.lower(): (name, _lower(table)) for name, table in plan.tables.items()}
        # new columns: whether each takes NULL, and whether it has a default in the database
        self._new: dict[tuple[str, ...], tuple[bool, bool]] = {}
        self.found: dict[tuple[object, ...], Verdict] = {}

    def take(self, migration: Migration, operation: Operation) -> None:
        """Judge one operation."""
        at = (migration.name, operation.does)
        changes = list(operation.changes)
        for statement in (one for text in operation.sql for one in statements(text)):
            changes += changes_of(statement)
            if not is_known(statement) and not migration.fresh:
                begin = " ".join(token.text for token in statement[:SHOWN_WORDS])
                self._put((at, begin), at, Rule.NOT_JUDGED, f"runs SQL that cannot be judged, {begin} …", READ_IT)
        for change in changes:
            if change.table.lower() in self._tables:
                self._change(at, change, *self._tables[change.table.lower()])
        if not operation.known and not migration.fresh:
            self._put(at, at, Rule.NOT_JUDGED, "is an operation that envfab does not know", READ_IT)
        if not operation.reversible and not migration.fresh:
            self._put(at, at, Rule.IRREVERSIBLE, "cannot be reversed", REVERSE)

    def _put(self, of: tuple[object, ...], at: tuple[str, str], rule: Rule, problem: str, instead: str) -> None:
        """Add a verdict, unless there is one by that rule `of` the same thing."""
        self.found.setdefault((rule, *of), Verdict(rule, problem, instead, *at))

    def _change(self, at: tuple[str, str], change: SchemaChange, name: str, table: Table) -> None:
        """Judge a change of a table that exists."""
        if change.kind in OF_A_COLUMN and _column(change, table) is None:
            self._follow(at, change, name)
        elif self._is_felt(change, name, table):
            self._put(_key(name, change), at, *_told(change, name, table))
        if change.kind in HEALED:
            self.found.pop((HEALED[change.kind], *_key(name, change)), None)
        if self._locks and is_large(table) and not change.gentle:
            self._lock(at, change, name, table)

    def _follow(self, at: tuple[str, str], change: SchemaChange, name: str) -> None:
        """Keep in mind what a new column takes; older code gives it no value."""
        key = _key(name, change)
        null, default = self._new.get(key, (True, False))
        if change.kind is ChangeKind.ADD_COLUMN:
            null, default = change.null, change.default
        elif change.kind in (ChangeKind.SET_NOT_NULL, ChangeKind.DROP_NOT_NULL, ChangeKind.DROP_COLUMN):
            null = change.kind is not ChangeKind.SET_NOT_NULL
        elif change.kind in (ChangeKind.SET_DEFAULT, ChangeKind.DROP_DEFAULT):
            default = change.kind is ChangeKind.SET_DEFAULT
        self._new[key] = (null, default)
        if null or default:
            self.found.pop((Rule.ADDS_REQUIRED_COLUMN, *key), None)
        else:
            told = SchemaChange(ChangeKind.ADD_COLUMN, name, change.columns)
            self._put(key, at, *_told(told, name, Table({})))

    def _is_felt(self, change: SchemaChange, name: str, table: Table) -> bool:
        """Whether older code may feel the change."""
        column = _column(change, table)
        if change.kind not in FELT or change.kind is ChangeKind.ADD_COLUMN:
            return False
        if change.kind is ChangeKind.SET_NOT_NULL:
            return column is not None and column.null
        if change.kind is ChangeKind.DROP_DEFAULT:
            return not change.null
        if change.kind is ChangeKind.CHANGE_TYPE:
            return not is_wider(_type_before(change, table), change.after)
        if change.kind in (ChangeKind.ADD_CHECK, ChangeKind.ADD_FOREIGN_KEY):
            return not change.columns or column is not None
        if change.kind is ChangeKind.ADD_UNIQUE:
            # older code leaves new columns at NULL, which is no duplicate, or at their default
            new = [self._new.get((name.lower(), one.lower()), (False, True)) for one in change.columns]
            return all(default for _, default in new)
        return True

    def _lock(self, at: tuple[str, str], change: SchemaChange, name: str, table: Table) -> None:
        """Judge how long others wait for a large table."""
        if change.kind not in LOCKS:
            return
        if change.kind is ChangeKind.CHANGE_TYPE and not rewrites(_type_before(change, table), change.after):
            return
        what, instead = LOCKS[change.kind]
        size = f"about {table.rows:,} rows" if table.rows is not None else f"{(table.size or 0) >> 20} MB"
        problem = f"locks table {name} ({size}) while PostgreSQL {what}"
        self.found.setdefault(
            (Rule.LOCKS_TABLE, *at, name), Verdict(Rule.LOCKS_TABLE, problem, instead, *at, rows=table.rows)
        )


def _key(name: str, change: SchemaChange) -> tuple[str, ...]:
    return (name.lower(), *(column.lower() for column in change.columns))


def _column(change: SchemaChange, table: Table) -> Column | None:
    """The column of a change as it was at the start; None if it is new."""
    return table.columns.get(change.columns[0].lower()) if change.columns else None


def _lower(table: Table) -> Table:
    return replace(table, columns={name.lower(): column for name, column in table.columns.items()})


def _type_before(change: SchemaChange, table: Table) -> str:
    column = _column(change, table)
    return change.before or (column.type if column is not None else "")


def _told(change: SchemaChange, name: str, table: Table) -> tuple[Rule, str, str]:
    """(the rule, what is wrong, what to do instead)."""
    rule, problem, instead = FELT[change.kind]
    column, before = ", ".join(change.columns) or "rows", _type_before(change, table)
    return rule, problem.format(table=name, column=column, before=before, after=change.after), instead
