"""Alembic's environment: the URL and the engine come from `fedcomm.store.schema`, never from an ini
file."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
