"""Waves of abuse: hosts by registrable domain, what is held as suspicious, sweeps with what they took, and which hosts
a group lets in.

`hosts.family` is the registrable domain. A row of `held` stands beside its row of `inbox`. `sweep_items.before` says
how something was before the sweep took it, as JSON of ids, times and words like `open`: never of what was written.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE hosts ADD COLUMN family TEXT;
CREATE INDEX hosts_by_family ON hosts (family, first_seen_at);

ALTER TABLE actors ADD COLUMN published_at BIGINT;
ALTER TABLE notifications ADD COLUMN more INTEGER NOT NULL DEFAULT 0;
ALTER TABLE host_policies ADD COLUMN obfuscate INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_by_host ON objects (host_id, id) WHERE host_id IS NOT NULL;

CREATE TABLE held (
  inbox_id BIGINT PRIMARY KEY,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  group_id BIGINT,
  object_uri TEXT,
  score INTEGER NOT NULL,
  reasons TEXT NOT NULL,
  held_at BIGINT NOT NULL,
  released_at BIGINT,
  released_by BIGINT
);
CREATE INDEX held_by_host ON held (host_id) WHERE released_at IS NULL;
CREATE INDEX held_by_actor ON held (actor_id);
CREATE INDEX held_by_group ON held (group_id, inbox_id) WHERE released_at IS NULL;
CREATE INDEX held_by_object ON held (object_uri) WHERE object_uri IS NOT NULL;

CREATE TABLE group_hosts (
  group_id BIGINT NOT NULL REFERENCES groups (actor_id),
  domain TEXT NOT NULL,
  access TEXT NOT NULL,
  created_by BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (group_id, domain)
);
ALTER TABLE groups ADD COLUMN hosts_access TEXT NOT NULL DEFAULT 'write';

CREATE TABLE sweeps (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  subject_id BIGINT NOT NULL,
  group_id BIGINT,
  cause TEXT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL,
  reason TEXT NOT NULL,
  rules_version INTEGER,
  rule_number INTEGER,
  report_id BIGINT,
  decided_by BIGINT,
  decided_as TEXT NOT NULL,
  state TEXT NOT NULL,
  step TEXT NOT NULL DEFAULT '',
  position BIGINT NOT NULL DEFAULT 0,
  total BIGINT NOT NULL DEFAULT 0,
  done BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  finished_at BIGINT,
  purge_at BIGINT,
  undone_by BIGINT,
  undo_reason TEXT NOT NULL DEFAULT '',
  certificate TEXT
);
CREATE INDEX sweeps_by_state ON sweeps (state, purge_at);
CREATE INDEX sweeps_by_subject ON sweeps (subject_id);

CREATE TABLE sweep_items (
  sweep_id BIGINT NOT NULL REFERENCES sweeps (id),
  place TEXT NOT NULL,
  subject_id BIGINT NOT NULL,
  other_id BIGINT NOT NULL DEFAULT 0,
  before TEXT NOT NULL,
  PRIMARY KEY (sweep_id, place, subject_id, other_id)
)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
