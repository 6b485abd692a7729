"""Quotes: a post that shows another one, with its author's consent (FEP-044f).

States:  pending → accepted → revoked;  pending → rejected. A quote is shown as such while it is accepted, and to those
who may read what is quoted (INV-20); otherwise it is a link at most. Whoever quotes themselves needs no consent.
What is not public is quoted only where it stands, never outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, avoidance, groups, journal, notifications, permissions
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import Visibility, can_read, member
from fedcomm.store.database import Reader, Row, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

State = Literal["pending", "accepted", "rejected", "revoked"]

OPEN: Final = ("public", "unlisted")
"""Visibilities of what may be quoted outward."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A row of `quotes`. The id is the number of our stamp, when what is quoted is ours.

    `object_id` quotes `quoted_id`; of what is not known here only the id elsewhere is there (`object_uri`,
    `quoted_uri`). `request_uri`: their QuoteRequest; `stamp_uri`: the consent of an author elsewhere.
    """

    id: int
    object_id: int | None
    object_uri: str | None
    actor_id: int
    quoted_id: int | None
    quoted_uri: str | None
    state: State
    request_uri: str | None
    stamp_uri: str | None


_SELECT = (
    "SELECT q.id, q.object_id, q.object_uri, q.actor_id, q.quoted_id, q.quoted_uri, q.state,"
    " q.request_uri, q.stamp_uri FROM quotes q"
)


def _quote(row: Row) -> Quote:
    return Quote(
        row["id"],
        row["object_id"],
        row["object_uri"],
        row["actor_id"],
        row["quoted_id"],
        row["quoted_uri"],
        row["state"],
        row["request_uri"],
        row["stamp_uri"],
    )


# Reading


async def quote(db: Reader, quote_id: int) -> Quote | None:
    """The quote with this id, whoever asks."""
    row = await db.one(f"{_SELECT} WHERE q.id = ?", quote_id)
    return _quote(row) if row else None


async def of_object(db: Reader, object_id: int) -> Quote | None:
    """What the object quotes, whoever asks."""
    row = await db.one(f"{_SELECT} WHERE q.object_id = ?", object_id)
    return _quote(row) if row else None


async def of_objects(db: Reader, object_ids: Sequence[int]) -> dict[int, Quote]:
    """What the objects quote, by the object's id."""
    if not object_ids:
        return {}
    rows = await db.all(f"{_SELECT} WHERE q.object_id IN ({marks(len(object_ids))})", *object_ids)
    return {row["object_id"]: _quote(row) for row in rows}


async def by_stamp(db: Reader, uri: str) -> Quote | None:
    """The quote that rests on this consent of an author elsewhere."""
    row = await db.one(f"{_SELECT} WHERE q.stamp_uri = ? ORDER BY q.id LIMIT 1", uri)
    return _quote(row) if row else None


# Members quote


async def check(db: Reader, author_id: int, quoted_id: int) -> None:
    """Raises Invalid unless the member may quote the post, or ask for it."""
    quoted = await _target(db, quoted_id)
    if quoted is None or not await can_read(db, member(author_id), quoted_id):
        raise Invalid("quote", "What you quote is not there any more.")
    if not await _allows(db, quoted, author_id):
        raise Invalid(
            "quote",
            "Its author does not let you quote this. You can put its address into your text.",
        )


async def check_place(
    db: Reader, quoted_id: int, *, group_id: int | None, parent_id: int | None
) -> None:
    """Raises Invalid if the post cannot be quoted in a topic of this group, or in an answer to `parent_id`."""
    quoted = await _target(db, quoted_id)
    if parent_id is not None:
        place = await db.one("SELECT visibility, group_id FROM objects WHERE id = ?", parent_id)
    else:
        place = await db.one(
            "SELECT CASE mode WHEN 'federated' THEN 'public' WHEN 'local' THEN 'local'"
            " ELSE 'members' END AS visibility, actor_id AS group_id FROM groups WHERE actor_id = ?",
            group_id,
        )
    if quoted is None or place is None:
        raise Invalid("quote", "What you quote is not there any more.")
    if not _may_stand(quoted, place["visibility"], place["group_id"]):
        raise Invalid("quote", "This cannot be quoted here: not everybody here may read it.")


