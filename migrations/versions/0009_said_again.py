"""Activities that are said again: what an id was last used for.

Some servers make the id of a like or an edit of what it is about, so that the next one has the same id.
`inbox.digest` is the SHA-256 of the body, by which other words under an id are told from a repeat.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = ("ALTER TABLE inbox ADD COLUMN digest TEXT",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
