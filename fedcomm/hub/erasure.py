"""Erasure of a member, a group, somebody elsewhere, or all that came from a host (product.md D2, security.md §13).

A request is one transaction; from then on the subject is gone for everybody, and nobody can sign in as them. The rest
is a case that goes on in small steps, each a transaction of its own, so that pages stay responsive and a crash at any
instant loses nothing: every step can be done twice.

    objects   every word that the subject wrote, object by object, with the hosts that have a copy
    rows      relations, reactions, notifications, what others say with an @; last the name itself
    scrub     files, and what the database's own files still hold
    tell      other servers are asked for their copies, until each has answered or the horizon is over
    done      the keys are destroyed, the certificate is made, the ledger's rows are gone

What remains is a row with a number, so that threads keep their shape.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from fedcomm.hub import actors, audit, holds, journal, media, members, threads
from fedcomm.hub.erased_rows import OBJECTS_STEP, ROWS_STEP, STEPS
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.neutralising import Person
from fedcomm.store.database import Database, Reader, Row, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

Kind = Literal["member", "group", "remote", "host"]
State = Literal["objects", "rows", "scrub", "tell", "done"]
"""In this order; none is left out and none comes again."""

OBJECTS_OF: Final[dict[Kind, str]] = {
    "member": "author_id",
    "group": "group_id",
    "remote": "author_id",
    "host": "host_id",
}
"""The column of `objects` that says which belong to a case."""

REASON_CHARACTERS: Final = 2_000

DELIVERIES_STEP: Final = 2_000
"""Deliveries that are let go in one transaction when a case ends."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case of erasure. Times: Unix milliseconds. `position`: how far the state has come."""

    id: int
    kind: Kind
    subject_id: int
    requested_by: int | None
    own: bool
    reason: str
    state: State
    position: int
    objects: int
    media: int
    rows_gone: int
    created_at: int
    erased_at: int | None
    scrubbed_at: int | None
    finished_at: int | None
    certificate: str | None


_COLUMNS = (
    "id, kind, subject_id, requested_by, own, reason, state, position, objects, media, rows_gone,"
    " created_at, erased_at, scrubbed_at, finished_at, certificate"
)


def _case(row: Row) -> Case:
    return Case(
        **{name: row[name] for name in Case.__slots__ if name != "own"}, own=bool(row["own"])
    )


async def case(db: Reader, case_id: int) -> Case | None:
    """The case with this id."""
    row = await db.one(f"SELECT {_COLUMNS} FROM erasures WHERE id = ?", case_id)
    return _case(row) if row else None


