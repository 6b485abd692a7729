"""Queues are empty whenever somebody counts their rows: PostgreSQL is not to plan by that.

Its statistics of a table that was empty say that nothing is ever found in it, so that every plan seems as good as any
other: a delivery was looked for through all that waited. Without statistics it guesses, and by the right indexes.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

QUEUES = ("deliveries", "inbox", "backfill")

NEVER = 2_147_483_647


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in QUEUES:
        op.execute(f"ALTER TABLE {table} SET (autovacuum_analyze_threshold = {NEVER})")
