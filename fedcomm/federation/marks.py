"""What moderators do to a topic without changing a word of it: pinning and closing (§4.9)."""

from __future__ import annotations

from fedcomm.federation.addresses import Addresses
from fedcomm.federation.dispatch import Dispatch, Step, thing_of
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, journal, threads
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Marks:
    """Steps of the outbox for entries about pins and locks."""

    def __init__(self, out: Dispatch, renderer: Renderer, addresses: Addresses) -> None:
        self._out = out
        self._renderer = renderer
        self._at = addresses
        self.steps: dict[str, Step] = {
            "topic_pinned": self._pinned,
            "topic_unpinned": self._pinned,
            "topic_locked": self._locked,
            "topic_unlocked": self._locked,
        }

    async def _pinned(self, tx: Transaction, entry: journal.Entry) -> None:
        kind = "Add" if entry.event == "topic_pinned" else "Remove"
        found = await self._marked(tx, entry, kind)
        if found is None:
            return
        thing, group_uri = found
        content = self._renderer.activity(
            new_id(),
            kind,
            self._at.member(entry.actor_id or 0),
            self._at.object(thing),
            to=await self._out.heard_by(tx, thing),
            cc=[group_uri],
            target=f"{group_uri}/featured",
            audience=group_uri,
        )
        await self._out.announce_to_threads(tx, thing, content)

    async def _locked(self, tx: Transaction, entry: journal.Entry) -> None:
        found = await self._marked(tx, entry, "Lock" if entry.event == "topic_locked" else "Undo")
        if found is None:
            return
        thing, group_uri = found
        moderator = self._at.member(entry.actor_id or 0)
        to, cc = await self._out.heard_by(tx, thing), [group_uri]
        lock = self._renderer.activity(
            new_id(),
            "Lock",
            moderator,
            self._at.object(thing),
            to=to,
            cc=cc,
            audience=group_uri,
        )
        if entry.event == "topic_unlocked":
            lock = self._renderer.activity(
                new_id(), "Undo", moderator, lock, to=to, cc=cc, audience=group_uri
            )
        await self._out.announce_to_threads(
            tx, thing, await self._out.sealed(tx, entry.actor_id or 0, lock)
        )

    async def _marked(
        self, tx: Transaction, entry: journal.Entry, kind: str
    ) -> tuple[threads.Thing, str] | None:
        """The topic and the id of its group, where there is something to say; what a moderator of another server did
        is handed on here, as it came."""
        thing = await thing_of(tx, entry)
        group = await self._out.federated_group(tx, thing) if thing is not None else None
        if thing is None or group is None:
            return None
        moderator = await actors.actor(tx, entry.actor_id or 0)
        if moderator is not None and not moderator.is_local:
            raw = await self._out.received(tx, thing.id, kind, moderator.id)
            await self._out.announce_to_threads(tx, thing, raw)
            return None
        return thing, self._at.group(group.id)
