"""Counters, erasures and published weeks; what is not known; findings with their events; who is signed in."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


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
    op.create_table(
        "vulnerabilities",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.create_table(
        "vulnerability_names",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("vulnerability_id", _Id, sa.ForeignKey("vulnerabilities.id"), nullable=False),
    )
    op.create_index("ix_vulnerability_names_vulnerability_id", "vulnerability_names", ["vulnerability_id"])
    op.create_table(
        "findings",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("vulnerability_id", _Id, sa.ForeignKey("vulnerabilities.id"), nullable=False),
        sa.Column("application_id", _Id, sa.ForeignKey("applications.id", ondelete="CASCADE"), nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("fixed", sa.Text, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("event_id", sa.BigInteger),
    )
    op.create_index("findings_by_application", "findings", ["application_id", "ended_at"])
    op.create_index("findings_by_vulnerability", "findings", ["vulnerability_id", "ended_at"])
    op.create_index("findings_by_package", "findings", ["package", "ended_at"])
    op.create_index("findings_by_event", "findings", ["event_id"])
    op.create_table(
        "finding_events",
        sa.Column("id", _Id, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event_deliveries",
        sa.Column("event_id", _Id, sa.ForeignKey("finding_events.id"), nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("event_id", "receiver"),
    )
    op.create_table(
        "sessions",
        sa.Column("cookie", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
    )
    op.add_column("installed", sa.Column("latest_house", sa.Text))
    op.add_column("installed", sa.Column("latest_index", sa.Text))
    op.add_column("installed", sa.Column("compared", sa.Boolean))
    op.add_column("applications", sa.Column("compared", sa.Integer))
    op.add_column("applications", sa.Column("unchecked", sa.Integer))
    op.add_column("behind_weeks", sa.Column("compared", sa.Integer))
    op.drop_index("installed_by_version", "installed")
    columns = ["name", "version", "newer_house", "newer_index", "shown_as", "compared"]
    op.create_index("installed_by_version", "installed", columns)
