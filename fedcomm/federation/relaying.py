"""Relays on the wire, both styles of FEP-ae0c (federation.md §9): asking one, what it brings, what it gets.

*LitePub*: the instance actor follows the relay's actor, which follows back; both `Announce` ids. *Mastodon*: a Follow
of the Public to the relay's inbox, then whole activities. Those would need LD signatures, which we neither make nor
trust (INV-8): a Mastodon relay gets the author's `Create` with an FEP-8b32 proof, and what it hands on to us
is fetched from its origin like everything else.
"""

from __future__ import annotations

from typing import Final

from activitypub.accessors import Refused, identifier
from activitypub.ijson import JSONObject
from activitypub.origins import host as host_of
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.dispatch import Dispatch, Step, instance_actor, thing_of
from fedcomm.federation.library import DELETED_BEFORE, Library
from fedcomm.federation.received import Received
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, journal, relays, threads
from fedcomm.hub.policies import PolicyBook
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import new_id, now_ms

OFFERED: Final = "Announce/relay"
"""The type under which an announcement to relays is kept."""


class RelayIntake:
    """What relays send: answers, their own Follow, and posts."""

    def __init__(
        self,
        db: Database,
        library: Library,
        book: PolicyBook,
        addresses: Addresses,
        *,
        per_hour: int,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._library = library
        self._book = book
        self._at = addresses
        self._per_hour = per_hour
        self._http = allow_http

    async def prepare(self, received: Received) -> Change | None:
        """What a relay asks for; None when this is no relay's matter. Raises Refused, FetchError."""
        if not self._per_hour:
            return None  # Switched off.
        activity, signer = received.activity, received.signer
        if activity.type in ("Accept", "Reject"):
            number = self._at.local(identifier(activity.object) or "", "c")
            asked = await relays.by_follow(self._db, number) if number is not None else None
            return None if asked is None else self._answered(received, asked)
        if activity.type == "Follow" and activity.object_id == self._at.instance:
            return await self._followed(received)
        if activity.type not in ("Announce", "Create") or activity.object_id is None:
            return None
        if activity.type == "Create" and signer.uri == activity.actor:
            return None
        relay = await relays.by_actor(self._db, signer.id)
        if relay is None or relay.state != "active":
            return None
        return await self._brought(received, relay)

    def _answered(self, received: Received, relay: relays.Relay) -> Change:
        signer = received.signer
        if signer.uri != received.activity.actor:
            raise Refused("second-hand")
        known = relay.actor_id == signer.id if relay.actor_id is not None else None
        if known is False or signer.host_id != relay.host_id:
            raise Refused("not-the-relay")
        accepted = received.activity.type == "Accept"

        async def change(tx: Transaction) -> str:
            await relays.decide(tx, relay.id, signer.id, accepted=accepted)
            return "relay accepted" if accepted else "relay refused"

        return change

    async def _followed(self, received: Received) -> Change:
        """A relay follows the instance in turn; nobody else may."""
        relay = await relays.by_actor(self._db, received.signer.id)
        if relay is None or relay.state not in ("requested", "active"):
            raise Refused("not-a-relay")
        if received.signer.uri != received.activity.actor:
            raise Refused("second-hand")
        uri = received.activity.id

        async def change(tx: Transaction) -> str:
            await relays.note_follow(tx, relay.id, uri)
            return "relay follows"

        return change

    async def _brought(self, received: Received, relay: relays.Relay) -> Change:
        """A post is fetched from its origin and kept, within what a relay may bring (INV-5, INV-7, INV-24)."""
        uri = self._object(received)
        if uri is None:
            return nothing("ignored: a relay names nothing that can be fetched")
        if self._at.is_ours(uri) or await self._library.find(self._db, uri) is not None:
            return nothing("known already")
        if await self._library.is_remembered_as_deleted(self._db, uri):
            return nothing(DELETED_BEFORE)
        authority = host_of(uri, allow_http=self._http) or ""
        if (await self._book.policy(authority)).level != "none":
            return nothing("ignored: of a server that is limited here")
        if await relays.brought_lately(self._db, relay.id, self._per_hour) >= self._per_hour:
            return nothing("ignored: the relay has brought enough for this hour")
        thing = await self._library.fetch(uri, budget=received.budget)
        if not thing.is_writing:
            return nothing(f"ignored: a relay brings {thing.type}")
        if thing.in_reply_to is not None:
            return nothing("ignored: a relay brings an answer without what it answers")
        judge = self._library.require_harmless
        arrival = await self._library.prepare(
            thing, budget=received.budget, wanted=True, judge=judge
        )
        await judge(arrival)
        if arrival.visibility != "public" or arrival.group_id is not None:
            return nothing("ignored: not said to everybody")

        async def change(tx: Transaction) -> str:
            before = await threads.thing_by_uri(tx, thing.id)
            stored = await self._library.store(tx, arrival)
            if stored is None or before is not None:
                return "known already"
            await relays.note_brought(tx, relay.id, stored)
            return "brought by a relay"

        return change

    def _object(self, received: Received) -> str | None:
        """The id of the post: announced by its id, or inside an activity that is announced or handed on."""
        wrapped = received.activity.object
        if (
            received.activity.type == "Announce"
            and isinstance(wrapped, dict)
            and "actor" in wrapped
        ):
            if wrapped.get("type") != "Create":
                return None
            inner = wrapped.get("object")
            return inner if isinstance(inner, str) else identifier(inner or {})
        return received.activity.object_id


class Relaying:
    """Steps of the outbox for entries about relays, and about topics that go to them."""

    def __init__(self, out: Dispatch, renderer: Renderer, addresses: Addresses) -> None:
        self._out = out
        self._renderer = renderer
        self._at = addresses
        self.steps: dict[str, Step] = {
            "relay_added": self._added,
            "relay_removed": self._removed,
            "relay_followed": self._followed,
            "topic_created": self._topic,
        }

    async def _added(self, tx: Transaction, entry: journal.Entry) -> None:
        relay = await relays.relay(tx, entry.target_id or 0)
        if relay is None or relay.state == "ended":
            return
        number = new_id()
        inboxes = await self._inboxes(tx, relay)
        follow = self._follow(number, relay)
        await relays.set_follow(tx, relay.id, number)
        await self._out.send(
            tx,
            await _instance(tx),
            "Follow",
            follow,
            inboxes,
            activity_id=number,
            subject_id=relay.actor_id,
        )

    async def _removed(self, tx: Transaction, entry: journal.Entry) -> None:
        relay = await relays.relay(tx, entry.target_id or 0)
        if relay is None or relay.state != "ended":
            return
        if relay.follow_id is not None:
            undo = self._renderer.activity(
                new_id(),
                "Undo",
                self._at.instance,
                self._follow(relay.follow_id, relay),
                to=[self._addressee(relay)],
            )
            inboxes = await self._inboxes(tx, relay)
            instance = await _instance(tx)
            await self._out.send(tx, instance, "Undo", undo, inboxes, subject_id=relay.actor_id)
        await relays.forget(tx, relay.id)

    async def _followed(self, tx: Transaction, entry: journal.Entry) -> None:
        """The relay's own Follow is accepted, with it embedded."""
        relay = await relays.relay(tx, entry.target_id or 0)
        actor = await actors.actor(tx, relay.actor_id or 0) if relay is not None else None
        if relay is None or actor is None or actor.uri is None or relay.state == "ended":
            return
        follow: JSONObject = {"type": "Follow", "actor": actor.uri, "object": self._at.instance}
        if relay.follow_uri is not None:
            follow["id"] = relay.follow_uri
        accept = self._renderer.activity(
            new_id(), "Accept", self._at.instance, follow, to=[actor.uri]
        )
        await self._out.send(
            tx,
            await _instance(tx),
            "Accept",
            accept,
            await self._inboxes(tx, relay),
            subject_id=actor.id,
        )

    async def _topic(self, tx: Transaction, entry: journal.Entry) -> None:
        """A public topic goes to all relays: its id to LitePub ones, the author's `Create` to the others."""
        thing = await thing_of(tx, entry)
        if thing is None or not await relays.may_be_relayed(tx, thing):
            return
        whole: list[Inbox] = []
        for relay in await relays.relays(tx, state="active"):
            inboxes = await self._inboxes(tx, relay)
            if relay.style == "mastodon":
                whole += inboxes
                continue
            number = new_id()
            actor = await actors.actor(tx, relay.actor_id or 0)
            to = [uri for uri in (actor and actor.followers_uri, relay.address) if uri]
            announce = self._renderer.activity(
                number,
                "Announce",
                self._at.instance,
                self._at.object(thing),
                to=to,
                cc=[AS_PUBLIC],
                published=now_ms(),
            )
            await self._out.send(tx, await _instance(tx), OFFERED, announce, inboxes, thing, number)
        create_id = await tx.value(
            "SELECT id FROM activities WHERE object_id = ? AND type = 'Create' AND actor_id = ?",
            thing.id,
            thing.author_id,
        )
        if create_id is not None:
            await self._out.deliver(tx, int(create_id), whole)

    def _follow(self, number: int, relay: relays.Relay) -> JSONObject:
        wanted = relay.address if relay.style == "litepub" else AS_PUBLIC
        return self._renderer.activity(
            number, "Follow", self._at.instance, wanted, to=[self._addressee(relay)]
        )

    def _addressee(self, relay: relays.Relay) -> str:
        return relay.address if relay.style == "litepub" else AS_PUBLIC

    async def _inboxes(self, tx: Transaction, relay: relays.Relay) -> list[Inbox]:
        host = await tx.one("SELECT software, policy FROM hosts WHERE id = ?", relay.host_id)
        if host is None or host["policy"] == "suspend":
            return []
        inbox = relay.address
        if relay.style == "litepub":
            found = await tx.value("SELECT inbox FROM actors WHERE id = ?", relay.actor_id)
            if found is None:
                return []
            inbox = str(found)
        return [Inbox(inbox, relay.host_id, host["software"])]


async def _instance(tx: Transaction) -> int:
    found = await instance_actor(tx)
    # It was made before the first relay was added.
    assert found is not None
    return found
