"""Weeks, what is newer in a package index, and keys in an order that makes pages quick.

The index of reports is made anew: the work in the background fills it out of their files.
"""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Lead from format 1 to format 2."""
    op.drop_table("reports")
    op.drop_table("usage_counts")
    op.create_table(
        "reports",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("date", sa.BigInteger, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("size", sa.Integer, nullable=False),
        sa.UniqueConstraint("program", "file"),
    )
    op.create_index("reports_by_time", "reports", ["program", "at"])
    op.create_table(
        "usage_counts",
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", "day", "program", "value"),
    )
    op.create_table(
        "behind_weeks",
        sa.Column("week", sa.Integer, nullable=False),
        sa.Column("application_id", _Id, sa.ForeignKey("applications.id"), nullable=False),
        sa.Column("packages", sa.Integer, nullable=False),
        sa.Column("behind", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("application_id", "week"),
    )
    op.create_table(
        "index_projects",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("offers", sa.Text, nullable=False),
    )
    op.add_column("installed", sa.Column("newer_index", sa.Text))
    op.drop_index("installed_by_name", "installed")
    columns = ["name", "version", "newer_house", "newer_index", "shown_as"]
    op.create_index("installed_by_version", "installed", columns)
