"""Lists of what was written, each filtered by the gate and paged by key: groups, threads, people,
home, tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fedcomm.hub import (
    actors,
    avoidance,
    ballots,
    events,
    imports,
    quotes,
    reactions,
    threads,
)
from fedcomm.hub.composition import Attachment
from fedcomm.hub.things import COLUMNS, thing_of
from fedcomm.hub.visibility import Clause, Viewer, readable
from fedcomm.store.database import Reader, Row, Value, marks
from fedcomm.store.ids import first_id_at, milliseconds_of, now_ms

LAST_ID = (1 << 63) - 1
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Post:
    """An object with everything that a page shows of it. `reacted`: the viewer's own reactions."""

    thing: threads.Thing
    author: actors.Actor
    group_name: str | None
    group_title: str | None
    attachments: tuple[Attachment, ...]
    media_files: dict[int, tuple[str, str]]
    """media id → (file, thumbnail)"""
    reacted: frozenset[reactions.Kind]
    poll: ballots.Poll | None = None
    event: events.Event | None = None
    feelings: tuple[reactions.Tally, ...] = ()
    """The emoji that likes of it carry."""
    quote: quotes.Quote | None = None
    quoted: Post | None = None
    """What it quotes, when its author consents and the viewer may read it (INV-20)."""
    brought_from: str | None = None
    """The id that it had elsewhere, when its author has brought it along (`fedcomm.hub.imports`)."""


_SELECT = (
    f"SELECT {COLUMNS}, ga.name AS group_name, ga.display_name AS group_title"
    " FROM objects o LEFT JOIN actors ga ON ga.id = o.group_id"
)


async def post(db: Reader, viewer: Viewer, object_id: int) -> Post | None:
    """One object, if `viewer` may read it."""
    clause = readable(viewer)
    rows = await db.all(f"{_SELECT} WHERE o.id = ? AND {clause.sql}", object_id, *clause.args)
    return (await _posts(db, viewer, rows))[0] if rows else None


async def posts(db: Reader, viewer: Viewer, object_ids: Sequence[int]) -> list[Post]:
    """Those of the objects that `viewer` may read, in the order given."""
    if not object_ids:
        return []
    clause = readable(viewer)
    rows = await db.all(
        f"{_SELECT} WHERE o.id IN ({marks(len(object_ids))}) AND {clause.sql}",
        *object_ids,
        *clause.args,
    )
    found = {post.thing.id: post for post in await _posts(db, viewer, rows)}
    return [found[object_id] for object_id in object_ids if object_id in found]


async def group_topics(
    db: Reader,
    viewer: Viewer,
    group_id: int,
    *,
    before: tuple[int, int] | None = None,
    limit: int = 20,
) -> list[Post]:
    """Topics of a group, the last active first; `before` is (active_at, id) of the last one of the
    page before."""
    active_at, object_id = before or (LAST_ID, LAST_ID)
    return await _list(
        db,
        viewer,
        "o.group_id = ? AND o.kind = 'topic' AND o.pinned_at IS NULL AND (o.active_at, o.id) < (?, ?)",
        (group_id, active_at, object_id),
        "o.active_at DESC, o.id DESC",
        limit,
    )


async def pinned_topics(db: Reader, viewer: Viewer, group_id: int) -> list[Post]:
    """The pinned topics of a group, the last pinned first."""
    return await _list(
        db,
        viewer,
        "o.group_id = ? AND o.pinned_at IS NOT NULL",
        (group_id,),
        "o.pinned_at DESC",
        20,
    )


async def newest_topics(
    db: Reader, viewer: Viewer, group_id: int, *, before: int | None = None, limit: int = 20
) -> list[Post]:
    """Topics of a group, the newest first, before id `before`: feeds and outboxes."""
    return await _list(
        db,
        viewer,
        "o.group_id = ? AND o.kind = 'topic' AND o.id < ?",
        (group_id, before if before is not None else LAST_ID),
        "o.id DESC",
        limit,
    )


