"""Topics, replies and posts: what people write. A topic opens a thread in a group; replies stand below it; a post is
something of another server that belongs to no group of ours.

Local and remote words go through the same operations. Remote ones bring a `Provenance` and clean HTML.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedcomm.hub import (
    actors,
    admission,
    ballots,
    emoji,
    events,
    groups,
    holds,
    journal,
    media,
    notifications,
    permissions,
    quotes,
    reservations,
    search,
    things,
)
from fedcomm.hub.composition import Content
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.reservations import Reservation
from fedcomm.hub.things import Kind, Withheld
from fedcomm.hub.visibility import Visibility, member, narrower, remote
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import new_id, now_ms

# Whoever works with threads has these at hand as well.
Provenance = things.Provenance
Thing = things.Thing
thing = things.thing
thing_by_uri = things.thing_by_uri


@dataclass(frozen=True, slots=True)
class Revision:
    """What an object said before an edit. `created_at`: when these words were published, Unix ms."""

    number: int
    title: str
    html: str
    summary: str
    created_at: int


async def revisions(db: Reader, object_id: int) -> list[Revision]:
    """Earlier versions of an object, oldest first, whoever asks: the caller has passed the gate."""
    rows = await db.all(
        "SELECT number, title, html, summary, created_at FROM revisions WHERE object_id = ?"
        " ORDER BY number LIMIT 200",
        object_id,
    )
    return [
        Revision(row["number"], row["title"], row["html"], row["summary"], row["created_at"])
        for row in rows
    ]


async def create_topic(
    tx: Transaction,
    author_id: int,
    group_id: int,
    content: Content,
    *,
    provenance: Provenance | None = None,
    reserved: Reservation | None = None,
) -> int:
    """Open a thread; the id of its topic. `reserved`: the id and time that its preview had.

    Raises NotFound, NotAllowed.
    """
    author = await require_home(tx, author_id)
    group = await groups.group(tx, group_id)
    if group is None:
        raise NotFound("There is no such group.")
    place = await _require_place(tx, group, author)
    await admission.require_topic(tx, group, author_id, place)
    host_id = provenance.host_id if provenance else None
    waits = await admission.must_wait(tx, group, author_id, host_id, place)
    object_id = reserved.object_id if reserved is not None else new_id()
    made = await _insert(
        tx,
        object_id,
        "topic",
        author_id,
        content,
        provenance,
        visibility=_kept(content, groups.VISIBILITY_OF_MODE[group.mode]),
        group_id=group_id,
        topic_id=object_id,
        withheld="waiting" if waits else None,
        reserved=reserved,
    )
    if waits:
        await admission.hold(tx, group, object_id, author_id)
    else:
        await _announce(tx, made, new=content)
    return object_id


async def create_reply(
    tx: Transaction,
    author_id: int,
    parent_id: int,
    content: Content,
    *,
    provenance: Provenance | None = None,
    visibility: Visibility | None = None,
    reserved: Reservation | None = None,
) -> int:
    """Answer an object; the reply's id. Its visibility is the parent's, or narrower when `visibility` says so.
    `reserved`: the id and time that its preview had.

    Raises NotFound, NotAllowed (thread locked, not a member of a closed group).
    """
    host_id = provenance.host_id if provenance else None
    opening = await require_reply(tx, author_id, parent_id, host_id)
    parent, group = opening.parent, opening.group
    object_id = reserved.object_id if reserved is not None else new_id()
    made = await _insert(
        tx,
        object_id,
        "reply",
        author_id,
        content,
        provenance,
        visibility=_kept(content, narrower(parent.visibility, visibility or parent.visibility)),
        group_id=parent.group_id,
        community_id=parent.community_id,
        topic_id=parent.topic_id,
        parent_id=parent_id,
        # A reply dated before its parent becomes a topic of its own at NodeBB (federation.md §12).
        not_before=parent.published_at,
        withheld="waiting" if opening.waits else None,
        reserved=reserved,
    )
    if opening.waits:
        assert group is not None
        await admission.hold(tx, group, object_id, author_id)
        return object_id
    await count_reply(tx, made, 1, active_at=now_ms())
    await _announce(tx, made, parent, opening.topic, new=content)
    return object_id


@dataclass(frozen=True, slots=True)
class Opening:
    """Where somebody may answer. `waits`: a moderator sees it first."""

    parent: Thing
    topic: Thing | None
    group: groups.Group | None
    waits: bool


async def require_reply(db: Reader, author_id: int, parent_id: int, host_id: int | None) -> Opening:
    """Where the answer to an object would stand; `host_id`: the server that brings it. Raises NotFound, NotAllowed."""
    author = await require_home(db, author_id)
    viewer = member(author_id) if author.is_local else remote(author_id, author.host_id or 0)
    parent = await things.readable_thing(db, viewer, parent_id)
    if parent is None or parent.deleted_at is not None:
        raise NotFound("What you answer is not there any more.")
    if author.is_local and not await permissions.may_on_remote(db, "reply", parent_id, author_id):
        raise NotAllowed("Its author does not let you answer this.")
    topic: Thing | None = parent
    if parent.topic_id != parent.id:
        topic = await thing(db, parent.topic_id) if parent.topic_id is not None else None
    group = await groups.group(db, parent.group_id) if parent.group_id is not None else None
    if group is None:
        return Opening(parent, topic, None, False)
    place = await _require_place(db, group, author)
    if topic is not None and topic.locked_at is not None and not (place and place.moderates):
        raise NotAllowed("This thread is closed.")
    waits = await admission.must_wait(db, group, author_id, host_id, place)
    return Opening(parent, topic, group, waits)


def _kept(content: Content, wanted: Visibility) -> Visibility:
    """Not wider than members of this hub, where the author keeps it here."""
    return narrower(wanted, "local") if content.only_here else wanted


async def announce_new(tx: Transaction, object_id: int) -> None:
    """A topic or reply is in view from now on: the journal tells it, and whom it concerns is notified."""
    made = await thing(tx, object_id)
    assert made is not None
    above = []
    if made.kind == "reply":
        above = [await thing(tx, one) for one in (made.parent_id, made.topic_id) if one is not None]
        await tx.execute("UPDATE objects SET active_at = ? WHERE id = ?", now_ms(), made.topic_id)
    await _announce(tx, made, *above)


async def _announce(
    tx: Transaction, made: Thing, *above: Thing | None, new: Content | None = None
) -> None:
    """`above`: what a reply answers, and its topic; `new`: its words, if they have just been stored."""
    object_id = made.id
    event: journal.Event = "topic_created" if made.kind == "topic" else "reply_created"
    await journal.record(
        tx, event, actor_id=made.author_id, object_id=object_id, group_id=made.group_id
    )
    told: set[int] = set()
    for written in above:
        if written is None or written.author_id in told:
            continue
        author = await actors.actor(tx, written.author_id)
        if author is not None:
            await notifications.notify(tx, author, "reply", made.author_id, object_id=object_id)
            told.add(author.id)
    if new is None or new.quote is not None:
        await quotes.announce(tx, object_id)
    if new is None:
        await _tell_mentioned(tx, object_id, made.author_id, already=told)
    else:
        await _tell(tx, new.mentions, object_id, made.author_id, already=told)


async def count_reply(
    tx: Transaction, reply: Thing, by: int, *, active_at: int | None = None
) -> None:
    """A reply comes into view (`by` 1) or goes out of it (-1): what it answers, and its topic, count it. `active_at`
    (Unix ms): since then there is something new in the topic."""
    for above in {reply.parent_id, reply.topic_id}:
        if above is not None and above != reply.id:
            since = active_at if above == reply.topic_id else None
            await things.count(tx, above, "reply_count", by, active_at=since)


async def store_post(
    tx: Transaction,
    author_id: int,
    content: Content,
    provenance: Provenance,
    *,
    visibility: Visibility,
    parent_uri: str | None = None,
    community_id: int | None = None,
) -> int:
    """Keep a remote object that belongs to no group of ours, because somebody here follows its
    author or is
    mentioned; its id. `parent_uri`: what it answers, when that is not known here; `community_id`: the private
    group of another server for whose members it is. Raises NotAllowed."""
    await require_home(tx, author_id)
    object_id = new_id()
    await _insert(
        tx,
        object_id,
        "post",
        author_id,
        content,
        provenance,
        visibility=visibility,
        topic_id=object_id,
        parent_uri=parent_uri,
        community_id=community_id,
    )
    await journal.record(tx, "post_stored", actor_id=author_id, object_id=object_id)
    await _tell(tx, content.mentions, object_id, author_id, already=set())
    return object_id


async def edit(
    tx: Transaction,
    editor_id: int,
    object_id: int,
    content: Content,
    *,
    edited_at: int | None = None,
    visibility: Visibility | None = None,
) -> None:
    """The author changes their words; what stood before is kept as a revision. Raises NotFound, NotAllowed.

    `visibility` of a later remote version can only narrow (INV-16).
    """
    known = await _existing(tx, object_id)
    if known.author_id != editor_id:
        raise NotAllowed("Only its author can change this.")
    await require_home(tx, editor_id)
    if known.withheld in ("hidden", "removed", "kept"):
        # Otherwise what is judged in an appeal would not be what was removed.
        raise NotAllowed("A moderator took this down: it cannot be changed.")
    if known.group_id is not None and known.withheld is None:
        await admission.require_free(tx, known.group_id, editor_id)
    if known.kind == "topic" and not content.title:
        raise Invalid("title", "A topic needs a title.")
    number = int(
        await tx.value(
            "SELECT COALESCE(max(number), 0) + 1 FROM revisions WHERE object_id = ?", object_id
        )
    )
    await tx.execute(
        "INSERT INTO revisions (object_id, number, editor_id, title, source, html, summary, sensitive,"
        " language, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        object_id,
        number,
        editor_id,
        known.title,
        known.source,
        known.html,
        known.summary,
        int(known.sensitive),
        known.language,
        known.edited_at or known.published_at,
    )
    await tx.execute(
        "UPDATE objects SET title = ?, source = ?, html = ?, summary = ?, sensitive = ?, language = ?,"
        " visibility = ?, edited_at = ? WHERE id = ?",
        content.title,
        content.source,
        content.html,
        content.summary,
        int(content.sensitive),
        content.language,
        narrower(known.visibility, visibility or known.visibility),
        edited_at or now_ms(),
        object_id,
    )
    already = {
        row["actor_id"]
        for row in await tx.all("SELECT actor_id FROM mentions WHERE object_id = ?", object_id)
    }
    for table in ("mentions", "hashtags", "attachments"):
        await tx.execute(f"DELETE FROM {table} WHERE object_id = ?", object_id)
    await insert_parts(tx, object_id, content)
    if known.host_id is not None:
        await emoji.note(tx, known.host_id, content.emoji)
    await permit(tx, known, content.permissions)
    if content.unquote:
        await quotes.take_out(tx, object_id)
    if content.poll is not None and not known.is_local:
        await ballots.refresh(tx, object_id, content.poll)
    if content.event is not None and known.type == "Event":
        await _change_event(tx, known, content.event)
    await search.index(tx, object_id, content.title, content.plain)
    await journal.record(
        tx, "object_edited", actor_id=editor_id, object_id=object_id, group_id=known.group_id
    )
    await _tell_mentioned(tx, object_id, editor_id, already=already)


async def _change_event(tx: Transaction, known: Thing, occasion: events.Occasion) -> None:
    """Members who come are told when time, place or state of an event change, each time anew."""
    if not await events.update(tx, known.id, occasion, is_local=known.is_local):
        return
    await tx.execute(
        "DELETE FROM notifications WHERE object_id = ? AND kind = 'event_changed'", known.id
    )
    for person in await events.members_coming(tx, known.id):
        await notifications.notify(tx, person, "event_changed", known.author_id, object_id=known.id)


async def permit(tx: Transaction, known: Thing, allowed: permissions.Permissions | None) -> None:
    """What the author allows others from now on; None changes nothing. A member says only who may quote."""
    if allowed is None:
        return
    if known.is_local:
        await tx.execute(
            "UPDATE objects SET quote_policy = ? WHERE id = ?", allowed.quote, known.id
        )
        return
    await tx.execute(
        "UPDATE objects SET quote_policy = ?, reply_policy = ?, like_policy = ? WHERE id = ?",
        allowed.quote,
        allowed.reply,
        allowed.like,
        known.id,
    )


async def says(db: Reader, known: Thing, content: Content, visibility: Visibility) -> bool:
    """Whether a remote object says already what a later version of it says."""
    if (known.title, known.html, known.summary, known.sensitive) != (
        content.title,
        content.html,
        content.summary,
        content.sensitive,
    ):
        return False
    if known.visibility != narrower(known.visibility, visibility):
        return False
    rows = await db.all(
        "SELECT uri, alt FROM attachments WHERE object_id = ? ORDER BY position", known.id
    )
    return [(row["uri"], row["alt"]) for row in rows] == [
        (file.uri, file.alt) for file in content.attachments
    ]


async def delete(tx: Transaction, actor_id: int, object_id: int) -> None:
    """The author deletes: every word of it goes from every table here, at once.

    Moderators remove (`fedcomm.hub.moderation`), which keeps the words for an appeal. Raises NotFound,
    NotAllowed.
    """
    known = await _existing(tx, object_id)
    if known.author_id != actor_id:
        raise NotAllowed("Only its author can delete this.")
    if known.withheld == "kept":
        raise NotFound("This is not there any more.")
    await erase(tx, known)
    await journal.record(
        tx, "object_deleted", actor_id=actor_id, object_id=object_id, group_id=known.group_id
    )


async def erase(tx: Transaction, known: Thing) -> None:
    """Take every word of an object from every table. What remains is a tombstone: id, times, place in the
    thread. The caller says in the journal why."""
    object_id = known.id
    if await holds.covers(tx, known.id, known.author_id, known.group_id, known.host_id):
        await _keep_from_view(tx, known)
        return
    await media.erase_attached(tx, object_id)
    await ballots.erase(tx, object_id)
    await events.erase(tx, object_id)
    await quotes.take_out(tx, object_id)
    for table in ("revisions", "mentions", "hashtags", "attachments", "notifications"):
        await tx.execute(f"DELETE FROM {table} WHERE object_id = ?", object_id)
    await search.forget(tx, object_id)
    await tx.execute(
        "UPDATE objects SET title = '', source = '', html = '', summary = '', sensitive = 0,"
        " language = '', url = NULL, details = NULL, deleted_at = ?, withheld = NULL,"
        " withheld_at = NULL, pinned_at = NULL WHERE id = ?",
        now_ms(),
        object_id,
    )
    if known.withheld is None:
        await count_reply(tx, known, -1)


async def _keep_from_view(tx: Transaction, known: Thing) -> None:
    """A legal hold: for everybody it is gone, and it is erased when the hold ends."""
    if known.withheld == "kept":
        return
    await tx.execute("DELETE FROM notifications WHERE object_id = ?", known.id)
    await search.forget(tx, known.id)
    await tx.execute(
        "UPDATE objects SET withheld = 'kept', withheld_at = ?, pinned_at = NULL WHERE id = ?",
        now_ms(),
        known.id,
    )
    if known.withheld is None:
        await count_reply(tx, known, -1)


async def delete_some_of(
    tx: Transaction, author_id: int, *, after: int = 0, limit: int
) -> list[int]:
    """Delete what a remote author wrote, because their server says that they are gone: the next `limit` objects with an
    id above `after`, since somebody may have written for years. Their ids."""
    rows = await tx.all(
        "SELECT id FROM objects WHERE author_id = ? AND id > ? AND deleted_at IS NULL"
        " AND (withheld IS NULL OR withheld <> 'kept') ORDER BY id LIMIT ?",
        author_id,
        after,
        limit,
    )
    for row in rows:
        await delete(tx, author_id, row["id"])
    return [row["id"] for row in rows]


async def set_locked(tx: Transaction, moderator_id: int, topic_id: int, *, locked: bool) -> None:
    """A moderator closes a thread or opens it again."""
    await _mark(tx, moderator_id, topic_id, "locked_at", locked)
    event: journal.Event = "topic_locked" if locked else "topic_unlocked"
    await journal.record(tx, event, actor_id=moderator_id, object_id=topic_id)


async def set_pinned(tx: Transaction, moderator_id: int, topic_id: int, *, pinned: bool) -> None:
    """A moderator pins a topic to the head of its group, or takes it down."""
    await _mark(tx, moderator_id, topic_id, "pinned_at", pinned)
    event: journal.Event = "topic_pinned" if pinned else "topic_unpinned"
    await journal.record(tx, event, actor_id=moderator_id, object_id=topic_id)


async def _mark(tx: Transaction, moderator_id: int, topic_id: int, column: str, on: bool) -> None:
    known = await _existing(tx, topic_id)
    if known.kind != "topic" or known.group_id is None:
        raise NotFound("There is no such topic.")
    await groups.require_moderator(tx, known.group_id, moderator_id)
    await tx.execute(
        f"UPDATE objects SET {column} = ? WHERE id = ?",
        now_ms() if on else None,
        topic_id,
    )


async def require_place_of(tx: Reader, target: Thing, actor_id: int) -> None:
    """Raises NotAllowed or NotFound unless the actor may speak where `target` stands."""
    if target.group_id is None:
        return
    group = await groups.group(tx, target.group_id)
    if group is not None:
        await _require_place(tx, group, await actors.actor(tx, actor_id))


async def _existing(tx: Transaction, object_id: int) -> Thing:
    known = await thing(tx, object_id)
    if known is None or known.deleted_at is not None:
        raise NotFound("This is not there any more.")
    return known


async def require_home(tx: Reader, author_id: int) -> actors.Actor:
    """Who it is. Raises NotAllowed for somebody who is gone, or whose server is being erased (INV-21, INV-50: whatever
    was looked at before); for a member who is suspended; and for one who has moved away: they write, like and vote from
    their new account. What they said here they can still take back."""
    author = await actors.actor(tx, author_id)
    if author is None or author.deleted_at is not None:
        raise NotAllowed("This account is gone.")
    if not author.is_local:
        erased = "SELECT 1 FROM erasures WHERE subject_id = ? AND state IN ('objects', 'rows')"
        if await tx.value(erased, author.host_id) is not None:
            raise NotAllowed("This account is gone.")
        return author
    if author.suspended_at is not None:
        raise NotAllowed("Your account is suspended.")
    if author.moved_to_uri is not None:
        raise NotAllowed("Your account has moved: use the new one.")
    return author


async def _require_place(
    tx: Reader, group: groups.Group, author: actors.Actor | None
) -> groups.Membership | None:
    """The place that they have in the group; NotAllowed or NotFound unless they may speak there."""
    if author is None or author.suspended_at or author.deleted_at:
        raise NotAllowed("You may not write in this group.")
    place = await groups.membership(tx, group.id, author.id)
    if place is not None and place.state == "banned":
        raise NotAllowed("You may not write in this group.")
    if group.moved_to is not None:
        raise NotAllowed("This group has moved: write in its new place.")
    await admission.require_host(tx, group.id, author.host_id, place)
    if place is not None and place.state == "active":
        return place
    # In an open federated group anybody may speak: a reply from Mastodon comes from no member.
    if group.mode == "federated" and not author.is_local and not group.approval:
        return place
    if group.is_members_only:
        raise NotFound("There is no such group.")
    raise NotAllowed("Join the group to write in it.")


async def _insert(
    tx: Transaction,
    object_id: int,
    kind: Kind,
    author_id: int,
    content: Content,
    provenance: Provenance | None,
    *,
    visibility: Visibility,
    group_id: int | None = None,
    community_id: int | None = None,
    topic_id: int | None = None,
    parent_id: int | None = None,
    parent_uri: str | None = None,
    not_before: int = 0,
    withheld: Withheld | None = None,
    reserved: Reservation | None = None,
) -> Thing:
    now = now_ms()
    published = min(provenance.published_at, now) if provenance else now
    if reserved is not None:
        published = min(reserved.at, now)
        await reservations.keep(tx, reserved)
    allowed = content.permissions or permissions.Permissions()
    if provenance is None and allowed.quote is None:
        allowed = permissions.Permissions(quote=await permissions.default_of(tx, author_id))
    default_type = "Page" if kind == "topic" else "Note"
    if content.poll is not None:
        default_type = "Question"
    elif content.event is not None:
        default_type = "Event"
    made = Thing(
        id=object_id,
        kind=kind,
        type=provenance.type if provenance else default_type,
        uri=provenance.uri if provenance else None,
        host_id=provenance.host_id if provenance else None,
        author_id=author_id,
        group_id=group_id,
        community_id=community_id,
        topic_id=topic_id,
        parent_id=parent_id,
        parent_uri=parent_uri,
        context_uri=provenance.context_uri if provenance else None,
        visibility=visibility,
        title=content.title,
        source=content.source,
        html=content.html,
        summary=content.summary,
        sensitive=content.sensitive,
        language=content.language,
        url=provenance.url if provenance else None,
        details=provenance.details if provenance else None,
        created_at=now,
        published_at=max(published, min(not_before, now)) if provenance is None else published,
        edited_at=None,
        deleted_at=None,
        withheld=withheld,
        pinned_at=None,
        locked_at=None,
        quote_policy=allowed.quote,
        reply_count=0,
        like_count=0,
        dislike_count=0,
        share_count=0,
        active_at=now,
    )
    await things.insert(tx, made, reply_policy=allowed.reply, like_policy=allowed.like)
    await insert_parts(tx, object_id, content)
    if provenance is not None:
        await emoji.note(tx, provenance.host_id, content.emoji)
    if content.quote is not None:
        await quotes.attach(tx, object_id, content.quote)
    if content.poll is not None:
        await ballots.insert(tx, object_id, content.poll, is_local=provenance is None)
    if content.event is not None:
        await events.insert(tx, object_id, content.event)
    await search.index(tx, object_id, content.title, content.plain)
    return made


async def insert_parts(tx: Transaction, object_id: int, content: Content) -> None:
    """Mentions, hashtags and attachments of an object that has none yet."""
    for actor_id in dict.fromkeys(content.mentions):
        await tx.later(
            "INSERT INTO mentions (object_id, actor_id) VALUES (?, ?)",
            object_id,
            actor_id,
            keys=(object_id,),
        )
    for tag in dict.fromkeys(content.hashtags):
        await tx.later("INSERT INTO hashtags (object_id, tag) VALUES (?, ?)", object_id, tag)
    for position, file in enumerate(content.attachments):
        await tx.later(
            "INSERT INTO attachments (object_id, position, media_id, uri, type, mime, alt, width,"
            " height, blurhash, focal_x, focal_y, duration_ms, name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            object_id,
            position,
            file.media_id,
            file.uri,
            file.type,
            file.mime,
            file.alt,
            file.width,
            file.height,
            file.blurhash,
            file.focal[0] if file.focal else None,
            file.focal[1] if file.focal else None,
            file.duration_ms,
            file.name,
        )


async def _tell_mentioned(
    tx: Transaction, object_id: int, author_id: int, *, already: set[int]
) -> None:
    mentioned = await tx.all("SELECT actor_id FROM mentions WHERE object_id = ?", object_id)
    ids = [row["actor_id"] for row in mentioned]
    await _tell(tx, ids, object_id, author_id, already=already)


async def _tell(
    tx: Transaction, ids: Iterable[int], object_id: int, author_id: int, *, already: set[int]
) -> None:
    people = await actors.actors(tx, [one for one in dict.fromkeys(ids) if one not in already])
    for person in people.values():
        await notifications.notify(tx, person, "mention", author_id, object_id=object_id)