async def cases(db: Reader, *, before: int | None = None, limit: int = 50) -> list[Case]:
    """Cases, newest first, before id `before`."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM erasures WHERE id < ? ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [_case(row) for row in rows]


async def open_cases(db: Reader) -> list[Case]:
    """Cases that are not finished, oldest first."""
    rows = await db.all(f"SELECT {_COLUMNS} FROM erasures WHERE finished_at IS NULL ORDER BY id")
    return [_case(row) for row in rows]


async def uncertified(db: Reader) -> list[int]:
    """Ids of finished cases that have no signed certificate yet."""
    rows = await db.all(
        "SELECT id FROM erasures WHERE finished_at IS NOT NULL AND certificate NOT LIKE ?"
        " ORDER BY id DESC LIMIT 20",
        '%"proof"%',
    )
    return [row["id"] for row in rows]


async def case_of(db: Reader, subject_id: int) -> Case | None:
    """The newest case about this actor or host."""
    row = await db.one(
        f"SELECT {_COLUMNS} FROM erasures WHERE subject_id = ? ORDER BY id DESC LIMIT 1", subject_id
    )
    return _case(row) if row else None


# Asking for it


async def request(
    tx: Transaction,
    kind: Kind,
    subject_id: int,
    *,
    requested_by: int | None,
    own: bool = False,
    reason: str = "",
    replayed: bool = False,
) -> int:
    """Begin the erasure; the id of the case. Whoever asks has been authenticated anew by the caller.

    `requested_by` None: the command line. `own`: the member asks for themselves; everybody else gives a reason.
    `replayed`: it was done before, and the database is older than that: no hold of the past forbids it.
    Raises NotFound, NotAllowed (a legal hold, the last administrator), Invalid (no reason).
    """
    if not own and not reason.strip():
        raise Invalid("reason", "Say why: it is kept with the case.")
    if len(reason) > REASON_CHARACTERS:
        raise Invalid("reason", "The reason is too long.")
    await _require_subject(tx, kind, subject_id, last_may_go=replayed)
    if not replayed and await holds.of_subject(tx, subject_id) is not None:
        raise NotAllowed("A legal hold forbids to erase this now; an administrator can say why.")
    running = await case_of(tx, subject_id)
    if running is not None and running.finished_at is None:
        return running.id
    now = now_ms()
    case_id = new_id()
    salt = secrets.token_hex(16)
    begun = {"salt": salt, "subject": subject_hash(salt, await _called(tx, kind, subject_id))}
    await tx.execute(
        "INSERT INTO erasures (id, kind, subject_id, requested_by, own, reason, state, created_at,"
        " certificate) VALUES (?, ?, ?, ?, ?, ?, 'objects', ?, ?)",
        case_id,
        kind,
        subject_id,
        requested_by,
        int(own),
        reason.strip(),
        now,
        json.dumps(begun),
    )
    await tx.execute("DELETE FROM sessions WHERE member_id = ?", subject_id)
    await tx.execute("DELETE FROM tokens WHERE member_id = ?", subject_id)
    if kind != "host":
        await tx.execute(
            "UPDATE actors SET deleted_at = COALESCE(deleted_at, ?), updated_at = ? WHERE id = ?",
            now,
            now,
            subject_id,
        )
    await journal.record(tx, "erasure_requested", actor_id=requested_by, target_id=subject_id)
    await audit.record(
        tx,
        "erasure_requested",
        actor_id=requested_by,
        subject_id=subject_id,
        detail={"case": case_id, "kind": kind},
    )
    return case_id


def subject_hash(salt: str, name: str) -> str:
    """What a certificate says of its subject: SHA-256 of salt, colon and name, in hexadecimal digits."""
    return hashlib.sha256(f"{salt}:{name.lower()}".encode()).hexdigest()


async def _called(db: Reader, kind: Kind, subject_id: int) -> str:
    if kind == "host":
        return str(await db.value("SELECT name FROM hosts WHERE id = ?", subject_id))
    actor = await actors.actor(db, subject_id)
    return actor.handle if actor is not None else ""


async def _require_subject(
    tx: Transaction, kind: Kind, subject_id: int, *, last_may_go: bool
) -> None:
    if kind == "host":
        if await tx.value("SELECT 1 FROM hosts WHERE id = ?", subject_id) is None:
            raise NotFound("This server is not known here.")
        return
    actor = await actors.actor(tx, subject_id)
    fits = actor is not None and {
        "member": actor.is_local and actor.kind in ("person", "service"),
        "group": actor.is_local and actor.kind == "group",
        "remote": not actor.is_local,
    }.get(kind, False)
    if not fits:
        raise NotFound("There is nobody of this name here.")
    if kind == "member" and not last_may_go and await members.is_only_administrator(tx, subject_id):
        raise NotAllowed("This is the only administrator: make somebody else one first.")


# Going on with it


async def advance(db: Database, one: Case, *, origin: str) -> Case:
    """One bounded step of the states `objects` and `rows`; the case as it stands then. `origin`: the hub's own,
    since links to its members' pages are made of it."""
    async with db.transaction() as tx:
        known = await case(tx, one.id)
        assert known is not None
        if known.state == "objects":
            await _erase_objects(tx, known)
        elif known.state == "rows":
            await _erase_rows(tx, known, origin)
        after = await case(tx, one.id)
        assert after is not None
    return after


