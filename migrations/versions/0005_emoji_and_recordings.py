"""Custom emoji, reactions with one, sound, video and documents, and what was purged and must not return."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE emoji (
  id BIGINT PRIMARY KEY,
  host_id BIGINT REFERENCES hosts (id),
  shortcode TEXT NOT NULL,
  category TEXT NOT NULL DEFAULT '',
  url TEXT,
  file TEXT UNIQUE,
  still TEXT UNIQUE,
  mime TEXT,
  bytes BIGINT NOT NULL DEFAULT 0,
  sha256 TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  fetch_at BIGINT,
  used_at BIGINT,
  disabled_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX emoji_once ON emoji ((COALESCE(host_id, 0)), shortcode);
CREATE INDEX emoji_due ON emoji (fetch_at) WHERE fetch_at IS NOT NULL;
CREATE INDEX emoji_by_use ON emoji (used_at) WHERE used_at IS NOT NULL;
CREATE INDEX emoji_by_content ON emoji (sha256) WHERE sha256 IS NOT NULL;

ALTER TABLE reactions ADD COLUMN emoji TEXT NOT NULL DEFAULT '';
ALTER TABLE reactions ADD COLUMN emoji_id BIGINT;
CREATE INDEX reactions_with_emoji ON reactions (object_id, emoji, emoji_id) WHERE emoji <> '';

ALTER TABLE media ADD COLUMN kind TEXT NOT NULL DEFAULT 'image';
ALTER TABLE media ADD COLUMN duration_ms BIGINT;
ALTER TABLE media ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE media ADD COLUMN sha256 TEXT;
ALTER TABLE media ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
CREATE INDEX media_by_content ON media (sha256) WHERE sha256 IS NOT NULL;

ALTER TABLE attachments ADD COLUMN duration_ms BIGINT;
ALTER TABLE attachments ADD COLUMN name TEXT NOT NULL DEFAULT '';

CREATE TABLE blocked_media (
  sha256 TEXT PRIMARY KEY,
  fingerprint TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  created_by BIGINT,
  created_at BIGINT NOT NULL
);
CREATE INDEX blocked_media_by_fingerprint ON blocked_media (fingerprint) WHERE fingerprint <> ''
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
