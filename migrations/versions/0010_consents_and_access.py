"""What a consent covers, how far a withdrawal has come, and requests for access to one's data.

`consents.since`: what was said from then on may leave (Unix ms). `consents.position`: the last object that a withdrawal
has asked back, NULL when there is nothing to ask back (any more).
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE consents ADD COLUMN since BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE consents ADD COLUMN position BIGINT",
    "CREATE INDEX consents_at_work ON consents (member_id) WHERE position IS NOT NULL",
    """
    CREATE TABLE access_requests (
      id BIGINT PRIMARY KEY,
      kind TEXT NOT NULL,
      subject_id BIGINT NOT NULL,
      requested_by BIGINT,
      state TEXT NOT NULL,
      file TEXT NOT NULL DEFAULT '',
      size BIGINT NOT NULL DEFAULT 0,
      created_at BIGINT NOT NULL,
      finished_at BIGINT,
      expires_at BIGINT,
      fetched_at BIGINT
    )
    """,
    "CREATE INDEX access_requests_by_subject ON access_requests (subject_id)",
    "CREATE INDEX access_requests_open ON access_requests (id) WHERE state <> 'gone'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
