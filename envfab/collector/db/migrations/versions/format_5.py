"""What usage reports count, what was erased, and what was published."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Lead from format 4 to format 5."""
    op.add_column("reports", sa.Column("proof", sa.Text))
    op.create_index("reports_by_user", "reports", ["user", "program"])
    op.create_table(
        "counters",
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("program", "day", "name", "value"),
    )
    op.create_table(
        "erasures",
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person", "proof"),
    )
    op.create_table(
        "erased_files",
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("program", "file"),
    )
    op.create_table(
        "published_weeks",
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("week", sa.Integer, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("program", "week"),
    )
