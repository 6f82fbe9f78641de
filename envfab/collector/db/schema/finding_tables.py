"""Known vulnerabilities, the findings of applications, and the events that tell of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from envfab.collector.db.schema.application_tables import applications
from envfab.collector.db.schema.base import ID, metadata

# Vulnerabilities that were seen in any application, as the last export that had them tells. `name` is what pages call
# them, `rank` orders by severity, the worst highest.
vulnerabilities = Table(
    "vulnerabilities",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("id", ID, primary_key=True),
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
    Column("id", ID, primary_key=True),
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
