"""Who comes to the addresses under /ap/, what they may have, and what is noted of it (federation.md §3.6, §7.5).

A signed fetch is evidence of a copy, so it is written to the ledger of reach.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from fedcomm.federation import answers
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.federation.visitors import Turned, Visitors
from fedcomm.hub import actors, threads
from fedcomm.hub.visibility import Viewer, can_know_group, can_read, can_see_group
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms, parse_id

FETCHES_NOTED: Final = 20_000
"""Fetches that a process remembers to have noted, so as not to write each again."""

FETCHED = (
    "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 2, ?, ?)"
    " ON CONFLICT (subject_id, host_id) DO UPDATE SET last_at = excluded.last_at,"
    " how = CASE WHEN reach.how = 1 THEN 3 ELSE reach.how END"
)

VISITOR: web.RequestKey[tuple[Viewer, KnownKey | None]] = web.RequestKey("visitor")
"""Where a request keeps who asks: (viewer, the key that signed), found out once (INV-4)."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Threshold:
    """Asks who it is, and turns away."""

    def __init__(
        self, db: Database, catalogue: Catalogue, visitors: Visitors, *, authorized_fetch: bool
    ) -> None:
        self._db = db
        self._catalogue = catalogue
        self._visitors = visitors
        self._authorized_fetch = authorized_fetch
        self._noted: OrderedDict[tuple[int, int], None] = OrderedDict()

    def guarded(self, handler: Handler) -> Handler:
        """The handler, behind the question who asks; what it raises as Turned becomes the answer."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                # Before anything is looked up: whether it exists must not change the answer to a
                # bad signature.
                request[VISITOR] = await self._visitors.viewer(request)
                return await handler(request)
            except Turned as turned:
                return answers.refusal(turned)

        return answer

    async def local_actor(self, request: web.Request) -> actors.Actor:
        """The member or group of ours that the path names. Raises Turned."""
        number = parse_id(request.match_info["id"])
        actor = await actors.actor(self._db, number) if number is not None else None
        wanted = "group" if request.path.startswith("/ap/g/") else "person"
        if actor is None or not actor.is_local or actor.kind != wanted:
            raise Turned(404, "no-such-actor")
        if actor.deleted_at is not None:
            raise Turned(410, "erased-actor")
        if actor.suspended_at is not None:
            raise Turned(403, "suspended-actor")
        is_document = request.path.rstrip("/").endswith(f"/{actor.id}")
        if not is_document and not await self.consents(actor):
            raise Turned(404, "no-consent")
        return actor

    async def consents(self, actor: actors.Actor) -> bool:
        """Whether the actor lets anything go out through this spoke."""
        return await self._catalogue.consent.allows(self._db, actor.id, CONSUMER)

    async def leaves(self, *things: threads.Thing) -> set[int]:
        """Those of the objects that their authors let go."""
        return await self._catalogue.consent.leaves(
            self._db, [thing.id for thing in things], CONSUMER
        )

    async def require_consent(self, thing: threads.Thing) -> None:
        """Raises Turned unless the author lets the object go."""
        if not await self.leaves(thing):
            raise Turned(404, "no-consent")

    async def readable_object(
        self, request: web.Request
    ) -> tuple[threads.Thing, Viewer, KnownKey | None]:
        """The object that the path names, and who asks. Raises Turned."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        thing = await threads.thing(self._db, number) if number is not None else None
        if thing is None or not await can_read(self._db, viewer, thing.id):
            raise Turned(404, "hidden")
        await self.require_consent(thing)
        self.require_signature(known)
        return thing, viewer, known

    async def require_group_known(self, actor: actors.Actor, viewer: Viewer) -> None:
        """Raises Turned when it is a group of which the viewer may not know."""
        if actor.kind == "group" and not await can_know_group(self._db, viewer, actor.id):
            raise Turned(404, "hidden-group")

    async def require_group_visible(self, actor: actors.Actor, viewer: Viewer) -> None:
        """Raises Turned when it is a group into which the viewer may not look."""
        if actor.kind == "group" and not await can_see_group(self._db, viewer, actor.id):
            raise Turned(404, "hidden-group")

    def require_signature(self, known: KnownKey | None) -> None:
        """Raises Turned for an unsigned fetch where only signed ones are answered."""
        if known is None and self._authorized_fetch:
            raise Turned(401, "unsigned", "Sign this request.")

    async def note(self, subject_id: int, known: KnownKey | None) -> None:
        """A signed GET is a copy: one line in the ledger for each object and host (promise 3)."""
        if known is None or (subject_id, known.host_id) in self._noted:
            return
        now = now_ms()
        await self._db.append(FETCHED, (subject_id, known.host_id, now, now))
        self._noted[subject_id, known.host_id] = None
        while len(self._noted) > FETCHES_NOTED:
            self._noted.popitem(last=False)
