"""Events with who comes, links of profiles that were checked, closed groups, and sessions for an appeal only."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE events (
  object_id BIGINT PRIMARY KEY REFERENCES objects (id),
  starts_at BIGINT NOT NULL,
  ends_at BIGINT,
  zone TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  attendance TEXT NOT NULL DEFAULT '',
  joining TEXT NOT NULL,
  join_url TEXT,
  place TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  online_url TEXT,
  capacity INTEGER,
  going_count BIGINT NOT NULL DEFAULT 0,
  version INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX events_by_start ON events (starts_at, object_id);

CREATE TABLE participations (
  object_id BIGINT NOT NULL REFERENCES events (object_id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  state TEXT NOT NULL,
  uri TEXT,
  activity_id BIGINT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT,
  PRIMARY KEY (object_id, actor_id)
);
CREATE INDEX participations_by_object ON participations (object_id, state, actor_id);
CREATE INDEX participations_by_actor ON participations (actor_id, object_id);

ALTER TABLE profile_fields ADD COLUMN verified_at BIGINT;
ALTER TABLE profile_fields ADD COLUMN check_at BIGINT;
CREATE INDEX profile_fields_to_check ON profile_fields (check_at) WHERE check_at IS NOT NULL;

ALTER TABLE groups ADD COLUMN closed_at BIGINT;
ALTER TABLE groups ADD COLUMN closed_by BIGINT;
ALTER TABLE groups ADD COLUMN closing_reason TEXT NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN purpose TEXT NOT NULL DEFAULT 'everything'
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
