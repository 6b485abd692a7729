"""GET of our collections: what actors have said, who follows them, what hangs on an object (§2.4, §5, INV-18)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from activitypub.origins import host as host_of
from fedcomm.federation import answers, synchronisation
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.federation.threshold import VISITOR, Threshold
from fedcomm.federation.totals import Totals
from fedcomm.federation.visitors import Turned
from fedcomm.hub import actors, circles, events, groups, timelines
from fedcomm.hub.visibility import ANONYMOUS, Viewer, readable
from fedcomm.store.database import Database, Value

PAGE: Final = 20


class Collections:
    """The handlers of collections."""

    def __init__(
        self,
        db: Database,
        catalogue: Catalogue,
        threshold: Threshold,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._catalogue = catalogue
        self._threshold = threshold
        self._at = addresses
        self._http = allow_http
        self._totals = Totals()

    def add_routes(self, app: web.Application) -> None:
        """Those of actors and of objects."""
        router, guarded = app.router, self._threshold.guarded
        for base in ("/ap/p/{id}", "/ap/g/{id}"):
            router.add_get(f"{base}/outbox", guarded(self._outbox))
            router.add_get(f"{base}/followers", guarded(self._followers))
            router.add_get(f"{base}/followers/synchronization", guarded(self._followers_of_host))
            router.add_get(f"{base}/following", guarded(self._following))
            router.add_get(f"{base}/featured", guarded(self._featured))
        router.add_get("/ap/g/{id}/moderators", guarded(self._moderators))
        router.add_get("/ap/o/{id}/replies", guarded(self._replies))
        router.add_get("/ap/o/{id}/likes", guarded(self._counted))
        router.add_get("/ap/o/{id}/shares", guarded(self._counted))
        router.add_get("/ap/o/{id}/attendees", guarded(self._attendees))

    async def _outbox(self, request: web.Request) -> web.Response:
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_visible(actor, viewer)
        uri = f"{self._at.actor(actor)}/outbox"
        before = answers.page_id(request)
        # Its items are whole objects: for them the rule of objects holds.
        self._threshold.require_signature(known)
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
        return answers.document(request, with_context(collection), public=known is None)

    async def _followers(self, request: web.Request) -> web.Response:
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_known(actor, viewer)
        if "is_follower" in request.query:
            return await self._is_follower(request, actor, viewer)
        sql = (
            "SELECT count(*) FROM memberships WHERE group_id = ? AND state = 'active' AND suspended = 0"
            if actor.kind == "group"
            else "SELECT count(*) FROM follows WHERE followed_id = ? AND state = 'active' AND suspended = 0"
        )
        total = int(await self._db.value(sql, actor.id))
        return answers.size(request, f"{self._at.actor(actor)}/followers", total, known)

    async def _followers_of_host(self, request: web.Request) -> web.Response:
        """The followers of a member or a group on the host that asks, which only that host gets (FEP-8fcf,
        INV-18)."""
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_visible(actor, viewer)
        group = await groups.group(self._db, actor.id) if actor.kind == "group" else None
        if group is not None and not group.is_members_only:
            raise Turned(404, "public-group")  # What goes to it in public needs no such list.
        if known is None:
            raise Turned(401, "unsigned", "Sign this request.")
        items = await synchronisation.followers_on(self._db, actor.id, known.host_id)
        uri = f"{self._at.actor(actor)}/followers/synchronization"
        return answers.ordered(request, uri, items, known)

    async def _is_follower(
        self, request: web.Request, group: actors.Actor, viewer: Viewer
    ) -> web.Response:
        """Whether the server of an actor has a member in a private group: asked by servers with members in it that
        are to show a copy of what was said there to that actor (§2.4, Lemmy). Says so by its status alone."""
        await self._threshold.require_group_visible(group, viewer)
        found = await groups.group(self._db, group.id)
        if found is None or not found.is_members_only:
            raise Turned(400, "public-group", "This group is not private.")
        authority = host_of(request.query["is_follower"], allow_http=self._http)
        host_id = await self._db.value("SELECT id FROM hosts WHERE name = ?", authority or "")
        if host_id is None or not await circles.is_home(self._db, group.id, int(host_id)):
            raise Turned(404, "no-follower")
        return web.Response(
            status=200, headers={"Vary": answers.VARY, "Cache-Control": "private, no-store"}
        )

    async def _following(self, request: web.Request) -> web.Response:
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_visible(actor, viewer)
        total = int(
            await self._db.value(
                "SELECT count(*) FROM follows WHERE follower_id = ? AND state = 'active'"
                " AND suspended = 0",
                actor.id,
            )
        )
        return answers.size(request, f"{self._at.actor(actor)}/following", total, known)

    async def _featured(self, request: web.Request) -> web.Response:
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_visible(actor, viewer)
        items: list[str] = []
        if actor.kind == "group":
            pinned = await timelines.pinned_topics(self._db, viewer, actor.id)
            free = await self._threshold.leaves(*(post.thing for post in pinned))
            items = [self._at.object(post.thing) for post in pinned if post.thing.id in free]
        return answers.ordered(request, f"{self._at.actor(actor)}/featured", items, known)

    async def _moderators(self, request: web.Request) -> web.Response:
        actor = await self._threshold.local_actor(request)
        viewer, known = request[VISITOR]
        await self._threshold.require_group_visible(actor, viewer)
        people = await groups.moderators(self._db, actor.id)
        willing = await self._catalogue.consent.willing(
            self._db, [person.id for person in people], CONSUMER
        )
        items = [self._at.actor(person) for person in people if person.id in willing]
        return answers.ordered(request, f"{self._at.actor(actor)}/moderators", items, known)

    async def _replies(self, request: web.Request) -> web.Response:
        thing, viewer, known = await self._threshold.readable_object(request)
        document = await self._catalogue.replies(self._db, viewer, thing)
        if "page" in request.query:
            document = with_context(document["first"])
        return answers.document(request, document, public=known is None)

    async def _counted(self, request: web.Request) -> web.Response:
        """Likes and shares as numbers only: who voted is nobody's business."""
        thing, _, known = await self._threshold.readable_object(request)
        name = request.path.rsplit("/", 1)[1]
        total = thing.like_count if name == "likes" else thing.share_count
        uri = f"{self._at.object(thing)}/{name}"
        return answers.size(request, uri, total, known)

    async def _attendees(self, request: web.Request) -> web.Response:
        """How many come to an event; who they are is for its organiser (FEP-8a8e lets one say so little)."""
        thing, _, known = await self._threshold.readable_object(request)
        event = await events.event_of(self._db, 0, thing.id)
        if event is None or not thing.is_local:
            raise Turned(404, "no-event")
        uri = f"{self._at.object(thing)}/attendees"
        return answers.size(request, uri, event.going, known)

    async def _count_topics(self, viewer: Viewer, group_id: int) -> int:
        clause, leaving = readable(viewer), self._catalogue.consent.leaving(CONSUMER)
        sql = (
            "SELECT count(*) FROM objects o WHERE o.group_id = ? AND o.kind = 'topic'"
            f" AND {clause.sql} AND {leaving.sql}"
        )
        return await self._total(sql, group_id, *clause.args, *leaving.args)

    async def _count_written(self, author_id: int) -> int:
        leaving = self._catalogue.consent.leaving(CONSUMER)
        sql = (
            "SELECT count(*) FROM objects o WHERE o.author_id = ? AND o.deleted_at IS NULL"
            f" AND o.visibility IN ('public', 'unlisted') AND {leaving.sql}"
        )
        return await self._total(sql, author_id, *leaving.args)

    async def _total(self, sql: str, *args: Value) -> int:
        async def count() -> int:
            return int(await self._db.value(sql, *args))

        # The statement and its arguments say whose eyes it is counted for.
        return await self._totals.of((sql, *args), count)
