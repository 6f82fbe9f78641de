"""The changes that SQL statements make to tables, as far as statements of PostgreSQL, SQLite and MySQL tell.

Only what older code may feel is looked for. Names are compared without regard to case, as unquoted ones are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envfab.models.migration_plan import ChangeKind, SchemaChange
from envfab.planning.sql_tokens import Token, Words

# fmt: off
# statements that change no table, whatever they say, or that are read below
KNOWN = frozenset((
    "ALTER", "ANALYZE", "BEGIN", "CLUSTER", "COMMENT", "COMMIT", "CREATE", "DELETE", "DROP", "END", "GRANT",
    "INSERT", "LOCK", "MERGE", "PRAGMA", "REFRESH", "REINDEX", "RELEASE", "RENAME", "REPLACE", "RESET",
    "REVOKE", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "START", "TRUNCATE", "UPDATE", "VACUUM", "VALUES",
    "WITH",
))
CONSTRAINTS = frozenset(("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE"))
# what may follow DROP and RENAME in ALTER TABLE beside a column
NO_COLUMN = CONSTRAINTS | {"INDEX", "KEY", "PARTITION"}
# a column with one of these is filled by the database
FILLED = frozenset((
    "DEFAULT", "GENERATED", "AUTO_INCREMENT", "AUTOINCREMENT", "SERIAL", "BIGSERIAL", "SMALLSERIAL",
))
# fmt: on


def is_known(statement: Sequence[Token]) -> bool:
    """Whether the statement is of a kind that `changes_of` can judge."""
    return not statement or statement[0].word in KNOWN


def changes_of(statement: Sequence[Token]) -> list[SchemaChange]:
    """Return the changes that one statement makes to tables."""
    words = Words(statement)
    for begin, read in READERS:
        if words.accept(*begin):
            return list(read(words))
    return []


def _drop_table(words: Words) -> Iterator[SchemaChange]:
    words.accept("IF", "EXISTS")
    for part in words.parts():
        yield SchemaChange(ChangeKind.DROP_TABLE, part.name())


def _rename_table(words: Words) -> Iterator[SchemaChange]:
    for part in words.parts():
        table = part.name()
        part.accept("TO")
        yield SchemaChange(ChangeKind.RENAME_TABLE, table, before=table, after=part.name())


def _create_index(words: Words) -> Iterator[SchemaChange]:
    return _index(words, ChangeKind.ADD_INDEX)


def _create_unique_index(words: Words) -> Iterator[SchemaChange]:
    return _index(words, ChangeKind.ADD_UNIQUE)


def _index(words: Words, kind: ChangeKind) -> Iterator[SchemaChange]:
    gentle = words.accept("CONCURRENTLY")
    if words.skip_to("ON"):
        words.accept("ONLY")
        yield SchemaChange(kind, words.name(), words.in_brackets(), gentle=gentle)


def _rewrite(words: Words) -> Iterator[SchemaChange]:
    if words.has("CONCURRENTLY"):
        return
    words.accept_any("TABLE", "VERBOSE")
    yield SchemaChange(ChangeKind.REWRITE_TABLE, words.name())


def _vacuum(words: Words) -> Iterator[SchemaChange]:
    if words.has("FULL"):
        if words.accept("("):
            words.skip_to(")")
        words.accept_any("FULL", "FREEZE", "VERBOSE", "ANALYZE")
        yield SchemaChange(ChangeKind.REWRITE_TABLE, words.name())


def _alter_table(words: Words) -> Iterator[SchemaChange]:
    words.accept_any("IF EXISTS", "ONLY")
    table = words.name()
    for action in words.parts():
        yield from _action(table, action)


def _action(table: str, action: Words) -> Iterator[SchemaChange]:
    if action.accept("DROP"):
        yield from _drop(table, action)
    elif action.accept("ADD"):
        yield from _add(table, action)
    elif action.accept("RENAME"):
        yield from _rename(table, action)
    elif action.accept("SET", "SCHEMA"):
        yield SchemaChange(ChangeKind.RENAME_TABLE, table, before=table, after=f"{action.name()}.{table}")
    elif action.accept("ALTER"):
        if not action.next_is(NO_COLUMN):
            action.accept("COLUMN")
            yield from _alter_column(table, action.name(), action)
    elif action.accept("CHANGE"):
        action.accept("COLUMN")
        yield from _redefine(table, action.name(), action.name(), action)
    elif action.accept("MODIFY"):
        action.accept("COLUMN")
        name = action.name()
        yield from _redefine(table, name, name, action)


def _drop(table: str, action: Words) -> Iterator[SchemaChange]:
    if not action.next_is(NO_COLUMN):
        action.accept_any("COLUMN", "IF EXISTS")
        yield SchemaChange(ChangeKind.DROP_COLUMN, table, (action.name(),))


def _rename(table: str, action: Words) -> Iterator[SchemaChange]:
    if action.accept("TO") or action.accept("AS"):
        yield SchemaChange(ChangeKind.RENAME_TABLE, table, before=table, after=action.name())
    elif not action.next_is(NO_COLUMN):
        action.accept("COLUMN")
        old = action.name()
        action.accept("TO")
        yield SchemaChange(ChangeKind.RENAME_COLUMN, table, (old,), before=old, after=action.name())


def _add(table: str, action: Words) -> Iterator[SchemaChange]:
    gentle = action.has("NOT", "VALID") or action.has("USING", "INDEX")
    if action.accept("CONSTRAINT") and not action.next_is(CONSTRAINTS):
        action.name()
    if action.accept("UNIQUE"):
        yield SchemaChange(ChangeKind.ADD_UNIQUE, table, action.in_brackets(), gentle=gentle)
    elif action.accept("CHECK") or action.accept("EXCLUDE"):
        yield SchemaChange(ChangeKind.ADD_CHECK, table, gentle=gentle)
    elif action.accept("FOREIGN", "KEY"):
        yield SchemaChange(ChangeKind.ADD_FOREIGN_KEY, table, action.in_brackets(), gentle=gentle)
    elif action.accept("INDEX") or action.accept("KEY"):
        yield SchemaChange(ChangeKind.ADD_INDEX, table, action.in_brackets())
    elif not action.next_is(NO_COLUMN):
        action.accept_any("COLUMN", "IF NOT EXISTS")
        yield from _add_column(table, action.name(), action)


def _add_column(table: str, name: str, action: Words) -> Iterator[SchemaChange]:
    filled = any(action.has(word) for word in FILLED) and not action.has("DEFAULT", "NULL")
    null = not action.has("NOT", "NULL")
    yield SchemaChange(ChangeKind.ADD_COLUMN, table, (name,), after=action.type(), null=null, default=filled)
    if action.has("UNIQUE"):
        yield SchemaChange(ChangeKind.ADD_UNIQUE, table, (name,))
    if action.has("REFERENCES"):
        yield SchemaChange(ChangeKind.ADD_FOREIGN_KEY, table, (name,))


def _alter_column(table: str, name: str, action: Words) -> Iterator[SchemaChange]:
    for begin, kind in (
        (("SET", "NOT", "NULL"), ChangeKind.SET_NOT_NULL),
        (("DROP", "NOT", "NULL"), ChangeKind.DROP_NOT_NULL),
        (("SET", "DEFAULT"), ChangeKind.SET_DEFAULT),
        (("DROP", "DEFAULT"), ChangeKind.DROP_DEFAULT),
    ):
        if action.accept(*begin):
            yield SchemaChange(kind, table, (name,))
            return
    if action.accept("SET", "DATA", "TYPE") or action.accept("TYPE"):
        yield SchemaChange(ChangeKind.CHANGE_TYPE, table, (name,), after=action.type())


def _redefine(table: str, name: str, new: str, action: Words) -> Iterator[SchemaChange]:
    """MySQL gives a column a whole new definition."""
    if name.lower() != new.lower():
        yield SchemaChange(ChangeKind.RENAME_COLUMN, table, (name,), before=name, after=new)
    null = not action.has("NOT", "NULL")
    yield SchemaChange(ChangeKind.CHANGE_TYPE, table, (name,), after=action.type())
    yield SchemaChange(ChangeKind.DROP_NOT_NULL if null else ChangeKind.SET_NOT_NULL, table, (name,))


READERS = (
    (("DROP", "TABLE"), _drop_table),
    (("RENAME", "TABLE"), _rename_table),
    (("ALTER", "TABLE"), _alter_table),
    (("CREATE", "INDEX"), _create_index),
    (("CREATE", "UNIQUE", "INDEX"), _create_unique_index),
    (("REINDEX",), _rewrite),
    (("CLUSTER",), _rewrite),
    (("VACUUM",), _vacuum),
)
