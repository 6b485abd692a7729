"""From the journal to delivery rows: what the hub did becomes activities, each rendered once.

The cursor moves in the transaction of the rows, so an entry is turned into activities once, whatever
crashes. Only public things of federated groups and what concerns remote people leave; the rest of the
journal is passed over. A delivery that comes later than the object's deletion finds no body any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

from fedcomm.federation import lanes
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.attendance import Attending
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import CONSUMER, Booking, Dispatch, KeyMissing, Step
from fedcomm.federation.farewells import Farewells
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.marks import Marks
from fedcomm.federation.quotations import Quotations
from fedcomm.federation.recalls import Recalls
from fedcomm.federation.relations import Relations
from fedcomm.federation.rendering import Renderer
from fedcomm.federation.responses import Responses
from fedcomm.federation.sanctions import Sanctions
from fedcomm.federation.words import Words
from fedcomm.hub import journal, reservations, things
from fedcomm.hub.reservations import Reservation
from fedcomm.store.database import Database, DatabaseUnavailable, Transaction
from fedcomm.store.ids import go_on_after, now_ms
from fedcomm.store.remembered import remembering

log = logging.getLogger("fedcomm.outbox")

ENTRIES = 100
TRIES = 5
"""Failures at one place before the entry there is set aside."""

MANY = 4
GATHER_S = 0.05
"""After a round of so many entries the outbox waits so long for more: under load each transaction has many."""

IDLE_S = 1.0
"""How soon a change by another process (the command line) is seen."""


FIRST_SAID = ("topic_created", "reply_created")
"""Events whose numbers and time a preview may have reserved."""

AT_HAND = frozenset(
    {"reply_created", "post_stored", "reaction_added", "reaction_withdrawn", "object_refreshed"}
)
"""Events of which most are about what came from elsewhere, and for which a few rows are read."""


def steps_of(
    out: Dispatch,
    renderer: Renderer,
    catalogue: Catalogue,
    keyring: Keyring,
    addresses: Addresses,
) -> dict[str, Step]:
    """What is done for each event of the journal, sending through `out`."""
    words = Words(out, renderer, catalogue, addresses)
    recalls = Recalls(out, renderer, addresses)
    return {
        **words.steps,
        **recalls.steps,
        **Marks(out, renderer, addresses).steps,
        **Farewells(out, renderer, recalls, addresses).steps,
        **Quotations(out, renderer, addresses, words.steps["object_edited"]).steps,
        **Responses(out, renderer, catalogue, addresses).steps,
        **Relations(out, renderer, catalogue, keyring, addresses).steps,
        **Attending(out, renderer, addresses).steps,
        **Sanctions(out, renderer, catalogue, addresses).steps,
    }


class Outbox:
    """The journal's ActivityPub consumer."""

    def __init__(
        self,
        db: Database,
        renderer: Renderer,
        catalogue: Catalogue,
        keyring: Keyring,
        addresses: Addresses,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._awake = asyncio.Event()
        # Where the outbox failed last, and how often in a row.
        self._stuck = (0, 0)
        self.on_deliveries: Callable[[], None] = lanes.idle
        self._out = Dispatch(renderer, keyring, addresses, catalogue.consent)
        self._steps = steps_of(self._out, renderer, catalogue, keyring, addresses)

    def also(self, steps: Callable[[Dispatch], Mapping[str, Step]]) -> None:
        """Take more events, with steps that send through this outbox; where there is a step already, after it."""
        for event, step in steps(self._out).items():
            before = self._steps.get(event)
            self._steps[event] = step if before is None else _after(before, step)

    def wake(self) -> None:
        """The journal grew."""
        self._awake.set()

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            self._awake.clear()
            try:
                while entries := await self.consume():
                    self.on_deliveries()
                    if entries >= MANY:
                        await asyncio.sleep(GATHER_S)
            except DatabaseUnavailable as error:
                log.error("outbox: the database is away: %s", error)
            except Exception:
                log.exception("outbox: unexpected")
                await self._set_aside_after(TRIES)
            await lanes.pause(self._awake, IDLE_S)

    async def _set_aside_after(self, tries: int) -> None:
        """An entry that cannot be turned into activities must not hold up those behind it (INV-47).

        After `tries` failures at one place the entries there are taken one by one; the one that fails is passed
        over, noted with its number for the administrator, and the rest goes on.
        """
        seen = await journal.cursor(self._db, CONSUMER)
        self._stuck = (seen, self._stuck[1] + 1 if self._stuck[0] == seen else 1)
        if self._stuck[1] < tries:
            return
        for entry in await journal.entries_after(self._db, seen, ENTRIES):
            try:
                async with self._db.transaction() as tx:
                    await self._take(tx, entry)
            except (DatabaseUnavailable, KeyMissing):
                return
            except Exception:
                log.exception("outbox: entry %d is set aside", entry.seq)
                async with self._db.transaction() as tx:
                    await tx.execute(
                        "INSERT INTO outbox_failures (seq, event, failed_at) VALUES (?, ?, ?)",
                        entry.seq,
                        entry.event,
                        now_ms(),
                    )
                    await journal.move_cursor(tx, CONSUMER, entry.seq)
                return

    async def _take(self, tx: Transaction, entry: journal.Entry) -> None:
        await _keep_order(tx)
        reserved = await reservations.of_objects(tx, _first_said([entry]))
        await self._step(tx, entry, reserved.get(entry.object_id or 0))
        await journal.move_cursor(tx, CONSUMER, entry.seq)

    async def _step(
        self, tx: Transaction, entry: journal.Entry, reserved: Reservation | None
    ) -> None:
        """What the entry asks for; as it was previewed, if somebody looked before posting."""
        step = self._steps.get(entry.event)
        if step is None:
            return
        with self._out.booked(Booking(reserved)):
            await step(tx, entry)
        if reserved is not None:
            await reservations.use_up(tx, reserved.object_id)

    async def consume(self) -> int:
        """Turn the next entries into activities; how many entries were read."""
        with self._db.at_hand():
            seen = await journal.cursor(self._db, CONSUMER)
            if await journal.last_seq(self._db) <= seen:
                return 0
        while True:
            try:
                return await self._consume()
            except KeyMissing as missing:
                # Making one writes, so not within the transaction; then the entries are read again.
                await self._keyring.pair(missing.actor_id)

    async def _consume(self) -> int:
        # Entries that follow each other are about the same groups and their members.
        async with remembering(self._db) as tx:
            with self._db.at_hand():
                # Read again inside: another process may have been here meanwhile.
                seen = await journal.cursor(tx, CONSUMER)
                entries = await journal.entries_after(tx, seen, ENTRIES)
                if entries:
                    await _keep_order(tx)
                    await journal.move_cursor(tx, CONSUMER, entries[-1].seq)
                reserved = await reservations.of_objects(tx, _first_said(entries))
                await things.things_at_hand(
                    tx, [entry.object_id for entry in entries if entry.object_id is not None]
                )
            for entry in entries:
                with self._db.at_hand() if entry.event in AT_HAND else nullcontext():
                    await self._step(tx, entry, reserved.get(entry.object_id or 0))
                # Statements at hand never let go of the event loop.
                await asyncio.sleep(0)
        return len(entries)


async def _keep_order(tx: Transaction) -> None:
    """Deliveries are worked off in the order of their ids. Another process may be ahead with its ids, if the clock was
    set back meanwhile: what is queued here comes after what is queued already (INV-44)."""
    go_on_after(int(await tx.value("SELECT max(id) FROM deliveries") or 0))


def _first_said(entries: Sequence[journal.Entry]) -> list[int]:
    """Ids of the objects whose first words these entries tell of."""
    return [
        entry.object_id
        for entry in entries
        if entry.event in FIRST_SAID and entry.object_id is not None
    ]


def _after(first: Step, second: Step) -> Step:
    async def both(tx: Transaction, entry: journal.Entry) -> None:
        await first(tx, entry)
        await second(tx, entry)

    return both
