"""The tables, and the number of their format.

Times are milliseconds since 1970, days are days since then, names of packages are canonical. The same
tables serve SQLite and PostgreSQL.
"""

from __future__ import annotations

from envfab.collector.db.schema.application_tables import (
    applications,
    behind_weeks,
    changes,
    index_projects,
    installed,
    updates,
)
from envfab.collector.db.schema.base import metadata
from envfab.collector.db.schema.finding_tables import (
    event_deliveries,
    finding_events,
    findings,
    vulnerabilities,
    vulnerability_names,
)
from envfab.collector.db.schema.format_tables import formats, revisions
from envfab.collector.db.schema.rollout_tables import (
    change_sets,
    package_sets,
    rollout_changes,
    rollout_virtualenvs,
    rollouts,
    virtualenvs,
)
from envfab.collector.db.schema.session_tables import sessions
from envfab.collector.db.schema.usage_tables import (
    counters,
    erased_files,
    erasures,
    published_weeks,
    reports,
    usage_counts,
)

# A change of a table takes the next number, and a revision in `migrations/versions` that leads to it.
FORMAT = 7

__all__ = [
    "FORMAT",
    "applications",
    "behind_weeks",
    "change_sets",
    "changes",
    "counters",
    "erased_files",
    "erasures",
    "event_deliveries",
    "finding_events",
    "findings",
    "formats",
    "index_projects",
    "installed",
    "metadata",
    "package_sets",
    "published_weeks",
    "reports",
    "revisions",
    "rollout_changes",
    "rollout_virtualenvs",
    "rollouts",
    "sessions",
    "updates",
    "usage_counts",
    "virtualenvs",
    "vulnerabilities",
    "vulnerability_names",
]
