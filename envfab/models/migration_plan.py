"""What Django would do to a database: the migrations that are not applied, and the changes that each makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class ChangeKind(Enum):
    """What a change does to a table that exists."""

    DROP_TABLE = "drop-table"
    RENAME_TABLE = "rename-table"
    # SQL that writes a whole table anew, such as VACUUM FULL
    REWRITE_TABLE = "rewrite-table"
    ADD_COLUMN = "add-column"
    DROP_COLUMN = "drop-column"
    RENAME_COLUMN = "rename-column"
    CHANGE_TYPE = "change-type"
    SET_NOT_NULL = "set-not-null"
    DROP_NOT_NULL = "drop-not-null"
    SET_DEFAULT = "set-default"
    DROP_DEFAULT = "drop-default"
    ADD_UNIQUE = "add-unique"
    ADD_CHECK = "add-check"
    ADD_FOREIGN_KEY = "add-foreign-key"
    ADD_INDEX = "add-index"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of a table, by the names before it.

    `before` and `after` are names or types. `null` and `default` are those of a column that is added, and of one that
    loses its default; a default is the database's. A `gentle` change does not hold others up: CONCURRENTLY, NOT VALID.
    """

    kind: ChangeKind
    table: str
    columns: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    null: bool = True
    default: bool = False
    gentle: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a migration; `does` is Django's description, `sql` the statements of a `RunSQL`.

    `known` is false for operations that are neither Django's own nor made from one: what they do cannot be told.
    """

    does: str
    reversible: bool = True
    known: bool = True
    changes: tuple[SchemaChange, ...] = ()
    sql: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration that is not applied; `fresh` if its app has none that is.

    Of its operations only those are listed that change tables which exist, or may do so.
    """

    name: str
    fresh: bool = False
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as the database writes it, and whether it takes NULL."""

    type: str
    null: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table that exists: its columns by name; on PostgreSQL about how many rows it has, and its size in bytes."""

    columns: Mapping[str, Column]
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The migrations that are not applied, in Django's order, and the tables as Django knows them before any of them.

    `vendor` is Django's word for the kind of database. `untold` is the reason if Django cannot tell the operations.
    """

    vendor: str
    migrations: tuple[Migration, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    untold: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the migrations, as Django prints them."""
        return tuple(migration.name for migration in self.migrations)