async def attach(tx: Transaction, object_id: int, quoted_id: int) -> None:
    """A new post of a member quotes another one. Raises Invalid.

    If both are ours the author's policy has decided; otherwise the author is asked (`announce`).
    """
    own = await tx.one(
        "SELECT author_id, visibility, group_id FROM objects WHERE id = ?", object_id
    )
    quoted = await _target(tx, quoted_id)
    assert own is not None
    await check(tx, own["author_id"], quoted_id)
    if quoted is None or not _may_stand(quoted, own["visibility"], own["group_id"]):
        raise Invalid("quote", "This cannot be quoted here: not everybody here may read it.")
    is_ours = quoted["host_id"] is None
    await _insert(
        tx,
        own["author_id"],
        "accepted" if is_ours else "pending",
        object_id=object_id,
        quoted_id=quoted_id,
        # So that a preview names the stamp by the id that it will have.
        quote_id=object_id,
    )


async def announce(tx: Transaction, object_id: int) -> None:
    """The quoting post is in view: who is quoted is told, or their server is asked."""
    known = await of_object(tx, object_id)
    if known is None or known.quoted_id is None:
        return
    quoted = await _target(tx, known.quoted_id)
    if quoted is None:
        return
    if known.state == "accepted":
        await _tell(tx, quoted, known.actor_id, object_id)
    elif known.state == "pending" and await _is_ours(tx, object_id):
        await journal.record(
            tx,
            "quote_requested",
            actor_id=known.actor_id,
            object_id=object_id,
            target_id=known.id,
        )


async def take_out(tx: Transaction, object_id: int) -> None:
    """The post quotes nothing any more: its author took the quote out, or it was erased."""
    await tx.execute("DELETE FROM quotes WHERE object_id = ?", object_id)


# Posts of other servers


async def claim(
    tx: Transaction,
    object_id: int,
    *,
    quoted_id: int | None,
    quoted_uri: str | None,
    proven: bool,
    stamp_uri: str | None,
) -> None:
    """A stored post of another server says that it quotes `quoted_id`, or what is not here. `proven`: the consent of
    its author was checked.

    Of what is ours only our own answer counts (`answer_request`). What was revoked is not brought back by the
    same stamp.
    """
    author_id = int(await tx.value("SELECT author_id FROM objects WHERE id = ?", object_id))
    before = await of_object(tx, object_id)
    same = before is not None and (
        before.quoted_id == quoted_id if quoted_id is not None else before.quoted_uri == quoted_uri
    )
    state: State = "accepted" if proven else "pending"
    if before is not None and same:
        if quoted_id is not None and await _is_ours(tx, quoted_id):
            return
        if before.state in ("rejected", "revoked") and stamp_uri in (None, before.stamp_uri):
            return
        if before.state == "accepted" and stamp_uri == before.stamp_uri:
            # Their server may just be away; consent ends with its Delete.
            return
        await tx.execute(
            "UPDATE quotes SET state = ?, stamp_uri = ?, decided_at = ? WHERE id = ?",
            state,
            stamp_uri if proven else None,
            now_ms(),
            before.id,
        )
        return
    await take_out(tx, object_id)
    await _insert(
        tx,
        author_id,
        state,
        object_id=object_id,
        quoted_id=quoted_id,
        quoted_uri=quoted_uri if quoted_id is None else None,
        stamp_uri=stamp_uri if proven else None,
    )


async def may_request(db: Reader, actor_id: int, quoted_id: int) -> bool | None:
    """What the policy of a post of ours answers to somebody elsewhere; None if they must not know of the post."""
    quoted = await _target(db, quoted_id)
    if quoted is None or quoted["host_id"] is not None or quoted["visibility"] not in OPEN:
        return None
    return await _allows(db, quoted, actor_id)


