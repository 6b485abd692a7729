"""Drafts with what they reserve for being sent just as they were previewed, and the canary's cycles."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE drafts (
  id BIGINT PRIMARY KEY,
  member_id BIGINT NOT NULL REFERENCES actors (id),
  kind TEXT NOT NULL,
  group_id BIGINT,
  parent_id BIGINT,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  object_id BIGINT,
  reserved_at BIGINT,
  numbers TEXT,
  fingerprint TEXT
);
CREATE INDEX drafts_by_member ON drafts (member_id, updated_at);
CREATE INDEX drafts_by_age ON drafts (updated_at);

CREATE TABLE draft_media (
  draft_id BIGINT NOT NULL REFERENCES drafts (id),
  media_id BIGINT NOT NULL,
  PRIMARY KEY (draft_id, media_id)
);
CREATE INDEX draft_media_by_media ON draft_media (media_id);

CREATE TABLE reservations (
  object_id BIGINT PRIMARY KEY,
  reserved_at BIGINT NOT NULL,
  numbers TEXT NOT NULL
);
CREATE INDEX reservations_by_age ON reservations (reserved_at);

CREATE TABLE canary_cycles (
  id BIGINT PRIMARY KEY,
  state TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  followed_at BIGINT,
  arrived_at BIGINT,
  duration_ms BIGINT,
  error TEXT NOT NULL DEFAULT ''
)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
