"""Requests to quote a post of ours, and what authors elsewhere answer to ours (federation.md §5.5, FEP-044f)."""

from __future__ import annotations

from collections.abc import Callable

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, ObjectDocument, read_object
from activitypub.failures import FetchBudget
from activitypub.origins import same_origin
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.library import Judge, Library
from fedcomm.federation.received import Received
from fedcomm.hub import actors, quotes, threads
from fedcomm.hub.errors import HubError
from fedcomm.store.database import Database, Transaction


class Consents:
    """Handles QuoteRequest, and Accept, Reject and Delete as far as they are about quotes."""

    def __init__(
        self, db: Database, library: Library, addresses: Addresses, *, allow_http: bool
    ) -> None:
        self._db = db
        self._library = library
        self._at = addresses
        self._http = allow_http

    # Somebody wants to quote us

    async def requested(self, received: Received, judge_of: Callable[[str], Judge]) -> Change:
        """QuoteRequest. The policy of the post decides; of what is not public nobody learns by asking (INV-20).
        `judge_of`: who looks at an object with this id before it is stored."""
        activity, signer = received.activity, received.signer
        quoted_id = self._at.local(activity.object_id, "o")
        if quoted_id is None:
            raise Refused("not-ours")
        allowed = await quotes.may_request(self._db, signer.id, quoted_id)
        if allowed is None:
            raise Refused("no-such-post")
        instrument = accessors.url(activity.raw, "instrument", allow_http=self._http)
        if instrument is None or not same_origin(instrument, activity.actor, allow_http=self._http):
            raise Refused("foreign-object")
        if not allowed:
            return self._refusal(signer.id, quoted_id, activity.id, instrument)
        document = await self._instrument(received, instrument)
        if document.quote != activity.object_id:
            # Consent to one post must not be had for another (INV-7).
            raise Refused("quotes-something-else")
        judge = judge_of(document.id)
        arrival = await self._library.prepare(
            document, budget=received.budget, wanted=True, quotes=False, judge=judge
        )
        if await self._library.find(self._db, document.id) is None:
            await judge(arrival)
        if arrival.author.id != signer.id:
            raise Refused("not-the-author")

        async def change(tx: Transaction) -> str:
            # Asked again inside: the author may have changed their mind while we fetched (INV-21).
            if not await quotes.may_request(tx, signer.id, quoted_id):
                await quotes.refuse_request(tx, signer.id, quoted_id, activity.id, instrument)
                return "quote refused"
            try:
                stored = await self._library.store(tx, arrival)
            except HubError:
                stored = None
            if stored is None:
                await quotes.refuse_request(tx, signer.id, quoted_id, activity.id, instrument)
                return "quote refused: its post is not let in"
            agreed = await quotes.accept_request(tx, signer.id, stored, quoted_id, activity.id)
            return "quote accepted" if agreed else "quote refused: consent was taken back"

        return change

    def _refusal(
        self, signer_id: int, quoted_id: int, request_uri: str | None, instrument: str
    ) -> Change:
        async def change(tx: Transaction) -> str:
            await quotes.refuse_request(tx, signer_id, quoted_id, request_uri, instrument)
            return "quote refused"

        return change

    async def _instrument(self, received: Received, uri: str) -> ObjectDocument:
        """The quoting post: in the request, which its author signed, or from its own address."""
        embedded = accessors.document(received.activity.raw, "instrument")
        if embedded is not None and ("content" in embedded or "attributedTo" in embedded):
            document = read_object(embedded, allow_http=self._http)
        else:
            document = await self._library.fetch(uri, budget=received.budget)
        if document.id != uri or document.attributed_to != received.activity.actor:
            raise Refused("not-the-author")
        if not document.is_writing:
            raise Refused("no-object")
        return document

    # Somebody answers us

    async def asked(self, activity: ActivityDocument) -> quotes.Quote | None:
        """Our request that an Accept or Reject names: by its id, or by its two ends, one of which is ours."""
        wrapped = activity.object
        number = self._at.local(activity.object_id, "c")
        object_id: int | None = None
        if number is not None:
            object_id = await self._db.value(
                "SELECT object_id FROM activities WHERE id = ? AND type = 'QuoteRequest'", number
            )
        if object_id is None and isinstance(wrapped, dict):
            if "QuoteRequest" not in accessors.types(wrapped):
                return None
            own = accessors.url(wrapped, "instrument", allow_http=self._http)
            object_id = self._at.local(own, "o")
        return await quotes.of_object(self._db, object_id) if object_id is not None else None

    async def answered(self, received: Received, known: quotes.Quote, *, accepted: bool) -> Change:
        """An Accept or Reject by the author of what a post of ours quotes (INV-7)."""
        activity = received.activity
        quoted = await threads.thing(self._db, known.quoted_id or 0)
        own = await threads.thing(self._db, known.object_id or 0)
        if quoted is None or own is None or not own.is_local or quoted.uri is None:
            raise Refused("no-such-request")
        if quoted.author_id != received.signer.id:
            raise Refused("not-the-author")
        if not accepted:
            return self._denial(known)
        stamp = accessors.url(activity.raw, "result", allow_http=self._http)
        if stamp is None:
            raise Refused("no-stamp")
        if not await self._library.quoting.fits(
            stamp, activity.actor, self._at.object(own), quoted.uri, received.budget
        ):
            raise Refused("not-a-stamp-for-this")

        async def change(tx: Transaction) -> str:
            changed = await quotes.granted(tx, known.id, stamp)
            return "quote granted" if changed else "quote decided already"

        return change

    # Somebody takes it back

    async def withdrawn(self, stamp: str, signer: actors.Actor) -> Change | None:
        """Delete of a stamp by the author who gave it; None if no quote here rests on it (INV-6)."""
        known = await quotes.by_stamp(self._db, stamp)
        if known is None:
            return None
        quoted = await threads.thing(self._db, known.quoted_id or 0)
        if quoted is None or quoted.author_id != signer.id:
            raise Refused("not-the-author")
        return self._denial(known, stamp)

    async def said_withdrawn(self, stamp: str, budget: FetchBudget) -> Change | None:
        """Somebody else says that a stamp was deleted: true if its server says so (INV-5, INV-8)."""
        known = await quotes.by_stamp(self._db, stamp)
        if known is None:
            return None
        if not await self._library.quoting.is_gone(stamp, budget):
            return nothing("ignored: said to be deleted, but still there")
        return self._denial(known, stamp)

    def _denial(self, known: quotes.Quote, stamp: str | None = None) -> Change:
        async def change(tx: Transaction) -> str:
            current = await quotes.quote(tx, known.id)
            if current is None or (stamp is not None and current.stamp_uri != stamp):
                return "ignored: rests on something else by now"
            return "quote denied" if await quotes.denied(tx, known.id) else "denied already"

        return change
