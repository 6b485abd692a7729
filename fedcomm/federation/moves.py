"""Accounts that move: away from another server, or to ours (INV-19, federation.md §6.5)."""

from __future__ import annotations

from typing import Final

from activitypub.accessors import Refused
from activitypub.origins import same_origin
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.directory import Directory
from fedcomm.federation.received import Received
from fedcomm.hub import actors, moving, profiles
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms

MOVE_COOLDOWN_MS: Final = 7 * 86_400_000
"""A second Move of the same actor within a week is not followed (INV-19, federation.md §6.5)."""


class Moves:
    """Prepares what a Move asks for."""

    def __init__(
        self, db: Database, directory: Directory, addresses: Addresses, *, allow_http: bool
    ) -> None:
        self._db = db
        self._directory = directory
        self._at = addresses
        self._http = allow_http

    async def move(self, received: Received) -> Change:
        """Follows go along to the new account, which must name the old one."""
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
