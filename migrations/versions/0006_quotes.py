"""Quotes (FEP-044f): who quotes what, with whose consent; and what authors allow to be done with their posts.

`objects.quote_policy`, `reply_policy` and `like_policy` are words with blanks between them, the widest that
holds counts: everyone, ask, followers, following, nobody. NULL: nothing was said. A row of `quotes` is one
post that quotes one post. Where one of the two is not known here its id elsewhere stands in a `_uri` column.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE objects ADD COLUMN quote_policy TEXT;
ALTER TABLE objects ADD COLUMN reply_policy TEXT;
ALTER TABLE objects ADD COLUMN like_policy TEXT;
ALTER TABLE members ADD COLUMN quote_policy TEXT NOT NULL DEFAULT 'everyone';

CREATE TABLE quotes (
  id BIGINT PRIMARY KEY,
  object_id BIGINT UNIQUE REFERENCES objects (id),
  object_uri TEXT,
  actor_id BIGINT NOT NULL REFERENCES actors (id),
  quoted_id BIGINT REFERENCES objects (id),
  quoted_uri TEXT,
  state TEXT NOT NULL,
  request_uri TEXT,
  stamp_uri TEXT,
  created_at BIGINT NOT NULL,
  decided_at BIGINT
);
CREATE INDEX quotes_by_quoted ON quotes (quoted_id, state, id) WHERE quoted_id IS NOT NULL;
CREATE INDEX quotes_by_quoted_uri ON quotes (quoted_uri) WHERE quoted_uri IS NOT NULL;
CREATE INDEX quotes_by_stamp ON quotes (stamp_uri) WHERE stamp_uri IS NOT NULL;
CREATE INDEX quotes_by_actor ON quotes (actor_id)
"""


def upgrade() -> None:
    script = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        script = script.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in script.split(";\n"):
        op.execute(statement.strip())
