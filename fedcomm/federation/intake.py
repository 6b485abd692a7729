"""Works off the inbox: lane by lane, in order per host, each activity once (INV-9, INV-11, INV-47).

States of an inbox row:  held → waiting → done | refused | failed.  *held*: its host waits for a decision
(decisions.py);  *suspect*: it waits for a moderator (watch.py), who lets it in by way of *held*;  *swept*: a sweep took
it;  *refused*: it asks for what it may not have; *failed*: it
could not be processed after all tries and is set aside with its reason, for the administrator.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Final

from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, read_activity
from activitypub.failures import FetchBudget, FetchError
from activitypub.ijson import IJSONError, parse_object
from fedcomm.config import Config
from fedcomm.federation import lanes
from fedcomm.federation.alongside import Alongside, Begun, Prepared
from fedcomm.federation.canary import Canary
from fedcomm.federation.changes import Change, Foreseen, Look
from fedcomm.federation.crew import Crew
from fedcomm.federation.directory import Directory
from fedcomm.federation.handlers import Handlers
from fedcomm.federation.just_read import JustRead
from fedcomm.federation.pressure import Pressure
from fedcomm.federation.received import Received
from fedcomm.federation.watch import Held, Suspect
from fedcomm.hub import actors, holding
from fedcomm.hub.errors import HubError
from fedcomm.hub.policies import PolicyBook
from fedcomm.store import figures
from fedcomm.store.batches import Batches, Breath
from fedcomm.store.database import Database, DatabaseUnavailable, Row, Transaction
from fedcomm.store.ids import now_ms
from fedcomm.store.remembered import by_key

log = logging.getLogger("fedcomm.inbox")

LEASE_MS = 60_000

ACTIVITY_SECONDS = 40.0
"""How long one activity may fetch; more, and it comes again later. Each fetch has its own limit, but thirty
slow ones in a row would hold a worker for minutes and outlive the lease."""

LANES_PER_HAND = 8
"""So many lanes for each of the inbox's hands, those included that wait for slow servers: a bound for memory."""

FULL_MS = 600_000
"""What should wait for a moderator, of a host of which so much waits already, is looked at again after this."""

BATCH = 50

AT_HAND = frozenset(
    {"Create", "Update", "Like", "Dislike", "EmojiReact", "Announce", "Undo", "Follow", "Accept"}
)
"""Activities that find and change a few rows by their keys, whoever they are about. Others may touch as much as
somebody has written or whoever follows them."""

UNBELIEVABLE = frozenset({"refused", "id_mismatch", "content_type", "json"})
"""Reasons of a fetch that failed which another try would not change."""

VERDICT_CHARACTERS = 200

_WAITS: Final = by_key("SELECT 1 FROM inbox WHERE id = ? AND state = 'waiting'")
by_key(_WAITS + " FOR UPDATE")

_FINISH: Final = (
    "UPDATE inbox SET state = ?, verdict = ?, body = NULL, attempts = attempts + 1"
    " WHERE id = ? AND state = 'waiting'"
)


class _LaneLost(Exception):
    """Somebody else works off the lane."""


