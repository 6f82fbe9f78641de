"""Types of columns, as databases write them: which changes older code does not feel, and which rewrite a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

SAME = {
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "decimal": "numeric",
    "character varying": "varchar",
    "character": "char",
    "float8": "double precision",
    "float4": "real",
    "longtext": "text",
}
WHOLE = {"smallint": 2, "mediumint": 3, "integer": 4, "bigint": 8}
REAL = {"real": 4, "double precision": 8}
TEXT = frozenset({"varchar", "char", "varchar2", "nvarchar2", "nvarchar"})
# (the type before, the type after) if PostgreSQL need not look at rows, where the new one has room
KEPT = frozenset({("varchar", "varchar"), ("varchar", "text"), ("numeric", "numeric")})
FORM = re.compile(r"([a-z0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*( unsigned)?")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type in parts: `varchar`, and its length; `numeric`, and its digits before and behind the point."""

    base: str
    first: int | None = None
    second: int = 0
    unsigned: bool = False


def parse(text: str) -> ColumnType:
    """Read a type; one of another form is a base that equals only itself."""
    said = " ".join(text.lower().split())
    match = FORM.fullmatch(said)
    if match is None:
        return ColumnType(said)
    base, first, second, unsigned = match.groups()
    return ColumnType(SAME.get(base, base), int(first) if first else None, int(second or 0), bool(unsigned))


def is_wider(old: str, new: str) -> bool:
    """Whether a column of the type `new` takes, and returns unchanged, all that one of the type `old` does."""
    before, after = parse(old), parse(new)
    if before == after:
        return True
    if before.unsigned and not after.unsigned:
        return before.base in WHOLE and WHOLE[before.base] < WHOLE.get(after.base, 0)
    if before.unsigned != after.unsigned:
        return False
    for sizes in (WHOLE, REAL):
        if before.base in sizes:
            return sizes[before.base] <= sizes.get(after.base, 0)
    return _has_room(before, after)


def _has_room(before: ColumnType, after: ColumnType) -> bool:
    """The same for texts and for numbers with a point; a length that is not given is no limit."""
    if before.base in TEXT and after.base == "text":
        return True
    if before.base != after.base:
        return False
    if after.first is None:
        return before.base in TEXT or before.base == "numeric"
    if before.first is None:
        return False
    if before.base == "numeric":
        return after.second >= before.second and after.first - after.second >= before.first - before.second
    return before.base in TEXT and after.first >= before.first


def rewrites(old: str, new: str) -> bool:
    """Whether PostgreSQL writes all rows anew, or reads all of them, to change the type of a column."""
    before, after = parse(old), parse(new)
    kept = (before.base, after.base) in KEPT and before.second == after.second
    return before != after and not (kept and is_wider(old, new))
