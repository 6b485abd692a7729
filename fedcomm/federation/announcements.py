"""Announce: what a followed actor shares, and what groups of other servers repeat (FEP-1b12, federation.md §4.2).

Nothing inside an Announce is believed for being there (INV-7): it is fetched from its origin, or proven by its author.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, ObjectDocument, read_activity
from activitypub.failures import FetchError
from activitypub.ijson import JSONObject
from activitypub.origins import same_origin
from activitypub.vocabulary import COLLECTION_TYPES, ITEM_LIMIT, OBJECT_TYPES
from fedcomm.federation import backlog
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.contents import addressed
from fedcomm.federation.hearsay import Hearsay
from fedcomm.federation.library import Library
from fedcomm.federation.opinions import KINDS, Opinions
from fedcomm.federation.received import Received
from fedcomm.federation.vouching import Vouching
from fedcomm.hub import follows, reactions, threads
from fedcomm.hub.errors import HubError
from fedcomm.store.database import Database, Transaction

ANNOUNCED_AT_ONCE: Final = 50
"""Of a longer list of activities the rest is passed over; each may need a fetch, which the budget limits."""


class Announcements:
    """Prepares what an Announce asks for."""

    def __init__(
        self,
        db: Database,
        library: Library,
        hearsay: Hearsay,
        vouching: Vouching,
        opinions: Opinions,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._library = library
        self._hearsay = hearsay
        self._vouching = vouching
        self._opinions = opinions
        self._at = addresses
        self._http = allow_http

    async def announce(self, received: Received) -> Change:
        """An object that is shared, or activities that a group repeats."""
        wrapped = received.activity.objects
        if len(wrapped) == 1 and isinstance(wrapped[0], dict):
            # Several activities, as a list or as a collection.
            wrapped = _items(wrapped[0]) or wrapped
        if any(_is_activity(each) for each in wrapped):
            if len(wrapped) > 1:
                return await self._unwrap_several(received, wrapped)
            return await self._unwrap(received, wrapped[0])
        uri = received.activity.object_id
        if uri is None:
            raise Refused("no-object")
        known = await self._library.find(self._db, uri)
        if known is not None:
            return await self._opinions.react(received)
        if not await follows.is_followed_here(self._db, received.signer.id):
            return nothing("ignored: shared by somebody whom nobody here follows")
        return await self._keep_shared(received, uri)

    async def _keep_shared(
        self, received: Received, uri: str, proven: ObjectDocument | None = None
    ) -> Change:
        """Something that a followed actor shares is fetched from its origin and kept (INV-5, INV-7).

        `proven`: the object, when its author has proven it.
        """
        thing = proven or await self._library.fetch(uri, budget=received.budget)
        if same_origin(thing.id, received.signer.uri, allow_http=self._http):
            # Discourse addresses what its categories announce, and not the posts themselves.
            thing = addressed(thing, received.activity)
        if not thing.is_writing:
            return nothing(f"ignored: Announce of {thing.type}")
        arrival = await self._library.prepare(
            thing, budget=received.budget, wanted=True, community=received.signer
        )
        if arrival.visibility not in ("public", "unlisted") and (
            arrival.community_id != received.signer.id
        ):
            raise Refused("not-public")

        async def change(tx: Transaction) -> str:
            stored = await self._library.store(tx, arrival)
            if stored is None:
                return "ignored: was deleted"
            await reactions.add(tx, received.signer.id, stored, "share", uri=received.activity.id)
            if received.signer.kind == "group":
                await backlog.want_rest(tx, stored, thing, self._at, allow_http=self._http)
            return "shared"

        return change

    async def _unwrap(self, received: Received, wrapped: JSONObject | str) -> Change:
        """A group of another server repeats an activity (FEP-1b12). What the inner one says is fetched from its
        origin or proven by its author, or it changes nothing (INV-7)."""
        if not isinstance(wrapped, dict):
            raise Refused("no-object")
        inner = read_activity(wrapped, allow_http=self._http)
        if not await follows.is_followed_here(self._db, received.signer.id):
            return nothing("ignored: announced by somebody whom nobody here follows")
        uri = inner.object_id
        if uri is None:
            return nothing("ignored: announces nothing that can be fetched")
        if self._at.is_ours(inner.actor):
            return nothing("ignored: an echo of our own")
        if inner.type == "Create":
            known = await self._library.find(self._db, uri)
            if known is not None:
                return await self._share_known(received, known)
            made = await self._vouching.object(inner, budget=received.budget)
            return await self._keep_shared(received, uri, made)
        vote = self._vote_of(inner)
        if vote is not None:
            return await self._announced_vote(inner, *vote, received)
        known = await self._library.find(self._db, uri)
        if known is None or known.is_local or known.deleted_at is not None:
            return nothing(f"ignored: announced {inner.type} of something unknown")
        if inner.type == "Update":
            edited = await self._vouching.object(inner, budget=received.budget)
            return await self._hearsay.updated(known, received.budget, edited)
        if inner.type == "Delete":
            author = await self._vouching.author(inner, budget=received.budget)
            proven = author is not None and author.actor_id == known.author_id
            return await self._hearsay.deleted(known, received.budget, proven=proven)
        return nothing(f"ignored: announced {inner.type}")

    def _vote_of(self, inner: ActivityDocument) -> tuple[reactions.Kind, str] | None:
        """The kind of a vote, or of the vote that is undone, and the id of what it is about."""
        kind: str | None = inner.type
        target = inner.object_id
        if inner.type == "Undo" and isinstance(inner.object, dict):
            kind = next(iter(accessors.types(inner.object)), None)
            target = accessors.url(inner.object, "object", allow_http=self._http)
        if kind in ("Like", "EmojiReact", "Dislike") and target is not None:
            return KINDS[kind], target
        return None

    async def _announced_vote(
        self, inner: ActivityDocument, kind: reactions.Kind, target: str, received: Received
    ) -> Change:
        known = await self._library.find(self._db, target)
        if known is None or known.deleted_at is not None:
            return nothing(f"ignored: announced {inner.type} of something unknown")
        if not known.is_local:
            # Their own servers count what is theirs.
            return nothing(f"ignored: announced {inner.type}")
        author = await self._vouching.author(inner, budget=received.budget)
        return await self._hearsay.reacted(
            inner, known, kind, received.budget, proven=author is not None
        )

    async def _unwrap_several(
        self, received: Received, several: Sequence[JSONObject | str]
    ) -> Change:
        """PieFed announces lists of activities (§4.2). One that cannot be had does not take the others along."""
        changes: list[Change] = []
        failure: FetchError | None = None
        for wrapped in several[:ANNOUNCED_AT_ONCE]:
            if not _is_activity(wrapped):
                continue
            try:
                changes.append(await self._unwrap(received, wrapped))
            except Refused:
                continue
            except FetchError as error:
                failure = error
        if failure is not None and not changes:
            raise failure

        async def change(tx: Transaction) -> str:
            verdicts: list[str] = []
            for one in changes:
                try:
                    verdicts.append(await one(tx))
                except HubError as error:
                    # Refused before anything of it was written.
                    verdicts.append(error.message)
            return f"{len(verdicts)} activities: {', '.join(dict.fromkeys(verdicts))}"

        return change

    async def _share_known(self, received: Received, known: threads.Thing) -> Change:
        async def change(tx: Transaction) -> str:
            await reactions.add(tx, received.signer.id, known.id, "share", uri=received.activity.id)
            return "shared"

        return change


def _is_activity(value: JSONObject | str) -> bool:
    """Whether it is an activity rather than an object: some servers write `actor` on their posts as well."""
    if not isinstance(value, dict) or "actor" not in value:
        return False
    return not OBJECT_TYPES.intersection(accessors.types(value))


def _items(document: JSONObject) -> tuple[JSONObject | str, ...]:
    """What an embedded collection holds; nothing of anything else."""
    if not COLLECTION_TYPES.intersection(accessors.types(document)):
        return ()
    key = "orderedItems" if "orderedItems" in document else "items"
    return accessors.objects(document, key, ITEM_LIMIT)
