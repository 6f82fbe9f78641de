"""What was deployed, and what was changed since."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Lead from format 3 to format 4."""
    op.add_column("applications", sa.Column("digest", sa.Text))
    op.add_column("applications", sa.Column("siblings", sa.Text))
    op.add_column("applications", sa.Column("drift_packages", sa.Integer))
    op.add_column("applications", sa.Column("drift_files", sa.Integer))
    op.add_column("applications", sa.Column("drift_since", sa.BigInteger))
    op.add_column("applications", sa.Column("drift", sa.Text))
