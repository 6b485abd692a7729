"""Indexes for measures against people: suspensions that end by themselves, and who is restricted in a group."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE INDEX statements_that_end ON statements (expires_at)
  WHERE action = 'suspend' AND ended_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX statements_restricting ON statements (group_id, id)
  WHERE action = 'restrict' AND ended_at IS NULL
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement.strip())
