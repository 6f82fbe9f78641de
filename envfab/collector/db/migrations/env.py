"""What Alembic runs: the revisions, on the connection and in the transaction that it was given."""

from alembic import context

from envfab.collector.db.schema import metadata, revisions

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=revisions.name
)
context.run_migrations()
