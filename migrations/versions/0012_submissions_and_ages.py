"""Forms that are sent twice, and indexes for what is tidied up every hour.

`submissions.digest` is the SHA-256 of a form's own random number and its words: the same form with the same words is
answered with what it made the first time.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE submissions (
  digest TEXT PRIMARY KEY,
  object_id BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX submissions_by_age ON submissions (created_at);

CREATE INDEX received_activities_by_age ON received_activities (created_at);
CREATE INDEX activities_with_body ON activities (id) WHERE body IS NOT NULL;
CREATE INDEX held_released ON held (released_at) WHERE released_at IS NOT NULL;
CREATE INDEX backfill_days_by_day ON backfill_days (day);
CREATE INDEX hosts_dead ON hosts (probed_at) WHERE dead_at IS NOT NULL
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement.strip())
