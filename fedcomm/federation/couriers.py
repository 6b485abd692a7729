"""Delivers: lane by lane, one request at a time per host, in order, signed anew at each attempt (federation.md §7.2).

A lane is taken with the first of its rows in one transaction. What a host answers decides:

    2xx                     done; the ledger of reach gets a line
    400 401 (403 NodeBB)    once more in the other style of signature, which is then remembered
    404 410 413 422 …       given up, with the reason
    everything else         the lane waits by the schedule; nothing of this host overtakes
    a head that is refused too often while its host answers is set aside; what follows goes on

The lane is the circuit breaker: a host that fails is probed with one delivery at a time, by the
schedule, and others never wait for it (INV-45). A host that answered nothing for days is dead: nothing
new is queued for it until it writes, or a probe finds it (housekeeping).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from activitypub import cavage, message_signatures
from activitypub.client import Client, Response
from activitypub.failures import FetchError
from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.config import Config
from fedcomm.federation import lanes, peers, synchronisation
from fedcomm.federation.crew import Crew
from fedcomm.federation.directory import Directory
from fedcomm.federation.keyring import KeyPair, Keyring
from fedcomm.hub import circles
from fedcomm.store import figures
from fedcomm.store.database import Database, DatabaseUnavailable, Row, Transaction, marks
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.delivery")

BATCH = 20
"""Deliveries that a lane takes at once."""

FINAL = frozenset({400, 401, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422, 451, 501})
"""Statuses after which the same activity is not sent again (§7.2, rule 5); 401 and 403 get three tries."""

THREE_TRIES = frozenset({401, 403})
STYLE_MEMORY_MS = 30 * 86_400_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
ERROR_CHARACTERS = 200

REACHED = (
    "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, ?, ?)"
    " ON CONFLICT (subject_id, host_id) DO UPDATE SET last_at = excluded.last_at,"
    " how = CASE WHEN reach.how = 2 THEN 3 ELSE reach.how END"
)
RECALLED = (
    "UPDATE reach SET recalled_at = ?, recall_status = ? WHERE subject_id = ? AND host_id = ?"
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery with what is needed to send it."""

    id: int
    activity_id: int
    actor_id: int
    object_id: int | None
    subject_id: int | None
    inbox: str
    attempts: int
    created_at: int
    recall: bool
    body: bytes | None
    for_followers: bool
    circle_id: int | None
    """The private group of ours for whose members it is."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of the host of a lane."""

    name: str
    software: str | None
    style: str | None
    policy: str
    dead: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `status` 0: no answer. `retry_after` in seconds, clamped by the client."""

    verdict: str
    status: int = 0
    error: str = ""
    retry_after: int | None = None
    style: str | None = None

    @property
    def delivered(self) -> bool:
        return self.verdict == "delivered"

    @property
    def broke(self) -> bool:
        """Whether it was our fault, not the peer's."""
        return self.verdict == "broken"


