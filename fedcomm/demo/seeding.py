"""Puts a community into an empty hub: through the hub's own operations, then moved back in time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fedcomm.demo.community import Community, Person, Place, Words
from fedcomm.hub import groups, members, reactions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.passwords import hash_password
from fedcomm.site import Site
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms

DAY_MS: Final = 86_400_000

EDIT_DELAY_MS: Final = 3_600_000
"""How long after writing somebody changed their words."""


@dataclass(slots=True)
class _Written:
    """What was written so far: ids by name, and the time (Unix ms) that each object shall have."""

    people: dict[str, int] = field(default_factory=dict)
    moments: dict[int, int] = field(default_factory=dict)
    edited: set[int] = field(default_factory=set)


async def seed(
    site: Site, community: Community, *, password: str, step: Callable[[], None]
) -> None:
    """Write the community into the hub; its administrator exists already. `step` is called after
    each of `community.steps`."""
    now = now_ms()
    written = _Written()
    for person in community.people:
        written.people[person.name] = await _person(site, person, password)
        step()
    topics: list[tuple[int, str, Words]] = []
    for place in community.places:
        group_id = await _place(site, place, written.people)
        topics += [(group_id, place.language, topic) for topic in place.topics]
        step()
    # Ids are sortable by time, so what is older is written first.
    order = itertools.count()
    pending = [
        (-topic.days, next(order), topic, group_id, language, 0)
        for group_id, language, topic in topics
    ]
    heapq.heapify(pending)
    while pending:
        _, _, words, group_id, language, parent_id = heapq.heappop(pending)
        object_id = await _words(site, words, language, group_id, parent_id, written)
        written.moments[object_id] = now - int(words.days * DAY_MS)
        if words.edited:
            written.edited.add(object_id)
        for reply in words.replies:
            heapq.heappush(
                pending, (-reply.days, next(order), reply, group_id, language, object_id)
            )
        step()
    async with site.db.transaction() as tx:
        await _move_back(tx, written, founded=now - int(community.days * DAY_MS))


async def _person(site: Site, person: Person, password: str) -> int:
    hashed = await hash_password(password)
    known = await members.member_by_name(site.db, person.name)
    async with site.db.transaction() as tx:
        member_id = known.id if known else 0
        if known is None:
            member_id = await members.create_member(
                tx,
                person.name,
                email=f"{person.name}@example.org",
                password_hash=hashed,
                role=person.role,
                locale=person.locale,
            )
        await members.edit_profile(
            tx,
            member_id,
            display_name=person.display_name,
            summary=person.about,
            locale=person.locale,
            local_origin=site.origin,
        )
    return member_id


async def _place(site: Site, place: Place, people: dict[str, int]) -> int:
    owner = people[place.members[0]]
    async with site.db.transaction() as tx:
        group_id = await groups.create_group(
            tx,
            place.name,
            title=place.title,
            creator_id=owner,
            local_origin=site.origin,
            description=place.description,
            language=place.language,
        )
        for name in place.members[1:]:
            await groups.join(tx, group_id, people[name])
        for name in place.moderators:
            await groups.add_member(tx, group_id, owner, people[name], "moderator")
    return group_id


async def _words(
    site: Site, words: Words, language: str, group_id: int, parent_id: int, written: _Written
) -> int:
    author = written.people[words.author]
    is_topic = parent_id == 0
    async with site.db.transaction() as tx:
        content = await site.compose(
            tx,
            _draft(words, words.edited or words.text, language),
            is_topic=is_topic,
            author_id=author,
        )
        if is_topic:
            object_id = await threads.create_topic(tx, author, group_id, content)
        else:
            object_id = await threads.create_reply(tx, author, parent_id, content)
        if words.edited:
            later = await site.compose(
                tx, _draft(words, words.text, language), is_topic=is_topic, author_id=author
            )
            await threads.edit(tx, author, object_id, later)
        if words.pinned:
            await threads.set_pinned(tx, author, object_id, pinned=True)
        for name in words.likes:
            await reactions.add(tx, written.people[name], object_id, "like")
    return object_id


def _draft(words: Words, text: str, language: str) -> Draft:
    return Draft(text, words.title, words.warning, bool(words.warning), language)


async def _move_back(tx: Transaction, written: _Written, *, founded: int) -> None:
    """Give everything the age that the community says; no operation of the hub does that."""
    for object_id, at in written.moments.items():
        await tx.execute(
            "UPDATE objects SET created_at = ?, published_at = ?, active_at = ?, edited_at = ?,"
            " pinned_at = CASE WHEN pinned_at IS NULL THEN NULL ELSE CAST(? AS BIGINT) END"
            " WHERE id = ?",
            at,
            at,
            at,
            at + EDIT_DELAY_MS if object_id in written.edited else None,
            at,
            object_id,
        )
        for table in ("revisions", "reactions", "notifications"):
            await tx.execute(
                f"UPDATE {table} SET created_at = ? WHERE object_id = ?",
                at,
                object_id,
            )
    await tx.execute(
        "UPDATE objects SET active_at = (SELECT max(r.published_at) FROM objects r"
        " WHERE r.topic_id = objects.id) WHERE kind = 'topic'"
    )
    for table in ("actors", "members", "groups", "memberships"):
        await tx.execute(f"UPDATE {table} SET created_at = ?", founded)
    await tx.execute("UPDATE actors SET updated_at = ?", founded)
    await tx.execute("UPDATE memberships SET decided_at = ? WHERE decided_at IS NOT NULL", founded)