async def accept_request(
    tx: Transaction, actor_id: int, object_id: int, quoted_id: int, request_uri: str | None
) -> bool:
    """Consent to the quote of a post of ours by a stored post of another server; the journal tells it.

    False, and the answer is no, if consent to this one was taken back. Asked again, the answer is the same.
    """
    known = await of_object(tx, object_id)
    quoted = await _target(tx, quoted_id)
    assert quoted is not None
    if known is not None and known.quoted_id == quoted_id:
        if known.state == "revoked":
            await refuse_request(tx, actor_id, quoted_id, request_uri)
            return False
        quote_id = known.id
        await tx.execute(
            "UPDATE quotes SET state = 'accepted', request_uri = ?, decided_at = ? WHERE id = ?",
            request_uri,
            now_ms(),
            quote_id,
        )
    else:
        await take_out(tx, object_id)
        quote_id = await _insert(
            tx,
            actor_id,
            "accepted",
            object_id=object_id,
            quoted_id=quoted_id,
            request_uri=request_uri,
        )
    await let_read(tx, object_id, quoted["author_id"])
    await journal.record(
        tx, "quote_accepted", actor_id=actor_id, object_id=object_id, target_id=quote_id
    )
    await _tell(tx, quoted, actor_id, object_id)
    return True


async def refuse_request(
    tx: Transaction,
    actor_id: int,
    quoted_id: int,
    request_uri: str | None,
    object_uri: str | None = None,
) -> None:
    """Say no to somebody elsewhere. The row lasts until the answer is written (`forget_refused`)."""
    quote_id = await _insert(
        tx,
        actor_id,
        "rejected",
        object_uri=object_uri,
        quoted_id=quoted_id,
        request_uri=request_uri,
    )
    await journal.record(
        tx, "quote_refused", actor_id=actor_id, object_id=quoted_id, target_id=quote_id
    )


async def forget_refused(tx: Transaction, quote_id: int) -> None:
    """The answer no was written; nothing else needs the row."""
    await tx.execute(
        "DELETE FROM quotes WHERE id = ? AND object_id IS NULL AND state = 'rejected'", quote_id
    )


async def revoke(tx: Transaction, author_id: int, object_id: int) -> None:
    """A member takes back their consent to being quoted by `object_id`. Raises NotFound, NotAllowed."""
    known = await of_object(tx, object_id)
    quoted = await _target(tx, known.quoted_id) if known and known.quoted_id else None
    if known is None or quoted is None or known.state != "accepted":
        raise NotFound("This quotes nothing of yours.")
    if quoted["author_id"] != author_id or known.actor_id == author_id:
        raise NotAllowed("This quotes nothing of yours.")
    await _decide(tx, known, "revoked")
    await journal.record(
        tx, "quote_revoked", actor_id=author_id, object_id=object_id, target_id=known.id
    )


# Authors elsewhere answer


async def granted(tx: Transaction, quote_id: int, stamp_uri: str) -> bool:
    """The author elsewhere consents to a quote by one of our posts; False if that changes nothing."""
    known = await quote(tx, quote_id)
    if known is None or known.object_id is None or known.state == "accepted":
        return False
    if known.state != "pending" and known.stamp_uri == stamp_uri:
        # It was taken back; an old Accept that comes again does not bring it back.
        return False
    await tx.execute(
        "UPDATE quotes SET state = 'accepted', stamp_uri = ?, decided_at = ? WHERE id = ?",
        stamp_uri,
        now_ms(),
        quote_id,
    )
    await journal.record(
        tx,
        "quote_granted",
        actor_id=known.actor_id,
        object_id=known.object_id,
        target_id=quote_id,
    )
    return True


