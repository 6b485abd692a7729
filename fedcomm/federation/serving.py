"""GET of what is ours: to whom the gate and authorized fetch allow (federation.md §3.6, §7.5).

A signed fetch is evidence of a copy, so it is written to the ledger of reach.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Literal

from aiohttp import web

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject, dumps
from activitypub.origins import host as host_of
from activitypub.signatures import ACCEPT_SIGNATURE_GET
from activitypub.vocabulary import CONTENT_TYPE, wants_activity
from fedcomm.config import Config
from fedcomm.federation import farewells, peers, synchronisation
from fedcomm.federation.activities import Activities
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.assurances import Assurances
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.federation.forms import as_page
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.reception import Reception
from fedcomm.federation.sealing import unsealed
from fedcomm.federation.visitors import Turned, Visitors
from fedcomm.hub import actors, circles, consents, erasure, events, groups, threads, timelines
from fedcomm.hub.visibility import (
    ANONYMOUS,
    Viewer,
    can_know_group,
    can_read,
    can_see_group,
    member,
    readable,
)
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms, parse_id

log = logging.getLogger("fedcomm.federation")

PAGE = 20
MAX_AGE_S = 180
VARY = "Accept, Signature, Signature-Input"
FETCHES_NOTED = 20_000

FETCHED = (
    "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 2, ?, ?)"
    " ON CONFLICT (subject_id, host_id) DO UPDATE SET last_at = excluded.last_at,"
    " how = CASE WHEN reach.how = 1 THEN 3 ELSE reach.how END"
)

VISITOR: web.RequestKey[tuple[Viewer, KnownKey | None]] = web.RequestKey("visitor")
"""Where a request keeps who asks: (viewer, the key that signed), found out once (INV-4)."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Serving:
    """The GET and POST handlers under /ap/."""

    def __init__(
        self,
        config: Config,
        db: Database,
        keyring: Keyring,
        catalogue: Catalogue,
        visitors: Visitors,
        reception: Reception,
        addresses: Addresses,
        assurances: Assurances,
    ) -> None:
        self._config = config
        self._db = db
        self._keyring = keyring
        self._catalogue = catalogue
        self._activities = Activities(db, catalogue, addresses)
        self._visitors = visitors
        self._reception = reception
        self._at = addresses
        self._assurances = assurances
        self._noted: OrderedDict[tuple[int, int], None] = OrderedDict()

    def add_routes(self, app: web.Application) -> None:
        """Everything under /ap/."""
        router = app.router
        router.add_post("/ap/inbox", self._shared_inbox)
        router.add_get("/ap/instance", self._instance)
        router.add_post("/ap/instance/inbox", self._shared_inbox)
        router.add_get("/ap/instance/outbox", self._guarded(self._empty))
        for path in ("p", "g"):
            base = f"/ap/{path}/{{id}}"
            router.add_get(base, self._guarded(self._actor))
            router.add_post(f"{base}/inbox", self._inbox)
            router.add_get(f"{base}/outbox", self._guarded(self._outbox))
            router.add_get(f"{base}/followers", self._guarded(self._followers))
            router.add_get(f"{base}/following", self._guarded(self._following))
            router.add_get(f"{base}/featured", self._guarded(self._featured))
        router.add_get(
            "/ap/p/{id}/followers/synchronization", self._guarded(self._followers_of_host)
        )
        router.add_get(
            "/ap/g/{id}/followers/synchronization", self._guarded(self._followers_of_host)
        )
        router.add_get("/ap/g/{id}/moderators", self._guarded(self._moderators))
        router.add_get("/ap/o/{id}", self._guarded(self._object))
        router.add_get("/ap/o/{id}/replies", self._guarded(self._replies))
        router.add_get("/ap/o/{id}/likes", self._guarded(self._counted))
        router.add_get("/ap/o/{id}/shares", self._guarded(self._counted))
        router.add_get("/ap/o/{id}/attendees", self._guarded(self._attendees))
        router.add_get("/ap/c/{id}", self._guarded(self._activity))
        router.add_get("/ap/x/{id}", self._guarded(self._context))
        router.add_get("/ap/v/{id}", self._guarded(self._vote))
        router.add_get("/ap/w/{id}", self._guarded(self._told))
        router.add_get("/ap/e/{id}", self._guarded(self._emoji))
        router.add_get("/ap/z/{id}", self._guarded(self._authorization))

    # Inboxes

    async def _shared_inbox(self, request: web.Request) -> web.Response:
        return await self._reception.post(request, None)

    async def _inbox(self, request: web.Request) -> web.Response:
        recipient = parse_id(request.match_info["id"])
        if recipient is None:
            return _error(404, "There is no such inbox.")
        return await self._reception.post(request, recipient)

    # Actors

    async def _instance(self, request: web.Request) -> web.Response:
        # Always to everybody: two strict servers must be able to check each other's keys (A2).
        return _document(request, await self.instance_document(), public=True)

    async def instance_document(self) -> JSONObject:
        """The document of the instance actor."""
        actor = await actors.actor(self._db, await self._keyring.instance_actor())
        assert actor is not None
        return await self._catalogue.actor(self._db, actor)

    async def _actor(self, request: web.Request) -> web.StreamResponse:
        stub = await self._farewell(request)
        if stub is not None:
            return stub
        actor = await self._local_actor(request)
        if not wants_activity(request.headers.get("Accept")) and _wants_html(request):
            # The address of the page names the group: not to somebody who may not know of it.
            await self._require_group_known(actor, ANONYMOUS)
            raise web.HTTPSeeOther(self._at.page(actor))
        return await self.actor_response(request, actor)

    async def actor_response(self, request: web.Request, actor: actors.Actor) -> web.Response:
        """The document of a member or group, whole or as much as the fetcher may have."""
        viewer, known = request[VISITOR]
        if actor.suspended_at is not None:
            raise Turned(403, "suspended-actor")
        await self._require_group_known(actor, viewer)
        if not await self._consents(actor):
            return await self._withdrawn(request, actor)
        document = await self._catalogue.actor(self._db, actor)
        if actor.kind == "person" and known is None and self._config.federation.authorized_fetch:
            return _document(request, self._catalogue.stub(document), public=True)
        await self._note(actor.id, known)
        return _document(request, document, public=known is None)

    async def _outbox(self, request: web.Request) -> web.Response:
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_visible(actor, viewer)
        uri = f"{self._at.actor(actor)}/outbox"
        before = _page_id(request)
        # Its items are whole objects: for them the rule of objects holds.
        self._require_signature(known)
        if actor.kind == "group":
            items, last = await self._catalogue.group_outbox(
                self._db, viewer, actor.id, before=before, limit=PAGE
            )
            total = await self._count_topics(viewer, actor.id)
        else:
            items, last = await self._catalogue.member_outbox(
                self._db, ANONYMOUS, actor.id, before=before, limit=PAGE
            )
            total = await self._count_written(actor.id)
        # Lemmy reads inline items and no pages (§2.4); the others read totalItems and first.
        collection: JSONObject = {"id": uri, "type": "OrderedCollection", "totalItems": total}
        if "page" in request.query:
            collection = {
                "id": str(request.url.with_query(request.query).relative()),
                "type": "OrderedCollectionPage",
                "partOf": uri,
                "totalItems": total,
            }
            collection["id"] = self._at.origin + collection["id"]
        else:
            collection["first"] = f"{uri}?page=true"
        if last is not None and "page" in request.query:
            collection["next"] = f"{uri}?page=true&before={last}"
        if actor.kind == "group" or "page" in request.query:
            collection["orderedItems"] = items
        return _document(request, with_context(collection), public=known is None)

    async def _followers(self, request: web.Request) -> web.Response:
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_known(actor, viewer)
        if "is_follower" in request.query:
            return await self._is_follower(request, actor, viewer)
        sql = (
            "SELECT count(*) FROM memberships WHERE group_id = ? AND state = 'active' AND suspended = 0"
            if actor.kind == "group"
            else "SELECT count(*) FROM follows WHERE followed_id = ? AND state = 'active' AND suspended = 0"
        )
        total = int(await self._db.value(sql, actor.id))
        return self._totals(request, actor, "followers", total, known)

    async def _followers_of_host(self, request: web.Request) -> web.Response:
        """The followers of a member or a group on the host that asks, which only that host gets (FEP-8fcf,
        INV-18)."""
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_visible(actor, viewer)
        group = await groups.group(self._db, actor.id) if actor.kind == "group" else None
        if group is not None and not group.is_members_only:
            raise Turned(404, "public-group")  # What goes to it in public needs no such list.
        if known is None:
            raise Turned(401, "unsigned", "Sign this request.")
        items = await synchronisation.followers_on(self._db, actor.id, known.host_id)
        uri = f"{self._at.actor(actor)}/followers/synchronization"
        return self._ordered(request, uri, items, known)

    async def _is_follower(
        self, request: web.Request, group: actors.Actor, viewer: Viewer
    ) -> web.Response:
        """Whether the server of an actor has a member in a private group: asked by servers with members in it that
        are to show a copy of what was said there to that actor (§2.4, Lemmy). Says so by its status alone."""
        await self._require_group_visible(group, viewer)
        found = await groups.group(self._db, group.id)
        if found is None or not found.is_members_only:
            raise Turned(400, "public-group", "This group is not private.")
        authority = host_of(request.query["is_follower"], allow_http=not self._config.is_secure)
        host_id = await self._db.value("SELECT id FROM hosts WHERE name = ?", authority or "")
        if host_id is None or not await circles.is_home(self._db, group.id, int(host_id)):
            raise Turned(404, "no-follower")
        return web.Response(
            status=200, headers={"Vary": VARY, "Cache-Control": "private, no-store"}
        )

    async def _told(self, request: web.Request) -> web.Response:
        """What a private group told microblogs of an object in it."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        document = None
        if number is not None and await can_read(self._db, viewer, number):
            thing = await threads.thing(self._db, number)
            if thing is not None:
                await self._require_consent(thing)
            document = await self._catalogue.told(self._db, viewer, number)
        if number is None or document is None:
            raise Turned(404, "hidden")
        await self._note(number, known)
        return _document(request, with_context(document), public=False)

    async def _following(self, request: web.Request) -> web.Response:
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_visible(actor, viewer)
        total = int(
            await self._db.value(
                "SELECT count(*) FROM follows WHERE follower_id = ? AND state = 'active'"
                " AND suspended = 0",
                actor.id,
            )
        )
        return self._totals(request, actor, "following", total, known)

    async def _featured(self, request: web.Request) -> web.Response:
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_visible(actor, viewer)
        items: list[str] = []
        if actor.kind == "group":
            pinned = await timelines.pinned_topics(self._db, viewer, actor.id)
            free = await self._leaves(*(post.thing for post in pinned))
            items = [self._at.object(post.thing) for post in pinned if post.thing.id in free]
        return self._ordered(request, f"{self._at.actor(actor)}/featured", items, known)

    async def _moderators(self, request: web.Request) -> web.Response:
        actor = await self._local_actor(request)
        viewer, known = request[VISITOR]
        await self._require_group_visible(actor, viewer)
        people = await groups.moderators(self._db, actor.id)
        willing = await self._catalogue.consent.willing(
            self._db, [person.id for person in people], CONSUMER
        )
        items = [self._at.actor(person) for person in people if person.id in willing]
        return self._ordered(request, f"{self._at.actor(actor)}/moderators", items, known)

    async def _empty(self, request: web.Request) -> web.Response:
        uri = f"{self._at.instance}/outbox"
        return self._ordered(request, uri, [], None)

    # Objects

    async def _object(self, request: web.Request) -> web.StreamResponse:
        number = parse_id(request.match_info["id"])
        if number is None:
            raise Turned(404, "no-such-object")
        if not wants_activity(request.headers.get("Accept")) and _wants_html(request):
            raise web.HTTPSeeOther(f"{self._at.origin}/o/{number}")
        return await self.object_response(request, number)

    async def object_response(self, request: web.Request, number: int) -> web.Response:
        """The document of a local object."""
        viewer, known = request[VISITOR]
        thing = await threads.thing(self._db, number)
        if thing is None or not thing.is_local:
            raise Turned(404, "no-such-object")
        if thing.deleted_at is not None:
            # Once deletion is final the id answers 404: that is what makes Mastodon and NodeBB let
            # go of their copy (§6.4); the Tombstone went out in the Delete.
            raise Turned(404, "deleted")
        if not await can_read(self._db, viewer, number) and not await self._is_assured(
            thing, known
        ):
            raise Turned(404, "hidden")
        self._require_signature(known)
        document = await self._catalogue.object(self._db, number)
        if document is None:
            raise Turned(404, "no-such-object")
        await self._require_consent(thing)
        await self._note(number, known)
        document = with_context(await self._suited(document, known))
        return _document(request, document, public=known is None)

    async def _is_assured(self, thing: threads.Thing, known: KnownKey | None) -> bool:
        """Whether the private group elsewhere in which it was said has a member on the server that asks."""
        if known is None or thing.community_id is None or thing.visibility != "members":
            return False
        if not await can_read(self._db, member(thing.author_id), thing.id):
            return False
        return await self._assurances.admits(thing.community_id, known.actor_uri, known.host_id)

    async def _replies(self, request: web.Request) -> web.Response:
        thing, viewer, known = await self._readable(request)
        document = await self._catalogue.replies(self._db, viewer, thing)
        if "page" in request.query:
            document = with_context(document["first"])
        return _document(request, document, public=known is None)

    async def _counted(self, request: web.Request) -> web.Response:
        """Likes and shares as numbers only: who voted is nobody's business."""
        thing, _, known = await self._readable(request)
        name = request.path.rsplit("/", 1)[1]
        total = thing.like_count if name == "likes" else thing.share_count
        document = with_context(
            {
                "id": f"{self._at.object(thing)}/{name}",
                "type": "OrderedCollection",
                "totalItems": total,
            }
        )
        return _document(request, document, public=known is None)

    async def _attendees(self, request: web.Request) -> web.Response:
        """How many come to an event; who they are is for its organiser (FEP-8a8e lets one say so little)."""
        thing, _, known = await self._readable(request)
        event = await events.event_of(self._db, 0, thing.id)
        if event is None or not thing.is_local:
            raise Turned(404, "no-event")
        document = with_context(
            {
                "id": f"{self._at.object(thing)}/attendees",
                "type": "OrderedCollection",
                "totalItems": event.going,
            }
        )
        return _document(request, document, public=known is None)

    async def _suited(self, document: JSONObject, known: KnownKey | None) -> JSONObject:
        """The object in a form that the server that asks for it takes (`peers`)."""
        kind = str(document.get("type"))
        if known is None or kind not in ("Question", "Event"):
            return document
        software = await self._db.value("SELECT software FROM hosts WHERE id = ?", known.host_id)
        return document if peers.takes_as_it_is(kind, software) else as_page(document)

    async def _context(self, request: web.Request) -> web.Response:
        thing, viewer, known = await self._readable(request)
        if thing.kind != "topic" or thing.group_id is None:
            raise Turned(404, "no-such-context")
        document = await self._catalogue.context(self._db, viewer, thing)
        assert document is not None
        return _document(request, document, public=known is None)

    async def _activity(self, request: web.Request) -> web.Response:
        """An activity of ours by its id: Mastodon and NodeBB fetch `Create` to believe it (§4.3, §12)."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        found = None
        if number is not None:
            found = await self._activities.document(number, viewer, known)
        if found is None:
            raise Turned(404, "no-such-activity")
        self._require_signature(known)
        document, copied = found
        inner = document.get("object")
        if isinstance(inner, dict):
            suited = await self._suited(inner, known)
            if suited is not inner:
                document = unsealed(document) | {"object": suited}
        if copied is not None:
            await self._note(copied, known)
        return _document(request, document, public=known is None)

    async def _vote(self, request: web.Request) -> web.Response:
        """A vote of a member in a poll of another server: for that server only."""
        number = parse_id(request.match_info["id"])
        _, known = request[VISITOR]
        found = None
        if number is not None and known is not None:
            found = await self._catalogue.vote(self._db, number, known.host_id)
        if found is None:
            raise Turned(404, "no-such-vote")
        return _document(request, with_context(found), public=False)

    async def _emoji(self, request: web.Request) -> web.Response:
        """An emoji of ours: they are public, like their pictures."""
        number = parse_id(request.match_info["id"])
        found = await self._catalogue.emoji(self._db, number) if number is not None else None
        if found is None:
            raise Turned(404, "no-such-emoji")
        return _document(request, with_context(found), public=request[VISITOR][1] is None)

    async def _authorization(self, request: web.Request) -> web.Response:
        """Our consent to a quote (FEP-044f): whoever shows the quote looks here first, signed or not."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        found = None
        if number is not None:
            found = await self._catalogue.authorization(self._db, viewer, number)
        if number is None or found is None:
            raise Turned(404, "no-such-consent")
        quoted = self._at.local(str(found.get("interactionTarget")), "o")
        target = await threads.thing(self._db, quoted) if quoted is not None else None
        if target is not None:
            await self._require_consent(target)
        self._require_signature(known)
        await self._note(number, known)
        return _document(request, with_context(found), public=known is None)

    # What the handlers share

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                # Before anything is looked up: whether it exists must not change the answer to a
                # bad signature.
                request[VISITOR] = await self._visitors.viewer(request)
                return await handler(request)
            except Turned as turned:
                return refusal(turned)

        return answer

    async def respond(
        self, request: web.Request, kind: Literal["actor", "object"], number: int
    ) -> web.StreamResponse:
        """The document of what a page shows, at the page's own address."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if kind == "object":
                return await self.object_response(request, number)
            actor = await actors.actor(self._db, number)
            if actor is None or not actor.is_local or actor.deleted_at is not None:
                raise Turned(404, "no-such-actor")
            return await self.actor_response(request, actor)

        return await self._guarded(answer)(request)

    async def _farewell(self, request: web.Request) -> web.Response | None:
        """Of an actor who is being erased only what the last Delete is verified by, as long as servers are told."""
        number = parse_id(request.match_info["id"])
        actor = await actors.actor(self._db, number) if number is not None else None
        if actor is None or not actor.is_local or actor.deleted_at is None:
            return None
        case = await erasure.case_of(self._db, actor.id)
        if case is None or case.finished_at is not None:
            return None
        if now_ms() - case.created_at > farewells.STUB_MS:
            return None
        keys = await self._keyring.known(actor.id)
        if keys is None:
            return None
        return _document(request, farewells.stub(actor, keys), public=False)

    async def _local_actor(self, request: web.Request) -> actors.Actor:
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
        if not is_document and not await self._consents(actor):
            raise Turned(404, "no-consent")
        return actor

    async def _consents(self, actor: actors.Actor) -> bool:
        return await self._catalogue.consent.allows(self._db, actor.id, CONSUMER)

    async def _leaves(self, *things: threads.Thing) -> set[int]:
        """Those of the objects that their authors let go."""
        return await self._catalogue.consent.leaves(
            self._db, [thing.id for thing in things], CONSUMER
        )

    async def _require_consent(self, thing: threads.Thing) -> None:
        if not await self._leaves(thing):
            raise Turned(404, "no-consent")

    async def _withdrawn(self, request: web.Request, actor: actors.Actor) -> web.Response:
        """Of a member whose words stay here nothing; while earlier copies are asked back, the key that the Deletes
        are verified by, without a name (§6.2)."""
        decided = await consents.latest(self._db, actor.id, CONSUMER)
        keys = await self._keyring.known(actor.id)
        if (
            decided is None
            or keys is None
            or decided.granted
            or now_ms() - decided.decided_at > farewells.STUB_MS
        ):
            raise Turned(404, "no-consent")
        return _document(request, farewells.stub(actor, keys), public=False)

    async def _readable(
        self, request: web.Request
    ) -> tuple[threads.Thing, Viewer, KnownKey | None]:
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        thing = await threads.thing(self._db, number) if number is not None else None
        if thing is None or not await can_read(self._db, viewer, thing.id):
            raise Turned(404, "hidden")
        await self._require_consent(thing)
        self._require_signature(known)
        return thing, viewer, known

    async def _require_group_known(self, actor: actors.Actor, viewer: Viewer) -> None:
        if actor.kind == "group" and not await can_know_group(self._db, viewer, actor.id):
            raise Turned(404, "hidden-group")

    async def _require_group_visible(self, actor: actors.Actor, viewer: Viewer) -> None:
        if actor.kind == "group" and not await can_see_group(self._db, viewer, actor.id):
            raise Turned(404, "hidden-group")

    def _require_signature(self, known: KnownKey | None) -> None:
        if known is None and self._config.federation.authorized_fetch:
            raise Turned(401, "unsigned", "Sign this request.")

    async def _note(self, subject_id: int, known: KnownKey | None) -> None:
        """A signed GET is a copy: one line in the ledger for each object and host (promise 3)."""
        if known is None or (subject_id, known.host_id) in self._noted:
            return
        now = now_ms()
        await self._db.append(FETCHED, (subject_id, known.host_id, now, now))
        self._noted[subject_id, known.host_id] = None
        while len(self._noted) > FETCHES_NOTED:
            self._noted.popitem(last=False)

    async def _count_topics(self, viewer: Viewer, group_id: int) -> int:
        clause, leaving = readable(viewer), self._catalogue.consent.leaving(CONSUMER)
        return int(
            await self._db.value(
                "SELECT count(*) FROM objects o WHERE o.group_id = ? AND o.kind = 'topic'"
                f" AND {clause.sql} AND {leaving.sql}",
                group_id,
                *clause.args,
                *leaving.args,
            )
        )

    async def _count_written(self, author_id: int) -> int:
        leaving = self._catalogue.consent.leaving(CONSUMER)
        return int(
            await self._db.value(
                "SELECT count(*) FROM objects o WHERE o.author_id = ? AND o.deleted_at IS NULL"
                f" AND o.visibility IN ('public', 'unlisted') AND {leaving.sql}",
                author_id,
                *leaving.args,
            )
        )

    def _totals(
        self,
        request: web.Request,
        actor: actors.Actor,
        name: str,
        total: int,
        known: KnownKey | None,
    ) -> web.Response:
        """A collection that tells its size and nothing else (INV-18)."""
        document = with_context(
            {
                "id": f"{self._at.actor(actor)}/{name}",
                "type": "OrderedCollection",
                "totalItems": total,
            }
        )
        return _document(request, document, public=known is None)

    def _ordered(
        self, request: web.Request, uri: str, items: list[str], known: KnownKey | None
    ) -> web.Response:
        document = with_context(
            {
                "id": uri,
                "type": "OrderedCollection",
                "totalItems": len(items),
                "orderedItems": items,
            }
        )
        return _document(request, document, public=known is None)


def refusal(turned: Turned) -> web.Response:
    """The answer to a fetch that was turned away."""
    headers = {"Vary": VARY, "Cache-Control": "private, no-store"}
    if turned.status == 401:
        headers["Accept-Signature"] = ACCEPT_SIGNATURE_GET
    if turned.status == 503:
        headers["Retry-After"] = "30"
    words = {404: "There is nothing here.", 410: "This was deleted."}.get(
        turned.status, str(turned)
    )
    return _error(turned.status, words, headers)


def _error(status: int, words: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": words}, status=status, headers=headers)


def _document(request: web.Request, document: JSONObject, *, public: bool) -> web.Response:
    """An ActivityStreams answer: exactly this content type (Lemmy compares it whole), ETag, Vary (INV-31)."""
    body = dumps(document)
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {
        "Vary": VARY,
        "ETag": etag,
        "Cache-Control": f"public, max-age={MAX_AGE_S}" if public else "private, no-store",
        "Access-Control-Allow-Origin": "*",
    }
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers | {"Content-Type": CONTENT_TYPE})


def _wants_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _page_id(request: web.Request) -> int | None:
    return parse_id(request.query.get("before", "")) if "before" in request.query else None