async def _erase_objects(tx: Transaction, one: Case) -> None:
    """The next objects: what they say goes, and who has a copy is counted."""
    column = OBJECTS_OF[one.kind]
    rows = await tx.all(
        f"SELECT id FROM objects WHERE {column} = ? AND id > ? ORDER BY id LIMIT ?",
        one.subject_id,
        one.position,
        OBJECTS_STEP,
    )
    if not rows:
        await _turn(tx, one, "rows")
        return
    await _erase_each(tx, one, rows)


async def _erase_late(tx: Transaction, one: Case, actor_id: int) -> bool:
    """Words that came in after the objects were gone through: somebody had begun to write or to send them before.
    Whether there were any."""
    column = "group_id" if one.kind == "group" else "author_id"
    rows = await tx.all(
        f"SELECT id FROM objects WHERE {column} = ? AND deleted_at IS NULL"
        " AND (withheld IS NULL OR withheld <> 'kept') ORDER BY id LIMIT ?",
        actor_id,
        OBJECTS_STEP,
    )
    if rows:
        await _erase_each(tx, one, rows)
    return bool(rows)


async def _erase_each(tx: Transaction, one: Case, rows: Sequence[Row]) -> None:
    erased = files = 0
    for row in rows:
        known = await threads.thing(tx, row["id"])
        assert known is not None
        await _note_tried(tx, known.id)
        await _count_copies(tx, one, known.id)
        if known.deleted_at is None and known.withheld != "kept":
            attached = len(await media.attached_to(tx, known.id))
            await threads.erase(tx, known)
            await journal.record(
                tx,
                "object_erased",
                actor_id=known.author_id,
                object_id=known.id,
                group_id=known.group_id,
            )
            after = await threads.thing(tx, known.id)
            known = after if after is not None else known
            if known.withheld != "kept":
                erased += 1
                files += attached
        await _forget_rendered(tx, known.id)
        if known.withheld == "kept":
            # A legal hold: out of view and asked back like the rest, but its words stay until the hold ends.
            continue
        if known.uri is not None:
            await remember(tx, "object", known.uri)
            # Servers that have a copy know it by its address: it stays until they are asked, see `forget_addresses`.
            if known.group_id is None or not await _is_elsewhere(tx, known.id):
                await _forget_address(tx, known.id)
    await tx.execute(
        "UPDATE erasures SET position = ?, objects = objects + ?, media = media + ? WHERE id = ?",
        rows[-1]["id"],
        erased,
        files,
        one.id,
    )


async def _is_elsewhere(tx: Transaction, object_id: int) -> bool:
    sql = "SELECT 1 FROM reach WHERE subject_id = ? LIMIT 1"
    return await tx.value(sql, object_id) is not None


async def _forget_address(tx: Transaction, object_id: int) -> None:
    # A row of somebody elsewhere keeps an address that leads nowhere, since one without it would be ours.
    await tx.execute(
        "UPDATE objects SET uri = ?, parent_uri = NULL, context_uri = NULL WHERE id = ?",
        f"erased:{object_id}",
        object_id,
    )


async def forget_addresses(db: Database, one: Case) -> None:
    """The addresses of what people elsewhere wrote go as well, once the spoke has read what is to be asked back."""
    after = 0
    while True:
        async with db.transaction() as tx:
            rows = await tx.all(
                f"SELECT id, uri FROM objects WHERE {OBJECTS_OF[one.kind]} = ? AND id > ?"
                " AND host_id IS NOT NULL AND deleted_at IS NOT NULL"
                " AND (withheld IS NULL OR withheld <> 'kept') ORDER BY id LIMIT ?",
                one.subject_id,
                after,
                ROWS_STEP,
            )
            for row in rows:
                if not str(row["uri"]).startswith("erased:"):
                    await _forget_address(tx, row["id"])
        if len(rows) < ROWS_STEP:
            return
        after = rows[-1]["id"]


