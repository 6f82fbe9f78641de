"""The UUIDs that virtualenvs of rollouts register with."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Lead from format 6 to format 7."""
    op.add_column("virtualenvs", sa.Column("uuid", sa.Text, nullable=False, server_default=""))
    table = sa.table("virtualenvs", *(sa.column(name) for name in ("id", "host", "owner", "path", "uuid")))
    connection = op.get_bind()
    for one in connection.execute(sa.select(table)).all():
        registered = uuid.uuid5(uuid.NAMESPACE_URL, f"envfab:{one.owner}@{one.host}:{one.path}")
        connection.execute(table.update().where(table.c.id == one.id).values(uuid=str(registered)))
    op.create_index("ix_virtualenvs_uuid", "virtualenvs", ["uuid"])
