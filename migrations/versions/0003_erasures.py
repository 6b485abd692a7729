"""Cases of erasure with their certificates, what must not come back, legal holds and consents."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE erasures (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  subject_id BIGINT NOT NULL,
  requested_by BIGINT,
  own INTEGER NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL,
  position BIGINT NOT NULL DEFAULT 0,
  objects BIGINT NOT NULL DEFAULT 0,
  media BIGINT NOT NULL DEFAULT 0,
  rows_gone BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  erased_at BIGINT,
  scrubbed_at BIGINT,
  finished_at BIGINT,
  certificate TEXT
);
CREATE INDEX erasures_by_subject ON erasures (subject_id);
CREATE INDEX erasures_open ON erasures (id) WHERE finished_at IS NULL;

CREATE TABLE erasure_recipients (
  case_id BIGINT NOT NULL REFERENCES erasures (id),
  host_id BIGINT NOT NULL REFERENCES hosts (id),
  copies BIGINT NOT NULL DEFAULT 0,
  first_at BIGINT NOT NULL,
  how INTEGER NOT NULL,
  told_at BIGINT,
  answered_at BIGINT,
  status INTEGER,
  PRIMARY KEY (case_id, host_id)
);

CREATE TABLE erased (
  pseudonym TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  erased_at BIGINT NOT NULL
);

CREATE TABLE holds (
  id BIGINT PRIMARY KEY,
  kind TEXT NOT NULL,
  subject_id BIGINT NOT NULL,
  reason TEXT NOT NULL,
  created_by BIGINT,
  created_at BIGINT NOT NULL,
  ended_at BIGINT
);
CREATE INDEX holds_by_subject ON holds (subject_id) WHERE ended_at IS NULL;

CREATE TABLE consents (
  member_id BIGINT NOT NULL REFERENCES actors (id),
  spoke TEXT NOT NULL,
  version INTEGER NOT NULL,
  granted INTEGER NOT NULL,
  decided_at BIGINT NOT NULL,
  PRIMARY KEY (member_id, spoke, version)
)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