class Couriers:
    """The delivery workers of one process."""

    def __init__(
        self,
        config: Config,
        db: Database,
        client: Client,
        keyring: Keyring,
        directory: Directory,
        *,
        signing: ThreadPoolExecutor,
    ) -> None:
        self._settings = config.delivery
        self._db = db
        self._client = client
        self._keyring = keyring
        self._directory = directory
        self._signing = signing
        self._resting: dict[int, float] = {}
        self._lease_ms = int(config.delivery.lease_seconds * 1000)
        self._crew = Crew(
            db,
            "delivery",
            self._serve,
            hands=lambda: config.delivery.concurrency,
            lease_ms=lambda: self._lease_ms,
        )

    def wake(self) -> None:
        """There are deliveries."""
        self._crew.wake()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way is given back."""
        await self._crew.run()

    # One lane

    async def _serve(self, lane: lanes.Lane) -> None:
        failures, held_at = lane.failures, now_ms()
        begun, recalls = time.monotonic(), 0
        try:
            peer = await self._peer(lane.host_id)
            rest = self._resting.pop(lane.host_id, 0.0) - begun
            if rest > 0:
                # There was new work meanwhile; it waits with the rest.
                await self._rest(lane, rest)
                return
            while True:
                # A host that failed last time gets one delivery to prove itself.
                parcels = await self._take(lane.host_id, 1 if failures else BATCH)
                if not parcels:
                    await self._release(lane)
                    return
                recalls += sum(parcel.recall for parcel in parcels)
                for position, parcel in enumerate(parcels):
                    # A host that takes its time must not outlive the lease: whoever lost the lane
                    # leaves the rest to who has it now.
                    if now_ms() - held_at > self._lease_ms / 4:
                        if not await self._hold_on(lane):
                            return
                        held_at = now_ms()
                    outcome = await self._attempt(parcel, lane.host_id, peer)
                    figures.DELIVERIES.add(outcome.verdict)
                    if outcome.style is not None and outcome.style != peer.style:
                        peer = replace(peer, style=outcome.style)
                    if outcome.verdict == "later" or outcome.broke:
                        await self._put_off(lane, failures + 1, parcel, outcome, parcels[position:])
                        return
                    await self._settle(parcel, lane.host_id, peer, outcome)
                    failures = 0
                # An erasure asks for many copies at once, and must not look like an attack.
                pause = recalls / self._settings.recalls_per_second - (time.monotonic() - begun)
                if recalls and pause > 0:
                    await self._rest(lane, pause)
                    return
        except asyncio.CancelledError:
            await asyncio.shield(self._release(lane, unfinished=True, failures=failures))
            raise
        except DatabaseUnavailable:
            # Nothing can be written about it now. The crew gives the lane up as soon as it can, and what was being
            # sent is taken up again, under the same ids.
            raise
        except Exception:
            await self._release(lane, unfinished=True, failures=failures, error="internal error")
            raise

    async def _rest(self, lane: lanes.Lane, seconds: float) -> None:
        """Leave the host alone for a while; nobody waits with their hands on the lane."""
        self._resting[lane.host_id] = time.monotonic() + seconds
        await self._release(lane, pause_ms=int(seconds * 1000) + 1)

    async def _hold_on(self, lane: lanes.Lane) -> bool:
        return await lanes.renew(self._db, "delivery", lane.host_id, lease_ms=self._lease_ms)

    async def _take(self, host_id: int, limit: int) -> list[Parcel]:
        """The next deliveries of the host, marked as being sent: an answer that a crash swallows is a "maybe"."""
        async with self._db.queue_transaction() as tx:
            rows = await tx.all(
                "SELECT d.id, d.activity_id, d.inbox, d.attempts, d.created_at, d.recall,"
                " c.actor_id, c.object_id, c.subject_id, c.body,"
                " CASE WHEN (o.visibility = 'followers' AND c.type IN ('Create', 'Update'))"
                " OR (o.visibility = 'members' AND c.actor_id = o.group_id)"
                " THEN 1 ELSE 0 END AS for_followers,"
                " CASE WHEN o.visibility = 'members' THEN o.group_id END AS circle_id"
                " FROM deliveries d JOIN activities c ON c.id = d.activity_id"
                " LEFT JOIN objects o ON o.id = c.object_id"
                " WHERE d.host_id = ? AND d.state IN ('waiting', 'sending') ORDER BY d.id LIMIT ?",
                host_id,
                limit,
            )
            if rows:
                await tx.execute(
                    "UPDATE deliveries SET state = 'sending', attempts = attempts + 1,"
                    f" attempted_at = ? WHERE id IN ({marks(len(rows))})",
                    now_ms(),
                    *(row["id"] for row in rows),
                )
        return [_parcel(row) for row in rows]

    async def _attempt(self, parcel: Parcel, host_id: int, peer: Peer) -> Outcome:
        """`_deliver`. What fails here and not over there is tried again like everything else, and is set aside in the
        end: it must not hold up what follows (INV-47)."""
        try:
            return await self._deliver(parcel, host_id, peer)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("delivery %d", parcel.id)
            return Outcome("broken", error="internal error")

    async def _deliver(self, parcel: Parcel, host_id: int, peer: Peer) -> Outcome:
        if parcel.body is None:
            return Outcome("dropped", error="deleted before it was sent")
        if peer.policy == "suspend" and not parcel.recall:
            return Outcome("dropped", error="the host is suspended")
        circle_id = None if parcel.recall else parcel.circle_id
        if circle_id is not None and not await circles.is_home(self._db, circle_id, host_id):
            # Asked again now: who was to have it may have left the group meanwhile (INV-21).
            return Outcome("dropped", error="nobody of the host is in the group any more")
        keys = await self._keyring.pair(parcel.actor_id)
        style = peer.style or "cavage"
        more = await self._synchronisation(parcel, host_id, keys)
        outcome = await self._post(parcel, keys, style, more)
        if peers.retries_other_style(outcome.status, peer.software):
            # Double-knocking: the same activity at once in the other style (§3.4, rule 3).
            other = "cavage" if style == "rfc9421" else "rfc9421"
            second = await self._post(parcel, keys, other, more)
            if second.delivered:
                return Outcome("delivered", second.status, style=other)
        return outcome

    async def _synchronisation(self, parcel: Parcel, host_id: int, keys: KeyPair) -> dict[str, str]:
        """With what goes to followers only: whom we believe to follow from there (FEP-8fcf)."""
        if not parcel.for_followers:
            return {}
        shared = await self._db.value(
            "SELECT 1 FROM actors WHERE host_id = ? AND shared_inbox = ? LIMIT 1",
            host_id,
            parcel.inbox,
        )
        uris = await synchronisation.followers_on(self._db, parcel.actor_id, host_id)
        if shared is None or len(uris) >= synchronisation.MOST_FOLLOWERS:
            return {}
        collection = f"{keys.actor_uri}/followers"
        offer = synchronisation.Offer(
            collection, f"{collection}/synchronization", synchronisation.digest(uris)
        )
        return {synchronisation.HEADER: synchronisation.write(offer)}

    async def _post(
        self, parcel: Parcel, keys: KeyPair, style: str, more: Mapping[str, str]
    ) -> Outcome:
        assert parcel.body is not None
        headers = await asyncio.get_running_loop().run_in_executor(
            self._signing, _signed, style, parcel.inbox, parcel.body, keys, more
        )
        try:
            answer = await self._client.post(
                parcel.inbox, parcel.body, headers=headers | {"Content-Type": CONTENT_TYPE}
            )
        except FetchError as error:
            if error.reason == "refused":
                return Outcome("refused", error="our own rules forbid this address")
            return Outcome("later", error.status or 0, str(error), error.retry_after)
        return self._judge(parcel, answer)

    def _judge(self, parcel: Parcel, answer: Response) -> Outcome:
        if answer.ok:
            return Outcome("delivered", answer.status)
        error = f"answered {answer.status}"
        if answer.status in FINAL:
            if answer.status in THREE_TRIES and parcel.attempts < 3:
                return Outcome("later", answer.status, error)
            return Outcome("refused", answer.status, error)
        return Outcome("later", answer.status, error, answer.retry_after())

    # What becomes of it

    async def _settle(self, parcel: Parcel, host_id: int, peer: Peer, outcome: Outcome) -> None:
        """Done, for good or ill: one group-committed write."""
        now = now_ms()
        statements: list[tuple[str, tuple[int | str | None, ...]]] = []
        if outcome.delivered or outcome.verdict == "dropped":
            statements.append(("DELETE FROM deliveries WHERE id = ?", (parcel.id,)))
        else:
            statements.append(
                (
                    "UPDATE deliveries SET state = 'failed', status = ?, error = ? WHERE id = ?",
                    (outcome.status, outcome.error[:ERROR_CHARACTERS], parcel.id),
                )
            )
            log.info("delivery %d given up: %s", parcel.id, outcome.error)
        if outcome.delivered and not parcel.recall:
            for subject in {parcel.object_id, parcel.actor_id} - {None}:
                statements.append((REACHED, (subject, host_id, now, now)))
        if parcel.recall and outcome.verdict != "dropped":
            # Without an object it is the actor that is asked back.
            subject = parcel.object_id if parcel.object_id is not None else parcel.actor_id
            statements.append((RECALLED, (now, outcome.status, subject, host_id)))
        if outcome.delivered and peer.dead:
            statements.append(("UPDATE hosts SET dead_at = NULL WHERE id = ?", (host_id,)))
        if outcome.style is not None:
            statements.append(
                (
                    "UPDATE hosts SET signature_style = ?, signature_learned_at = ?,"
                    " signature_source = 'knock' WHERE id = ?",
                    (outcome.style, now, host_id),
                )
            )
        await self._db.append_together(*statements)

    async def _put_off(
        self,
        lane: lanes.Lane,
        failures: int,
        parcel: Parcel,
        outcome: Outcome,
        rest: Sequence[Parcel],
    ) -> None:
        """The host cannot take it now: everything of it waits, in order, until the lane is due again."""
        now = now_ms()
        failing_since = lane.failing_since if lane.failures and lane.failing_since else now
        delay = self._delay(failures, outcome)
        horizon = (
            self._settings.delete_horizon_days if parcel.recall else self._settings.horizon_days
        )
        too_old = now - parcel.created_at > horizon * DAY_MS
        is_its_own = outcome.status > 0 or outcome.broke
        aside = is_its_own and parcel.attempts >= self._settings.set_aside_after
        silent_for = 0 if is_its_own else now - failing_since
        async with self._db.queue_transaction() as tx:
            await lanes.hold(tx, "delivery", lane.host_id)
            untried = [other.id for other in rest if other.id != parcel.id]
            if untried:
                await tx.execute(
                    "UPDATE deliveries SET state = 'waiting', attempts = attempts - 1"
                    f" WHERE id IN ({marks(len(untried))})",
                    *untried,
                )
            state = "failed" if too_old or aside else "waiting"
            await tx.execute(
                "UPDATE deliveries SET state = ?, status = ?, error = ? WHERE id = ?",
                state,
                outcome.status,
                outcome.error[:ERROR_CHARACTERS],
                parcel.id,
            )
            if too_old:
                await self._give_up_old(tx, lane.host_id, now, outcome)
            if silent_for > self._settings.dead_after_days * DAY_MS:
                await tx.execute(
                    "UPDATE hosts SET dead_at = ? WHERE id = ? AND dead_at IS NULL"
                    " AND COALESCE(heard_at, 0) < ?",
                    now,
                    lane.host_id,
                    failing_since,
                )
            # A head that only this activity's fault holds up is set aside, and the next gets its turn.
            next_at = now if aside else now + delay
            waiting = await tx.value(
                "SELECT 1 FROM deliveries WHERE host_id = ? AND state = 'waiting' LIMIT 1",
                lane.host_id,
            )
            await lanes.release(
                tx,
                "delivery",
                lane.host_id,
                next_at=next_at if waiting else None,
                failures=0 if aside else failures,
                failing_since=None if aside else failing_since,
                error=outcome.error[:ERROR_CHARACTERS],
            )

    async def _give_up_old(self, tx: Transaction, host_id: int, now: int, outcome: Outcome) -> None:
        """Past the horizon: what is as old goes the same way, in one statement, with the reason."""
        settings = self._settings
        for recall, days in ((0, settings.horizon_days), (1, settings.delete_horizon_days)):
            await tx.execute(
                "UPDATE deliveries SET state = 'failed', status = ?, error = ? WHERE host_id = ?"
                " AND state = 'waiting' AND recall = ? AND created_at < ?",
                outcome.status,
                f"given up after {days:g} days: {outcome.error}"[:ERROR_CHARACTERS],
                host_id,
                recall,
                now - int(days * DAY_MS),
            )

    def _delay(self, failures: int, outcome: Outcome) -> int:
        """Milliseconds until the next try: the schedule with jitter, or what the peer asked for."""
        schedule = self._settings.retry_minutes
        minutes = schedule[min(failures, len(schedule)) - 1]
        jitter = 1 + random.uniform(-1, 1) * self._settings.jitter_percent / 100  # noqa: S311
        delay = int(minutes * MINUTE_MS * jitter)
        if outcome.retry_after is not None and outcome.status in (429, 503):
            asked = min(
                outcome.retry_after * 1000, int(self._settings.retry_after_max_hours * HOUR_MS)
            )
            delay = max(delay, asked)
        return delay

    async def _release(
        self,
        lane: lanes.Lane,
        *,
        unfinished: bool = False,
        failures: int = 0,
        error: str | None = None,
        pause_ms: int = 0,
    ) -> None:
        """Give the lane back. `failures`: those that still count, since nothing has come through."""
        now = now_ms()
        async with self._db.queue_transaction() as tx:
            await lanes.hold(tx, "delivery", lane.host_id)
            if unfinished:
                await tx.execute(
                    "UPDATE deliveries SET state = 'waiting' WHERE host_id = ? AND state = 'sending'",
                    lane.host_id,
                )
            waiting = await tx.value(
                "SELECT 1 FROM deliveries WHERE host_id = ? AND state = 'waiting' LIMIT 1",
                lane.host_id,
            )
            next_at = None
            if waiting is not None:
                next_at = now + (MINUTE_MS if error else pause_ms)
            await lanes.release(
                tx,
                "delivery",
                lane.host_id,
                next_at=next_at,
                failures=failures,
                failing_since=lane.failing_since if failures else None,
                error=error,
                succeeded_at=None if unfinished else now,
            )

    async def _peer(self, host_id: int) -> Peer:
        row = await self._db.one(
            "SELECT name, software, signature_style, signature_learned_at, policy, dead_at"
            " FROM hosts WHERE id = ?",
            host_id,
        )
        assert row is not None
        style = row["signature_style"]
        if (row["signature_learned_at"] or 0) < now_ms() - STYLE_MEMORY_MS:
            style = None
        return Peer(row["name"], row["software"], style, row["policy"], row["dead_at"] is not None)


def _signed(
    style: str, url: str, body: bytes, keys: KeyPair, more: Mapping[str, str]
) -> dict[str, str]:
    """The headers of a signed POST, with `more` covered too; runs in a thread, since RSA takes a millisecond."""
    if style == "rfc9421":
        now = int(time.time())
        made = message_signatures.sign("POST", url, body, keys.rsa, keys.key_id, now, headers=more)
    else:
        made = cavage.sign("POST", url, body, keys.rsa, keys.key_id, headers=more)
    return {**more, **made}


def _parcel(row: Row) -> Parcel:
    return Parcel(
        row["id"],
        row["activity_id"],
        row["actor_id"],
        row["object_id"],
        row["subject_id"],
        row["inbox"],
        row["attempts"] + 1,
        row["created_at"],
        bool(row["recall"]),
        row["body"].encode() if row["body"] is not None else None,
        bool(row["for_followers"]),
        row["circle_id"],
    )
