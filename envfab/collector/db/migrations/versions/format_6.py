"""Rollouts, their virtualenvs, and what these have; indexes for a million usage reports, and for late findings."""

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Lead from format 5 to format 6."""
    op.create_table(
        "rollouts",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("rollout", sa.Text, nullable=False, unique=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("heard_at", sa.BigInteger, nullable=False),
        sa.Column("slice", sa.Text),
        sa.Column("log", sa.Text),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("out_of_service", sa.Text, nullable=False),
        sa.Column("virtualenvs", sa.Integer, nullable=False),
        sa.Column("statuses", sa.Text, nullable=False),
        sa.Column("packages", sa.Integer, nullable=False),
        sa.Column("main_changes", sa.Text, nullable=False),
    )
    op.create_index("rollouts_by_time", "rollouts", ["began", "id"])
    op.create_table(
        "change_sets",
        sa.Column("rollout_id", _Id, sa.ForeignKey("rollouts.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "number"),
    )
    op.create_table(
        "rollout_changes",
        sa.Column("rollout_id", _Id, sa.ForeignKey("rollouts.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("shown_as", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("virtualenvs", sa.Integer, nullable=False),
        sa.Column("deployed", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "position"),
    )
    op.create_index("rollout_changes_by_package", "rollout_changes", ["name", "rollout_id"])
    op.create_table(
        "package_sets",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("packages", sa.Text, nullable=False),
        sa.Column("many", sa.Integer, nullable=False),
    )
    op.create_table(
        "virtualenvs",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("rollout_id", _Id, sa.ForeignKey("rollouts.id"), nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("known_at", sa.BigInteger),
        sa.Column("interpreter", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("package_set_id", _Id, sa.ForeignKey("package_sets.id")),
        sa.Column("drift_packages", sa.BigInteger),
        sa.Column("drift_files", sa.BigInteger),
        sa.Column("drift_since", sa.BigInteger),
    )
    op.create_index("ix_virtualenvs_host", "virtualenvs", ["host"])
    op.create_index("ix_virtualenvs_rollout_id", "virtualenvs", ["rollout_id"])
    op.create_index("ix_virtualenvs_package_set_id", "virtualenvs", ["package_set_id"])
    op.create_table(
        "rollout_virtualenvs",
        sa.Column("rollout_id", _Id, sa.ForeignKey("rollouts.id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("virtualenv_id", _Id, sa.ForeignKey("virtualenvs.id"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text),
        sa.Column("set_number", sa.Integer),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("interpreter", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("drift_packages", sa.BigInteger),
        sa.Column("drift_files", sa.BigInteger),
        sa.Column("drift_since", sa.BigInteger),
        sa.Column("migrated", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.PrimaryKeyConstraint("rollout_id", "position"),
    )
    op.create_index("rollout_virtualenvs_by_virtualenv", "rollout_virtualenvs", ["virtualenv_id", "rollout_id"])
    op.drop_index("reports_by_user", "reports")
    op.create_index("reports_by_user", "reports", ["user", "program", sa.text("at DESC")])
    op.create_index("reports_by_arrival", "reports", ["at"])
    op.create_index("usage_counts_by_value", "usage_counts", ["key", "value", "day", "program", "reports"])
    op.create_index("findings_by_time", "findings", ["first_seen", "id"])
