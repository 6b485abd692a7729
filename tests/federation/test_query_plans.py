"""What is tidied up every hour, and what is asked every second, goes by an index however much there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedcomm.config import Config
from fedcomm.federation import health, housekeeping, lanes
from fedcomm.hub import submissions
from fedcomm.store.database import Database
from fedcomm.store.ids import new_id
from tests.databases import hub_config
from tests.hub.test_query_plans import WALKS, Recorder, Statement, plan_of, tables_of

SMALL = frozenset({"settings", "cursors", "outbox_failures"})

FIGURES = ("SELECT count(*) - (SELECT count(*) FROM settings", "SELECT DISTINCT lease_owner")
"""Asked at a look at the figures, or once at a start."""


class Recording(Recorder):
    """A recorder for the queues as well."""

    def queue_transaction(self):  # type: ignore[no-untyped-def]
        return self.transaction()


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Config:
    return hub_config(database_url, tmp_path)


async def test_no_statement_of_the_housekeeping_walks_through_a_growing_table(
    db: Database, config: Config
) -> None:
    seen: dict[str, Statement] = {}
    recorder = Recording(db, seen)
    await housekeeping.tidy(config, recorder)  # type: ignore[arg-type]
    await health.ages(recorder)  # type: ignore[arg-type]
    await health.totals(recorder)  # type: ignore[arg-type]
    for queue in ("inbox", "delivery", "backfill"):
        await lanes.due(recorder, queue)  # type: ignore[arg-type]
        await lanes.claim(recorder, queue, limit=5, lease_ms=1)  # type: ignore[arg-type]
        await lanes.after_step(recorder, queue, lease_ms=1)  # type: ignore[arg-type]
        await lanes.drop(recorder, queue, [1])  # type: ignore[arg-type]
    async with recorder.transaction() as tx:
        digest = submissions.digest_of(submissions.new_token(), 1, ["words"])
        await submissions.earlier(tx, digest)
        await submissions.note(tx, digest, new_id())
        await submissions.tidy(tx)
    assert len(seen) > 20
    walked = []
    for statement in seen.values():
        if statement.sql.startswith(FIGURES):
            continue
        tables = tables_of(statement.sql)
        for line in await plan_of(db, statement):
            match = WALKS[db.dialect].search(line)
            if match is not None and tables.get(match.group(1)) not in (None, *SMALL):
                walked.append(f"{line}: {statement.sql}")
    assert not walked, "\n\n".join(walked)
