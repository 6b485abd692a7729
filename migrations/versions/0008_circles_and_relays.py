"""Private groups with members on other servers, words in private groups elsewhere, and relays."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE group_askers (
  group_id BIGINT NOT NULL REFERENCES groups (actor_id),
  domain TEXT NOT NULL,
  PRIMARY KEY (group_id, domain)
);

ALTER TABLE objects ADD COLUMN community_id BIGINT;
CREATE INDEX objects_by_community ON objects (community_id, id) WHERE community_id IS NOT NULL;

ALTER TABLE groups ADD COLUMN relayed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN unrelayed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE relays (
  id BIGINT PRIMARY KEY,
  style TEXT NOT NULL,
  address TEXT NOT NULL UNIQUE,
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  actor_id BIGINT REFERENCES actors (id),
  state TEXT NOT NULL,
  follow_id BIGINT,
  follow_uri TEXT,
  created_by BIGINT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT
);
CREATE UNIQUE INDEX relays_by_actor ON relays (actor_id) WHERE actor_id IS NOT NULL;

CREATE TABLE relayed_objects (
  object_id BIGINT PRIMARY KEY REFERENCES objects (id),
  relay_id BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX relayed_objects_by_age ON relayed_objects (created_at, object_id);
CREATE INDEX relayed_objects_by_relay ON relayed_objects (relay_id, created_at)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
