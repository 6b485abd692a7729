"""Completes threads that began or went on elsewhere, in the background and within bounds (federation.md §4.11).

One *round* works for one thread in one lane: it reads collections page by page and fetches what they name by id, each
from its own origin (INV-5); nothing that a collection says inline is believed (INV-7). A round is bounded in fetches
and seconds, a page in bytes and seconds by the client (INV-24). What a round left unread goes on after a pause, but
only as long as rounds find something; what finds nothing waits until something new arrives in the thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from activitypub.accessors import Refused, identifier, types
from activitypub.client import Client
from activitypub.documents import CollectionDocument, ObjectDocument, read_collection
from activitypub.failures import FetchBudget, FetchError
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url, same_origin
from activitypub.vocabulary import ACTIVITY_TYPES
from fedcomm.federation import backlog, lanes, synchronisation
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.crew import Crew
from fedcomm.federation.directory import Directory
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.library import Library
from fedcomm.federation.votes import vote_of
from fedcomm.hub import actors, follows, reactions, threads
from fedcomm.hub.errors import HubError
from fedcomm.hub.space import Space
from fedcomm.store.database import Database, DatabaseUnavailable, Reader, Row, Transaction
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.backfill")

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is looked for.

    depth: levels below a thread's first object. objects: fetched for one thread in a day (UTC).
    pages: of one collection in a round; all_pages: of one collection until it is read anew.
    fetches: of a round, all kinds. seconds: of a round. pause_ms: between two rounds of a thread.
    retry_ms: waits after a page that could not be read, then it is given up. lanes: rounds at once.
    """

    depth: int = 20
    objects: int = 500
    pages: int = 3
    all_pages: int = 200
    fetches: int = 30
    seconds: float = 120.0
    pause_ms: int = 60_000
    retry_ms: tuple[int, ...] = (5 * 60_000, 60 * 60_000)
    lanes: int = 4


Taken = Literal["kept", "known", "fruitless"]
"""What became of an item: new here, here already (or ours), or fetched for nothing."""


class _Spent(Exception):
    """The thread has had its objects of today."""


@dataclass(slots=True)
class _Round:
    """One round: what it may still fetch and what it has found."""

    root_id: int
    host_id: int
    budget: FetchBudget
    kept: int = 0
    fruitless: int = 0

    @property
    def is_worth_more(self) -> bool:
        """Whether what is left is read in another round: not when everything that was fetched was for nothing."""
        return self.kept > 0 or self.fruitless == 0

    def note(self, taken: Taken) -> None:
        self.kept += taken == "kept"
        self.fruitless += taken == "fruitless"


Take = Callable[[JSONObject | str], Awaitable[Taken]]


