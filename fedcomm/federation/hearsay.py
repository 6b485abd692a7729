"""What somebody says that somebody else did: believed as far as the origin confirms it (INV-5, INV-7, INV-8).

It comes forwarded (AP §7.1.2), or wrapped in an `Announce` of a group of another server (FEP-1b12).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, ObjectDocument
from activitypub.failures import FetchBudget, FetchError
from activitypub.origins import host as host_of
from fedcomm.federation import backlog
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.consents import Consents
from fedcomm.federation.contents import fitted
from fedcomm.federation.directory import Directory
from fedcomm.federation.library import Library
from fedcomm.federation.opinions import withdraw
from fedcomm.federation.quoting import permissions_of
from fedcomm.federation.votes import vote_of
from fedcomm.federation.vouching import can_be_confirmed
from fedcomm.hub import actors, holding, reactions, threads
from fedcomm.hub.policies import PolicyBook
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms

GONE_STEP = 50
"""Objects of an account that is gone which one transaction deletes."""

GONE = 410
"""The status that says for ever that an actor is gone (federation.md §6.4); 404 may be a mishap."""


class Hearsay:
    """Asks the origin."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        library: Library,
        book: PolicyBook,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._directory = directory
        self._library = library
        self._book = book
        self._at = addresses
        self._http = allow_http
        self._consents = Consents(db, library, addresses, allow_http=allow_http)

    async def prepare(self, activity: ActivityDocument, budget: FetchBudget) -> Change:
        """The change that a forwarded activity without a proof asks for. Raises Refused, FetchError."""
        uri = activity.object_id
        if uri is None or not can_be_confirmed(activity, allow_http=self._http):
            raise Refused("second-hand")
        if self._at.is_ours(activity.actor):
            raise Refused("our-own")
        authority = host_of(activity.actor, allow_http=self._http) or ""
        if (await self._book.policy(authority)).level in ("queue", "suspend"):
            raise Refused("undecided-host")
        if uri == activity.actor:
            return await self._profile(activity, budget)
        known = await self._library.find(self._db, uri)
        if activity.type == "Create":
            if known is not None:
                return nothing("known already")
            return await self._created(uri, activity.actor, budget)
        if known is None and activity.type == "Delete":
            withdrawn = await self._consents.said_withdrawn(uri, budget)
            if withdrawn is not None:
                return withdrawn
        if known is None or known.deleted_at is not None:
            return nothing(f"ignored: forwarded {activity.type} of something unknown")
        if activity.type == "Update":
            return await self.updated(known, budget)
        return await self.deleted(known, budget)

    async def _created(self, uri: str, author: str, budget: FetchBudget) -> Change:
        thing = await self._library.fetch(uri, budget=budget)
        if thing.attributed_to != author:
            raise Refused("not-the-author")
        if not thing.is_writing:
            return nothing(f"ignored: Create of {thing.type}")
        if vote_of(thing) is not None:
            return nothing("ignored: vote in a poll")
        judge = self._library.require_harmless
        arrival = await self._library.prepare(thing, budget=budget, judge=judge)
        await judge(arrival)
        if arrival.visibility not in ("public", "unlisted"):
            raise Refused("not-public")

        async def change(tx: Transaction) -> str:
            stored = await self._library.store(tx, arrival)
            kept = await threads.thing(tx, stored) if stored is not None else None
            if kept is None:
                return "ignored: concerns nobody here"
            await backlog.want_thread(tx, kept, thing, self._at, allow_http=self._http)
            return "stored from its origin"

        return change

    async def updated(
        self, known: threads.Thing, budget: FetchBudget, thing: ObjectDocument | None = None
    ) -> Change:
        """The object as its origin serves it now, or as its author has proven it: `thing`, with a time of its own."""
        await self._directory.require_open(known.uri or "")
        if thing is None or thing.updated is None or thing.id != known.uri:
            thing = await self._library.fetch(known.uri or "", budget=budget)
        author = await self._directory.actor(thing.attributed_to or "", budget=budget)
        if author.id != known.author_id:
            raise Refused("not-the-author")
        content = replace(
            await self._library.content_of(thing, await self._library.mentioned_ids(thing)),
            permissions=permissions_of(thing, author),
        )
        quotation = await self._library.quoting.read(thing, author, budget)
        audience = await self._library.audience_of(thing, author, known)
        updated = thing.updated

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.deleted_at is not None:
                return "ignored: was deleted"
            if updated is not None and updated < (current.edited_at or 0):
                return "ignored: older than what is known"
            await threads.edit(
                tx,
                author.id,
                known.id,
                fitted(await self._library.without_absent(tx, thing, content), known.kind),
                edited_at=min(updated or now_ms(), now_ms()),
                visibility=audience,
            )
            await self._library.quoting.keep(tx, known.id, quotation)
            return "edited"

        return change

    async def deleted(
        self, known: threads.Thing, budget: FetchBudget, *, proven: bool = False
    ) -> Change:
        """True if its author has proven it, or the origin says so: 404, 410 or a Tombstone (§6.3)."""
        if not proven:
            try:
                thing = await self._library.fetch(known.uri or "", budget=budget)
            except FetchError as error:
                if not error.permanent:
                    raise
            else:
                if not thing.is_tombstone:
                    return nothing("ignored: said to be deleted, but still there")

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.deleted_at is not None:
                return "already deleted"
            await threads.delete(tx, known.author_id, known.id)
            return "deleted"

        return change

    async def reacted(
        self,
        said: ActivityDocument,
        known: threads.Thing,
        kind: reactions.Kind,
        budget: FetchBudget,
        *,
        proven: bool,
    ) -> Change:
        """A vote on something of ours, or its Undo, that a group elsewhere repeats: servers whose people vote there
        tell the group and not us. True if the voter has proven it, or their server serves the same activity."""
        if not proven and not await self._is_said(said, budget):
            return nothing("ignored: a vote that nobody confirms")
        voter = await self._directory.actor(said.actor, budget=budget)
        authority = host_of(said.actor, allow_http=self._http) or ""
        if (await self._book.policy(authority)).level in ("queue", "suspend"):
            raise Refused("undecided-host")

        async def change(tx: Transaction) -> str:
            if said.type == "Undo":
                vote = await withdraw(tx, voter.id, known.id, kind)
                return f"{vote} withdrawn" if vote else f"no {kind} to withdraw"
            added = await reactions.add(tx, voter.id, known.id, kind, uri=said.id)
            return kind if added else f"{kind} already counted"

        return change

    async def _is_said(self, said: ActivityDocument, budget: FetchBudget) -> bool:
        """Whether the actor's server serves this activity under its id. Raises FetchError when it may do so later."""
        if said.id is None:
            return False
        try:
            found = await self._library.fetch_activity(said.id, budget=budget)
        except Refused:
            return False
        except FetchError as error:
            if error.final:
                return False
            raise
        return (found.id, found.type, found.actor, found.object_id) == (
            said.id,
            said.type,
            said.actor,
            said.object_id,
        )

    async def _profile(self, activity: ActivityDocument, budget: FetchBudget) -> Change:
        person = await actors.actor_by_uri(self._db, activity.actor)
        if person is None or person.deleted_at is not None or activity.type == "Create":
            return nothing("ignored: about somebody unknown")
        try:
            await self._directory.actor(activity.actor, budget=budget, refresh=True)
        except FetchError as error:
            if activity.type != "Delete" or error.reason != "status" or error.status != GONE:
                raise
        else:
            return nothing("profile refreshed")
        return await self.gone(person.id)

    async def gone(self, actor_id: int) -> Change:
        """An account elsewhere was deleted, and with it all that it said, and what of it waits for a moderator.

        That may be the work of years, so it goes in small transactions beforehand; what breaks off goes on when the
        activity comes again.
        """
        count = after = 0
        while True:
            async with self._db.transaction() as tx:
                some = await threads.delete_some_of(tx, actor_id, after=after, limit=GONE_STEP)
            count += len(some)
            if len(some) < GONE_STEP:
                break
            after = some[-1]
            # Whoever waits to write, or to be served, gets their turn.
            await asyncio.sleep(0)

        async def change(tx: Transaction) -> str:
            await holding.forget(tx, actor_id)
            await actors.forget_remote(tx, actor_id)
            return f"actor deleted with {count} objects"

        self._directory.forget_keys(actor_id)
        return change
