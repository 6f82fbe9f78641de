"""How many known vulnerabilities an application has."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Lead from format 2 to format 3."""
    op.add_column("applications", sa.Column("vulnerable", sa.Integer))
