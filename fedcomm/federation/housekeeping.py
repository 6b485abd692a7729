"""What grows and may go: memory of duplicates after its days, bodies of delivered activities, old failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from fedcomm import supervision
from fedcomm.config import Config
from fedcomm.federation import farewells
from fedcomm.federation.directory import Directory
from fedcomm.hub import domains, emoji, relays
from fedcomm.store.database import Database, DatabaseUnavailable
from fedcomm.store.ids import first_id_at, now_ms

log = logging.getLogger("fedcomm.federation")

EVERY_S = 3600.0
DAY_MS = 86_400_000
STEP = 500
"""Rows that one transaction removes, so that nobody waits for it."""

TOMBSTONE_MS = 6 * 3_600_000
"""A Delete that overtook its Create is remembered this long (federation.md §6.1)."""

DEAD_HOSTS = 50
"""Dead hosts that one round asks."""

BODY_DAYS = 7
"""The rendered text of an activity is kept this long after it was made, then made anew when asked for."""


async def run(config: Config, db: Database, directory: Directory) -> None:
    """Tidy up every hour until cancelled."""
    while True:
        await round_of(config, db, directory)
        await asyncio.sleep(EVERY_S)


async def round_of(config: Config, db: Database, directory: Directory) -> None:
    """Everything once; what fails is left for the next round."""
    horizon_ms = int(config.delivery.delete_horizon_days * DAY_MS)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "domains": lambda: domains.fill(db),
        "queues": lambda: tidy(config, db),
        "copies to ask back again": lambda: farewells.ask_again(db, horizon_ms=horizon_ms),
        "emoji": lambda: forget_emoji(config, db),
        "relays": lambda: forget_relayed(config, db),
        "dead hosts": lambda: look_for_the_dead(db, directory),
    }
    for name, step in steps.items():
        with supervision.apart(log, f"housekeeping of {name}", DatabaseUnavailable):
            await step()


async def tidy(config: Config, db: Database) -> int:
    """One round; how many rows went or were emptied."""
    now = now_ms()
    failed = now - int(config.retention.failed_delivery_days * DAY_MS)
    remembered = now - int(config.inbox.remember_days * DAY_MS)
    return (
        await _stepwise(
            db,
            "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE id < ?"
            " AND state NOT IN ('waiting', 'suspect', 'swept') ORDER BY id LIMIT ?)",
            first_id_at(remembered),
        )
        + await _stepwise(
            db,
            "DELETE FROM held WHERE inbox_id IN"
            " (SELECT inbox_id FROM held WHERE released_at < ? LIMIT ?)",
            now - DAY_MS,
        )
        + await _stepwise(
            db,
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE state = 'failed'"
            " AND recall = 0 AND created_at < ? LIMIT ?)",
            failed,
        )
        + await _stepwise(
            db,
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE state = 'failed'"
            " AND recall = 1 AND created_at < ? LIMIT ?)",
            failed - int(config.delivery.delete_horizon_days * DAY_MS),
        )
        + await _stepwise(
            db,
            "DELETE FROM tombstones WHERE uri_hash IN"
            " (SELECT uri_hash FROM tombstones WHERE created_at < ? LIMIT ?)",
            now - TOMBSTONE_MS,
        )
        + await _stepwise(
            db,
            "DELETE FROM received_activities WHERE uri IN (SELECT uri FROM received_activities"
            " WHERE created_at < ? AND type <> 'Follow' LIMIT ?)",
            now - BODY_DAYS * DAY_MS,
        )
        + await _stepwise(
            db,
            "DELETE FROM backfill WHERE (root_id, uri) IN (SELECT root_id, uri FROM backfill"
            " WHERE state = 'done' AND walked_at < ? LIMIT ?)",
            now - BODY_DAYS * DAY_MS,
        )
        + await _stepwise(
            db,
            "DELETE FROM backfill_days WHERE root_id IN"
            " (SELECT root_id FROM backfill_days WHERE day < ? LIMIT ?)",
            now // DAY_MS,
        )
        + await _stepwise(
            db,
            "UPDATE activities SET body = NULL WHERE id IN (SELECT c.id FROM activities c"
            " WHERE c.id < ? AND c.body IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM deliveries d WHERE d.activity_id = c.id) LIMIT ?)",
            first_id_at(now - BODY_DAYS * DAY_MS),
        )
    )


async def forget_emoji(config: Config, db: Database) -> int:
    """Forget emoji of other servers that nothing uses any more; how many files went."""
    total = 0
    while True:
        async with db.queue_transaction() as tx:
            files = await emoji.forget_unused(tx)
        emoji.remove_files(config.media.folder, files)
        total += len(files)
        if not files:
            return total


async def forget_relayed(config: Config, db: Database) -> int:
    """Let go of what relays brought and nobody wanted; how much was looked at."""
    before, total = now_ms() - int(config.relays.keep_days * DAY_MS), 0
    while True:
        async with db.transaction() as tx:
            seen = await relays.forget_old(tx, before, limit=50)
        total += seen
        if not seen:
            return total


async def look_for_the_dead(db: Database, directory: Directory) -> int:
    """Ask dead hosts for their NodeInfo, each once a day; how many came back (federation.md §7.2, rule 6)."""
    found = 0
    for row in await db.all(
        "SELECT id FROM hosts WHERE dead_at IS NOT NULL AND COALESCE(probed_at, 0) < ?"
        " ORDER BY probed_at LIMIT ?",
        now_ms() - DAY_MS,
        DEAD_HOSTS,
    ):
        if await directory.probe(row["id"]):
            await db.append("UPDATE hosts SET dead_at = NULL WHERE id = ?", (row["id"],))
            found += 1
    return found


async def _stepwise(db: Database, sql: str, before: int) -> int:
    total = 0
    while True:
        async with db.queue_transaction() as tx:
            changed = await tx.execute(sql, before, STEP)
        total += changed
        if changed < STEP:
            return total
