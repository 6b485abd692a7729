"""GET of what is ours: to whom the gate and authorized fetch allow (federation.md §3.6, §7.5).

`threshold` asks who it is; `collections` has what is counted or listed, `answers` the form of every answer.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from activitypub.vocabulary import wants_activity
from fedcomm.config import Config
from fedcomm.federation import answers, farewells, peers
from fedcomm.federation.activities import Activities
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.assurances import Assurances
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.collections import Collections
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.federation.forms import as_page
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.reception import Reception
from fedcomm.federation.sealing import unsealed
from fedcomm.federation.threshold import VISITOR, Threshold
from fedcomm.federation.visitors import Turned, Visitors
from fedcomm.hub import actors, consents, erasure, threads
from fedcomm.hub.visibility import (
    ANONYMOUS,
    can_read,
    member,
)
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms, parse_id


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
        self._reception = reception
        self._at = addresses
        self._assurances = assurances
        self._threshold = Threshold(
            db, catalogue, visitors, authorized_fetch=config.federation.authorized_fetch
        )
        self._collections = Collections(
            db, catalogue, self._threshold, addresses, allow_http=not config.is_secure
        )

    def add_routes(self, app: web.Application) -> None:
        """Everything under /ap/."""
        router = app.router
        router.add_post("/ap/inbox", self._shared_inbox)
        router.add_get("/ap/instance", self._instance)
        router.add_post("/ap/instance/inbox", self._shared_inbox)
        router.add_get("/ap/instance/outbox", self._threshold.guarded(self._empty))
        for path in ("p", "g"):
            base = f"/ap/{path}/{{id}}"
            router.add_get(base, self._threshold.guarded(self._actor))
            router.add_post(f"{base}/inbox", self._inbox)
        router.add_get("/ap/o/{id}", self._threshold.guarded(self._object))
        router.add_get("/ap/c/{id}", self._threshold.guarded(self._activity))
        router.add_get("/ap/x/{id}", self._threshold.guarded(self._context))
        router.add_get("/ap/v/{id}", self._threshold.guarded(self._vote))
        router.add_get("/ap/w/{id}", self._threshold.guarded(self._told))
        router.add_get("/ap/e/{id}", self._threshold.guarded(self._emoji))
        router.add_get("/ap/z/{id}", self._threshold.guarded(self._authorization))
        self._collections.add_routes(app)

    # Inboxes

    async def _shared_inbox(self, request: web.Request) -> web.Response:
        return await self._reception.post(request, None)

    async def _inbox(self, request: web.Request) -> web.Response:
        recipient = parse_id(request.match_info["id"])
        if recipient is None:
            return answers.error(404, "There is no such inbox.")
        return await self._reception.post(request, recipient)

    # Actors

    async def _instance(self, request: web.Request) -> web.Response:
        # Always to everybody: two strict servers must be able to check each other's keys (A2).
        return answers.document(request, await self.instance_document(), public=True)

    async def instance_document(self) -> JSONObject:
        """The document of the instance actor."""
        actor = await actors.actor(self._db, await self._keyring.instance_actor())
        assert actor is not None
        return await self._catalogue.actor(self._db, actor)

    async def _actor(self, request: web.Request) -> web.StreamResponse:
        stub = await self._farewell(request)
        if stub is not None:
            return stub
        actor = await self._threshold.local_actor(request)
        if not wants_activity(request.headers.get("Accept")) and answers.wants_html(request):
            # The address of the page names the group: not to somebody who may not know of it.
            await self._threshold.require_group_known(actor, ANONYMOUS)
            raise web.HTTPSeeOther(self._at.page(actor))
        return await self.actor_response(request, actor)

    async def actor_response(self, request: web.Request, actor: actors.Actor) -> web.Response:
        """The document of a member or group, whole or as much as the fetcher may have."""
        viewer, known = request[VISITOR]
        if actor.suspended_at is not None:
            raise Turned(403, "suspended-actor")
        await self._threshold.require_group_known(actor, viewer)
        if not await self._threshold.consents(actor):
            return await self._withdrawn(request, actor)
        document = await self._catalogue.actor(self._db, actor)
        if actor.kind == "person" and known is None and self._config.federation.authorized_fetch:
            return answers.document(request, self._catalogue.stub(document), public=True)
        await self._threshold.note(actor.id, known)
        return answers.document(request, document, public=known is None)

    async def _told(self, request: web.Request) -> web.Response:
        """What a private group told microblogs of an object in it."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        document = None
        if number is not None and await can_read(self._db, viewer, number):
            thing = await threads.thing(self._db, number)
            if thing is not None:
                await self._threshold.require_consent(thing)
            document = await self._catalogue.told(self._db, viewer, number)
        if number is None or document is None:
            raise Turned(404, "hidden")
        await self._threshold.note(number, known)
        return answers.document(request, with_context(document), public=False)

    async def _empty(self, request: web.Request) -> web.Response:
        uri = f"{self._at.instance}/outbox"
        return answers.ordered(request, uri, [], None)

    # Objects

    async def _object(self, request: web.Request) -> web.StreamResponse:
        number = parse_id(request.match_info["id"])
        if number is None:
            raise Turned(404, "no-such-object")
        if not wants_activity(request.headers.get("Accept")) and answers.wants_html(request):
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
        self._threshold.require_signature(known)
        document = await self._catalogue.object(self._db, number)
        if document is None:
            raise Turned(404, "no-such-object")
        await self._threshold.require_consent(thing)
        await self._threshold.note(number, known)
        document = with_context(await self._suited(document, known))
        return answers.document(request, document, public=known is None)

    async def _is_assured(self, thing: threads.Thing, known: KnownKey | None) -> bool:
        """Whether the private group elsewhere in which it was said has a member on the server that asks."""
        if known is None or thing.community_id is None or thing.visibility != "members":
            return False
        if not await can_read(self._db, member(thing.author_id), thing.id):
            return False
        return await self._assurances.admits(thing.community_id, known.actor_uri, known.host_id)

    async def _suited(self, document: JSONObject, known: KnownKey | None) -> JSONObject:
        """The object in a form that the server that asks for it takes (`peers`)."""
        kind = str(document.get("type"))
        if known is None or kind not in ("Question", "Event"):
            return document
        software = await self._db.value("SELECT software FROM hosts WHERE id = ?", known.host_id)
        return document if peers.takes_as_it_is(kind, software) else as_page(document)

    async def _context(self, request: web.Request) -> web.Response:
        thing, viewer, known = await self._threshold.readable_object(request)
        if thing.kind != "topic" or thing.group_id is None:
            raise Turned(404, "no-such-context")
        document = await self._catalogue.context(self._db, viewer, thing)
        assert document is not None
        return answers.document(request, document, public=known is None)

    async def _activity(self, request: web.Request) -> web.Response:
        """An activity of ours by its id: Mastodon and NodeBB fetch `Create` to believe it (§4.3, §12)."""
        number = parse_id(request.match_info["id"])
        viewer, known = request[VISITOR]
        found = None
        if number is not None:
            found = await self._activities.document(number, viewer, known)
        if found is None:
            raise Turned(404, "no-such-activity")
        self._threshold.require_signature(known)
        document, copied = found
        inner = document.get("object")
        if isinstance(inner, dict):
            suited = await self._suited(inner, known)
            if suited is not inner:
                document = unsealed(document) | {"object": suited}
        if copied is not None:
            await self._threshold.note(copied, known)
        return answers.document(request, document, public=known is None)

    async def _vote(self, request: web.Request) -> web.Response:
        """A vote of a member in a poll of another server: for that server only."""
        number = parse_id(request.match_info["id"])
        _, known = request[VISITOR]
        found = None
        if number is not None and known is not None:
            found = await self._catalogue.vote(self._db, number, known.host_id)
        if found is None:
            raise Turned(404, "no-such-vote")
        return answers.document(request, with_context(found), public=False)

    async def _emoji(self, request: web.Request) -> web.Response:
        """An emoji of ours: they are public, like their pictures."""
        number = parse_id(request.match_info["id"])
        found = await self._catalogue.emoji(self._db, number) if number is not None else None
        if found is None:
            raise Turned(404, "no-such-emoji")
        return answers.document(request, with_context(found), public=request[VISITOR][1] is None)

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
            await self._threshold.require_consent(target)
        self._threshold.require_signature(known)
        await self._threshold.note(number, known)
        return answers.document(request, with_context(found), public=known is None)

    # What else there is to ask

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

        return await self._threshold.guarded(answer)(request)

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
        return answers.document(request, farewells.stub(actor, keys), public=False)

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
        return answers.document(request, farewells.stub(actor, keys), public=False)
