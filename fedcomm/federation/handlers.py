"""What a received activity means: each handler fetches what it needs, then returns a change to make.

The change runs in the transaction that also marks the activity as done, so that it takes effect once
(INV-9). The signer travels with the activity: verified to be the actor (INV-2), or else what is said is hearsay,
which only the origin confirms. Content inside Announce, Undo, Accept and collections is never believed for being
there (INV-7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, ObjectDocument, read_activity, read_object
from activitypub.failures import FetchBudget, FetchError
from activitypub.ijson import JSONObject, dumps
from activitypub.origins import same_origin
from activitypub.vocabulary import ACTOR_TYPES, COLLECTION_TYPES, ITEM_LIMIT, OBJECT_TYPES
from fedcomm.federation import backlog
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.attendance import Attendance
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.consents import Consents
from fedcomm.federation.directory import Directory
from fedcomm.federation.emotes import feeling_of
from fedcomm.federation.hearsay import Hearsay
from fedcomm.federation.interventions import Interventions
from fedcomm.federation.library import (
    Arrival,
    Judge,
    Library,
    addressed,
    ballot_of,
    fitted,
    uri_hash,
)
from fedcomm.federation.quoting import permissions_of
from fedcomm.federation.relaying import RelayIntake
from fedcomm.federation.votes import Cast, poll_vote, vote_of, votes_in_create
from fedcomm.federation.vouching import Vouching
from fedcomm.federation.watch import Held, Watch
from fedcomm.hub import (
    actors,
    follows,
    groups,
    holding,
    journal,
    moving,
    polls,
    profiles,
    reactions,
    threads,
)
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.errors import HubError
from fedcomm.hub.policies import PolicyBook
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms

MOVE_COOLDOWN_MS = 7 * 86_400_000
"""A second Move of the same actor within a week is not followed (INV-19, federation.md §6.5)."""

ANNOUNCED_AT_ONCE = 50
"""Of a longer list of activities the rest is passed over; each may need a fetch, which the budget limits."""

_REACTIONS: dict[str, reactions.Kind] = {
    "Like": "like",
    "EmojiReact": "like",
    "Dislike": "dislike",
    "Announce": "share",
}

_VOTES: dict[reactions.Kind, tuple[reactions.Kind, ...]] = {
    "like": ("like", "dislike"),
    "dislike": ("dislike", "like"),
}
"""Nobody has both, and Lemmy takes every vote back as if it had been a Like."""


@dataclass(frozen=True, slots=True)
class Received:
    """An activity out of the inbox with its verified signer."""

    activity: ActivityDocument
    signer: actors.Actor
    budget: FetchBudget
    text: str = ""
    """The body as it came, for those to whom it is forwarded."""
    row_id: int = 0
    """Its row in the inbox."""


class Handlers:
    """Turns activities into changes of the hub."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        library: Library,
        book: PolicyBook,
        hearsay: Hearsay,
        vouching: Vouching,
        addresses: Addresses,
        *,
        allow_http: bool,
        watch: Watch,
        relays: RelayIntake | None = None,
    ) -> None:
        self._watch = library.quoting.watch = watch
        self._relays = relays
        self._db = db
        self._directory = directory
        self._library = library
        self._book = book
        self._hearsay = hearsay
        self._vouching = vouching
        self._at = addresses
        self._http = allow_http
        self._consents = Consents(db, library, addresses, allow_http=allow_http)
        self._interventions = Interventions(db, library, addresses, _keep, allow_http=allow_http)
        self._attendance = Attendance(
            db, directory, library, addresses, _keep, allow_http=allow_http
        )

    async def prepare(self, received: Received) -> Change:
        """The change that the activity asks for. Raises Refused, FetchError."""
        if received.signer.suspended_at is not None and not _always_taken(received.activity):
            raise Refused("suspended-actor")
        if self._relays is not None:
            relayed = await self._relays.prepare(received)
            if relayed is not None:
                return relayed
        if received.signer.uri != received.activity.actor:
            return await self._hearsay.prepare(received.activity, received.budget)
        match received.activity.type:
            case "Follow":
                return await self._follow(received)
            case "Accept" | "TentativeAccept":
                return await self._answered(received, accepted=True)
            case "Reject" | "TentativeReject":
                return await self._answered(received, accepted=False)
            case "Create":
                return await self._create(received)
            case "Update":
                return await self._update(received)
            case "Delete":
                return await self._delete(received)
            case "Like" | "EmojiReact" | "Dislike":
                return await self._react(received)
            case "Announce":
                return await self._announce(received)
            case "Undo":
                return await self._undo(received)
            case "Flag":
                return await self._flag(received)
            case "Add" | "Remove":
                return await self._pin(received)
            case "Lock":
                return await self._lock(received, locked=True)
            case "Join":
                return await self._attendance.join(received)
            case "Leave":
                return await self._attendance.leave(received, received.activity.object_id)
            case "PollVote":
                return await self._poll_vote(received)
            case "Move":
                return await self._move(received)
            case "Block":
                return await self._block(received)
            case "QuoteRequest":
                return await self._consents.requested(received, partial(self._judge, received))
        return nothing(f"ignored: {received.activity.type}")

    # Relations

    async def _follow(self, received: Received) -> Change:
        target = self._at.local_actor(received.activity.object_id)
        if target is None:
            raise Refused("not-ours")
        signer_id = received.signer.id
        uri = received.activity.id
        # Before anything is sent there: what suits it depends on its software (peers.py).
        await self._directory.probe(received.signer.host_id or 0)

        async def change(tx: Transaction) -> str:
            group = await groups.group(tx, target)
            await _keep(tx, received, object_id=target)
            if group is not None:
                return f"membership {await groups.join(tx, target, signer_id, follow_uri=uri)}"
            return f"follow {await follows.request(tx, signer_id, target, follow_uri=uri)}"

        return change

    async def _answered(self, received: Received, *, accepted: bool) -> Change:
        """An Accept or Reject of a Follow or Join that *we* sent (INV-7, INV-15)."""
        activity = received.activity
        quote = await self._consents.asked(activity)
        if quote is not None:
            return await self._consents.answered(received, quote, accepted=accepted)
        attending = await self._attendance.answered(received, accepted=accepted)
        if attending is not None:
            return attending
        follower = await self._our_follow(activity.object, received.signer)
        if follower is None:
            raise Refused("no-such-request")
        signer_id = received.signer.id

        async def change(tx: Transaction) -> str:
            if accepted:
                await follows.accept(tx, follower, signer_id)
                await backlog.want_outbox(tx, received.signer)
                return "follow accepted"
            await follows.end(tx, follower, signer_id, refused=True)
            return "follow refused"

        return change

    async def _our_follow(self, wrapped: object, followed: actors.Actor) -> int | None:
        """The member of ours whose request to `followed` the wrapped Follow names, by id or by its two ends."""
        uri = wrapped if isinstance(wrapped, str) else None
        if isinstance(wrapped, dict):
            uri = wrapped.get("id") if isinstance(wrapped.get("id"), str) else None
        activity_id = self._at.local(uri, "c")
        if activity_id is not None:
            row = await self._db.one(
                "SELECT actor_id FROM activities"
                " WHERE id = ? AND type = 'Follow' AND subject_id = ?",
                activity_id,
                followed.id,
            )
            if row is not None:
                return int(row["actor_id"])
        if isinstance(wrapped, dict):
            # Peers that lose our id still name both ends; the request itself must be stored here.
            actor = self._at.local(_text(wrapped.get("actor")), "p")
            if actor is not None and await follows.find(self._db, actor, followed.id) is not None:
                return actor
        return None

    async def _block(self, received: Received) -> Change:
        if self._interventions.bans_from(received.activity.raw) is not None:
            return await self._interventions.ban(received, received.activity.raw)
        target = self._at.local_actor(received.activity.object_id)
        if target is None:
            return nothing("ignored: Block of somebody else")
        signer_id = received.signer.id

        async def change(tx: Transaction) -> str:
            await follows.end(tx, target, signer_id, refused=True)
            await follows.end(tx, signer_id, target)
            return "blocked: follows ended"

        return change

    async def _move(self, received: Received) -> Change:
        activity, old = received.activity, received.signer
        if activity.object_id != activity.actor and await self._is_no_actor(received):
            # Forums move topics from one category to another.
            return nothing("ignored: Move of something else than an account")
        if activity.object_id != activity.actor or activity.target is None:
            raise Refused("bad-move")
        moved_at = await self._db.value("SELECT moved_at FROM actors WHERE id = ?", old.id)
        if moved_at is not None and now_ms() - int(moved_at) < MOVE_COOLDOWN_MS:
            raise Refused("moved-lately")
        if self._at.is_ours(activity.target):
            return await self._move_to_us(received, activity.target)
        # Fetched now, not from memory: the new account must name the old one today (INV-19).
        if not await self._directory.names_alias(activity.target, old.uri or "", received.budget):
            raise Refused("no-alias")
        new = await self._directory.actor(activity.target, budget=received.budget)
        if (new.kind == "group") is not (old.kind == "group"):
            # Whoever follows a person does not thereby want a group, nor the other way round.
            raise Refused("bad-move")

        async def change(tx: Transaction) -> str:
            await tx.execute(
                "UPDATE actors SET moved_to_uri = ?, moved_at = ? WHERE id = ?",
                new.uri,
                now_ms(),
                old.id,
            )
            count = await moving.follow_along(tx, old.id, new.id)
            return f"moved: {count} followers"

        return change

    async def _is_no_actor(self, received: Received) -> bool:
        """Whether the object is something of the signer's own server that is no account known here."""
        uri = received.activity.object_id
        if not same_origin(uri, received.activity.actor, allow_http=self._http):
            return False
        return await actors.actor_by_uri(self._db, uri or "") is None

    async def _move_to_us(self, received: Received, target: str) -> Change:
        """Somebody moves here. Their followers elsewhere come by themselves; members go along."""
        old = received.signer
        new_id = self._at.local(target, "g" if old.kind == "group" else "p")
        # Our own word, as it stands now, that the two are one (INV-19).
        if new_id is None or old.uri not in await profiles.aliases_of(self._db, new_id):
            raise Refused("no-alias")

        async def change(tx: Transaction) -> str:
            await tx.execute(
                "UPDATE actors SET moved_to_uri = ?, moved_at = ? WHERE id = ?",
                target,
                now_ms(),
                old.id,
            )
            if old.kind == "group":
                return f"moved: {await moving.join_along(tx, old.id, new_id)} members"
            return f"moved: {await moving.follow_along(tx, old.id, new_id)} followers"

        return change

    # Objects

    async def _create(self, received: Received) -> Change:
        activity = received.activity
        document = activity.object
        votes = votes_in_create(activity, allow_http=self._http)
        if votes:
            return await self._vote(received, votes)
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
        if thing.type not in OBJECT_TYPES or thing.is_tombstone:
            return nothing(f"ignored: Create of {thing.type}")
        if await self._library.is_remembered_as_deleted(self._db, thing.id):
            return nothing("deleted before it came")
        cast = vote_of(thing)
        if cast is not None and thing.attributed_to != activity.actor:
            raise Refused("not-the-author")
        if cast is not None:
            return await self._vote(received, [cast])
        judge = self._judge(received, thing.id)
        arrival = await self._library.prepare(thing, budget=received.budget, judge=judge)
        await judge(arrival)

        async def change(tx: Transaction) -> str:
            stored = await self._library.store(tx, arrival)
            if stored is None:
                return "ignored: concerns nobody here"
            await _keep(tx, received, object_id=stored)
            await self._want_rest(tx, stored, thing)
            return "stored"

        return change

    def _judge(self, received: Received, uri: str) -> Judge:
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

    async def _update(self, received: Received) -> Change:
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
        ballot = ballot_of(thing)
        latest = known.edited_at or known.published_at
        if ballot is not None and (thing.updated is None or thing.updated <= latest):
            # Mastodon: an Update that is not newer tells how a poll stands, and edits nothing.
            return self._recount(received, known, ballot)
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
            if (thing.updated is None or thing.updated <= latest) and await threads.says(
                tx, current, content, audience
            ):
                # Mastodon: consent to a quote came, or what others may do has changed. No word was edited.
                await threads.permit(tx, current, content.permissions)
                await self._library.quoting.keep(tx, known.id, quotation)
                await _keep(tx, received, object_id=known.id)
                await journal.record(tx, "object_refreshed", object_id=known.id)
                return "refreshed"
            await threads.edit(
                tx,
                received.signer.id,
                known.id,
                content,
                edited_at=min(thing.updated or now_ms(), now_ms()),
                visibility=audience,
            )
            await self._library.quoting.keep(tx, known.id, quotation)
            await _keep(tx, received, object_id=known.id)
            return "edited"

        return change

    async def _delete(self, received: Received) -> Change:
        activity = received.activity
        uri = activity.object_id
        if uri is None:
            raise Refused("no-object")
        if uri == activity.actor:
            return await self._delete_actor(received)
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
            await _keep(tx, received, object_id=known.id)
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

    async def _delete_actor(self, received: Received) -> Change:
        signer = received.signer

        async def change(tx: Transaction) -> str:
            await holding.forget(tx, signer.id)
            count = await threads.delete_everything_of(tx, signer.id)
            await actors.forget_remote(tx, signer.id)
            return f"actor deleted with {count} objects"

        self._directory.forget_keys(signer.id)
        return change

    # Polls

    async def _poll_vote(self, received: Received) -> Change:
        cast = poll_vote(received.activity)
        if cast is None:
            raise Refused("no-object")
        return await self._vote(received, [cast])

    async def _vote(self, received: Received, votes: list[Cast]) -> Change:
        """Votes in a poll of ours. They are counted and never kept as what they came as, nor repeated
        by a group: who voted for what is nobody else's business."""
        question = votes[0].question
        if any(cast.question != question for cast in votes):
            raise Refused("several-polls")
        known = await self._library.find(self._db, question)
        if known is None or not known.is_local:
            return nothing("ignored: vote in a poll that is not ours")
        positions: list[int] = []
        for cast in votes:
            position = await polls.position_of(self._db, known.id, cast.name)
            if position is None:
                raise Refused("no-such-option")
            positions.append(position)

        async def change(tx: Transaction) -> str:
            counted = await polls.vote(tx, received.signer.id, known.id, positions)
            return "voted" if counted else "vote already counted"

        return change

    def _recount(self, received: Received, known: threads.Thing, ballot: Ballot) -> Change:
        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.author_id != received.signer.id:
                raise Refused("not-the-author")
            await _keep(tx, received, object_id=known.id)
            await polls.refresh(tx, known.id, ballot)
            return "poll counted"

        return change

    # Reactions and shares

    async def _react(self, received: Received) -> Change:
        kind = _REACTIONS[received.activity.type]
        feeling = feeling_of(received.activity, allow_http=self._http)
        known = await self._library.find(self._db, received.activity.object_id)
        if known is None:
            return nothing("ignored: about something unknown")

        async def change(tx: Transaction) -> str:
            added = await reactions.add(
                tx,
                received.signer.id,
                known.id,
                kind,
                uri=received.activity.id,
                feeling=feeling,
            )
            if added:
                await _keep(tx, received, object_id=known.id)
            return kind if added else f"{kind} already counted"

        return change

    async def _announce(self, received: Received) -> Change:
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
            return await self._react(received)
        if not await self._is_followed(received.signer):
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
        if thing.type not in OBJECT_TYPES or thing.is_tombstone:
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
                await self._want_rest(tx, stored, thing)
            return "shared"

        return change

    async def _unwrap(self, received: Received, wrapped: JSONObject | str) -> Change:
        """A group of another server repeats an activity (FEP-1b12). What the inner one says is fetched from its
        origin or proven by its author, or it changes nothing (INV-7)."""
        if not isinstance(wrapped, dict):
            raise Refused("no-object")
        inner = read_activity(wrapped, allow_http=self._http)
        if not await self._is_followed(received.signer):
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
            return _REACTIONS[kind], target
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

    # Undo

    async def _undo(self, received: Received) -> Change:
        activity = received.activity
        wrapped = activity.object
        kind: str | None = None
        target: str | None = None
        if isinstance(wrapped, dict):
            actor = accessors.url(wrapped, "actor", allow_http=self._http)
            if actor is not None and actor != activity.actor:
                raise Refused("not-ones-own")
            kind = next(iter(accessors.types(wrapped)), None)
            target = accessors.url(wrapped, "object", allow_http=self._http)
        signer_id, uri = received.signer.id, activity.object_id
        if kind == "Lock":
            return await self._lock(received, locked=False, target=target)
        if kind == "Join":
            return await self._attendance.leave(received, target)
        if kind == "Delete":
            return await self._interventions.restoration(received, target)
        if (
            kind == "Block"
            and isinstance(wrapped, dict)
            and self._interventions.bans_from(wrapped) is not None
        ):
            return await self._interventions.ban(received, wrapped, lifted=True)
        if kind in ("Follow", None):
            change = await self._undo_follow(signer_id, uri, target)
            if change is not None:
                return change
        row = await self._db.one(
            "SELECT object_id, kind FROM reactions WHERE uri = ? AND actor_id = ?",
            uri or "",
            signer_id,
        )
        if row is not None:
            return self._withdraw(received, row["object_id"], row["kind"])
        if kind in _REACTIONS and target is not None:
            known = await self._library.find(self._db, target)
            if known is not None:
                return self._withdraw(received, known.id, _REACTIONS[kind])
        return nothing(f"ignored: Undo of {kind or 'something unknown'}")

    async def _undo_follow(
        self, signer_id: int, uri: str | None, target: str | None
    ) -> Change | None:
        followed = self._at.local_actor(target)
        if followed is None and uri is not None:
            followed = await self._db.value(
                "SELECT group_id FROM memberships WHERE actor_id = ? AND follow_uri = ?",
                signer_id,
                uri,
            ) or await self._db.value(
                "SELECT followed_id FROM follows WHERE follower_id = ? AND follow_uri = ?",
                signer_id,
                uri,
            )
        if followed is None:
            return None

        async def change(tx: Transaction) -> str:
            if await groups.group(tx, followed) is not None:
                await groups.leave(tx, followed, signer_id)
                return "left the group"
            await follows.end(tx, signer_id, followed)
            return "unfollowed"

        return change

    def _withdraw(self, received: Received, object_id: int, kind: reactions.Kind) -> Change:
        async def change(tx: Transaction) -> str:
            for vote in _VOTES.get(kind, (kind,)):
                if await reactions.withdraw(tx, received.signer.id, object_id, vote):
                    await _keep(tx, received, object_id=object_id)
                    return f"{vote} withdrawn"
            return f"no {kind} to withdraw"

        return change

    # Moderation

    async def _flag(self, received: Received) -> Change:
        if (await self._book.policy(received.signer.host or "")).reject_reports:
            return nothing("ignored: reports of this server are not taken")
        return await self._interventions.flag(received)

    async def _pin(self, received: Received) -> Change:
        """Add or Remove by a moderator of a group of ours, to its featured collection (§4.9)."""
        activity = received.activity
        target = activity.target or ""
        moderated = self._at.local(target.removesuffix("/moderators"), "g")
        if target.endswith("/moderators") and moderated is not None:
            return await self._interventions.moderator(received, moderated)
        group_id = self._at.local(target.removesuffix("/featured"), "g")
        known = await self._library.find(self._db, activity.object_id)
        if not target.endswith("/featured") or group_id is None or known is None:
            return nothing(f"ignored: {activity.type} to a collection that is not ours")
        if known.group_id != group_id:
            raise Refused("other-group")

        async def change(tx: Transaction) -> str:
            await _keep(tx, received, object_id=known.id)
            await threads.set_pinned(
                tx, received.signer.id, known.id, pinned=activity.type == "Add"
            )
            return "pinned" if activity.type == "Add" else "unpinned"

        return change

    async def _lock(self, received: Received, *, locked: bool, target: str | None = None) -> Change:
        known = await self._library.find(self._db, target or received.activity.object_id)
        if known is None:
            return nothing("ignored: Lock of something unknown")

        async def change(tx: Transaction) -> str:
            await _keep(tx, received, object_id=known.id)
            await threads.set_locked(tx, received.signer.id, known.id, locked=locked)
            return "locked" if locked else "unlocked"

        return change

    async def _want_rest(self, tx: Transaction, stored: int, document: ObjectDocument) -> None:
        """The conversation around something new is completed in the background (§4.11)."""
        thing = await threads.thing(tx, stored)
        if thing is not None and thing.host_id is not None:
            await backlog.want_thread(tx, thing, document, self._at, allow_http=self._http)

    # Questions that several handlers ask

    async def _is_followed(self, actor: actors.Actor) -> bool:
        found = await self._db.value(
            "SELECT 1 FROM follows f JOIN actors a ON a.id = f.follower_id"
            " WHERE f.followed_id = ? AND f.state = 'active' AND f.suspended = 0"
            " AND a.host_id IS NULL LIMIT 1",
            actor.id,
        )
        return found is not None