async def newest_everywhere(
    db: Reader, viewer: Viewer, *, before: int | None = None, limit: int = 20
) -> list[Post]:
    """Public topics of all groups, the newest first, before id `before`: what strangers see first."""
    return await _list(
        db,
        viewer,
        "o.kind = 'topic' AND o.visibility = 'public' AND o.id < ?",
        (before if before is not None else LAST_ID,),
        "o.id DESC",
        limit,
    )


async def page_start(
    db: Reader, viewer: Viewer, topic_id: int, reply_id: int, *, size: int = 200
) -> int:
    """The `after` of the page of `size` replies on which `reply_id` stands; 0 for the first page."""
    clause = _listed(viewer)
    before = int(
        await db.value(
            "SELECT count(*) FROM objects o WHERE o.topic_id = ? AND o.kind = 'reply'"
            f" AND o.id < ? AND {clause.sql}",
            topic_id,
            reply_id,
            *clause.args,
        )
    )
    if before < size:
        return 0
    return int(
        await db.value(
            "SELECT o.id FROM objects o WHERE o.topic_id = ? AND o.kind = 'reply'"
            f" AND {clause.sql} ORDER BY o.id LIMIT 1 OFFSET ?",
            topic_id,
            *clause.args,
            before // size * size - 1,
        )
    )


_REPLIES = "o.topic_id = ? AND o.kind = 'reply' AND o.id > ?"


async def replies(
    db: Reader, viewer: Viewer, topic_id: int, *, after: int = 0, limit: int = 200
) -> list[Post]:
    """Replies of a thread, oldest first, after id `after`."""
    return await _list(db, viewer, _REPLIES, (topic_id, after), "o.id", limit)


async def thread(
    db: Reader, viewer: Viewer, topic_id: int, *, after: int = 0, limit: int = 200
) -> tuple[Post | None, list[Post]]:
    """A topic as `post` gives it, and a page of its replies as `replies` does, with one reading of what belongs to
    them all."""
    clause = readable(viewer)
    opened = await db.all(f"{_SELECT} WHERE o.id = ? AND {clause.sql}", topic_id, *clause.args)
    if not opened:
        return None, []
    listed = _listed(viewer)
    rows = await db.all(
        f"{_SELECT} WHERE {_REPLIES} AND {listed.sql} ORDER BY o.id LIMIT ?",
        *(topic_id, after),
        *listed.args,
        limit,
    )
    topic, *found = await _posts(db, viewer, [*opened, *rows])
    return topic, found


async def answers(
    db: Reader, viewer: Viewer, parent_id: int, *, after: int = 0, limit: int = 100
) -> list[Post]:
    """Direct answers to one object, oldest first."""
    return await _list(
        db, viewer, "o.parent_id = ? AND o.id > ?", (parent_id, after), "o.id", limit
    )


async def named_below(
    db: Reader,
    viewer: Viewer,
    place: Literal["topic_id", "parent_id"],
    object_id: int,
    *,
    also: Clause,
    limit: int,
) -> list[tuple[int, str | None]]:
    """(id, its address elsewhere) of the replies in a thread, or of the direct answers to an object, oldest first: for
    who needs no more than their names. `also`: what else must be true of the row `o`."""
    clause = _listed(viewer)
    rows = await db.all(
        f"SELECT o.id, o.uri FROM objects o WHERE o.{place} = ? AND o.kind = 'reply'"
        f" AND {clause.sql} AND {also.sql} ORDER BY o.id LIMIT ?",
        object_id,
        *clause.args,
        *also.args,
        limit,
    )
    return [(row["id"], row["uri"]) for row in rows]


async def by_author(
    db: Reader, viewer: Viewer, author_id: int, *, before: int | None = None, limit: int = 20
) -> list[Post]:
    """What one person wrote, newest first."""
    return await _list(
        db,
        viewer,
        "o.author_id = ? AND o.id < ?",
        (author_id, before if before is not None else LAST_ID),
        "o.id DESC",
        limit,
    )


HOME_WINDOWS_MS = (2 * DAY_MS, 30 * DAY_MS, 365 * DAY_MS)
"""How far back a page of the home timeline looks at first, then, then; at last without end."""

