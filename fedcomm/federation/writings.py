"""Create, Update and Delete of what people of other servers write (federation.md §5, §6.3).

Who signed may be the author, or a person of the server whose group is; all else changes nothing (INV-6).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import read_object
from activitypub.origins import same_origin
from activitypub.vocabulary import ACTOR_TYPES
from fedcomm.federation import backlog
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, Foreseen, nothing
from fedcomm.federation.consents import Consents
from fedcomm.federation.contents import addressed, ballot_of, fitted
from fedcomm.federation.directory import Directory
from fedcomm.federation.hearsay import Hearsay
from fedcomm.federation.interventions import Interventions
from fedcomm.federation.library import (
    DELETED_BEFORE,
    Arrival,
    DeletedBefore,
    Judge,
    Library,
    uri_hash,
)
from fedcomm.federation.polling import Polling
from fedcomm.federation.quoting import permissions_of
from fedcomm.federation.received import Received, keep
from fedcomm.federation.votes import vote_of, votes_in_create
from fedcomm.federation.watch import Held, Watch
from fedcomm.hub import actors, holding, journal, threads
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms


class Writings:
    """Prepares what becomes of posts, and of accounts that are deleted."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        library: Library,
        hearsay: Hearsay,
        consents: Consents,
        interventions: Interventions,
        polling: Polling,
        watch: Watch,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._directory = directory
        self._library = library
        self._hearsay = hearsay
        self._consents = consents
        self._interventions = interventions
        self._polling = polling
        self._watch = watch
        self._at = addresses
        self._http = allow_http

    async def create(self, received: Received) -> Change:
        """Something new, embedded or fetched from its origin; or votes, which look the same."""
        activity = received.activity
        document = activity.object
        votes = votes_in_create(activity, allow_http=self._http)
        if votes:
            return await self._polling.cast(received, votes)
        if isinstance(document, dict):
            thing = addressed(read_object(document, allow_http=self._http), activity)
            if not same_origin(thing.id, activity.actor, allow_http=self._http):
                raise Refused("foreign-object")
        elif activity.object_id is not None:
            thing = await self._library.fetch(activity.object_id, budget=received.budget)
        else:
            raise Refused("no-object")
        if thing.attributed_to != activity.actor:
            await self._require_group_of_theirs(thing.attributed_to, received)
            # Only their origin knows whether this person may write for the group.
            thing = await self._library.fetch(thing.id, budget=received.budget)
            await self._require_group_of_theirs(thing.attributed_to, received)
        if not thing.is_writing:
            return nothing(f"ignored: Create of {thing.type}")
        cast = vote_of(thing)
        if cast is not None and thing.attributed_to != activity.actor:
            raise Refused("not-the-author")
        if cast is not None:
            if await self._library.is_remembered_as_deleted(self._db, thing.id):
                return nothing(DELETED_BEFORE)
            return await self._polling.cast(received, [cast])
        judge = self.judge_of(received, thing.id)
        try:
            arrival = await self._library.prepare(
                thing, budget=received.budget, judge=judge, signer=received.signer
            )
        except DeletedBefore:
            return nothing(DELETED_BEFORE)
        await judge(arrival)

        async def change(tx: Transaction) -> str:
            stored = await self._library.store(tx, arrival)
            if stored is None:
                return "ignored: concerns nobody here"
            if not await self._library.names_absent(tx, thing):
                await keep(tx, received, object_id=stored)
            await backlog.want_rest(tx, stored, thing, self._at, allow_http=self._http)
            return "stored"

        return Foreseen(change, partial(self._look, arrival))

    async def _look(self, arrival: Arrival, tx: Transaction) -> None:
        await self._library.look(tx, arrival)

    def judge_of(self, received: Received, uri: str) -> Judge:
        """Looks at the object `uri` of this activity, and at what it brings along, before that is stored."""

        async def judge(arrival: Arrival) -> None:
            try:
                await self._watch.require_harmless(arrival, received.row_id)
            except Held as held:
                if arrival.document.id == uri:
                    raise
                # Whoever's words they are, it is this activity that waits, with the person who sent it.
                signer = received.signer
                raise Held(
                    replace(
                        held.suspect,
                        actor_id=signer.id,
                        host_id=signer.host_id or 0,
                        object_uri=uri,
                    )
                ) from held

        return judge

    async def update(self, received: Received) -> Change:
        """A later version of a post, how a poll stands, or a profile to fetch anew."""
        activity = received.activity
        document = activity.object
        if activity.object_id == activity.actor:
            # Fetched rather than taken from the body: a new key must come from its own address.
            await self._directory.actor(activity.actor, budget=received.budget, refresh=True)
            return nothing("profile refreshed")
        if self._at.local(activity.object_id, "g") is not None:
            # Texts and rules of a group are changed here, by those who look after it (§4.9 allows more).
            raise Refused("group-is-edited-here")
        if isinstance(document, dict) and not ACTOR_TYPES.intersection(accessors.types(document)):
            thing = addressed(read_object(document, allow_http=self._http), activity)
        elif activity.object_id is not None:
            thing = await self._library.fetch(activity.object_id, budget=received.budget)
        else:
            raise Refused("no-object")
        if not same_origin(thing.id, activity.actor, allow_http=self._http):
            raise Refused("foreign-object")
        known = await self._library.find(self._db, thing.id)
        if known is None:
            await self._watch.require_not_held(received.signer, thing.id)
        if known is None or known.deleted_at is not None:
            return nothing("ignored: Update of something unknown")
        if thing.attributed_to != activity.actor:
            await self._require_group_of_theirs(thing.attributed_to, received)
            return await self._hearsay.updated(known, received.budget)
        if known.author_id != received.signer.id:
            # An id stays with its author, whatever a neighbour on the same server says of it (INV-6).
            raise Refused("not-the-author")
        ballot = ballot_of(thing)
        latest = known.edited_at or known.published_at
        if ballot is not None and (thing.updated is None or thing.updated <= latest):
            # Mastodon: an Update that is not newer tells how a poll stands, and edits nothing.
            return self._polling.recount(received, known, ballot)
        mentions = await self._library.mentioned_ids(thing)
        content = replace(
            fitted(await self._library.content_of(thing, mentions), known.kind),
            permissions=permissions_of(thing, received.signer),
        )
        audience = await self._library.audience_of(thing, received.signer, known)
        quotation = await self._library.quoting.read(thing, received.signer, received.budget)

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            assert current is not None
            if thing.updated is not None and thing.updated < (current.edited_at or 0):
                return "ignored: older than what is known"
            said = await self._library.without_absent(tx, thing, content)
            as_it_came = not await self._library.names_absent(tx, thing)
            if (thing.updated is None or thing.updated <= latest) and await threads.says(
                tx, current, said, audience
            ):
                # Mastodon: consent to a quote came, or what others may do has changed. No word was edited.
                await threads.permit(tx, current, said.permissions)
                await self._library.quoting.keep(tx, known.id, quotation)
                if as_it_came:
                    await keep(tx, received, object_id=known.id)
                await journal.record(tx, "object_refreshed", object_id=known.id)
                return "refreshed"
            await threads.edit(
                tx,
                received.signer.id,
                known.id,
                said,
                edited_at=min(thing.updated or now_ms(), now_ms()),
                visibility=audience,
            )
            await self._library.quoting.keep(tx, known.id, quotation)
            if as_it_came:
                await keep(tx, received, object_id=known.id)
            return "edited"

        return change

    async def delete(self, received: Received) -> Change:
        """By the author, by a moderator, of a whole account, or ahead of its Create."""
        activity = received.activity
        uri = activity.object_id
        if uri is None:
            raise Refused("no-object")
        if uri == activity.actor:
            return await self._hearsay.gone(received.signer.id)
        known = await self._library.find(self._db, uri)
        if known is None:
            withdrawn = await self._consents.withdrawn(uri, received.signer)
            if withdrawn is not None:
                return withdrawn
            if not same_origin(uri, activity.actor, allow_http=self._http):
                raise Refused("foreign-object")

            async def remember(tx: Transaction) -> str:
                await holding.forget(tx, received.signer.id, uri)
                # A Delete that overtook its Create (§6.3).
                await tx.execute(
                    "INSERT INTO tombstones (uri_hash, created_at) VALUES (?, ?)"
                    " ON CONFLICT DO NOTHING",
                    uri_hash(uri),
                    now_ms(),
                )
                return "remembered as deleted"

            return remember
        signer_id = received.signer.id
        if known.author_id != signer_id:
            if await self._is_by_group_of(received.signer, known):
                return await self._hearsay.deleted(known, received.budget)
            return self._interventions.removal(received, known)

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.deleted_at is not None:
                return "already deleted"
            await keep(tx, received, object_id=known.id)
            await threads.delete(tx, signer_id, known.id)
            return "deleted"

        return change

    async def _require_group_of_theirs(self, author: str | None, received: Received) -> None:
        """A person may write for a group of their own server (Mobilizon), and for nobody else (INV-6).

        What they say is a hint to ask the origin. Raises Refused, FetchError.
        """
        if not same_origin(author, received.activity.actor, allow_http=self._http):
            raise Refused("not-the-author")
        owner = await self._directory.actor(author or "", budget=received.budget)
        if owner.kind != "group":
            raise Refused("not-the-author")

    async def _is_by_group_of(self, signer: actors.Actor, known: threads.Thing) -> bool:
        """Whether a group of the signer's own server wrote it."""
        author = await actors.actor(self._db, known.author_id)
        return (
            author is not None
            and author.kind == "group"
            and same_origin(author.uri, signer.uri, allow_http=self._http)
        )
