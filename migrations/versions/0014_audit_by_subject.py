"""An index for what the audit log says about somebody: their own page, an export and an erasure ask for it."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX audit_by_subject ON audit (subject_id) WHERE subject_id IS NOT NULL")
