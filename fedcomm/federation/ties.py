"""Follow and what answers it, and Block between two people (federation.md §6)."""

from __future__ import annotations

from activitypub.accessors import Refused
from fedcomm.federation import backlog
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.directory import Directory
from fedcomm.federation.received import Received, keep
from fedcomm.hub import actors, follows, groups
from fedcomm.store.database import Database, Transaction


class Ties:
    """Prepares who follows whom, as the inbox says it."""

    def __init__(self, db: Database, directory: Directory, addresses: Addresses) -> None:
        self._db = db
        self._directory = directory
        self._at = addresses

    async def follow(self, received: Received) -> Change:
        """Somebody wants to follow a member, or to be in a group, which is the same on the wire."""
        target = self._at.local_actor(received.activity.object_id)
        if target is None:
            raise Refused("not-ours")
        signer_id = received.signer.id
        uri = received.activity.id
        # Before anything is sent there: what suits it depends on its software (peers.py).
        await self._directory.probe(received.signer.host_id or 0)

        async def change(tx: Transaction) -> str:
            group = await groups.group(tx, target)
            await keep(tx, received, object_id=target)
            if group is not None:
                return f"membership {await groups.join(tx, target, signer_id, follow_uri=uri)}"
            return f"follow {await follows.request(tx, signer_id, target, follow_uri=uri)}"

        return change

    async def answered(self, received: Received, *, accepted: bool) -> Change:
        """An Accept or Reject of a Follow that *we* sent (INV-7, INV-15)."""
        follower = await self._our_follow(received.activity.object, received.signer)
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

    def block(self, received: Received) -> Change:
        """A Block between two people: both follows end."""
        target = self._at.local_actor(received.activity.object_id)
        if target is None:
            return nothing("ignored: Block of somebody else")
        signer_id = received.signer.id

        async def change(tx: Transaction) -> str:
            await follows.end(tx, target, signer_id, refused=True)
            await follows.end(tx, signer_id, target)
            return "blocked: follows ended"

        return change

    async def unfollow(self, signer_id: int, uri: str | None, target: str | None) -> Change | None:
        """Undo of a Follow, by the id of it or of who was followed; None if neither is known."""
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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
