"""What becomes of activities that waited for a decision about their host, of entries whose time is over, and of
subscribed lists whose day is over.

A host at level `queue` is answered 202 and its activities are kept in state `held`. Once the host has another
level they are processed in their order like any other (or refused, when it was suspended).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from activitypub.client import Client
from fedcomm.federation import lanes, subscriptions
from fedcomm.hub import policy_changes
from fedcomm.hub.policies import LOOK_SECONDS, PolicyBook
from fedcomm.store.database import Database, DatabaseUnavailable
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.policy")

ROUND_S = 10.0
"""How often expiry is looked at, and held activities of decided hosts, also without any change."""


class Decisions:
    """The worker of one process."""

    def __init__(self, db: Database, book: PolicyBook, client: Client, own_host: str) -> None:
        self._db = db
        self._book = book
        self._client = client
        self._own_host = own_host
        self.on_release: Callable[[], None] = lanes.idle

    async def run(self) -> None:
        """Work until cancelled."""
        known: int | None = None
        rounds = 0.0
        while True:
            try:
                version = (await self._book.rules()).version
                if version != known or rounds >= ROUND_S:
                    known, rounds = version, 0.0
                    await self.round()
                    await subscriptions.fetch_due(self._db, self._client, self._own_host)
            except DatabaseUnavailable as error:
                log.error("policies: the database is away: %s", error)
            except Exception:
                log.exception("policies: unexpected")
            await asyncio.sleep(LOOK_SECONDS)
            rounds += LOOK_SECONDS

    async def round(self) -> int:
        """End what is over, release what is decided; how many hosts had something waiting."""
        over = await self._db.value(
            "SELECT 1 FROM host_policies WHERE expires_at <= ? LIMIT 1", now_ms()
        )
        if over is not None:
            async with self._db.transaction() as tx:
                expired = await policy_changes.expire(tx)
            self._book.forget()
            log.info("policies: %d entries are over", len(expired))
        return await self.release()

    async def release(self) -> int:
        """Let held activities of hosts that are not at level `queue` any more be processed; of how many hosts."""
        if await self._db.value("SELECT 1 FROM inbox WHERE state = 'held' LIMIT 1") is None:
            return 0
        async with self._db.queue_transaction() as tx:
            rows = await tx.all(
                "SELECT DISTINCT i.host_id FROM inbox i JOIN hosts h ON h.id = i.host_id"
                " WHERE i.state = 'held' AND h.policy <> 'queue'"
            )
            hosts = [row["host_id"] for row in rows]
            if hosts:
                await tx.many(
                    "UPDATE inbox SET state = 'waiting', next_at = 0"
                    " WHERE host_id = ? AND state = 'held'",
                    [(host_id,) for host_id in hosts],
                )
                await lanes.wake(tx, "inbox", hosts)
        if hosts:
            self.on_release()
        return len(hosts)
