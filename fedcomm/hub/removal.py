"""What is taken from view without being erased: by a moderator's decision, or until a moderator decides.

    waiting   a first post that waits for approval; nobody was told of it yet
    hidden    shown to nobody here; other servers are not told
    removed   shown to nobody, asked back from every server that has a copy, and erased when the time
              for an appeal is over

The words are kept meanwhile, for the appeal. An author's own deletion erases at once (`threads.delete`),
also what a moderator took down before.
"""

from __future__ import annotations

from typing import Final

from fedcomm.hub import holds, journal, media, threads
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.things import Withheld
from fedcomm.store.database import Database, Reader, Transaction
from fedcomm.store.ids import now_ms

DAY_MS: Final = 86_400_000

APPEAL_DAYS: Final = 30
"""How long one may appeal against a decision, and how long removed words are kept for it. Longer while an appeal
waits for its answer."""

PURGE_STEP: Final = 100


async def withhold(
    tx: Transaction, moderator_id: int | None, object_id: int, how: Withheld
) -> threads.Thing:
    """Take an object from view; what it was. The caller has checked who may do this. Raises NotFound.

    From hidden to removed is one more step; the other way round nothing happens.
    """
    known = await threads.thing(tx, object_id)
    if known is None or known.deleted_at is not None:
        raise NotFound("This is not there any more.")
    if known.withheld in ("removed", "kept") or known.withheld == how:
        return known
    if how == "removed":
        # Its own event first: what the spokes have to ask back is decided by it.
        event: journal.Event = "object_removed"
    else:
        event = "object_held" if how == "waiting" else "object_hidden"
    await tx.execute(
        "UPDATE objects SET withheld = ?, withheld_at = ?, removed_by = ?, pinned_at = NULL"
        " WHERE id = ?",
        how,
        now_ms(),
        moderator_id,
        object_id,
    )
    if known.withheld is None:
        await threads.count_reply(tx, known, -1)
    await journal.record(
        tx, event, actor_id=moderator_id, object_id=object_id, group_id=known.group_id
    )
    return known


async def restore(tx: Transaction, moderator_id: int | None, object_id: int) -> bool:
    """Show an object again; False if it was in view. The caller has checked who may do this.

    Raises NotFound when its words are erased already.
    """
    known = await threads.thing(tx, object_id)
    if known is None or known.deleted_at is not None:
        raise NotFound("The words are erased: it cannot be brought back.")
    if known.withheld is None:
        return False
    if known.withheld == "kept":
        raise NotFound("The words are erased: it cannot be brought back.")
    await tx.execute(
        "UPDATE objects SET withheld = NULL, withheld_at = NULL, removed_by = NULL WHERE id = ?",
        object_id,
    )
    await threads.count_reply(tx, known, 1)
    if known.withheld == "waiting":
        # It happens now: whoever would have been told then is told now.
        await threads.announce_new(tx, object_id)
    else:
        # Only what was asked back has to be given again.
        event: journal.Event = "object_restored" if known.withheld == "removed" else "object_shown"
        await journal.record(
            tx, event, actor_id=moderator_id, object_id=object_id, group_id=known.group_id
        )
    return True


async def refuse(tx: Transaction, moderator_id: int, object_id: int) -> None:
    """A post that waits is not let in: its words go at once. The caller has checked who may do this."""
    known = await threads.thing(tx, object_id)
    if known is None or known.withheld != "waiting":
        raise NotFound("This is not there any more.")
    await threads.erase(tx, known)
    await journal.record(
        tx, "object_deleted", actor_id=moderator_id, object_id=object_id, group_id=known.group_id
    )


async def due(db: Reader, *, now: int | None = None, limit: int = PURGE_STEP) -> list[int]:
    """Ids of removed objects whose time for an appeal is over and that no open appeal needs."""
    rows = await db.all(
        "SELECT o.id FROM objects o WHERE o.withheld = 'removed' AND o.withheld_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM statements s WHERE s.object_id = o.id"
        "  AND s.action = 'remove' AND s.appealed_at IS NOT NULL AND s.appeal_outcome IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.ended_at IS NULL"
        "  AND h.subject_id IN (o.id, o.author_id, o.group_id, o.host_id))"
        " ORDER BY o.withheld_at LIMIT ?",
        (now or now_ms()) - APPEAL_DAYS * DAY_MS,
        limit,
    )
    return [row["id"] for row in rows]


async def purge_one(tx: Transaction, object_id: int) -> list[int]:
    """Erase what was removed, now; ids of the images that went with it. The caller has checked who may do this.

    Raises NotAllowed when a legal hold keeps it.
    """
    known = await threads.thing(tx, object_id)
    if known is None or known.withheld != "removed":
        return []
    if await holds.covers(tx, known.id, known.author_id, known.group_id, known.host_id):
        raise NotAllowed("A legal hold keeps this: it cannot be erased now.")
    images = await media.attached_to(tx, object_id)
    await threads.erase(tx, known)
    await journal.record(tx, "object_purged", object_id=object_id, group_id=known.group_id)
    return images


async def purge(db: Database, *, now: int | None = None) -> list[int]:
    """Erase what was removed and whose time is over; ids of the images that went with it (their files go with
    `media.remove_orphans`)."""
    images: list[int] = []
    while True:
        ids = await due(db, now=now)
        for object_id in ids:
            async with db.transaction() as tx:
                images += await purge_one(tx, object_id)
        if len(ids) < PURGE_STEP:
            return images