async def _forget_rendered(tx: Transaction, object_id: int) -> None:
    """What was not sent yet is not sent any more, and no queue keeps a word; what asks for copies back goes on."""
    await tx.execute(
        "DELETE FROM deliveries WHERE recall = 0 AND state <> 'sending' AND activity_id IN"
        " (SELECT id FROM activities WHERE object_id = ?)",
        object_id,
    )
    await tx.execute(
        "UPDATE activities SET body = NULL WHERE object_id = ? AND body IS NOT NULL"
        " AND type NOT IN ('Delete', 'Undo')",
        object_id,
    )
    await tx.execute("DELETE FROM received_activities WHERE object_id = ?", object_id)
    await tx.execute("DELETE FROM backfill WHERE root_id = ?", object_id)


async def _note_tried(tx: Transaction, object_id: int) -> None:
    """A server to which a delivery is under way, or was tried without an answer that says it came, may have a copy: a
    line of the ledger (`how` 0), before the queue forgets it."""
    await tx.execute(
        "INSERT INTO reach (subject_id, host_id, how, first_at, last_at)"
        " SELECT c.object_id, d.host_id, 0, min(d.created_at), max(d.created_at) FROM activities c"
        " JOIN deliveries d ON d.activity_id = c.id WHERE c.object_id = ? AND d.recall = 0"
        " AND (d.attempts > 0 OR d.state = 'sending') GROUP BY c.object_id, d.host_id"
        " ON CONFLICT (subject_id, host_id) DO NOTHING",
        object_id,
    )


async def _count_copies(tx: Transaction, one: Case, subject_id: int) -> None:
    await tx.execute(
        "INSERT INTO erasure_recipients (case_id, host_id, copies, first_at, how)"
        " SELECT CAST(? AS BIGINT), r.host_id, 1, r.first_at, r.how FROM reach r"
        # What somebody elsewhere wrote is no copy on their own server.
        " WHERE r.subject_id = ? AND NOT EXISTS"
        "  (SELECT 1 FROM objects o WHERE o.id = r.subject_id AND o.host_id = r.host_id)"
        " ON CONFLICT (case_id, host_id) DO UPDATE SET copies = erasure_recipients.copies + 1,"
        " first_at = CASE WHEN excluded.first_at < erasure_recipients.first_at"
        "  THEN excluded.first_at ELSE erasure_recipients.first_at END,"
        " how = erasure_recipients.how | excluded.how",
        one.id,
        subject_id,
    )


async def _erase_rows(tx: Transaction, one: Case, origin: str) -> None:
    """The next rows of the next step; each step is repeated until it finds nothing more."""
    subjects = await _subjects(tx, one)
    if not subjects:
        await _turn(tx, one, "scrub")
        return
    for subject_id in subjects:
        if await _erase_late(tx, one, subject_id):
            return
        person = await _person(tx, subject_id, origin)
        gone = 0
        for step in STEPS:
            gone = await step(tx, subject_id, person)
            if gone:
                break
        if gone:
            await tx.execute(
                "UPDATE erasures SET rows_gone = rows_gone + ? WHERE id = ?", gone, one.id
            )
            return
        await _strip(tx, one, subject_id, person)


async def _subjects(tx: Transaction, one: Case) -> list[int]:
    """The actors whose rows still have to go: the subject, or the next few of a host."""
    if one.kind == "host":
        rows = await tx.all(
            "SELECT id FROM actors WHERE host_id = ? AND (uri IS NULL OR uri NOT LIKE 'erased:%')"
            " ORDER BY id LIMIT 5",
            one.subject_id,
        )
        return [row["id"] for row in rows]
    left = await tx.value(
        "SELECT 1 FROM actors WHERE id = ? AND ((host_id IS NULL AND name <> '')"
        " OR (host_id IS NOT NULL AND (uri IS NULL OR uri NOT LIKE 'erased:%')))",
        one.subject_id,
    )
    return [one.subject_id] if left else []


