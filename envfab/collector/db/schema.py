"""The tables, and the number of their format.

Times are milliseconds since 1970, days are days since then, names of packages are canonical. The same
tables serve SQLite and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# A change of a table takes the next number, and a revision in `migrations/versions` that leads to it.
FORMAT = 6

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER PRIMARY KEY by itself

formats = Table("envfab_format", metadata, Column("format", Integer, nullable=False))
# Alembic's own table, as it makes it; under a name that no other program's Alembic uses in the same database.
revisions = Table(
    "envfab_revision",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="envfab_revision_pkc"),
)

applications = Table(
    "applications",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Column("id", _Id, primary_key=True),
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

reports = Table(
    "reports",
    metadata,
    Column("id", _Id, primary_key=True),
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
    Index("reports_by_user", "user", "program", "at"),
    Index("reports_by_arrival", "at"),
)

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

# Vulnerabilities that were seen in any application, as the last export that had them tells. `name` is what pages call
# them, `rank` orders by severity, the worst highest.
vulnerabilities = Table(
    "vulnerabilities",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("severity", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("score", Float),
    Column("summary", Text, nullable=False),
)

# All names that a vulnerability was ever called by, in lower case, and as they are written.
vulnerability_names = Table(
    "vulnerability_names",
    metadata,
    Column("key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("vulnerability_id", ForeignKey(vulnerabilities.c.id), nullable=False, index=True),
)

# A vulnerability of a package of an application, from when to when it was seen here: `ended_at` is empty as long as it
# is there. `version` is the first that had it, `fixed` a JSON list. `event_id` is the event that told of it.
findings = Table(
    "findings",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("vulnerability_id", ForeignKey(vulnerabilities.c.id), nullable=False),
    Column("application_id", ForeignKey(applications.c.id, ondelete="CASCADE"), nullable=False),
    Column("package", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("fixed", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("event_id", BigInteger),
    Index("findings_by_application", "application_id", "ended_at"),
    Index("findings_by_vulnerability", "vulnerability_id", "ended_at"),
    Index("findings_by_package", "package", "ended_at"),
    Index("findings_by_event", "event_id"),
    Index("findings_by_time", "first_seen", "id"),
)

# Events of new findings, and when each receiver is to get them; `sent_at` is empty until it has.
finding_events = Table(
    "finding_events",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("message", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

event_deliveries = Table(
    "event_deliveries",
    metadata,
    Column("event_id", ForeignKey(finding_events.c.id), nullable=False),
    Column("receiver", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sent_at", BigInteger),
    PrimaryKeyConstraint("event_id", "receiver"),
)

# Browsers that are signed in: the SHA-256 of the cookie, and of the token that they signed in with.
sessions = Table(
    "sessions",
    metadata,
    Column("cookie", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
)

# Rollouts, as the latest document tells of each (`models.rollout_document`): `heard_at` is when that, or the same once
# more, came. `approved_by`, `out_of_service`, `statuses` (how many virtualenvs have each) and `main_changes` are JSON;
# `packages` counts the packages that are changed.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("rollout", Text, nullable=False, unique=True),
    Column("number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("heard_at", BigInteger, nullable=False),
    Column("slice", Text),
    Column("log", Text),
    Column("approved_by", Text, nullable=False),
    Column("out_of_service", Text, nullable=False),
    Column("virtualenvs", Integer, nullable=False),
    Column("statuses", Text, nullable=False),
    Column("packages", Integer, nullable=False),
    Column("main_changes", Text, nullable=False),
    Index("rollouts_by_time", "began", "id"),
)

# The changes of a rollout's virtualenvs, once for all that have the same: JSON, `[[action, name, before, after]]`.
change_sets = Table(
    "change_sets",
    metadata,
    Column("rollout_id", ForeignKey(rollouts.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("changes", Text, nullable=False),
    PrimaryKeyConstraint("rollout_id", "number"),
)

# The same by package: of how many virtualenvs it is planned or was done, and to how many of them it was deployed.
rollout_changes = Table(
    "rollout_changes",
    metadata,
    Column("rollout_id", ForeignKey(rollouts.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("shown_as", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("virtualenvs", Integer, nullable=False),
    Column("deployed", Integer, nullable=False),
    PrimaryKeyConstraint("rollout_id", "position"),
    Index("rollout_changes_by_package", "name", "rollout_id"),
)

# What virtualenvs have, once for all that have the same, by the SHA-256 of the JSON object of names and versions.
package_sets = Table(
    "package_sets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("packages", Text, nullable=False),
    Column("many", Integer, nullable=False),
)

# All virtualenvs of rollouts (`key` is the SHA-256 of host, owner and path), and what each has, as was last told at
# `known_at`, which is empty if it is not known. `status` is that in the latest rollout, which began at `began`.
virtualenvs = Table(
    "virtualenvs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False, index=True),
    Column("owner", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("rollout_id", ForeignKey(rollouts.c.id), nullable=False, index=True),
    Column("began", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("known_at", BigInteger),
    Column("interpreter", Text),
    Column("digest", Text),
    Column("package_set_id", ForeignKey(package_sets.c.id), index=True),
    Column("drift_packages", BigInteger),
    Column("drift_files", BigInteger),
    Column("drift_since", BigInteger),
)

# The virtualenvs of each rollout: `set_number` is that of their changes, empty for none; `migrated` is a JSON list.
rollout_virtualenvs = Table(
    "rollout_virtualenvs",
    metadata,
    Column("rollout_id", ForeignKey(rollouts.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("virtualenv_id", ForeignKey(virtualenvs.c.id), nullable=False),
    Column("status", Text, nullable=False),
    Column("deployment", Text),
    Column("set_number", Integer),
    Column("changes", Integer, nullable=False),
    Column("interpreter", Text),
    Column("digest", Text),
    Column("drift_packages", BigInteger),
    Column("drift_files", BigInteger),
    Column("drift_since", BigInteger),
    Column("migrated", Text),
    Column("message", Text, nullable=False),
    Column("seconds", Float),
    PrimaryKeyConstraint("rollout_id", "position"),
    Index("rollout_virtualenvs_by_virtualenv", "virtualenv_id", "rollout_id"),
)
