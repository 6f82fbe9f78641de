"""Usage reports, what is counted of them, what is public of that, and what was erased."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, UniqueConstraint

from envfab.collector.db.schema.base import ID, metadata

reports = Table(
    "reports",
    metadata,
    Column("id", ID, primary_key=True),
    Column("program", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("user", Text),
    Column("size", Integer, nullable=False),
    # the hash of the secret of whoever may erase it; empty if its client sent none
    Column("proof", Text),
    UniqueConstraint("program", "file"),
    Index("reports_by_time", "program", "at"),
    Index("reports_by_arrival", "at"),
)
# The latest first: whether a user sent something since a time is known by the first entry.
Index("reports_by_user", reports.c.user, reports.c.program, reports.c.at.desc())

# How many reports of a day said `value` under `key`; the empty key counts them all.
usage_counts = Table(
    "usage_counts",
    metadata,
    Column("program", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("reports", Integer, nullable=False),
    PrimaryKeyConstraint("key", "day", "program", "value"),
    # What is summed over days lies together, and all that is asked of it is in the index.
    Index("usage_counts_by_value", "key", "value", "day", "program", "reports"),
)

# The sums of what programs count under a name, by the day on which their reports came.
counters = Table(
    "counters",
    metadata,
    Column("program", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    PrimaryKeyConstraint("program", "day", "name", "value"),
)

# Under which ids (SHA-256 of program and id) all reports were erased, on the proof of which secret's hash, and when.
erasures = Table(
    "erasures",
    metadata,
    Column("person", Text, nullable=False),
    Column("proof", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("person", "proof"),
)

# Files of erased reports that are still to be deleted.
erased_files = Table(
    "erased_files",
    metadata,
    Column("program", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("person", Text, nullable=False),
    PrimaryKeyConstraint("program", "file"),
)

# What is public of a program's week, by the day number of its Monday: JSON, see `publication`.
published_weeks = Table(
    "published_weeks",
    metadata,
    Column("program", Text, nullable=False),
    Column("week", Integer, nullable=False),
    Column("shown", Text, nullable=False),
    PrimaryKeyConstraint("program", "week"),
)