_ON_LIST = (
    " AND EXISTS (SELECT 1 FROM list_entries he WHERE he.list_id = ? AND he.actor_id = {who})"
)


def _home(*, of_list: bool) -> str:
    """What may stand at home, or on one of the member's lists, between two ids. Each part walks from the member's own
    few rows (CROSS JOIN tells SQLite so) into one range of an index, and takes: the member's id, the range, the list's.
    """
    in_group = _ON_LIST.format(who="hm.group_id") if of_list else ""
    followed = _ON_LIST.format(who="hf.followed_id") if of_list else ""
    return (
        # `<>` because SQLite would take an index of `kind` for `=`.
        # What a member has brought from elsewhere is new to nobody.
        "o.kind <> 'reply' AND NOT EXISTS (SELECT 1 FROM imported_objects hi WHERE hi.object_id = o.id)"
        " AND o.id IN ("
        " SELECT t.id FROM memberships hm CROSS JOIN objects t WHERE hm.actor_id = ?"
        "  AND hm.state = 'active' AND hm.suspended = 0 AND t.group_id = hm.group_id"
        f"  AND t.kind = 'topic' AND t.id >= ? AND t.id < ?{in_group}"
        " UNION SELECT t.id FROM follows hf CROSS JOIN objects t WHERE hf.follower_id = ?"
        "  AND hf.state = 'active' AND hf.suspended = 0 AND t.author_id = hf.followed_id"
        f"  AND t.id >= ? AND t.id < ?{followed}"
        " UNION SELECT hr.object_id FROM follows hf CROSS JOIN reactions hr WHERE hf.follower_id = ?"
        "  AND hf.state = 'active' AND hf.suspended = 0 AND hr.actor_id = hf.followed_id"
        f"  AND hr.kind = 'share' AND hr.object_id >= ? AND hr.object_id < ?{followed})"
    )


_HOME, _LIST = _home(of_list=False), _home(of_list=True)


async def home(
    db: Reader,
    viewer: Viewer,
    *,
    list_id: int | None = None,
    before: int | None = None,
    limit: int = 20,
) -> list[Post]:
    """The member's home: topics of their groups and what those whom they follow wrote or shared,
    newest first. With `list_id` only what comes by those on that list, which is the member's."""
    upper = before if before is not None else LAST_ID
    start = min(upper, first_id_at(now_ms() + DAY_MS))
    edges = [first_id_at(milliseconds_of(start) - window) for window in HOME_WINDOWS_MS]
    found: list[Post] = []
    for lower in (*edges, 0):
        if len(found) < limit and lower < upper:
            between = (viewer.actor_id, lower, upper, *(() if list_id is None else (list_id,)))
            found += await _list(
                db,
                viewer,
                _HOME if list_id is None else _LIST,
                between * 3,
                "o.id DESC",
                limit - len(found),
            )
            upper = lower
    return found


async def tagged(
    db: Reader, viewer: Viewer, tag: str, *, before: int | None = None, limit: int = 20
) -> list[Post]:
    """What carries a hashtag, newest first. *Unlisted* means: not in lists like this one."""
    return await _list(
        db,
        viewer,
        "t.tag = ? AND t.object_id < ? AND o.visibility <> 'unlisted'",
        (tag, before if before is not None else LAST_ID),
        "t.object_id DESC",
        limit,
        joined="JOIN hashtags t ON t.object_id = o.id",
    )


def _listed(viewer: Viewer) -> Clause:
    """What a list shows: what the viewer may read, but for those whom they avoid. Single posts are still
    found by their address, so that a moderator can act on somebody whom they have blocked."""
    may_read, met = readable(viewer), avoidance.not_avoided(viewer, "o.author_id", "o.host_id")
    return Clause(f"({may_read.sql} AND {met.sql})", (*may_read.args, *met.args))


async def _list(
    db: Reader,
    viewer: Viewer,
    condition: str,
    args: tuple[Value, ...],
    order: str,
    limit: int,
    *,
    joined: str = "",
) -> list[Post]:
    clause = _listed(viewer)
    rows = await db.all(
        f"{_SELECT} {joined} WHERE {condition} AND {clause.sql} ORDER BY {order} LIMIT ?",
        *args,
        *clause.args,
        limit,
    )
    return await _posts(db, viewer, rows)