async def _person(tx: Transaction, actor_id: int, origin: str) -> Person:
    actor = await actors.actor(tx, actor_id)
    assert actor is not None
    host = actor.host or urlsplit(origin).netloc
    if actor.is_local:
        letter, page = ("g", "g/") if actor.kind == "group" else ("p", "@")
        found = {f"{origin}/{page}{actor.name}", f"{origin}/ap/{letter}/{actor.id}"}
    else:
        found = {address for address in (actor.uri, actor.url) if address}
    return Person(actor.name, host, frozenset(url.lower() for url in found), origin)


async def _strip(tx: Transaction, one: Case, actor_id: int, person: Person) -> None:
    """Last of all the name: the handle and the addresses become pseudonyms, the profile is empty."""
    actor = await actors.actor(tx, actor_id)
    assert actor is not None
    await _count_copies(tx, one, actor_id)
    if actor.is_local:
        handle = await tx.value("SELECT name FROM handles WHERE actor_id = ?", actor_id)
        if handle is not None:
            await remember(tx, "handle", str(handle))
            await tx.execute("DELETE FROM handles WHERE actor_id = ?", actor_id)
        await tx.execute("DELETE FROM members WHERE actor_id = ?", actor_id)
    else:
        await remember(tx, "actor", actor.uri or "")
        await tx.execute("DELETE FROM actor_keys WHERE actor_id = ?", actor_id)
    now = now_ms()
    # A remote row keeps an address that leads nowhere, since a row without one would be ours.
    await tx.execute(
        "UPDATE actors SET name = '', display_name = '', summary_source = '', summary_html = '',"
        " url = NULL, avatar_id = NULL, header_id = NULL, avatar_url = NULL, inbox = NULL,"
        " shared_inbox = NULL, outbox = NULL, followers_uri = NULL, featured_uri = NULL,"
        " moved_to_uri = NULL, moved_at = NULL, discoverable = 0, indexable = 0, uri = ?,"
        " deleted_at = COALESCE(deleted_at, ?), updated_at = ? WHERE id = ?",
        None if actor.is_local else f"erased:{actor_id}",
        now,
        now,
        actor_id,
    )
    event: journal.Event = "group_erased" if actor.kind == "group" else "member_deleted"
    if actor.is_local:
        await journal.record(tx, event, actor_id=actor_id)


async def _turn(tx: Transaction, one: Case, state: State) -> None:
    now = now_ms()
    position = await journal.last_seq(tx) if state == "scrub" else 0
    await tx.execute(
        "UPDATE erasures SET state = ?, position = ?,"
        " erased_at = CASE WHEN ? = 'scrub' THEN ? ELSE erased_at END WHERE id = ?",
        state,
        position,
        state,
        now,
        one.id,
    )


# The end of it


async def scrubbed(tx: Transaction, one: Case) -> None:
    """Files and free pages are clean; from here on only others have to answer."""
    now = now_ms()
    await tx.execute(
        "UPDATE erasures SET state = 'tell', scrubbed_at = ? WHERE id = ? AND state = 'scrub'",
        now,
        one.id,
    )


async def erased_files(
    db: Reader, one: Case, *, limit: int = ROWS_STEP
) -> list[tuple[int, list[str]]]:
    """(id, files) of media of the subject that are still on disk."""
    owners = "SELECT id FROM actors WHERE host_id = ?" if one.kind == "host" else "?"
    rows = await db.all(
        f"SELECT id, file, thumbnail FROM media WHERE state = 'erased' AND owner_id IN ({owners})"
        " ORDER BY id LIMIT ?",
        one.subject_id,
        limit,
    )
    return [(row["id"], [name for name in (row["file"], row["thumbnail"]) if name]) for row in rows]