class Backfill:
    """The worker that reads conversations; `wake` is called when there may be something to read."""

    def __init__(
        self,
        db: Database,
        client: Client,
        library: Library,
        directory: Directory,
        keyring: Keyring,
        addresses: Addresses,
        *,
        allow_http: bool,
        bounds: Bounds | None = None,
    ) -> None:
        self.bounds = bounds or Bounds()
        self._db = db
        self._client = client
        self._library = library
        self._directory = directory
        self._keyring = keyring
        self._at = addresses
        self._http = allow_http
        self._crew = Crew(
            db,
            "backfill",
            self._work_off,
            hands=self._hands,
            lease_ms=lambda: int(self.bounds.seconds * 2000),
        )
        self.on_change: Callable[[], None] = lanes.idle
        self.space: Space | None = None

    def _hands(self) -> int:
        """None while the disk is nearly full: what is read here can be read another day."""
        return 0 if self.space is not None and self.space.is_short() else self.bounds.lanes

    def wake(self) -> None:
        """There may be something to read."""
        self._crew.wake()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._crew.run()

    async def _work_off(self, lane: lanes.Lane) -> None:
        """One round, for the thread that waits longest; the lane is due again for the next."""
        host_id = lane.host_id
        try:
            row = await self._next(host_id)
            if row is not None:
                work = _Round(row["root_id"], host_id, FetchBudget(self.bounds.fetches))
                try:
                    await self._round(work)
                except DatabaseUnavailable:
                    raise
                except Exception:
                    # Set aside, or the lane would come back to it for ever (INV-47).
                    log.exception("backfill: thread %d", work.root_id)
                    await self._put_off(work, None)
        finally:
            await asyncio.shield(self._release(host_id))

    async def _release(self, host_id: int) -> None:
        async with self._db.queue_transaction() as tx:
            await lanes.hold(tx, "backfill", host_id)
            next_at = await tx.value(
                "SELECT min(next_at) FROM backfill WHERE host_id = ? AND state = 'waiting'", host_id
            )
            await lanes.release(tx, "backfill", host_id, next_at=next_at)

    async def _next(self, host_id: int, root_id: int | None = None) -> Row | None:
        of_root, args = ("", ()) if root_id is None else (" AND root_id = ?", (root_id,))
        return await self._db.one(
            "SELECT root_id, uri, kind, page, pages, attempts, next_at FROM backfill"
            f" WHERE host_id = ? AND state = 'waiting' AND next_at <= ?{of_root}"
            " ORDER BY next_at LIMIT 1",
            host_id,
            now_ms(),
            *args,
        )

    # A round

    async def _round(self, work: _Round) -> None:
        """Read what waits for one thread in this lane until it is read or the round has used up what it may."""
        try:
            async with asyncio.timeout(self.bounds.seconds):
                while work.budget.left > 0:
                    row = await self._next(work.host_id, work.root_id)
                    if row is None:
                        return
                    await self._read(work, row)
        except TimeoutError:
            log.info("backfill: a round took too long")
        except _Spent:
            tomorrow = (now_ms() // DAY_MS + 1) * DAY_MS
            await self._put_off(work, tomorrow)
            return
        await self._put_off(work, now_ms() + self.bounds.pause_ms if work.is_worth_more else None)

    async def _put_off(self, work: _Round, next_at: int | None) -> None:
        """What this round left: read from `next_at` on, or, for None, when something new arrives."""
        now = now_ms()
        async with self._db.queue_transaction() as tx:
            await tx.execute(
                "UPDATE backfill SET state = ?, next_at = ?, walked_at = ?"
                " WHERE host_id = ? AND root_id = ? AND state = 'waiting' AND next_at <= ?",
                "waiting" if next_at is not None else "done",
                next_at or now,
                now,
                work.host_id,
                work.root_id,
                now,
            )

    async def _read(self, work: _Round, row: Row) -> None:
        """Read on in one collection."""
        if row["kind"] == "followers":
            await self._compare_followers(row, work)
            return
        if row["kind"] == "outbox":
            group = await self._followed_group(work.root_id)
            if group is None:
                await self._drop(work.root_id)
                return

            async def take(item: JSONObject | str) -> Taken:
                return await self._take_announced(item, group, work)

        else:
            if not await self._is_held(work.root_id):
                await self._drop(work.root_id)
                return
            listed_whole = row["kind"] == "context"

            async def take(item: JSONObject | str) -> Taken:
                return await self._take_reply(item, work, listed_whole=listed_whole)

        try:
            unread, pages = await self._walk(row, work, take)
        except Refused as error:
            log.info("backfill: collection refused: %s", error.reason)
            await self._settle(row)
        except FetchError as error:
            await self._failed(row, error)
        else:
            read_out = unread is None or row["pages"] + pages > self.bounds.all_pages
            if read_out or (work.budget.left > 0 and not work.is_worth_more):
                await self._settle(row)
            else:
                # After the pause, behind what else waits for the thread: breadth before depth.
                wait_ms = self.bounds.pause_ms if work.budget.left > 0 else 0
                await self._settle(row, page=unread, pages=pages, wait_ms=wait_ms)

    async def _walk(self, row: Row, work: _Round, take: Take) -> tuple[str | None, int]:
        """Read pages; (where to go on or None at the end, documents read).

        Raises FetchError, Refused for a page that cannot be read.
        """
        start = str(row["uri"])
        url: str | None = row["page"] or start
        pages = 1 if row["kind"] == "outbox" else self.bounds.pages
        seen: set[str] = set()
        while url is not None and url not in seen:
            if pages <= 0 or work.budget.left <= 0:
                return url, len(seen)
            seen.add(url)
            page = await self._page(url, start, work.budget)
            pages -= 1 if page.items else 0
            for item in page.items:
                if work.budget.left <= 0:
                    return url, len(seen)
                work.note(await take(item))
            if row["kind"] == "outbox" and page.items:
                return None, len(seen)
            following = page.next
            if following is None and not page.items and isinstance(page.first, str):
                following = page.first
            url = self._same_place(following, start)
            if len(seen) > self.bounds.pages + 1:
                return url, len(seen)
        return None, len(seen)

    async def _page(self, url: str, start: str, budget: FetchBudget) -> CollectionDocument:
        await self._directory.require_open(url)
        signer = await self._keyring.instance_signer()
        document, found_at = await self._client.get_document(url, signer, budget=budget)
        if not same_origin(found_at, start, allow_http=self._http):
            raise Refused("foreign-page")
        page = read_collection(document, allow_http=self._http)
        if not page.items and isinstance(page.first, dict):
            return read_collection(page.first, allow_http=self._http)
        return page

    def _same_place(self, url: str | None, start: str) -> str | None:
        return url if url is not None and same_origin(url, start, allow_http=self._http) else None

    async def _settle(
        self, row: Row, *, page: str | None = None, pages: int = 0, wait_ms: int = 0
    ) -> None:
        """Where to go on in a collection, or that it was read."""
        now = now_ms()
        async with self._db.queue_transaction() as tx:
            await tx.execute(
                "UPDATE backfill SET state = ?, page = ?, pages = pages + ?, attempts = 0,"
                " next_at = ?, walked_at = ? WHERE root_id = ? AND uri = ?",
                "waiting" if page is not None else "done",
                page,
                pages,
                now + wait_ms,
                now,
                row["root_id"],
                row["uri"],
            )

    async def _failed(self, row: Row, error: FetchError) -> None:
        attempts = row["attempts"] + 1
        passing = error.reason in ("timeout", "connect", "tls") or (error.status or 0) >= 429
        final = not passing or attempts > len(self.bounds.retry_ms)
        now = now_ms()
        log.info("backfill: %s", error)
        async with self._db.queue_transaction() as tx:
            await tx.execute(
                "UPDATE backfill SET state = ?, attempts = ?, next_at = ?, walked_at = ?"
                " WHERE root_id = ? AND uri = ?",
                "done" if final else "waiting",
                attempts,
                now if final else now + self.bounds.retry_ms[attempts - 1],
                now,
                row["root_id"],
                row["uri"],
            )

    async def _drop(self, root_id: int) -> None:
        """The thread is not here any more: nothing about it is kept."""
        async with self._db.queue_transaction() as tx:
            await tx.execute("DELETE FROM backfill WHERE root_id = ?", root_id)
            await tx.execute("DELETE FROM backfill_days WHERE root_id = ?", root_id)

    async def _compare_followers(self, row: Row, work: _Round) -> None:
        """Read whom of ours an actor's server takes for followers, and settle the difference (FEP-8fcf)."""
        listed: set[str] = set()
        wanted_at = row["next_at"]
        url: str | None = row["uri"]
        seen: set[str] = set()
        try:
            while url is not None and url not in seen and len(seen) < synchronisation.MOST_PAGES:
                seen.add(url)
                page = await self._page(url, row["uri"], work.budget)
                listed.update(filter(None, map(identifier, page.items)))
                first = page.first if isinstance(page.first, str) and not page.items else None
                url = self._same_place(page.next or first, row["uri"])
        except Refused as error:
            log.info("backfill: list of followers refused: %s", error.reason)
        except FetchError as error:
            await self._failed(row, error)
            return
        else:
            if url is None:
                # Half a list says nothing about who is not in it.
                async with self._db.transaction() as tx:
                    ended, undone = await synchronisation.settle(
                        tx, work.root_id, listed, self._at, before=wanted_at
                    )
                log.info("backfill: %d follows ended, %d undone again", ended, undone)
                self.on_change()
        await self._settle(row)

    # Items

    async def _take_reply(
        self, item: JSONObject | str, work: _Round, *, listed_whole: bool, climbed: int = 0
    ) -> Taken:
        """Fetch and keep what a conversation names, if it belongs to the thread: what it answers first."""
        uri = await self._unknown(object_named(item, allow_http=self._http))
        if uri is None:
            return "known"
        document = await self._fetched(uri, work)
        if document is None or document.in_reply_to is None:
            return "fruitless"
        if vote_of(document) is not None:
            return "fruitless"  # A vote in a poll is no answer.
        if climbed < self.bounds.depth and await self._unknown(document.in_reply_to) is not None:
            # Through this same gate, so that it is counted and stands where it may.
            above = await self._take_reply(
                document.in_reply_to, work, listed_whole=listed_whole, climbed=climbed + 1
            )
            if above != "kept":
                return "fruitless"
        try:
            if await self._library.find(self._db, document.in_reply_to) is None:
                return "fruitless"
            judge = self._library.require_harmless
            arrival = await self._library.prepare(document, budget=work.budget, judge=judge)
            await judge(arrival)
        except (FetchError, Refused):
            return "fruitless"
        if arrival.parent_id is None or arrival.visibility not in ("public", "unlisted"):
            return "fruitless"
        if not await self._is_within(arrival.parent_id, work.root_id):
            return "fruitless"

        async def keep(tx: Transaction) -> bool:
            stored = await self._library.store(tx, arrival)
            thing = await threads.thing(tx, stored) if stored is not None else None
            # Where one collection lists the whole conversation, each answer need not be asked for its own.
            if thing is not None and not listed_whole:
                await backlog.want_thread(tx, thing, document, self._at, allow_http=self._http)
            return thing is not None

        return "kept" if await self._change(keep) else "fruitless"

    async def _take_announced(
        self, item: JSONObject | str, group: actors.Actor, work: _Round
    ) -> Taken:
        """Keep what a followed group announced, as if the announcement had come (INV-7)."""
        uri = object_named(item, allow_http=self._http)
        announce = identifier(item) if isinstance(item, dict) else None
        if not same_origin(announce, group.uri, allow_http=self._http):
            announce = None
        known = await self._library.find(self._db, uri)
        if known is not None:
            if known.deleted_at is not None or known.is_local:
                return "known"
            known_id = known.id

            async def share(tx: Transaction) -> bool:
                return await reactions.add(tx, group.id, known_id, "share", uri=announce)

            await self._change(share)
            return "known"
        uri = await self._unknown(uri)
        document = await self._fetched(uri, work) if uri is not None else None
        if document is None:
            return "fruitless"
        try:
            arrival = await self._library.prepare(
                document, budget=work.budget, wanted=True, community=group
            )
        except (FetchError, Refused):
            return "fruitless"
        if arrival.visibility not in ("public", "unlisted") and arrival.community_id != group.id:
            return "fruitless"

        async def keep(tx: Transaction) -> bool:
            stored = await self._library.store(tx, arrival)
            thing = await threads.thing(tx, stored) if stored is not None else None
            if thing is None:
                return False
            await reactions.add(tx, group.id, thing.id, "share", uri=announce)
            await backlog.want_thread(tx, thing, document, self._at, allow_http=self._http)
            return True

        return "kept" if await self._change(keep) else "fruitless"

    async def _unknown(self, uri: str | None) -> str | None:
        """The id, if something may be fetched there that is not known here yet."""
        if uri is None or self._at.is_ours(uri):
            return None
        if await self._library.find(self._db, uri) is not None:
            return None
        return None if await self._library.is_remembered_as_deleted(self._db, uri) else uri

    async def _fetched(self, uri: str, work: _Round) -> ObjectDocument | None:
        """What lives under an id, as its origin serves it."""
        await self._count(work.root_id)
        try:
            document = await self._library.fetch(uri, budget=work.budget)
        except (FetchError, Refused):
            return None
        if not document.is_writing:
            return None
        return document

    async def _change(self, keep: Callable[[Transaction], Awaitable[bool]]) -> bool:
        try:
            async with self._db.transaction() as tx:
                kept = await keep(tx)
        except HubError:
            return False
        if kept:
            self.on_change()
        return kept

    async def _count(self, root_id: int) -> None:
        """One object more for the thread today. Raises _Spent."""
        today = now_ms() // DAY_MS
        async with self._db.queue_transaction() as tx:
            row = await tx.one("SELECT day, objects FROM backfill_days WHERE root_id = ?", root_id)
            spent = row["objects"] if row is not None and row["day"] == today else 0
            if spent >= self.bounds.objects:
                raise _Spent
            await tx.execute(
                "INSERT INTO backfill_days (root_id, day, objects) VALUES (?, ?, ?)"
                " ON CONFLICT (root_id) DO UPDATE SET day = excluded.day, objects = excluded.objects",
                root_id,
                today,
                spent + 1,
            )

    # Questions

    async def _is_held(self, root_id: int) -> bool:
        root = await threads.thing(self._db, root_id)
        return (
            root is not None
            and root.deleted_at is None
            and root.visibility in ("public", "unlisted")
        )

    async def _is_within(self, parent_id: int, root_id: int) -> bool:
        """Whether an answer to `parent_id` stands in the thread, not too deep."""
        parent = await threads.thing(self._db, parent_id)
        if parent is None or parent.topic_id != root_id:
            return False
        return await levels_below_root(self._db, parent_id, self.bounds.depth) < self.bounds.depth

    async def _followed_group(self, actor_id: int) -> actors.Actor | None:
        if not await follows.is_followed_here(self._db, actor_id):
            return None
        return await actors.actor(self._db, actor_id)


async def levels_below_root(db: Reader, object_id: int, most: int) -> int:
    """How many objects stand above this one in its thread, `most` at most."""
    found = await db.value(
        "WITH RECURSIVE above (parent_id, level) AS ("
        "  SELECT parent_id, 0 FROM objects WHERE id = ?"
        "  UNION ALL SELECT o.parent_id, above.level + 1 FROM above"
        "  JOIN objects o ON o.id = above.parent_id WHERE above.level < ?"
        ") SELECT max(level) FROM above",
        object_id,
        most,
    )
    return int(found or 0)


def object_named(item: JSONObject | str, *, allow_http: bool) -> str | None:
    """The id of the object that an item of a collection is about: the item itself, or what its activities wrap."""
    for wrapped in _inward(item):
        if not isinstance(wrapped, dict) or not ACTIVITY_TYPES.intersection(types(wrapped)):
            return parse_url(identifier(wrapped), allow_http=allow_http)
    return None


def _inward(item: object) -> Iterator[object]:
    """The item, its `object`, the `object` of that: `Announce` of a `Create` of a `Note` and no deeper."""
    for _ in range(3):
        yield item
        item = item.get("object") if isinstance(item, Mapping) else None