async def _posts(
    db: Reader, viewer: Viewer, rows: Sequence[Row], *, with_quotes: bool = True
) -> list[Post]:
    if not rows:
        return []
    things = [thing_of(row) for row in rows]
    ids = [thing.id for thing in things]
    people = await actors.actors(db, sorted({thing.author_id for thing in things}))
    files: dict[int, list[Attachment]] = {}
    names: dict[int, tuple[str, str]] = {}
    for row in await db.all(
        "SELECT t.object_id, t.media_id, t.uri, t.type, t.mime, t.alt, t.width, t.height, t.blurhash,"
        " t.focal_x, t.focal_y, t.duration_ms, t.name, m.file, m.thumbnail FROM attachments t"
        f" LEFT JOIN media m ON m.id = t.media_id WHERE t.object_id IN ({marks(len(ids))})"
        # Whose media are rejected now may have sent some before.
        " AND NOT EXISTS (SELECT 1 FROM objects mo JOIN hosts mh ON mh.id = mo.host_id"
        "  WHERE mo.id = t.object_id AND mh.reject_media = 1)"
        " ORDER BY t.object_id, t.position",
        *ids,
    ):
        files.setdefault(row["object_id"], []).append(attachment_of(row))
        if row["media_id"] is not None and row["file"]:
            names[row["media_id"]] = (row["file"], row["thumbnail"] or row["file"])
    felt = await reactions.feelings(db, [thing.id for thing in things if thing.like_count])
    mine = await reactions.reacted(db, viewer.actor_id, ids) if viewer.actor_id else {}
    asking = [thing.id for thing in things if thing.type == "Question"]
    polls = await ballots.polls_of(db, viewer.actor_id, asking)
    planned = [thing.id for thing in things if thing.type == "Event"]
    occasions = await events.events_of(db, viewer.actor_id, planned)
    alone = [thing.id for thing in things if thing.is_local and thing.group_id is None]
    brought = await imports.sources(db, alone)
    quoting = await quotes.of_objects(db, ids) if with_quotes else {}
    quoted = await _quoted(db, viewer, quoting.values())
    return [
        Post(
            thing,
            people[thing.author_id],
            row["group_name"],
            row["group_title"] or row["group_name"],
            tuple(files.get(thing.id, ())),
            names,
            frozenset(mine.get(thing.id, ())),
            polls.get(thing.id),
            occasions.get(thing.id),
            tuple(felt.get(thing.id, ())),
            quoting.get(thing.id),
            _shown_quote(quoting.get(thing.id), quoted),
            brought.get(thing.id),
        )
        for thing, row in zip(things, rows, strict=True)
    ]


async def _quoted(db: Reader, viewer: Viewer, found: Iterable[quotes.Quote]) -> dict[int, Post]:
    """What is quoted with consent, as far as lists would show it to the viewer; without what it quotes itself."""
    ids = sorted({q.quoted_id for q in found if q.state == "accepted" and q.quoted_id is not None})
    if not ids:
        return {}
    clause = _listed(viewer)
    rows = await db.all(
        f"{_SELECT} WHERE o.id IN ({marks(len(ids))}) AND {clause.sql}", *ids, *clause.args
    )
    shown = await _posts(db, viewer, rows, with_quotes=False)
    return {post.thing.id: post for post in shown}


def _shown_quote(quote: quotes.Quote | None, quoted: dict[int, Post]) -> Post | None:
    if quote is None or quote.state != "accepted":
        return None
    return quoted.get(quote.quoted_id or 0)


def attachment_of(row: Row) -> Attachment:
    """The attachment in a row of `attachments`."""
    focal = (row["focal_x"], row["focal_y"]) if row["focal_x"] is not None else None
    return Attachment(
        row["type"],
        row["media_id"],
        row["uri"],
        row["mime"],
        row["alt"],
        row["width"],
        row["height"],
        row["blurhash"],
        focal,
        row["duration_ms"],
        row["name"],
    )
