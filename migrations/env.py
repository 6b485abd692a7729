"""Alembic's environment: the URL and the engine come from `fedcomm.store.schema`, never from an ini file.

All revisions that are missing are one transaction: what fails midway leaves the schema of the release before, which
can go on serving.
"""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
told = context.config.attributes["told"]
context.configure(
    connection=connection,
    transactional_ddl=True,
    transaction_per_migration=False,
    on_version_apply=lambda step, **_: told(step.up_revision_id, step.up_revision.doc),
)
with context.begin_transaction():
    context.run_migrations()