def _always_taken(activity: ActivityDocument) -> bool:
    """What is taken even of somebody who is suspended: what they take back, and what becomes of their account."""
    return activity.type in ("Delete", "Undo") or (
        activity.type == "Update" and activity.object_id == activity.actor
    )


async def _keep(tx: Transaction, received: Received, *, object_id: int) -> None:
    """Keep the activity as it came: the group repeats it value-identical (§4.3), Accept embeds it."""
    if received.activity.id is None:
        return
    raw = received.activity.raw
    kept = _without_blind_copies(raw)
    await tx.execute(
        "INSERT INTO received_activities (uri, type, actor_id, object_id, body, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uri) DO UPDATE SET body = excluded.body",
        received.activity.id,
        received.activity.type,
        received.signer.id,
        object_id,
        received.text if received.text and kept == raw else dumps(kept).decode(),
        now_ms(),
    )


def _without_blind_copies(raw: JSONObject) -> JSONObject:
    """Who was addressed in confidence is nobody else's business, even if the peer forgot (INV-17).

    All else stays value-identical, for the sake of proofs."""
    kept = {key: value for key, value in raw.items() if key not in ("bto", "bcc")}
    inner = kept.get("object")
    if isinstance(inner, dict):
        kept["object"] = _without_blind_copies(inner)
    elif isinstance(inner, list):
        kept["object"] = [
            _without_blind_copies(item) if isinstance(item, dict) else item for item in inner
        ]
    return kept


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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