async def finish(db: Database, one: Case) -> None:
    """Everybody was told: what they answered is noted with the case; the ledger's rows, the last activities and the
    keys go. Can be repeated."""
    await (_note_objects if one.kind in ("remote", "host") else _note_actor)(db, one)
    column = OBJECTS_OF[one.kind]
    while True:
        async with db.transaction() as tx:
            gone = await tx.execute(
                "DELETE FROM reach WHERE (subject_id, host_id) IN (SELECT r.subject_id, r.host_id"
                f" FROM objects o JOIN reach r ON r.subject_id = o.id WHERE o.{column} = ? LIMIT ?)",
                one.subject_id,
                ROWS_STEP,
            )
        if gone < ROWS_STEP:
            break
    await _forget_requests(db, one)
    if one.kind != "host":
        while await _forget_activities(db, one.subject_id):
            pass
    async with db.transaction() as tx:
        await tx.execute("DELETE FROM reach WHERE subject_id = ?", one.subject_id)
        if one.kind != "host":
            await tx.execute("DELETE FROM actor_keys WHERE actor_id = ?", one.subject_id)
        await tx.execute(
            "UPDATE erasures SET state = 'done', finished_at = ? WHERE id = ?", now_ms(), one.id
        )


async def _forget_activities(db: Database, actor_id: int) -> bool:
    """The next of what somebody has sent, with what was left of its deliveries; whether there was any. A member has
    some for each post, and each may have been given up for many servers: neither is done in one transaction."""
    async with db.transaction() as tx:
        rows = await tx.all(
            "SELECT id FROM activities WHERE actor_id = ? ORDER BY type, id LIMIT ?",
            actor_id,
            ROWS_STEP,
        )
        ids = [row["id"] for row in rows]
        if not ids:
            return False
        gone = await tx.execute(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries"
            f" WHERE activity_id IN ({marks(len(ids))}) LIMIT ?)",
            *ids,
            DELIVERIES_STEP,
        )
        if gone < DELIVERIES_STEP:
            await tx.execute(f"DELETE FROM activities WHERE id IN ({marks(len(ids))})", *ids)
    return True


async def _forget_requests(db: Database, one: Case) -> None:
    """What groups sent to ask for the objects of people elsewhere names those by their addresses."""
    while True:
        async with db.transaction() as tx:
            emptied = await tx.execute(
                "UPDATE activities SET body = NULL WHERE id IN (SELECT c.id FROM objects o"
                " JOIN activities c ON c.object_id = o.id"
                f" WHERE o.{OBJECTS_OF[one.kind]} = ? AND o.host_id IS NOT NULL"
                " AND c.body IS NOT NULL LIMIT ?)",
                one.subject_id,
                ROWS_STEP,
            )
        if emptied < ROWS_STEP:
            return


