"""Between actors: follows, memberships, profiles, moves and blocks, asked, answered and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation import recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import Dispatch, KeyMissing, Step
from fedcomm.federation.farewells import stub
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, heard_in
from fedcomm.hub import (
    actors,
    follows,
    groups,
    journal,
)
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Relations:
    """Steps of the outbox for entries about who belongs to whom."""

    def __init__(
        self,
        out: Dispatch,
        renderer: Renderer,
        catalogue: Catalogue,
        keyring: Keyring,
        addresses: Addresses,
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._catalogue = catalogue
        self._keyring = keyring
        self._at = addresses
        self.steps: dict[str, Step] = {
            "membership_activated": self._admitted,
            "membership_refused": self._turned_away,
            "follow_requested": self._follow_requested,
            "follow_accepted": self._follow_accepted,
            "follow_refused": self._follow_refused,
            "follow_ended": self._follow_ended,
            "member_edited": self._member_edited,
            "member_moved": self._member_moved,
            "consent_granted": self._member_edited,
            "consent_withdrawn": self._withdrawn,
            "block_announced": self._blocked,
            "block_withdrawn": self._unblocked,
            "group_edited": self._group_edited,
            "group_moved": self._group_moved,
        }

    async def _admitted(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Accept", entry.target_id or 0, entry.group_id or 0, self._at.group
        )

    async def _turned_away(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Reject", entry.target_id or 0, entry.group_id or 0, self._at.group
        )

    async def _follow_accepted(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Accept", entry.actor_id or 0, entry.target_id or 0, self._at.member
        )

    async def _follow_refused(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Reject", entry.actor_id or 0, entry.target_id or 0, self._at.member
        )

    async def _answer_follow(
        self,
        tx: Transaction,
        kind: str,
        follower_id: int,
        followed_id: int,
        address: Callable[[int], str],
    ) -> None:
        """Accept or Reject with the Follow embedded: Lemmy parses it, Mastodon matches it (§4.7)."""
        follower = await actors.actor(tx, follower_id)
        followed = await actors.actor(tx, followed_id)
        if follower is None or follower.is_local or followed is None or not followed.is_local:
            return
        raw = await self._out.received(tx, followed_id, "Follow", follower_id)
        wrapped: JSONObject = {
            "type": "Follow",
            "actor": follower.uri,
            "object": address(followed_id),
        }
        if raw is not None and isinstance(raw.get("id"), str):
            wrapped["id"] = raw["id"]
        answer = self._renderer.activity(
            new_id(), kind, address(followed_id), wrapped, to=[follower.uri or ""]
        )
        inboxes = await recipients.own_inbox(tx, follower_id)
        await self._out.send(tx, followed_id, kind, answer, inboxes, subject_id=follower_id)

    async def _follow_requested(self, tx: Transaction, entry: journal.Entry) -> None:
        follower = await actors.actor(tx, entry.actor_id or 0)
        followed = await actors.actor(tx, entry.target_id or 0)
        if follower is None or followed is None or followed.is_local or not follower.is_local:
            return
        if await follows.find(tx, follower.id, followed.id) is None:
            return
        activity_id = new_id()
        follow = self._renderer.activity(
            activity_id,
            "Follow",
            self._at.actor(follower),
            followed.uri or "",
            to=[followed.uri or ""],
        )
        await follows.set_activity(tx, follower.id, followed.id, activity_id)
        await self._out.send(
            tx,
            follower.id,
            "Follow",
            follow,
            await recipients.own_inbox(tx, followed.id),
            activity_id=activity_id,
            subject_id=followed.id,
        )

    async def _follow_ended(self, tx: Transaction, entry: journal.Entry) -> None:
        follower = await actors.actor(tx, entry.actor_id or 0)
        followed = await actors.actor(tx, entry.target_id or 0)
        if follower is None or followed is None or followed.is_local or not follower.is_local:
            return
        activity_id = await tx.value(
            "SELECT id FROM activities WHERE actor_id = ? AND type = 'Follow' AND subject_id = ?"
            " ORDER BY id DESC LIMIT 1",
            follower.id,
            followed.id,
        )
        if activity_id is None:
            return
        follower_uri = self._at.actor(follower)
        follow = self._renderer.activity(
            int(activity_id), "Follow", follower_uri, followed.uri or ""
        )
        undo = self._renderer.activity(
            new_id(), "Undo", follower_uri, follow, to=[followed.uri or ""]
        )
        inboxes = await recipients.own_inbox(tx, followed.id)
        await self._out.send(tx, follower.id, "Undo", undo, inboxes, subject_id=followed.id)

    async def _member_edited(self, tx: Transaction, entry: journal.Entry) -> None:
        person = await actors.actor(tx, entry.actor_id or 0)
        if person is None or person.deleted_at is not None:
            return
        inboxes = recipients.merged(
            await recipients.followers(tx, person.id), await recipients.reached(tx, person.id)
        )
        await self._send_profile(tx, person, inboxes)

    async def _withdrawn(self, tx: Transaction, entry: journal.Entry) -> None:
        """Who withdraws their consent is gone for other servers until they grant it again: what waits is not sent,
        and whoever has the profile gets one without a name (§6.2). Their words follow one by one."""
        person = await actors.actor(tx, entry.actor_id or 0)
        if person is None or person.deleted_at is not None:
            return
        if await self._out.willing(tx, person.id):
            return  # It was another channel, or they have thought better of it already.
        await tx.execute(
            "DELETE FROM deliveries WHERE recall = 0 AND state <> 'sending' AND activity_id IN"
            " (SELECT id FROM activities WHERE actor_id = ?)",
            person.id,
        )
        inboxes = recipients.merged(
            await recipients.followers(tx, person.id), await recipients.reached(tx, person.id)
        )
        if not inboxes:
            return
        keys = await self._keyring.known(person.id, tx)
        if keys is None:
            raise KeyMissing(person.id)
        document = stub(person, keys)
        update = self._renderer.activity(
            new_id(),
            "Update",
            keys.actor_uri,
            {key: value for key, value in document.items() if key != "@context"},
            to=[AS_PUBLIC],
        )
        await self._out.send(
            tx, person.id, "Update", update, inboxes, subject_id=person.id, recall=True
        )

    async def _member_moved(self, tx: Transaction, entry: journal.Entry) -> None:
        """`Move` to the followers, whose servers follow the new account; the profile says it too (§6.5)."""
        person = await actors.actor(tx, entry.actor_id or 0)
        if person is None or person.moved_to_uri is None:
            return
        await self._member_edited(tx, entry)
        uri = self._at.actor(person)
        move = self._renderer.activity(
            new_id(),
            "Move",
            uri,
            uri,
            to=[f"{uri}/followers"],
            target=person.moved_to_uri,
        )
        inboxes = await recipients.followers(tx, person.id)
        await self._out.send(tx, person.id, "Move", move, inboxes, subject_id=person.id)

    async def _blocked(self, tx: Transaction, entry: journal.Entry) -> None:
        """A block that the member wants to be known: to the server of the blocked person, and no other."""
        person = await actors.actor(tx, entry.actor_id or 0)
        target = await actors.actor(tx, entry.target_id or 0)
        if person is None or target is None or target.uri is None:
            return
        block = self._renderer.activity(
            new_id(), "Block", self._at.actor(person), target.uri, to=[target.uri]
        )
        inboxes = await recipients.own_inbox(tx, target.id)
        await self._out.send(tx, person.id, "Block", block, inboxes, subject_id=target.id)

    async def _unblocked(self, tx: Transaction, entry: journal.Entry) -> None:
        person = await actors.actor(tx, entry.actor_id or 0)
        target = await actors.actor(tx, entry.target_id or 0)
        if person is None or target is None or target.uri is None:
            return
        sent = await tx.value(
            "SELECT id FROM activities WHERE actor_id = ? AND type = 'Block' AND subject_id = ?"
            " ORDER BY id DESC LIMIT 1",
            person.id,
            target.id,
        )
        if sent is None:
            return
        uri, to = self._at.actor(person), [target.uri]
        block = self._renderer.activity(int(sent), "Block", uri, target.uri, to=to)
        undo = self._renderer.activity(new_id(), "Undo", uri, block, to=to)
        inboxes = await recipients.own_inbox(tx, target.id)
        await self._out.send(tx, person.id, "Undo", undo, inboxes, subject_id=target.id)

    async def _group_edited(self, tx: Transaction, entry: journal.Entry) -> None:
        actor = await actors.actor(tx, entry.group_id or 0)
        group = await groups.group(tx, entry.group_id or 0)
        if actor is None or group is None or not group.leaves_hub:
            return
        # Mastodon wants an Update of the group to be signed by the group itself (§4.9).
        heard_by = heard_in(self._at.group(group.id), is_open=not group.is_members_only)
        await self._send_profile(tx, actor, await recipients.group_members(tx, group.id), heard_by)

    async def _group_moved(self, tx: Transaction, entry: journal.Entry) -> None:
        """`Move` by the group to its members, whose servers follow the new place; its document says it too (§6.5)."""
        actor = await actors.actor(tx, entry.group_id or 0)
        if actor is None or actor.moved_to_uri is None or actor.deleted_at is not None:
            return
        await self._group_edited(tx, entry)
        uri = self._at.group(actor.id)
        move = self._renderer.activity(
            new_id(), "Move", uri, uri, to=[f"{uri}/followers"], target=actor.moved_to_uri
        )
        inboxes = await recipients.group_members(tx, actor.id)
        await self._out.send(tx, actor.id, "Move", move, inboxes, subject_id=actor.id)

    async def _send_profile(
        self,
        tx: Transaction,
        actor: actors.Actor,
        inboxes: Sequence[Inbox],
        heard_by: Sequence[str] = (AS_PUBLIC,),
    ) -> None:
        inboxes = [inbox for inbox in inboxes if inbox.is_welcome]
        if not inboxes:
            return
        if await self._keyring.known(actor.id, tx) is None:
            raise KeyMissing(actor.id)
        document = await self._catalogue.actor(tx, actor)
        update = self._renderer.activity(
            new_id(),
            "Update",
            str(document["id"]),
            {key: value for key, value in document.items() if key != "@context"},
            to=heard_by,
            cc=[str(document["followers"])],
        )
        await self._out.send(tx, actor.id, "Update", update, inboxes, subject_id=actor.id)
