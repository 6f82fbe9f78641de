"""Applications, what they have installed, and what changed between their registrations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from envfab.collector.db.schema.base import ID, metadata

applications = Table(
    "applications",
    metadata,
    Column("id", ID, primary_key=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("packages", Integer, nullable=False, default=0),
    Column("behind", Integer, nullable=False, default=0),
    # packages of which it is known whether something newer is offered; empty until that was worked out
    Column("compared", Integer),
    # known vulnerabilities of its packages, and packages whose version cannot be compared with them; empty where
    # nothing is
    Column("vulnerable", Integer),
    Column("unchecked", Integer),
    # what was deployed last, and what is the same for virtualenvs at the same path; empty where agents do not tell
    Column("digest", Text),
    Column("siblings", Text),
    # how many packages and files were changed since, the first at which time, and which (JSON, as it is registered)
    Column("drift_packages", Integer),
    Column("drift_files", Integer),
    Column("drift_since", BigInteger),
    Column("drift", Text),
)

installed = Table(
    "installed",
    metadata,
    Column("application_id", ForeignKey(applications.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("shown_as", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("newer_house", Text),
    Column("newer_index", Text),
    # the newest that wheelhouse and index offer for the application's Python; empty where they have none
    Column("latest_house", Text),
    Column("latest_index", Text),
    # whether the version could be compared with one of them; empty until that was worked out
    Column("compared", Boolean),
    PrimaryKeyConstraint("application_id", "name"),
    # All that pages ask of a package is in the index itself: SQLite would look up every row else.
    Index("installed_by_version", "name", "version", "newer_house", "newer_index", "shown_as", "compared"),
)

updates = Table(
    "updates",
    metadata,
    Column("id", ID, primary_key=True),
    Column("application_id", ForeignKey(applications.c.id), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("first", Boolean, nullable=False),
    Column("packages", Integer, nullable=False),
    Index("updates_by_application", "application_id", "at"),
    Index("updates_by_time", "at"),
)

changes = Table(
    "changes",
    metadata,
    Column("update_id", ForeignKey(updates.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("shown_as", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    PrimaryKeyConstraint("update_id", "name"),
)

# How many packages of an application were behind in a week, by the day number of its Monday.
behind_weeks = Table(
    "behind_weeks",
    metadata,
    Column("week", Integer, nullable=False),
    Column("application_id", ForeignKey(applications.c.id), nullable=False),
    Column("packages", Integer, nullable=False),
    Column("behind", Integer, nullable=False),
    Column("compared", Integer),
    PrimaryKeyConstraint("application_id", "week"),
)

# What a package index offers of a project (JSON, see `index`), and when to ask it again.
index_projects = Table(
    "index_projects",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("offers", Text, nullable=False),
)
