"""A member's lists of people and groups, each with a page of its own; nobody else sees them."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE lists (
  id BIGINT PRIMARY KEY,
  member_id BIGINT NOT NULL REFERENCES actors (id),
  title TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX lists_by_member ON lists (member_id, title);

CREATE TABLE list_entries (
  list_id BIGINT NOT NULL REFERENCES lists (id),
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  member_id BIGINT NOT NULL REFERENCES actors (id),
  PRIMARY KEY (list_id, actor_id)
);
CREATE INDEX list_entries_by_actor ON list_entries (actor_id);
CREATE INDEX list_entries_by_member ON list_entries (member_id, actor_id)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
