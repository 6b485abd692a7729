"""A migration that takes its time and then fails, while the release before serves: it serves on, and loses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy.exc

from fedcomm.store import snapshots
from fedcomm.store.schema import HEAD, schema_state
from tests.databases import migrate_apart
from tests.federation.acts import follower, host_of
from tests.federation.inprocess import ScriptedStubs, local_hub
from tests.reliability.test_failures import FULL, answer_of, goes_on, servers, write
from tests.store.test_schema import AFTER_NEXT, NEXT, add_revision, history

__all__ = ["history", "servers"]

ROWS = 400_000
"""What the migration writes before it fails: about a second."""


async def test_inv_48_the_release_before_serves_while_a_migration_fails_and_afterwards(
    database_url: str, tmp_path: Path, servers: ScriptedStubs, history: Path
) -> None:
    add_revision(
        history,
        NEXT,
        HEAD,
        "CREATE TABLE half_done (id BIGINT PRIMARY KEY, words TEXT)",
        "INSERT INTO half_done (id, words) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
        f" SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT i, 'words to write' FROM n",
        "UPDATE objects SET title = 'spoiled'",
    )
    add_revision(history, AFTER_NEXT, NEXT, "NO SQL AT ALL")
    async with local_hub(tmp_path, database_url, servers, FULL) as hub:
        cookie = await hub.cookie()
        host = host_of(await follower(hub))
        author = servers.somebody("ida")
        migrating = asyncio.create_task(asyncio.to_thread(migrate_apart, database_url))
        answers: Counter[tuple[str, int]] = Counter()
        titles, replies = [], []
        while not migrating.done():
            number = answers.total()
            status, _, _ = await write(hub, cookie, f"Meanwhile {number}")
            answers["form", status] += 1
            if status == 303:
                titles.append(f"Meanwhile {number}")
            status = await hub.post(answer_of(hub, author, number))
            answers["inbox", status] += 1
            if status == 202:
                replies.append(f"{author}/notes/{number}")
            answers["page", (await hub.get("/g/gardening"))[0]] += 1
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="syntax error"):
            await migrating
        allowed = {("form", 303), ("form", 503), ("inbox", 202), ("inbox", 503), ("page", 200)}
        assert set(answers) <= allowed, answers
        assert answers["page", 200] >= 1
        await goes_on(hub, cookie, host, author)
        assert await schema_state(hub.db) == "current"
        rows = await hub.db.all("SELECT title FROM objects WHERE title LIKE 'Meanwhile%'")
        assert sorted(row["title"] for row in rows) == sorted(titles)
        rows = await hub.db.all(
            "SELECT uri FROM objects WHERE uri LIKE ? ORDER BY id", f"{author}%"
        )
        assert [row["uri"] for row in rows] == [*replies, f"{author}/notes/99"]
        assert await hub.count("SELECT count(*) FROM objects WHERE title = 'spoiled'") == 0
        if hub.db.dialect == "sqlite":
            assert await hub.db.value("PRAGMA integrity_check") == "ok"
            assert snapshots.of(Path(database_url.removeprefix("sqlite:///"))) == []
