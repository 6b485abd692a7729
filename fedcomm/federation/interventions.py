"""What moderators of other servers do in groups of ours, and what is reported to us (federation.md §4.9).

A remote moderator is somebody whom the owner of the group made one: the hub asks for the place at the time
of the act (INV-6, INV-21). What they do is repeated by the group as it came.
"""

from __future__ import annotations

from typing import Final

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.ijson import JSONObject
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.library import Library
from fedcomm.federation.received import Received, keep
from fedcomm.hub import actors, groups, moderation, reports, threads
from fedcomm.store.database import Database, Transaction

NO_REASON: Final = "The moderator gave no reason."
"""Lemmy's moderators need not give one; ours must, and a statement must have one."""

REASON_CHARACTERS: Final = 5_000


class Interventions:
    """Prepares moderation that comes through the inbox."""

    def __init__(
        self,
        db: Database,
        library: Library,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._library = library
        self._at = addresses
        self._http = allow_http

    def bans_from(self, activity: JSONObject) -> int | None:
        """The group of ours from which a Block bans (§4.9); None for a Block between two people (§6)."""
        return self._at.local(accessors.url(activity, "target", allow_http=self._http), "g")

    async def ban(self, received: Received, block: JSONObject, *, lifted: bool = False) -> Change:
        """A Block with one of our groups as `target`, or its Undo."""
        group_id = self.bans_from(block)
        person = await self._person(accessors.url(block, "object", allow_http=self._http))
        if group_id is None or person is None:
            return nothing("ignored: Block of somebody unknown")
        signer_id = received.signer.id
        reason = _reason(received, block)
        until = accessors.time(block, "endTime") or accessors.time(block, "expires")
        remove_posts = accessors.boolean(block, "removeData") or False

        async def change(tx: Transaction) -> str:
            await keep(tx, received, object_id=person.id)
            if lifted:
                gone = await moderation.unban(tx, group_id, signer_id, person.id)
                return "ban lifted" if gone else "no ban to lift"
            await moderation.ban(
                tx,
                group_id,
                signer_id,
                person.id,
                moderation.Grounds(reason),
                until=until,
                remove_posts=remove_posts,
            )
            return "banned from the group"

        return change

    async def _moderator(self, received: Received, group_id: int) -> Change:
        """Add to or Remove from a group's moderators: for its owner alone, whatever others may moderate."""
        person = await self._person(received.activity.object_id)
        if person is None:
            return nothing(f"ignored: {received.activity.type} of somebody unknown")
        role: groups.GroupRole = "moderator" if received.activity.type == "Add" else "member"

        async def change(tx: Transaction) -> str:
            await groups.require_owner(tx, group_id, received.signer.id)
            known = await groups.membership(tx, group_id, person.id)
            if role == "member" and (known is None or not known.moderates):
                return "no moderator to remove"
            await keep(tx, received, object_id=person.id)
            await groups.add_member(tx, group_id, received.signer.id, person.id, role)
            return "moderator added" if role == "moderator" else "moderator removed"

        return change

    def removal(self, received: Received, known: threads.Thing) -> Change:
        """A Delete by somebody else than the author: a moderator removes. The words are kept for an appeal."""
        reason = _reason(received, received.activity.raw)

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.deleted_at is not None:
                return "already deleted"
            if current.group_id is None:
                raise Refused("not-the-author")
            await groups.require_moderator(tx, current.group_id, received.signer.id)
            if current.withheld == "removed":
                return "already removed"
            await keep(tx, received, object_id=known.id)
            await moderation.take_down(
                tx, received.signer.id, known.id, "remove", moderation.Grounds(reason)
            )
            return "removed"

        return change

    async def restoration(self, received: Received, uri: str | None) -> Change:
        """Undo of a Delete: a moderator restores what a moderator removed. An author's own deletion is final."""
        known = await self._library.find(self._db, uri)
        if known is None:
            return nothing("ignored: Undo of the Delete of something unknown")
        reason = _reason(received, received.activity.raw)

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.deleted_at is not None or current.group_id is None:
                return "ignored: what was deleted is erased"
            await groups.require_moderator(tx, current.group_id, received.signer.id)
            if current.withheld not in ("hidden", "removed"):
                return "nothing to restore"
            await keep(tx, received, object_id=known.id)
            await moderation.restore(tx, received.signer.id, known.id, reason)
            return "restored"

        return change

    async def pin(self, received: Received) -> Change:
        """Add or Remove by a moderator of a group of ours, to its featured collection (§4.9)."""
        activity = received.activity
        target = activity.target or ""
        moderated = self._at.local(target.removesuffix("/moderators"), "g")
        if target.endswith("/moderators") and moderated is not None:
            return await self._moderator(received, moderated)
        group_id = self._at.local(target.removesuffix("/featured"), "g")
        known = await self._library.find(self._db, activity.object_id)
        if not target.endswith("/featured") or group_id is None or known is None:
            return nothing(f"ignored: {activity.type} to a collection that is not ours")
        if known.group_id != group_id:
            raise Refused("other-group")

        async def change(tx: Transaction) -> str:
            await keep(tx, received, object_id=known.id)
            await threads.set_pinned(
                tx, received.signer.id, known.id, pinned=activity.type == "Add"
            )
            return "pinned" if activity.type == "Add" else "unpinned"

        return change

    async def lock(self, received: Received, *, locked: bool, target: str | None = None) -> Change:
        """Lock, or its Undo, by a moderator: nobody answers in the thread meanwhile."""
        known = await self._library.find(self._db, target or received.activity.object_id)
        if known is None:
            return nothing("ignored: Lock of something unknown")

        async def change(tx: Transaction) -> str:
            await keep(tx, received, object_id=known.id)
            await threads.set_locked(tx, received.signer.id, known.id, locked=locked)
            return "locked" if locked else "unlocked"

        return change

    async def flag(self, received: Received) -> Change:
        """A report: an id or several, of our people and of what is known here, in any order (§4.9)."""
        activity = received.activity
        people: list[int] = []
        things: list[int] = []
        for wrapped in activity.objects:
            uri = wrapped if isinstance(wrapped, str) else accessors.identifier(wrapped)
            person = self._at.local_actor(uri)
            if person is not None and await actors.actor(self._db, person) is not None:
                people.append(person)
                continue
            thing = await self._library.find(self._db, uri)
            if thing is not None and thing.deleted_at is None:
                things.append(thing.id)
        if not people and not things:
            return nothing("ignored: a report about nothing of ours")
        reason = (activity.content or activity.summary or "")[:REASON_CHARACTERS]

        async def change(tx: Transaction) -> str:
            await reports.file(
                tx,
                reporter_id=received.signer.id,
                people=list(dict.fromkeys(people)),
                things=list(dict.fromkeys(things)),
                reason=reason,
                host_id=received.signer.host_id,
                uri=activity.id,
            )
            return "report filed"

        return change

    async def _person(self, uri: str | None) -> actors.Actor | None:
        """Somebody known here; nobody is fetched for being banned."""
        local = self._at.local(uri, "p")
        if local is not None:
            found = await actors.actor(self._db, local)
            return found if found is not None and found.is_local else None
        return await actors.actor_by_uri(self._db, uri) if uri is not None else None


def _reason(received: Received, document: JSONObject) -> str:
    text = accessors.natural(document, "summary", limit=REASON_CHARACTERS)[0]
    return (text or received.activity.summary or "").strip() or NO_REASON
