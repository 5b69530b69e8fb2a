"""What Alembic runs: the revisions over the connection that `router.storage.migrate` hands in."""

from alembic import context

from router.storage.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, transactional_ddl=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
