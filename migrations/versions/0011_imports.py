"""What members bring from elsewhere: each import, lines of lists that are still to be done, and the posts that came.

`imports.file` is the archive while it is read, empty afterwards. `imported_objects.uri` is the id that a post had
where it comes from, `parent_uri` what it answered there.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE imports (
  id BIGINT PRIMARY KEY,
  member_id BIGINT NOT NULL REFERENCES actors (id),
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  file TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',
  position BIGINT NOT NULL DEFAULT 0,
  total BIGINT NOT NULL DEFAULT 0,
  made BIGINT NOT NULL DEFAULT 0,
  skipped BIGINT NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  finished_at BIGINT
);
CREATE INDEX imports_by_member ON imports (member_id, id);
CREATE INDEX imports_open ON imports (id) WHERE finished_at IS NULL;

CREATE TABLE import_lines (
  import_id BIGINT NOT NULL,
  position BIGINT NOT NULL,
  member_id BIGINT NOT NULL REFERENCES actors (id),
  address TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL,
  PRIMARY KEY (import_id, position)
);
CREATE INDEX import_lines_by_member ON import_lines (member_id);

CREATE TABLE imported_objects (
  object_id BIGINT PRIMARY KEY REFERENCES objects (id),
  import_id BIGINT NOT NULL,
  member_id BIGINT NOT NULL REFERENCES actors (id),
  uri TEXT NOT NULL,
  parent_uri TEXT
);
CREATE UNIQUE INDEX imported_objects_once ON imported_objects (member_id, uri);
CREATE INDEX imported_objects_by_import ON imported_objects (import_id, object_id)
"""


def upgrade() -> None:
    statements = STATEMENTS
    if op.get_bind().dialect.name == "sqlite":
        # With this word, and only with it, the key is the row's own address: no second index.
        statements = statements.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
    for statement in statements.split(";\n"):
        op.execute(statement.strip())