class Intake:
    """The worker; `wake` is called when something was stored."""

    def __init__(
        self,
        config: Config,
        db: Database,
        directory: Directory,
        handlers: Handlers,
        book: PolicyBook,
        *,
        allow_http: bool,
    ) -> None:
        self._config = config
        self._db = db
        self._directory = directory
        self._handlers = handlers
        self._book = book
        self._http = allow_http
        self._crew = Crew(
            db,
            "inbox",
            self._work_off,
            hands=lambda: self.pressure.hands(config.inbox.concurrency),
            lease_ms=lambda: LEASE_MS,
            lanes_per_hand=LANES_PER_HAND,
        )
        self._batches = Batches(db)
        self._breath = Breath()
        self.on_change: Callable[[], None] = lanes.idle
        self.canary: Canary | None = None
        self.pressure = Pressure()
        self.just_read = JustRead()

    def wake(self) -> None:
        """There is work."""
        self._crew.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._crew.run()
        finally:
            await asyncio.shield(self._batches.close())

    async def _work_off(self, lane: lanes.Lane) -> None:
        released = False
        alongside = Alongside()
        try:
            while rows := await self._waiting(lane.host_id):
                with self._batches.preparing():
                    for row in rows:
                        await self._process(row, alongside, lane)
                    await self._hand_over(alongside, lane)
                # What is not written yet would be found waiting once more.
                await self._written(alongside, lane)
            released = await self._release(lane)
        except _LaneLost:
            # Who has it now does the rest.
            released = True
        finally:
            alongside.give_up()
            if not released:
                await asyncio.shield(self._release(lane))

    async def _keep(self, lane: lanes.Lane, alongside: Alongside) -> None:
        """Renew the lease in time. Raises _LaneLost."""
        if now_ms() - alongside.held_at > LEASE_MS / 4:
            alongside.held_at = now_ms()
            if not await lanes.renew(self._db, "inbox", lane.host_id, lease_ms=LEASE_MS):
                raise _LaneLost

    async def _release(self, lane: lanes.Lane) -> bool:
        if self._db.dialect == "sqlite":
            # With what others write at this moment: a commit costs more than all its statements.
            await self._batches.run(partial(self._give_back, lane), at_hand=True)
        else:
            # Elsewhere others write meanwhile, and whoever stores something for this host waits for its lane's row.
            async with self._db.queue_transaction() as tx:
                await self._give_back(lane, tx)
        return True

    async def _give_back(self, lane: lanes.Lane, tx: Transaction) -> None:
        # The lane is held first: a row stored from now on waits, and wakes the lane again.
        await lanes.hold(tx, "inbox", lane.host_id)
        next_at = await tx.value(
            "SELECT min(next_at) FROM inbox WHERE host_id = ? AND state = 'waiting'", lane.host_id
        )
        await lanes.release(tx, "inbox", lane.host_id, next_at=next_at)

    async def _waiting(self, host_id: int) -> Sequence[Row]:
        with self._db.at_hand():
            return await self._db.all(
                "SELECT id, signer_uri, attempts, body FROM inbox"
                " WHERE host_id = ? AND state = 'waiting' AND next_at <= ? ORDER BY id LIMIT ?",
                host_id,
                now_ms(),
                BATCH,
            )

    async def _process(self, row: Row, alongside: Alongside, lane: lanes.Lane) -> None:
        """Prepare what the row asks for; `alongside`: what is under way of the same host. Where statements are trips
        (`Database.trips`), activities that go alongside each other are prepared at the same moment."""
        await self._keep(lane, alongside)
        try:
            if self.canary is not None and self.canary.concerns(row["signer_uri"]):
                await self._written(alongside, lane)
                await self._come_round(self.canary, row)
                return
            activity = self.just_read.take(row["id"]) or self._read(row)
        except (DatabaseUnavailable, _LaneLost):
            raise
        except Exception as error:
            await self._not_made(row, error)
            return
        if not alongside.has_room_for(activity, row["signer_uri"]):
            await self._written(alongside, lane)
        begun = alongside.begin(activity, row, row["signer_uri"])
        if not self._db.trips:
            begun.in_turn()
            await self._hand_over(alongside, lane)
            await self._breath.take()
        elif begun.ahead is not None:
            begun.prepared = asyncio.create_task(self._prepared(row, activity, begun.ahead))

    async def _hand_over(self, alongside: Alongside, lane: lanes.Lane) -> None:
        """Have everything that was begun made, in its order, each when it is prepared."""
        while alongside.begun:
            await self._keep(lane, alongside)
            begun = alongside.begun[0]
            row, at_hand = begun.row, begun.activity.type in AT_HAND
            try:
                # How long it may take counts from here: before, it may have waited for the one before it.
                async with asyncio.timeout(ACTIVITY_SECONDS):
                    prepared = await self._in_turn(begun, alongside)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                await self._not_made(row, error)
            else:
                if prepared is not None:
                    signer_id, change = prepared
                    look = change.look if isinstance(change, Foreseen) else None
                    made = self._batches.ask(
                        partial(self._make, row["id"], signer_id, change),
                        at_hand=at_hand,
                        look=partial(self._look, row["id"], signer_id, look) if look else None,
                    )
                    alongside.under_way.append((row, made))
            alongside.begun.popleft()

    async def _in_turn(self, begun: Begun, alongside: Alongside) -> Prepared | None:
        """What the first of those that were begun changes. Ahead of its turn it may ask no other server: that is one
        activity's at a time for each host (INV-45), and what it brings, those after it have not seen."""
        if begun.ahead is not None and begun.prepared is not None:
            try:
                prepared = await begun.prepared
            except DatabaseUnavailable:
                raise
            except Exception:
                if not begun.ahead.overdrawn:
                    raise
            else:
                if not begun.ahead.overdrawn:
                    return prepared
            for each in alongside.begun:
                each.in_turn()
        budget = FetchBudget(self._config.federation.fetch_budget)
        return await self._prepared(begun.row, begun.activity, budget)

    async def _prepared(
        self, row: Row, activity: ActivityDocument, budget: FetchBudget
    ) -> Prepared | None:
        """Whose it is, and what it changes; None when its host waits for a decision."""
        with self._db.at_hand() if activity.type in AT_HAND else nullcontext():
            received = await self._received(row, activity, budget)
            # Asked again now: what was let in may have been decided about meanwhile (INV-21).
            level = (await self._book.policy(received.signer.host or "")).level
            if level == "queue":
                await self._hold(row["id"])
                return None
            if level == "suspend":
                raise Refused("suspended")
            return received.signer.id, await self._handlers.prepare(received)

    async def _written(self, alongside: Alongside, lane: lanes.Lane) -> None:
        """Wait until all that is under way is on disk, or is set aside."""
        await self._hand_over(alongside, lane)
        under_way = alongside.clear()
        if not under_way:
            return
        try:
            await asyncio.wait([made for _, made in under_way])
        except asyncio.CancelledError:
            for _, made in under_way:
                made.cancel()
            raise
        taken = 0
        away: DatabaseUnavailable | None = None
        for row, made in under_way:
            error = made.exception()
            if error is None:
                taken += made.result()
            elif isinstance(error, DatabaseUnavailable):
                away = error
            elif isinstance(error, Exception):
                await self._not_made(row, error)
        if taken:
            figures.VERDICTS.add("done", taken)
            self.on_change()
        if away is not None:
            raise away

    async def _not_made(self, row: Row, error: Exception) -> None:
        """What becomes of the row of an activity that changes nothing, for now or for good."""
        match error:
            case Held():
                await self._keep_for_moderator(row["id"], error.suspect)
            case Refused():
                await self._set_aside(row["id"], "refused", error.reason)
            case IJSONError():
                await self._set_aside(row["id"], "refused", "json")
            case HubError():
                await self._set_aside(row["id"], "refused", error.message)
            case FetchError() if error.permanent or error.reason in UNBELIEVABLE:
                await self._set_aside(row["id"], "refused", str(error))
            case FetchError():
                await self._later(row, str(error))
            case TimeoutError():
                await self._later(row, "its servers are too slow")
            case _:
                log.error("intake: activity %d", row["id"], exc_info=error)
                await self._later(row, f"{type(error).__name__}")

    async def _make(self, row_id: int, signer_id: int, change: Change, tx: Transaction) -> bool:
        """Make a prepared change, unless another worker has processed the row meanwhile: then it is False."""
        if await tx.value(_WAITS + tx.for_update, row_id) is None:
            return False
        # Somebody may have begun to erase the sender while we fetched what it needs (INV-50).
        signer = await actors.actor(tx, signer_id)
        if signer is None or signer.deleted_at is not None:
            raise Refused("signer-gone")
        verdict = await change(tx)
        await tx.later(_FINISH, "done", verdict[:VERDICT_CHARACTERS], row_id, keys=(row_id,))
        return True

    async def _look(self, row_id: int, signer_id: int, look: Look, tx: Transaction) -> None:
        """Read what `_make` will read."""
        await tx.value(_WAITS + tx.for_update, row_id)
        await actors.actor(tx, signer_id)
        await look(tx)

    async def _come_round(self, canary: Canary, row: Row) -> None:
        """What the hub sent to itself, to see whether it arrives."""
        change = await canary.prepare(self._read(row))
        async with self._db.transaction() as tx:
            if await self._take(tx, row["id"]):
                await self._finish(tx, row["id"], "done", await change(tx))
                figures.VERDICTS.add("done")
        self.on_change()

    def _read(self, row: Row) -> ActivityDocument:
        return read_activity(parse_object(row["body"].encode()), allow_http=self._http)

    async def _received(
        self, row: Row, activity: ActivityDocument, budget: FetchBudget
    ) -> Received:
        signer = await actors.actor_by_uri(self._db, row["signer_uri"])
        if signer is None or signer.deleted_at is not None:
            self._directory.forget_signer(row["signer_uri"])
            raise Refused("signer-gone")
        return Received(activity, signer, budget, row["body"], row["id"])

    async def _take(self, tx: Transaction, row_id: int) -> bool:
        """Lock the row; False when another worker has processed it meanwhile (INV-9)."""
        taken = await tx.execute(
            "UPDATE inbox SET next_at = next_at WHERE id = ? AND state = 'waiting'", row_id
        )
        return taken > 0

    async def _finish(self, tx: Transaction, row_id: int, state: str, verdict: str) -> bool:
        """Mark the row; False when another worker has processed it meanwhile (INV-9)."""
        # The body goes with the effect: what is left is the id, as memory against repeats.
        finished = await tx.execute(_FINISH, state, verdict[:VERDICT_CHARACTERS], row_id)
        return finished > 0

    async def _set_aside(self, row_id: int, state: str, verdict: str) -> None:
        async with self._db.queue_transaction() as tx:
            await self._finish(tx, row_id, state, verdict)
        figures.VERDICTS.add(state)

    async def _keep_for_moderator(self, row_id: int, suspect: Suspect) -> None:
        async with self._db.transaction() as tx:
            if not await self._take(tx, row_id):
                return
            if not await holding.has_room(tx, suspect.host_id):
                await tx.execute(
                    "UPDATE inbox SET next_at = ?, verdict = ? WHERE id = ?",
                    now_ms() + FULL_MS,
                    "much of its host waits for a moderator already",
                    row_id,
                )
                return
            await tx.execute(
                "UPDATE inbox SET state = 'suspect', verdict = ? WHERE id = ?",
                " ".join(suspect.reasons)[:VERDICT_CHARACTERS],
                row_id,
            )
            await holding.hold(
                tx,
                row_id,
                actor_id=suspect.actor_id,
                host_id=suspect.host_id,
                group_id=suspect.group_id,
                object_uri=suspect.object_uri,
                score=suspect.score,
                reasons=suspect.reasons,
            )

    async def _hold(self, row_id: int) -> None:
        async with self._db.queue_transaction() as tx:
            await tx.execute(
                "UPDATE inbox SET state = 'held' WHERE id = ? AND state = 'waiting'", row_id
            )

    async def _later(self, row: Row, reason: str) -> None:
        attempts = row["attempts"] + 1
        settings = self._config.inbox
        if attempts >= settings.attempts:
            await self._set_aside(row["id"], "failed", reason)
            return
        figures.VERDICTS.add("later")
        delay = settings.retry_seconds[min(attempts, len(settings.retry_seconds)) - 1]
        async with self._db.queue_transaction() as tx:
            await tx.execute(
                "UPDATE inbox SET attempts = ?, next_at = ?, verdict = ?"
                " WHERE id = ? AND state = 'waiting'",
                attempts,
                now_ms() + int(delay * 1000),
                reason[:VERDICT_CHARACTERS],
                row["id"],
            )
