"""Likes, dislikes and shares of what is known here, and their withdrawal (federation.md §4.2, §5)."""

from __future__ import annotations

from typing import Final

from fedcomm.federation.changes import Change, Foreseen, nothing
from fedcomm.federation.emotes import feeling_of
from fedcomm.federation.library import Library
from fedcomm.federation.received import Received, keep
from fedcomm.hub import reactions
from fedcomm.store.database import Database, Transaction

KINDS: Final[dict[str, reactions.Kind]] = {
    "Like": "like",
    "EmojiReact": "like",
    "Dislike": "dislike",
    "Announce": "share",
}
"""What an activity of this type does to what it names."""

_VOTES: Final[dict[reactions.Kind, tuple[reactions.Kind, ...]]] = {
    "like": ("like", "dislike"),
    "dislike": ("dislike", "like"),
}
"""Nobody has both, and Lemmy takes every vote back as if it had been a Like."""


class Opinions:
    """Prepares reactions, and takes them back."""

    def __init__(self, db: Database, library: Library, *, allow_http: bool) -> None:
        self._db = db
        self._library = library
        self._http = allow_http

    async def react(self, received: Received) -> Change:
        """What the activity's type does to what it names, if that is known here."""
        kind = KINDS[received.activity.type]
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
                await keep(tx, received, object_id=known.id)
            return kind if added else f"{kind} already counted"

        async def look(tx: Transaction) -> None:
            await reactions.look(tx, received.signer.id, known.id, kind)

        return Foreseen(change, look)

    async def undone(
        self, received: Received, kind: str | None, target: str | None
    ) -> Change | None:
        """Undo of a reaction, known by the id of its activity, else by its kind and `target`; None if it is none."""
        row = await self._db.one(
            "SELECT object_id, kind FROM reactions WHERE uri = ? AND actor_id = ?",
            received.activity.object_id or "",
            received.signer.id,
        )
        if row is not None:
            return self._withdraw(received, row["object_id"], row["kind"])
        if kind in KINDS and target is not None:
            known = await self._library.find(self._db, target)
            if known is not None:
                return self._withdraw(received, known.id, KINDS[kind])
        return None

    def _withdraw(self, received: Received, object_id: int, kind: reactions.Kind) -> Change:
        async def change(tx: Transaction) -> str:
            vote = await withdraw(tx, received.signer.id, object_id, kind)
            if vote is None:
                return f"no {kind} to withdraw"
            await keep(tx, received, object_id=object_id)
            return f"{vote} withdrawn"

        return change


async def withdraw(
    tx: Transaction, actor_id: int, object_id: int, kind: reactions.Kind
) -> reactions.Kind | None:
    """Take back somebody's reaction, whichever of the two votes it was; the kind that it was, None if there is none."""
    for vote in _VOTES.get(kind, (kind,)):
        if await reactions.withdraw(tx, actor_id, object_id, vote):
            return vote
    return None
