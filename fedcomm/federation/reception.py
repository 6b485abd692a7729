"""POST to an inbox: bounded, verified, made durable, then 202 (federation.md §3.5, §7.3; INV-1, INV-2, INV-42).

Nothing is processed here. What was acknowledged is a row that survives a crash.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from aiohttp import web

from activitypub import proofs
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, read_activity
from activitypub.failures import FetchError
from activitypub.ijson import IJSONError, parse_object
from activitypub.origins import host as host_of
from activitypub.origins import same_origin
from activitypub.signatures import ACCEPT_SIGNATURE, Claim, SignatureRefused
from activitypub.vocabulary import is_activity_type
from fedcomm.config import Config
from fedcomm.federation import backlog, lanes, peers, repeats, synchronisation
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.canary import Canary
from fedcomm.federation.directory import Directory, KnownKey
from fedcomm.federation.floodgates import Floodgates
from fedcomm.federation.just_read import JustRead
from fedcomm.federation.lanes import idle
from fedcomm.federation.pressure import Pressure
from fedcomm.federation.visitors import Turned, Visitors
from fedcomm.federation.vouching import Vouching, can_be_confirmed
from fedcomm.http import client_address, come_again
from fedcomm.hub import relays
from fedcomm.hub.visibility import can_know_group, remote
from fedcomm.store import figures
from fedcomm.store.database import Database, DatabaseError, Value, marks
from fedcomm.store.ids import new_id, now_ms

log = logging.getLogger("fedcomm.inbox")

HEARD = "UPDATE hosts SET heard_at = ?, dead_at = NULL WHERE id = ?"
"""Whoever writes is alive, whatever was thought of them."""

HEARD_EVERY_MS = 60_000
RETRY_AFTER_S = 30

UNVERIFIED = frozenset({400, 401, 413, 415})
"""Answers after which nobody knows who it was."""

SEEN_ENTRIES = 20_000
"""Activity ids that this process answers from memory; the table remembers the rest."""

HOSTS_COUNTED = 10_000

BUSY_LOOK_S = 2.0
"""How long the length of the queue is believed."""


class Reception:
    """Accepts or refuses what is posted to inboxes."""

    def __init__(
        self,
        config: Config,
        db: Database,
        visitors: Visitors,
        directory: Directory,
        vouching: Vouching,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._config = config
        self._db = db
        self._visitors = visitors
        self._directory = directory
        self._vouching = vouching
        self._at = addresses
        self._http = allow_http
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._heard: dict[int, int] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._queued: dict[tuple[int | None, str], tuple[float, int]] = {}
        self._gates = Floodgates(config.abuse, addresses, allow_http=allow_http)
        self.wake: Callable[[], None] = idle
        self.canary: Canary | None = None
        self.pressure = Pressure()
        self.just_read = JustRead()

    async def post(self, request: web.Request, recipient_id: int | None) -> web.Response:
        """Answer a POST: 202, or 4xx with a reason, or 503 when it cannot be stored now."""
        address = client_address(request)
        try:
            if self._gates.is_barred(address):
                raise Turned(429, "bad-requests")
            if self.pressure.is_high:
                # Members have priority; before anything is read, so that it costs next to nothing.
                raise Turned(503, "busy")
            self.pressure.under_way += 1
            try:
                with self._db.at_hand():
                    kept = await self._accept(request, recipient_id)
            finally:
                self.pressure.under_way -= 1
            if kept is not None:
                await self._compare_followers(request, *kept)
        except Turned as turned:
            if turned.status in UNVERIFIED:
                self._gates.note_bad(address)
            log.info("inbox: turned away: %s (%d)", turned.reason, turned.status)
            figures.INBOX.add(str(turned.status))
            return _refusal(turned)
        except DatabaseError as error:
            # Not its words: PostgreSQL quotes the values that it refuses.
            log.error("inbox: not stored", exc_info=error)
            figures.INBOX.add("503")
            return _refusal(Turned(503, "storage"))
        figures.INBOX.add("202")
        return web.Response(status=202)

    async def _accept(
        self, request: web.Request, recipient_id: int | None
    ) -> tuple[Claim, ActivityDocument, KnownKey] | None:
        """Whose it is and what it says, once it is durable; None when there was nothing to keep. Raises Turned."""
        if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
            # No peer compresses what it posts, and a digest would be of which form?
            raise Turned(415, "content-encoding", "Send it uncompressed.")
        body = await _body(request, self._config.server.max_body_bytes)
        if not is_activity_type(request.headers.get("Content-Type")):
            raise Turned(415, "content-type", "Send application/activity+json.")
        try:
            activity = read_activity(parse_object(body), allow_http=self._http)
        except IJSONError as error:
            raise Turned(400, "json", str(error)) from error
        except Refused as error:
            raise Turned(400, error.reason) from error
        try:
            claim = self._visitors.claim(request, body)
        except SignatureRefused as error:
            raise Turned(401, error.reason, error.message) from error
        if self._at.is_ours(activity.actor):
            if self.canary is not None and await self.canary.take(activity, claim, body):
                return None
            raise Turned(401, "our-own")
        if not same_origin(claim.key_id, activity.actor, allow_http=self._http):
            # Before anything is fetched: is there any way at all in which this could be believed?
            self._require_credible(activity)
        level = await self._visitors.admit(claim)
        about_themselves = activity.object_id == activity.actor
        if about_themselves and activity.type in ("Delete", "Update"):
            # Somebody unknown says that they are gone or changed: nothing to do, nothing to fetch.
            known = await self._directory.known_key(claim.key_id)
            if known is None:
                return None
        signer = await self._visitors.holder(claim)
        self._admit(signer.actor_uri)
        await self._check_recipient(recipient_id, signer)
        uri = activity.id or f"sha256:{sha256(body).hexdigest()}"
        by_actor = signer.actor_uri == activity.actor
        if not by_actor:
            author = None
            if not (activity.type == "Create" and await self._is_relay(signer)):
                author = await self._author(activity)
            if author is not None:
                # As good as theirs: proven content depends on nobody who carries it.
                signer = author
                level = await self._visitors.policy(
                    host_of(activity.actor, allow_http=self._http) or ""
                )
                if level == "suspend":
                    raise Turned(
                        403, "suspended", "This hub does not federate with its author's server."
                    )
            else:
                # Hearsay must not take the place of the activity itself (INV-9).
                uri = f"sha256:{sha256(body).hexdigest()}"
                if about_themselves and not await self._is_known(activity.actor):
                    return None
        latest, anew = repeats.since_when(activity, claim.signed_at, by_actor=by_actor)
        if uri in self._seen and not latest:
            self._seen.move_to_end(uri)
            return None
        closed = await self._gates.closed(self._db, activity, signer)
        if closed is not None:
            raise Turned(
                429, f"many-{closed[0]}", "Too many within the hour.", retry_after=closed[1]
            )
        # Of a host that waits for a decision everything waits, beside the queue (decisions.py).
        state = "held" if level == "queue" else "waiting"
        await self._check_room(signer.host_id, state)
        now, row_id = now_ms(), new_id()
        statements: list[tuple[str, tuple[Value, ...]]] = [
            (
                repeats.INSERT,
                (
                    *(row_id, uri, signer.host_id, signer.actor_uri, recipient_id, state),
                    *(body.decode(), sha256(body).hexdigest(), now, latest, anew),
                ),
            ),
        ]
        undone = repeats.taken_back(activity, now, by_actor=by_actor)
        if undone is not None:
            statements.append((repeats.UNDONE, undone))
        if state == "waiting":
            statements.append((lanes.WAKE, ("inbox", signer.host_id, now)))
        if now - self._heard.get(signer.host_id, 0) > HEARD_EVERY_MS:
            self._heard[signer.host_id] = now
            statements.append((HEARD, (now, signer.host_id)))
            await self._note_style(claim.style, signer.host_id)
        if state == "waiting":
            # Before it is stored: from then on the intake may come for it.
            self.just_read.keep(row_id, activity, len(body))
        try:
            await self._db.append_together(*statements)
        except BaseException:
            self.just_read.take(row_id)
            raise
        self._seen[uri] = None
        while len(self._seen) > SEEN_ENTRIES:
            self._seen.popitem(last=False)
        self.wake()
        return claim, activity, signer

    async def _check_recipient(self, recipient_id: int | None, signer: KnownKey) -> None:
        """A private group's inbox does not exist for those who may not know of it (INV-20)."""
        if recipient_id is None:
            return
        row = await self._db.one(
            "SELECT kind, deleted_at FROM actors WHERE id = ? AND host_id IS NULL", recipient_id
        )
        if row is None or row["deleted_at"] is not None:
            raise Turned(404, "no-such-inbox")
        if row["kind"] == "group":
            viewer = remote(signer.actor_id, signer.host_id)
            if not await can_know_group(self._db, viewer, recipient_id):
                raise Turned(404, "no-such-inbox")

    async def _compare_followers(
        self, request: web.Request, claim: Claim, activity: ActivityDocument, signer: KnownKey
    ) -> None:
        """The sender's digest of their followers here: if it is not ours, their list is wanted (FEP-8fcf)."""
        value = request.headers.get(synchronisation.HEADER)
        if value is None or synchronisation.HEADER.lower() not in claim.covered:
            return
        offer = synchronisation.read(value)
        if offer is None or not same_origin(claim.key_id, activity.actor, allow_http=self._http):
            return
        if not same_origin(offer.url, activity.actor, allow_http=self._http):
            return
        collection = await self._db.value(
            "SELECT followers_uri FROM actors WHERE id = ? AND uri = ?",
            signer.actor_id,
            activity.actor,
        )
        if collection is None or collection != offer.collection_id:
            return
        if await synchronisation.agrees(self._db, signer.actor_id, offer, self._at):
            return
        async with self._db.queue_transaction() as tx:
            await backlog.want(tx, signer.actor_id, "followers", offer.url, signer.host_id)

    def _require_credible(self, activity: ActivityDocument) -> None:
        """Raises Turned (401) unless the activity has a proof, or its origin can be asked if it is true."""
        if proofs.verification_method(activity.raw) is None and not can_be_confirmed(
            activity, allow_http=self._http
        ):
            raise Turned(401, "signer", "The key is not the actor's.")

    async def _author(self, activity: ActivityDocument) -> KnownKey | None:
        """The actor, when their proof covers the activity; None when their server must be asked (INV-5, INV-8).

        Raises Turned when neither is possible.
        """
        confirmable = can_be_confirmed(activity, allow_http=self._http)
        try:
            author = await self._vouching.author(activity)
        except FetchError as error:
            if not confirmable:
                raise Turned(401 if error.permanent else 503, f"key-{error.reason}") from error
            return None
        if author is None and not confirmable:
            raise Turned(401, "signer", "The key is not the actor's, and no proof of theirs fits.")
        return author

    async def _is_relay(self, signer: KnownKey) -> bool:
        """Whether the signer is a relay of ours: what it hands on is kept as brought by it, proven or not."""
        relay = await relays.by_actor(self._db, signer.actor_id)
        return relay is not None and relay.state == "active"

    async def _is_known(self, uri: str) -> bool:
        return await self._db.value("SELECT 1 FROM actors WHERE uri = ?", uri) is not None

    def _admit(self, actor_uri: str) -> None:
        """A token bucket for each host: 20 a second sustained by default, then 429 (security.md §10)."""
        rate = self._config.inbox.per_host_per_second
        if rate <= 0:
            return
        burst = max(rate * 10, 100.0)
        authority = actor_uri.split("/", 3)[2]
        now = time.monotonic()
        tokens, at = self._buckets.get(authority, (burst, now))
        tokens = min(burst, tokens + (now - at) * rate)
        if tokens < 1:
            raise Turned(429, "rate")
        self._buckets[authority] = (tokens - 1, now)
        self._buckets.move_to_end(authority)
        while len(self._buckets) > 10_000:
            self._buckets.popitem(last=False)

    async def _check_room(self, host_id: int, state: str) -> None:
        """More waiting than may wait, 429 for one host and 503 for all: the peer comes again (§7.3)."""
        settings = self._config.inbox
        if (
            await self._waiting(host_id, state, settings.per_host_queued)
            >= settings.per_host_queued
        ):
            raise Turned(429, "host-busy")
        if await self._waiting(None, state, settings.queued) >= settings.queued:
            raise Turned(503, "busy")

    async def _waiting(self, host_id: int | None, state: str, limit: int) -> int:
        """How many activities wait (of one host, or of all), as it was a moment ago, `limit` at most."""
        now = time.monotonic()
        looked, waiting = self._queued.get((host_id, state), (0.0, 0))
        if now - looked > BUSY_LOOK_S:
            of_host = "" if host_id is None else " AND host_id = ?"
            args = () if host_id is None else (host_id,)
            waiting = int(
                await self._db.value(
                    "SELECT count(*) FROM (SELECT 1 AS one FROM inbox WHERE state = ?"
                    f"{of_host} LIMIT ?) AS waiting",
                    state,
                    *args,
                    limit,
                )
            )
            self._queued[host_id, state] = (now, waiting)
            while len(self._queued) > HOSTS_COUNTED:
                self._queued.pop(next(iter(self._queued)))
        return waiting

    async def _note_style(self, style: str, host_id: int) -> None:
        """A peer that signs with RFC 9421 understands it as well (§3.4, rule 2), with few exceptions."""
        if style == "rfc9421":
            excepted = sorted(peers.SIGN_WHAT_THEY_CANNOT_READ)
            await self._db.append(
                "UPDATE hosts SET signature_style = 'rfc9421', signature_learned_at = ?,"
                " signature_source = 'inbound' WHERE id = ? AND signature_style IS NULL"
                f" AND COALESCE(software, '') NOT IN ({marks(len(excepted))})",
                (now_ms(), host_id, *excepted),
            )


async def _body(request: web.Request, limit: int) -> bytes:
    if request.content_length is not None and request.content_length > limit:
        raise Turned(413, "too-large")
    chunks = bytearray()
    async for chunk in request.content.iter_chunked(65_536):
        chunks += chunk
        if len(chunks) > limit:
            raise Turned(413, "too-large")
    return bytes(chunks)


def _refusal(turned: Turned) -> web.Response:
    headers = {}
    if turned.status == 401:
        headers["Accept-Signature"] = ACCEPT_SIGNATURE
    if turned.status == 429:
        headers |= come_again(turned.retry_after or RETRY_AFTER_S)
    if turned.status == 503:
        headers["Retry-After"] = str(turned.retry_after or RETRY_AFTER_S)
    return web.json_response({"error": str(turned)}, status=turned.status, headers=headers)