async def _note_actor(db: Database, one: Case) -> None:
    """What each server answered when it was asked for the subject itself."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE erasure_recipients SET"
            " answered_at = (SELECT r.recalled_at FROM reach r WHERE r.subject_id = ?"
            "  AND r.host_id = erasure_recipients.host_id),"
            " status = COALESCE((SELECT r.recall_status FROM reach r WHERE r.subject_id = ?"
            "   AND r.host_id = erasure_recipients.host_id),"
            # A second time, after a crash, the deliveries are gone already.
            "  erasure_recipients.status,"
            "  (SELECT max(d.status) FROM deliveries d JOIN activities c ON c.id = d.activity_id"
            "   WHERE c.actor_id = ? AND c.object_id IS NULL AND d.state = 'failed'"
            "   AND d.host_id = erasure_recipients.host_id))"
            " WHERE case_id = ? AND answered_at IS NULL",
            one.subject_id,
            one.subject_id,
            one.subject_id,
            one.id,
        )


async def _note_objects(db: Database, one: Case) -> None:
    """What each server answered when it was asked for the objects of somebody elsewhere, one by one: acknowledged is
    it only if all of them were."""
    rows = await db.all(
        "SELECT r.host_id, max(r.recalled_at) AS answered_at, count(*) AS copies,"
        " count(r.recall_status) AS answers, max(r.recall_status) AS status"
        f" FROM objects o JOIN reach r ON r.subject_id = o.id WHERE o.{OBJECTS_OF[one.kind]} = ?"
        " GROUP BY r.host_id",
        one.subject_id,
    )
    async with db.transaction() as tx:
        await tx.many(
            "UPDATE erasure_recipients SET answered_at = ?, status = ?"
            " WHERE case_id = ? AND host_id = ? AND answered_at IS NULL",
            [
                (
                    row["answered_at"],
                    row["status"] if row["answers"] == row["copies"] else None,
                    one.id,
                    row["host_id"],
                )
                for row in rows
            ],
        )


# What a legal hold keeps


async def is_keeping(db: Reader, one: Case) -> int:
    """How many objects of the case a legal hold keeps."""
    column = OBJECTS_OF[one.kind]
    return int(
        await db.value(
            f"SELECT count(*) FROM objects WHERE withheld = 'kept' AND {column} = ?", one.subject_id
        )
    )


async def let_go(db: Database) -> tuple[int, list[int]]:
    """Erase what was deleted before and no legal hold keeps any longer: how many objects, and the ids of the images
    that went with them (their files go with `media.remove_orphans`)."""
    gone, images, last = 0, list[int](), 0
    while ids := await holds.kept(db, after=last, limit=OBJECTS_STEP):
        last = ids[-1]
        async with db.transaction() as tx:
            for object_id in ids:
                known = await threads.thing(tx, object_id)
                if known is None or known.withheld != "kept":
                    continue
                if await holds.covers(tx, known.id, known.author_id, known.group_id, known.host_id):
                    continue
                images += await media.attached_to(tx, object_id)
                await threads.erase(tx, known)
                case = await case_of(tx, known.author_id) or await case_of(tx, known.host_id or 0)
                if case is not None and known.uri is not None:
                    await remember(tx, "object", known.uri)
                    await _forget_address(tx, known.id)
                await journal.record(
                    tx, "object_purged", object_id=object_id, group_id=known.group_id
                )
                gone += 1
    return gone, images


# What was erased does not come back


async def remember(tx: Transaction, kind: Literal["handle", "actor", "object"], name: str) -> None:
    """Keep the pseudonym of what is erased."""
    await tx.execute(
        "INSERT INTO erased (pseudonym, kind, erased_at) VALUES (?, ?, ?)"
        " ON CONFLICT (pseudonym) DO UPDATE SET erased_at = excluded.erased_at",
        tx.pseudonyms.of(kind, name),
        kind,
        now_ms(),
    )


Erasable = Literal["handle", "actor", "object"]
Name = tuple[Erasable, str]
"""A kind of thing, and what one of them is called."""


async def erased_at(db: Database | Transaction, kind: Erasable, name: str) -> int | None:
    """When what was called so was erased; None if it was not."""
    return (await erased(db, (kind, name))).get((kind, name))


async def gone(
    db: Database | Transaction, uri_hash: str, *named: Name
) -> tuple[bool, dict[Name, int]]:
    """Whether the server of what has this hash of its id said that it was deleted before it came here; and which of
    these were erased, and when. One statement, since it is asked for everything that arrives."""
    pseudonyms = {db.pseudonyms.of(*name): name for name in named}
    rows = await db.all(
        "SELECT pseudonym, erased_at FROM erased"
        f" WHERE pseudonym IN ({marks(len(pseudonyms))})"
        " UNION ALL SELECT NULL, created_at FROM tombstones WHERE uri_hash = ?",
        *pseudonyms,
        uri_hash,
    )
    found = {row["pseudonym"]: int(row["erased_at"]) for row in rows}
    deleted = found.pop(None, None) is not None
    return deleted, {pseudonyms[name]: at for name, at in found.items()}


async def erased(db: Database | Transaction, *named: Name) -> dict[Name, int]:
    """Which of these were erased, and when."""
    pseudonyms = {db.pseudonyms.of(*name): name for name in named}
    rows = await db.all(
        f"SELECT pseudonym, erased_at FROM erased WHERE pseudonym IN ({marks(len(pseudonyms))})",
        *pseudonyms,
    )
    return {pseudonyms[row["pseudonym"]]: int(row["erased_at"]) for row in rows}