async def denied(tx: Transaction, quote_id: int) -> bool:
    """The author elsewhere says no, or takes their consent back; False if that changes nothing."""
    known = await quote(tx, quote_id)
    if known is None or known.object_id is None or known.state in ("rejected", "revoked"):
        return False
    await _decide(tx, known, "rejected" if known.state == "pending" else "revoked")
    if await _is_ours(tx, known.object_id):
        await journal.record(
            tx,
            "quote_lost",
            actor_id=known.actor_id,
            object_id=known.object_id,
            target_id=quote_id,
        )
    return True


async def let_read(tx: Transaction, object_id: int, person_id: int) -> None:
    """Whom a post of another server quotes may read it, whoever else it is addressed to."""
    await tx.execute(
        "INSERT INTO mentions (object_id, actor_id) SELECT id, CAST(? AS BIGINT) FROM objects"
        " WHERE id = ? AND host_id IS NOT NULL AND visibility IN ('followers', 'direct') ON CONFLICT DO NOTHING",
        person_id,
        object_id,
    )


async def _decide(tx: Transaction, known: Quote, state: State) -> None:
    await tx.execute(
        "UPDATE quotes SET state = ?, decided_at = ? WHERE id = ?", state, now_ms(), known.id
    )
    if known.object_id is not None:
        await tx.execute(
            "DELETE FROM notifications WHERE object_id = ? AND kind = 'quote'", known.object_id
        )


async def _tell(tx: Transaction, quoted: Row, actor_id: int, object_id: int) -> None:
    author = await actors.actor(tx, quoted["author_id"])
    if author is not None:
        await notifications.notify(tx, author, "quote", actor_id, object_id=object_id)


async def _target(db: Reader, object_id: int) -> Row | None:
    return await db.one(
        "SELECT id, author_id, host_id, group_id, visibility, quote_policy FROM objects"
        " WHERE id = ? AND deleted_at IS NULL AND withheld IS NULL",
        object_id,
    )


async def _is_ours(db: Reader, object_id: int) -> bool:
    found = await db.value("SELECT 1 FROM objects WHERE id = ? AND host_id IS NULL", object_id)
    return found is not None


async def _allows(db: Reader, quoted: Row, actor_id: int) -> bool:
    """Whether the author's policy lets `actor_id` quote, and they have not blocked them."""
    if not await permissions.permits(
        db,
        quoted["quote_policy"],
        author_id=quoted["author_id"],
        actor_id=actor_id,
        unsaid=quoted["host_id"] is None,
    ):
        return False
    if quoted["host_id"] is not None:
        return True
    if await avoidance.kind_of(db, quoted["author_id"], actor_id) == "block":
        return False
    if quoted["group_id"] is None:
        return True
    place = await groups.membership(db, quoted["group_id"], actor_id)
    return place is None or place.state != "banned"


def _may_stand(quoted: Row, visibility: Visibility, group_id: int | None) -> bool:
    """Whether everybody who reads the quoting post may read what it quotes, or it can be asked for."""
    if quoted["visibility"] in OPEN:
        # An author elsewhere is asked, and so learns of the post.
        return quoted["host_id"] is None or visibility in OPEN
    if quoted["host_id"] is not None:
        return False
    if quoted["visibility"] == "local":
        return visibility in ("local", "members")
    return bool(quoted["visibility"] == visibility == "members" and quoted["group_id"] == group_id)


async def _insert(
    tx: Transaction,
    actor_id: int,
    state: State,
    *,
    object_id: int | None = None,
    object_uri: str | None = None,
    quoted_id: int | None = None,
    quoted_uri: str | None = None,
    request_uri: str | None = None,
    stamp_uri: str | None = None,
    quote_id: int | None = None,
) -> int:
    number, now = quote_id or new_id(), now_ms()
    await tx.execute(
        "INSERT INTO quotes (id, object_id, object_uri, actor_id, quoted_id, quoted_uri, state,"
        " request_uri, stamp_uri, created_at, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        number,
        object_id,
        object_uri,
        actor_id,
        quoted_id,
        quoted_uri,
        state,
        request_uri,
        stamp_uri,
        now,
        None if state == "pending" else now,
    )
    return number
