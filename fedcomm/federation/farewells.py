"""Asking other servers for everything of somebody who is erased here (§6.1, §6.2).

First, object by object, the servers that do not let go of posts when their author is deleted; then `Delete` of the
actor to every server that ever got anything of theirs. The actor's key signs nothing else any more, and is destroyed
when everybody has answered.
"""

from __future__ import annotations

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation import lanes, peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.dispatch import CONSUMER, Dispatch, Step, thing_of
from fedcomm.federation.keyring import KeyPair
from fedcomm.federation.portraits import published_keys
from fedcomm.federation.recalls import Recalls
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, erasure, groups, journal, threads
from fedcomm.store.database import Database, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

DAY_MS = 86_400_000
STUB_MS = 7 * DAY_MS
"""How long the key of an erased actor can be fetched while servers are still being told (§6.2)."""


class Farewells:
    """Steps of the outbox for entries about erasure."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, recalls: Recalls, addresses: Addresses
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._recalls = recalls
        self._at = addresses
        self.steps: dict[str, Step] = {
            "object_erased": self._object_erased,
            "member_deleted": self._actor_erased,
            "group_erased": self._actor_erased,
        }

    async def _object_erased(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None:
            return
        have_it = await recipients.reached(tx, thing.id)
        await self._recalls.forget_undelivered(tx, thing.id)
        group = await groups.group(tx, thing.group_id) if thing.group_id is not None else None
        if not thing.is_local:
            # What a group of ours passed on of somebody else is taken back by the group.
            if group is not None and have_it:
                case = await self._case(tx, thing)
                by = await self._by(tx, group, case)
                await self._recalls.take_down(tx, group, thing, by, have_it)
                if case is not None:
                    await _note_told(tx, case.id, [inbox.host_id for inbox in have_it])
            return
        author = await actors.actor(tx, thing.author_id)
        if author is None or author.deleted_at is not None:
            have_it = [one for one in have_it if not peers.forgets_with_actor(one.software)]
        group_uri = self._at.group(group.id) if group is not None else None
        await self._recalls.send_deletes(tx, thing, self._at.object(thing), group_uri, have_it)
        if group is not None:
            await self._recalls.untell(tx, group, thing, have_it)

    async def _case(self, tx: Transaction, thing: threads.Thing) -> erasure.Case | None:
        """The erasure by which the object of somebody elsewhere goes."""
        for subject_id in (thing.author_id, thing.host_id, thing.group_id):
            case = await erasure.case_of(tx, subject_id) if subject_id is not None else None
            if case is not None and case.finished_at is None:
                return case
        return None

    async def _by(
        self, tx: Transaction, group: groups.Group, case: erasure.Case | None
    ) -> int | None:
        """In whose name the group asks: who decided, or whoever has moderated it longest, if the command line did."""
        if case is not None and case.requested_by is not None:
            return case.requested_by
        here = [one.id for one in await groups.moderators(tx, group.id) if one.is_local]
        return here[0] if here else None

    async def _actor_erased(self, tx: Transaction, entry: journal.Entry) -> None:
        actor = await actors.actor(tx, entry.actor_id or 0)
        case = await erasure.case_of(tx, entry.actor_id or 0)
        if actor is None or case is None:
            return
        rows = await tx.all("SELECT host_id FROM erasure_recipients WHERE case_id = ?", case.id)
        inboxes = await recipients.of_hosts(tx, [row["host_id"] for row in rows])
        if not inboxes:
            return
        uri = self._at.actor(actor)
        # Lemmy and PieFed remove what an actor wrote only when they are told to (§6.2).
        delete = self._renderer.activity(
            new_id(), "Delete", uri, uri, to=[AS_PUBLIC], removeData=True
        )
        await self._expect_answers(tx, actor.id, inboxes)
        await _note_told(tx, case.id, [row["host_id"] for row in rows])
        await self._out.send(tx, actor.id, "Delete", delete, inboxes, recall=True)

    async def _expect_answers(self, tx: Transaction, actor_id: int, inboxes: list[Inbox]) -> None:
        """A line of the ledger for each server that has something of the actor, for its answer."""
        now = now_ms()
        await tx.many(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 0, ?, ?)"
            " ON CONFLICT (subject_id, host_id) DO NOTHING",
            [(actor_id, inbox.host_id, now, now) for inbox in inboxes],
        )


def stub(actor: actors.Actor, keys: KeyPair) -> JSONObject:
    """What is left of an actor while others are told: the keys that the Delete is verified by, no name (§6.2)."""
    return with_context(
        {
            "id": keys.actor_uri,
            "type": "Group" if actor.kind == "group" else "Person",
            "suspended": True,
            "inbox": f"{keys.actor_uri}/inbox",
            "outbox": f"{keys.actor_uri}/outbox",
            **published_keys(keys),
        }
    )


async def _note_told(tx: Transaction, case_id: int, host_ids: list[int]) -> None:
    now = now_ms()
    await tx.many(
        "UPDATE erasure_recipients SET told_at = ? WHERE case_id = ? AND host_id = ?"
        " AND told_at IS NULL",
        [(now, case_id, host_id) for host_id in host_ids],
    )


async def is_over(db: Database, case: erasure.Case, *, horizon_ms: int) -> bool:
    """Whether everybody whom a case concerns was told and has answered, refused, or cannot be reached."""
    if await journal.cursor(db, CONSUMER) < case.position:
        return False
    since = now_ms() - horizon_ms
    if case.kind != "host" and await db.value(_FROM_ACTOR, case.subject_id, since) is not None:
        return False
    if case.kind == "member":
        return True
    # What groups of ours ask back of people elsewhere is signed by the groups.
    sql = _ABOUT_OBJECTS.format(column=erasure.OBJECTS_OF[case.kind])
    return await db.value(sql, case.id, case.subject_id, since) is None


_TRY_AGAIN = (
    "d.state = 'failed' AND d.recall = 1 AND d.created_at > ?"
    " AND (COALESCE(d.status, 0) = 0 OR d.status >= 500 OR d.status = 429)"
)
"""What was set aside so that it does not hold up others, but is worth another try; parameter: the horizon."""

_FROM_ACTOR = (
    "SELECT 1 FROM activities c JOIN deliveries d ON d.activity_id = c.id"
    f" WHERE c.actor_id = ? AND d.recall = 1 AND (d.state IN ('waiting', 'sending') OR ({_TRY_AGAIN}))"
    " LIMIT 1"
)
"""Whether something that the subject itself asks back is under way."""

_ABOUT_OBJECTS = (
    "SELECT 1 FROM erasure_recipients e JOIN deliveries d ON d.host_id = e.host_id"
    " AND d.state IN ('waiting', 'sending', 'failed')"
    " JOIN activities c ON c.id = d.activity_id JOIN objects o ON o.id = c.object_id"
    " WHERE e.case_id = ? AND o.{column} = ? AND d.recall = 1"
    f" AND (d.state <> 'failed' OR ({_TRY_AGAIN})) LIMIT 1"
)
"""Whether something about the objects of a case is under way."""

AGAIN_MS = DAY_MS
STEP = 200


async def ask_again(db: Database, *, horizon_ms: int) -> int:
    """Once a day, what servers could not take when they were asked for their copies; how many are tried again.

    A few at a time and once a day for each: patient, and never a storm (design.md, promise 3).
    """
    now = now_ms()
    async with db.queue_transaction() as tx:
        rows = await tx.all(
            f"SELECT d.id, d.host_id FROM deliveries d WHERE {_TRY_AGAIN}"
            " AND COALESCE(d.attempted_at, 0) < ? ORDER BY d.created_at LIMIT ?",
            now - horizon_ms,
            now - AGAIN_MS,
            STEP,
        )
        if rows:
            await tx.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0"
                f" WHERE id IN ({marks(len(rows))})",
                *(row["id"] for row in rows),
            )
            await lanes.wake(tx, "delivery", [row["host_id"] for row in rows])
    return len(rows)
