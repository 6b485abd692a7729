"""Quotes on the wire: asking an author elsewhere, answering those who ask, taking consent back (§5.5, FEP-044f)."""

from __future__ import annotations

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation import recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.dispatch import Dispatch, Step
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, journal, quotes, threads
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Quotations:
    """Steps of the outbox for entries about quotes. `edited`: tells a post of ours, or hands on another's, anew."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, addresses: Addresses, edited: Step
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._at = addresses
        self._edited = edited
        self.steps: dict[str, Step] = {
            "quote_requested": self._requested,
            "quote_accepted": self._answered,
            "quote_refused": self._refused,
            "quote_revoked": self._revoked,
            # With the stamp, or without the quote.
            "quote_granted": edited,
            "quote_lost": edited,
            "object_refreshed": edited,
        }

    async def _requested(self, tx: Transaction, entry: journal.Entry) -> None:
        """Ask the author elsewhere. They fetch the post, which is told to everybody else at the same time."""
        known = await quotes.quote(tx, entry.target_id or 0)
        own = await threads.thing(tx, entry.object_id or 0)
        quoted = await threads.thing(tx, known.quoted_id or 0) if known is not None else None
        if known is None or own is None or quoted is None or known.state != "pending":
            return
        if own.deleted_at is not None or own.withheld is not None or quoted.is_local:
            return
        if own.visibility not in quotes.OPEN:
            return
        author = await actors.actor(tx, quoted.author_id)
        if author is None or author.uri is None:
            return
        request = self._renderer.activity(
            new_id(),
            "QuoteRequest",
            self._at.member(own.author_id),
            self._at.object(quoted),
            to=[author.uri],
            instrument=self._at.object(own),
        )
        inboxes = await recipients.own_inbox(tx, author.id)
        await self._out.send(tx, own.author_id, "QuoteRequest", request, inboxes, own)

    async def _answered(self, tx: Transaction, entry: journal.Entry) -> None:
        known = await quotes.quote(tx, entry.target_id or 0)
        if known is not None and known.state == "accepted":
            await self._answer(tx, known, "Accept", self._at.of("z", known.id))

    async def _refused(self, tx: Transaction, entry: journal.Entry) -> None:
        known = await quotes.quote(tx, entry.target_id or 0)
        if known is not None and known.state == "rejected":
            await self._answer(tx, known, "Reject", None)
            await quotes.forget_refused(tx, known.id)

    async def _answer(
        self, tx: Transaction, known: quotes.Quote, kind: str, stamp: str | None
    ) -> None:
        """Accept or Reject with the request in it, as its two ends and its id say it."""
        asking = await actors.actor(tx, known.actor_id)
        quoted = await threads.thing(tx, known.quoted_id or 0)
        if asking is None or asking.uri is None or quoted is None or not quoted.is_local:
            return
        own = await threads.thing(tx, known.object_id) if known.object_id is not None else None
        instrument = own.uri if own is not None else known.object_uri
        request: JSONObject = {
            "type": "QuoteRequest",
            "actor": asking.uri,
            "object": self._at.object(quoted),
        }
        if known.request_uri is not None:
            request["id"] = known.request_uri
        if instrument is not None:
            request["instrument"] = instrument
        answer = self._renderer.activity(
            new_id(),
            kind,
            self._at.member(quoted.author_id),
            request,
            to=[asking.uri],
            result=stamp,
        )
        inboxes = await recipients.own_inbox(tx, asking.id)
        await self._out.send(tx, quoted.author_id, kind, answer, inboxes, subject_id=asking.id)

    async def _revoked(self, tx: Transaction, entry: journal.Entry) -> None:
        """Delete of the stamp: to who quotes, to every host that fetched the stamp or has what it is about."""
        known = await quotes.quote(tx, entry.target_id or 0)
        quoted = await threads.thing(tx, known.quoted_id or 0) if known is not None else None
        if known is None or quoted is None or not quoted.is_local:
            return
        own = await threads.thing(tx, known.object_id) if known.object_id is not None else None
        have_it = recipients.merged(
            await recipients.own_inbox(tx, known.actor_id),
            await recipients.reached(tx, known.id),
            await recipients.reached(tx, quoted.id),
            await recipients.reached(tx, own.id) if own is not None and own.is_local else [],
        )
        # One for each host: who is asked at the shared inbox need not be asked at their own.
        once = {inbox.host_id: inbox for inbox in reversed(have_it)}
        delete = self._renderer.activity(
            new_id(),
            "Delete",
            self._at.member(quoted.author_id),
            self._at.of("z", known.id),
            to=[AS_PUBLIC],
        )
        await self._out.send(
            tx, quoted.author_id, "Delete", delete, list(once.values()), subject_id=quoted.author_id
        )
        if own is not None and own.is_local:
            await self._edited(tx, entry)
