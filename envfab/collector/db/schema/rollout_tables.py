"""Rollouts, their virtualenvs, and what these have."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from envfab.collector.db.schema.base import ID, metadata

# Rollouts, as the latest document tells of each (`models.rollout_document`): `heard_at` is when that, or the same once
# more, came. `approved_by`, `out_of_service`, `statuses` (how many virtualenvs have each) and `main_changes` are JSON;
# `packages` counts the packages that are changed.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("id", ID, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("packages", Text, nullable=False),
    Column("many", Integer, nullable=False),
)

# All virtualenvs of rollouts (`key` is the SHA-256 of host, owner and path), and what each has, as was last told at
# `known_at`, which is empty if it is not known. `status` is that in the latest rollout, which began at `began`.
virtualenvs = Table(
    "virtualenvs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False, index=True),
    Column("owner", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("uuid", Text, nullable=False, index=True),
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
