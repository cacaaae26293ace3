"""Alembic runs the migrations over the connection that Store.migrate gives it."""

from alembic import context

from ffrtmp.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
context.run_migrations()
