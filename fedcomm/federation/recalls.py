"""Asking other servers back for what was deleted or removed here: whoever has a copy, and nobody else (§4.8, §6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation import peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.dispatch import Dispatch, Step, thing_of
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, tombstone
from fedcomm.federation.sanctions import REMOVED
from fedcomm.hub import actors, groups, journal, statements, threads
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Recalls:
    """Steps of the outbox for entries about what is taken back."""

    def __init__(self, out: Dispatch, renderer: Renderer, addresses: Addresses) -> None:
        self._out = out
        self._renderer = renderer
        self._at = addresses
        self.steps: dict[str, Step] = {
            "object_deleted": self._deleted,
            "object_removed": self._deleted,
            "object_recalled": self._deleted,
        }

    async def _deleted(self, tx: Transaction, entry: journal.Entry) -> None:
        """Ask every server back that has a copy (§6.1), and nobody else."""
        thing = await thing_of(tx, entry)
        if thing is None:
            return
        have_it = await recipients.reached(tx, thing.id)
        await self.forget_undelivered(tx, thing.id)
        uri = self._at.object(thing)
        heard_by = await self._out.heard_by(tx, thing)
        removed = entry.event == "object_removed"
        # The group may have been deleted since: what it announced is asked back all the same.
        group = await groups.group(tx, thing.group_id) if thing.group_id is not None else None
        group_uri = self._at.group(group.id) if group is not None else None
        if thing.is_local:
            deletes = [
                inbox
                for inbox in have_it
                # Who builds threads gets the moderator's Delete, which can be undone; everybody else, and
                # a suspended host that once got a copy, needs the author's.
                if not removed or "id" in peers.topic_forms(inbox.software) or not inbox.is_welcome
            ]
            await self.send_deletes(tx, thing, uri, group_uri, deletes)
        if group is None or group_uri is None:
            return
        if thing.is_local:
            # A suspended host that once got a copy gets the Delete above, and nothing else.
            have_it = [inbox for inbox in have_it if inbox.is_welcome]
        moderator = await actors.actor(tx, entry.actor_id or 0) if removed else None
        wrapped: JSONObject | None
        if moderator is not None and not moderator.is_local:
            wrapped = await self._out.received(tx, thing.id, "Delete", moderator.id)
        elif removed:
            decided = await statements.latest(tx, thing.id, "remove")
            reason = decided.reason if decided is not None else REMOVED
            removal = self._removal(uri, entry.actor_id or 0, group_uri, heard_by, reason)
            wrapped = await self._out.sealed(tx, entry.actor_id or 0, removal)
        elif thing.is_local:
            author_uri = self._at.member(thing.author_id)
            deletion = self._delete(uri, author_uri, uri, group_uri, heard_by)
            wrapped = await self._out.sealed(tx, thing.author_id, deletion)
        else:
            await self._out.forward(tx, thing, "Delete", have_it)
            # As it came: what others say bears no proof of ours, whatever it lacks.
            wrapped = await self._out.received(tx, thing.id, "Delete", thing.author_id)
        if wrapped is not None:
            listening = [inbox for inbox in have_it if peers.wants_activities(inbox.software)]
            await self._out.announce(tx, group, thing, wrapped, listening, "Delete", recall=True)
        await self.undo_announces(tx, group, thing, have_it)
        await self.untell(tx, group, thing, have_it)

    async def take_down(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        by: int | None,
        have_it: Sequence[Inbox],
    ) -> None:
        """The group asks back what it passed on of somebody elsewhere who is erased here, in the name of the member
        `by`, as it does what moderators remove: others take it from nobody else but the author (§4.8, §4.9)."""
        if by is not None:
            heard_by = await self._out.heard_by(tx, thing)
            removal = self._removal(
                self._at.object(thing), by, self._at.group(group.id), heard_by, REMOVED
            )
            wrapped = await self._out.sealed(tx, by, removal)
            # Not the server that it is of: there it is no copy.
            listening = [
                inbox
                for inbox in have_it
                if peers.wants_activities(inbox.software) and inbox.host_id != thing.host_id
            ]
            await self._out.announce(tx, group, thing, wrapped, listening, "Delete", recall=True)
        await self.undo_announces(tx, group, thing, have_it)
        await self.untell(tx, group, thing, have_it)

    def _removal(
        self, uri: str, moderator_id: int, group_uri: str, heard_by: Sequence[str], reason: str
    ) -> JSONObject:
        """A moderator's Delete: the presence of `summary` tells it from an author's (§4.9)."""
        return self._renderer.activity(
            new_id(),
            "Delete",
            self._at.member(moderator_id),
            uri,
            to=heard_by,
            cc=[group_uri],
            audience=group_uri,
            summary=reason,
        )

    async def send_deletes(
        self,
        tx: Transaction,
        thing: threads.Thing,
        uri: str,
        group_uri: str | None,
        have_it: Sequence[Inbox],
    ) -> None:
        """The author's Delete of something of ours, to each in the form that it takes (§6.1)."""
        author_uri = self._at.member(thing.author_id)
        heard_by = await self._out.heard_by(tx, thing)
        strings = [inbox for inbox in have_it if peers.delete_as_string(inbox.software)]
        others = [inbox for inbox in have_it if not peers.delete_as_string(inbox.software)]
        for inboxes, content in ((others, tombstone(uri)), (strings, uri)):
            if inboxes:
                await self._out.send(
                    tx,
                    thing.author_id,
                    "Delete",
                    self._delete(uri, author_uri, content, group_uri, heard_by),
                    inboxes,
                    thing,
                    recall=True,
                )

    def _delete(
        self,
        uri: str,
        author_uri: str,
        content: JSONObject | str,
        group_uri: str | None,
        heard_by: Sequence[str],
    ) -> JSONObject:
        return self._renderer.activity(
            new_id(),
            "Delete",
            author_uri,
            content,
            to=heard_by,
            cc=[group_uri] if group_uri else [],
            audience=group_uri,
        )

    async def undo_announces(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        have_it: Sequence[Inbox],
    ) -> None:
        """Mastodon takes a boost down when the group undoes it; it ignores a moderator's Delete (§4.8)."""
        row = await tx.one(
            "SELECT id FROM activities WHERE object_id = ? AND type = 'Announce/id' AND actor_id = ?",
            thing.id,
            group.id,
        )
        boosted = [inbox for inbox in have_it if "id" in peers.topic_forms(inbox.software)]
        if row is None or not boosted:
            return
        group_uri = self._at.group(group.id)
        announce = self._renderer.activity(
            row["id"], "Announce", group_uri, self._at.object(thing), to=[AS_PUBLIC]
        )
        # If it is restored the group announces it anew, and this one stays undone.
        await tx.execute("UPDATE activities SET type = 'Announce/undone' WHERE id = ?", row["id"])
        undo = self._renderer.activity(
            new_id(),
            "Undo",
            group_uri,
            announce,
            to=[AS_PUBLIC],
            cc=[f"{group_uri}/followers"],
        )
        await self._out.send(tx, group.id, "Undo", undo, boosted, thing, recall=True)

    async def untell(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        have_it: Sequence[Inbox],
    ) -> None:
        """The group takes back what it told of something that was deleted."""
        said = await tx.value(
            "SELECT 1 FROM activities WHERE object_id = ? AND type = 'Create/told' LIMIT 1",
            thing.id,
        )
        inboxes = [inbox for inbox in have_it if "id" in peers.topic_forms(inbox.software)]
        if said is None or not inboxes:
            return
        group_uri = self._at.group(group.id)
        delete = self._renderer.activity(
            new_id(),
            "Delete",
            group_uri,
            tombstone(self._at.told(thing.id)),
            to=[f"{group_uri}/followers"],
            cc=[],
        )
        await self._out.send(tx, group.id, "Delete/told", delete, inboxes, thing, recall=True)

    async def forget_undelivered(self, tx: Transaction, object_id: int) -> None:
        """What was not sent yet is not sent any more, and no queue keeps a deleted word."""
        await tx.execute(
            "DELETE FROM deliveries WHERE state IN ('waiting', 'failed') AND activity_id IN"
            " (SELECT id FROM activities WHERE object_id = ?)",
            object_id,
        )
        await tx.execute("UPDATE activities SET body = NULL WHERE object_id = ?", object_id)
        await tx.execute(
            "DELETE FROM received_activities WHERE object_id = ? AND type <> 'Delete'", object_id
        )
