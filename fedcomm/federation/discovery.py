"""WebFinger, host-meta and NodeInfo: how others find us (federation.md §1)."""

from __future__ import annotations

import time

from aiohttp import web

from activitypub import nodeinfo, webfinger
from activitypub.ijson import JSONObject
from fedcomm.config import Config
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.visitors import Turned, Visitors
from fedcomm.hub import actors, erasure, instance
from fedcomm.hub.consents import FREE, Consent
from fedcomm.hub.visibility import ANONYMOUS, can_know_group
from fedcomm.store.database import Database
from fedcomm.version import VERSION

CACHE = "max-age=600"
USAGE_SECONDS = 600.0
SERVICE_REL = "https://www.w3.org/ns/activitystreams#Service"


class Discovery:
    """The handlers under /.well-known/ and /nodeinfo/."""

    def __init__(
        self,
        config: Config,
        db: Database,
        keyring: Keyring,
        addresses: Addresses,
        visitors: Visitors,
        consent: Consent = FREE,
    ) -> None:
        self._config = config
        self._db = db
        self._keyring = keyring
        self._at = addresses
        self._visitors = visitors
        self._consent = consent
        self._usage: tuple[float, nodeinfo.Usage] | None = None

    def add_routes(self, app: web.Application) -> None:
        """All of them."""
        router = app.router
        router.add_get("/.well-known/webfinger", self._webfinger)
        router.add_get("/.well-known/host-meta", self._host_meta)
        router.add_get("/.well-known/nodeinfo", self._well_known_nodeinfo)
        router.add_get("/nodeinfo/{version:2\\.[01]}", self._nodeinfo)

    async def _webfinger(self, request: web.Request) -> web.Response:
        asked = request.query.get("resource", "")
        if not asked:
            return _json({"error": "Say which resource."}, status=400)
        http = not self._config.is_secure
        resource = webfinger.parse_resource(asked, allow_http=http)
        host = self._config.host
        if resource is None:
            return _json({"error": "This is not a resource."}, status=400)
        if isinstance(resource, str):
            if resource.rstrip("/") == self._at.origin or resource == self._at.instance:
                return self._instance()
            actor = await self._by_url(resource)
        elif resource.host != host:
            return _not_found()
        elif resource.name.lower() == host:
            return self._instance()
        else:
            actor = await actors.local_actor(self._db, resource.name)
            if actor is None and await erasure.erased_at(self._db, "handle", resource.name.lower()):
                # Mastodon then forgets the account that it knows (§1.1).
                return _json({"error": "This was erased."}, status=410)
        if actor is None or not await self._may_be_found(actor, request):
            return _not_found()
        document = webfinger.actor_jrd(
            webfinger.Acct(actor.name, host),
            self._at.actor(actor),
            actor_type="Group" if actor.kind == "group" else "Person",
            profile_url=self._at.page(actor),
            subscribe_template=f"{self._at.origin}/interact?uri={{uri}}",
        )
        return _jrd(document)

    def _instance(self) -> web.Response:
        """The instance actor (FEP-2677, FEP-d556); Mastodon wants the round trip for it as well."""
        acct = webfinger.Acct(self._config.host, self._config.host)
        document = webfinger.actor_jrd(acct, self._at.instance, actor_type="Application")
        document["links"].insert(
            0, {"rel": SERVICE_REL, "type": "application/activity+json", "href": self._at.instance}
        )
        return _jrd(document)

    async def _by_url(self, url: str) -> actors.Actor | None:
        number = self._at.local_actor(url)
        if number is not None:
            actor = await actors.actor(self._db, number)
            return actor if actor is not None and self._at.actor(actor) == url else None
        for prefix in (f"{self._at.origin}/@", f"{self._at.origin}/g/"):
            if url.startswith(prefix):
                return await actors.local_actor(self._db, url.removeprefix(prefix))
        return None

    async def _may_be_found(self, actor: actors.Actor, request: web.Request) -> bool:
        if not actor.is_local or actor.deleted_at is not None or actor.suspended_at is not None:
            return False
        if actor.kind == "group":
            if await can_know_group(self._db, ANONYMOUS, actor.id):
                return True
            # A group that lets some servers ask is found by those of them that sign.
            try:
                viewer, _ = await self._visitors.viewer(request)
            except Turned:
                return False
            return viewer.kind != "anonymous" and await can_know_group(self._db, viewer, actor.id)
        # Whose words stay here cannot be followed from elsewhere.
        return await self._consent.allows(self._db, actor.id, "activitypub")

    async def _host_meta(self, request: web.Request) -> web.Response:
        return web.Response(
            text=webfinger.host_meta_xrd(self._at.origin),
            content_type=webfinger.XRD_CONTENT_TYPE,
            headers={"Cache-Control": CACHE, "Access-Control-Allow-Origin": "*"},
        )

    async def _well_known_nodeinfo(self, request: web.Request) -> web.Response:
        return _json(nodeinfo.well_known(self._at.origin, application=self._at.instance))

    async def _nodeinfo(self, request: web.Request) -> web.Response:
        version: nodeinfo.Version = "2.0" if request.match_info["version"] == "2.0" else "2.1"
        document = nodeinfo.document(
            version,
            nodeinfo.Software("fedcomm", VERSION, f"{self._at.origin}/about", self._at.origin),
            await self._figures(),
            open_registrations=self._config.accounts.registration == "open",
            metadata={
                "nodeName": self._config.instance.name,
                "nodeDescription": self._config.instance.description,
            },
        )
        response = _json(document)
        response.headers["Content-Type"] = nodeinfo.content_type(version)
        return response

    async def _figures(self) -> nodeinfo.Usage:
        now = time.monotonic()
        if self._usage is None or now - self._usage[0] > USAGE_SECONDS:
            figures = await instance.usage(self._db)
            self._usage = (
                now,
                nodeinfo.Usage(
                    figures.members,
                    figures.active_month,
                    figures.active_half_year,
                    figures.topics,
                    figures.replies,
                ),
            )
        return self._usage[1]


def _jrd(document: JSONObject) -> web.Response:
    response = _json(document)
    response.headers["Content-Type"] = webfinger.JRD_CONTENT_TYPE
    return response


def _json(document: JSONObject, *, status: int = 200) -> web.Response:
    headers = {"Access-Control-Allow-Origin": "*"}
    if status == 200:
        headers["Cache-Control"] = CACHE
    return web.json_response(document, status=status, headers=headers)


def _not_found() -> web.Response:
    return _json({"error": "There is nobody of this name."}, status=404)
