from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub import (
    groups,
    media,
    members,
    moderation,
    reactions,
    removal,
    search,
    threads,
    timelines,
)
from fedcomm.hub.composition import Content
from fedcomm.hub.errors import HubError, Invalid, NotAllowed, NotFound
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms
from tests.hub.world import World, attachment, words

MARKER = "zanzibarquux"
"""A word that stands nowhere by accident."""


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


@pytest.fixture
async def group(world: World, anna: int) -> int:
    return await world.group("ambiente", anna)


async def test_a_topic_is_stored_as_it_was_written_and_rendered(
    world: World, anna: int, group: int
) -> None:
    berta = await world.member("berta")
    content = await world.compose(
        anna,
        "Ciao @berta, #Alberi ovunque: **guarda**.",
        is_topic=True,
        title="Il parco",
        language="it",
        summary="politica",
    )
    topic = await world.thing(await world.do(threads.create_topic, anna, group, content))
    assert (topic.kind, topic.type, topic.title, topic.language) == (
        "topic",
        "Page",
        "Il parco",
        "it",
    )
    assert topic.source == "Ciao @berta, #Alberi ovunque: **guarda**."
    assert "<strong>guarda</strong>" in topic.html and "https://hub.test/@berta" in topic.html
    assert (topic.summary, topic.sensitive) == ("politica", True)
    assert (topic.visibility, topic.topic_id, topic.group_id) == ("public", topic.id, group)
    assert topic.is_local and topic.uri is None
    assert [row["actor_id"] for row in await world.rows("SELECT actor_id FROM mentions")] == [berta]
    assert [row["tag"] for row in await world.rows("SELECT tag FROM hashtags")] == ["alberi"]
    assert (await world.events())[-1] == "topic_created"


async def test_replies_are_counted_where_they_stand_and_in_the_thread(
    world: World, anna: int, group: int
) -> None:
    topic = await world.topic(anna, group)
    first = await world.reply(anna, topic)
    second = await world.reply(anna, first)
    third = await world.reply(anna, second)

    async def counts() -> list[int]:
        return [(await world.thing(each)).reply_count for each in (topic, first, second, third)]

    assert await counts() == [3, 1, 1, 0]
    shown = await timelines.replies(world.db, await world.viewer(anna), topic)
    assert [post.thing.id for post in shown] == [first, second, third]
    answers = await timelines.answers(world.db, await world.viewer(anna), first)
    assert [post.thing.id for post in answers] == [second]
    await world.do(threads.delete, anna, second)
    assert await counts() == [2, 0, 1, 0]
    await world.do(threads.delete, anna, third)
    assert await counts() == [1, 0, 0, 0]
    await world.do(threads.delete, anna, first)
    assert await counts() == [0, 0, 0, 0]


async def test_a_reply_brings_its_topic_to_the_top(world: World, anna: int, group: int) -> None:
    topics = [await world.topic(anna, group) for _ in range(3)]
    await asyncio.sleep(0.005)
    await world.reply(anna, topics[0])
    viewer = await world.viewer(anna)
    listed = await timelines.group_topics(world.db, viewer, group)
    assert [post.thing.id for post in listed] == [topics[0], topics[2], topics[1]]
    newest = await timelines.newest_topics(world.db, viewer, group)
    assert [post.thing.id for post in newest] == topics[::-1]


async def test_what_is_not_there_cannot_be_answered(world: World, anna: int, group: int) -> None:
    topic = await world.topic(anna, group)
    await world.do(threads.delete, anna, topic)
    for parent in (topic, 12345):
        with pytest.raises(NotFound):
            await world.reply(anna, parent)


async def test_inv_20_what_one_may_not_read_cannot_be_answered_and_is_told_like_absence(
    world: World, anna: int
) -> None:
    berta = await world.member("berta")
    secret = await world.topic(anna, await world.group("segreto", anna, mode="private"))
    messages = []
    for parent in (secret, 12345):
        with pytest.raises(NotFound) as caught:
            await world.reply(berta, parent)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]


async def test_a_closed_thread_takes_answers_of_moderators_only(
    world: World, anna: int, group: int
) -> None:
    berta = await world.member("berta")
    bob = await world.remote("bob")
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group)
    reply = await world.reply(berta, topic)
    await world.do(threads.set_locked, anna, topic, locked=True)
    for parent in (topic, reply):
        for person in (berta, bob):
            with pytest.raises(NotAllowed, match="closed"):
                await world.reply(person, parent)
        await world.reply(anna, parent)
    await world.do(threads.set_locked, anna, topic, locked=False)
    await world.reply(berta, topic)
    events = await world.events()
    assert "topic_locked" in events and "topic_unlocked" in events


async def test_pinned_topics_stand_apart(world: World, anna: int, group: int) -> None:
    plain, pinned = [await world.topic(anna, group) for _ in range(2)]
    await world.do(threads.set_pinned, anna, pinned, pinned=True)
    viewer = await world.viewer(anna)

    async def shown() -> tuple[list[int], list[int]]:
        above = await timelines.pinned_topics(world.db, viewer, group)
        below = await timelines.group_topics(world.db, viewer, group)
        return [post.thing.id for post in above], [post.thing.id for post in below]

    assert await shown() == ([pinned], [plain])
    await world.do(threads.set_pinned, anna, pinned, pinned=False)
    assert await shown() == ([], [pinned, plain])
    reply = await world.reply(anna, plain)
    with pytest.raises(NotFound):
        await world.do(threads.set_pinned, anna, reply, pinned=True)


async def test_an_edit_keeps_what_stood_before(world: World, anna: int, group: int) -> None:
    berta = await world.member("berta")
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group, "Uno #alfa @berta", "Primo")
    for number, (text, title) in enumerate((("Due #beta", "Secondo"), ("Tre", "Terzo")), 1):
        content = await world.compose(anna, text, is_topic=True, title=title)
        await world.do(threads.edit, anna, topic, content)
        assert len(await threads.revisions(world.db, topic)) == number
    edited = await world.thing(topic)
    assert (edited.title, edited.source) == ("Terzo", "Tre")
    assert edited.edited_at is not None
    history = await threads.revisions(world.db, topic)
    assert [(old.number, old.title) for old in history] == [(1, "Primo"), (2, "Secondo")]
    assert "Uno" in history[0].html and "Due" in history[1].html
    assert await world.rows("SELECT tag FROM hashtags") == []
    assert await world.rows("SELECT actor_id FROM mentions") == []
    viewer = await world.viewer(anna)
    assert await search.find(world.db, viewer, "uno") == []
    assert await search.find(world.db, viewer, "tre") == [topic]
    assert (await world.events())[-2:] == ["object_edited", "object_edited"]


async def test_only_its_author_edits(world: World, anna: int, group: int) -> None:
    berta = await world.member("berta")
    await world.do(groups.add_member, group, anna, berta)
    topic = await world.topic(berta, group, "hers")
    for somebody in (anna, await world.remote("bob")):
        with pytest.raises(NotAllowed):
            await world.do(threads.edit, somebody, topic, words("mine", title="mine"))
    assert (await world.thing(topic)).source == "hers"
    with pytest.raises(Invalid):
        await world.do(threads.edit, berta, topic, words("no title"))
    await world.do(threads.delete, berta, topic)
    with pytest.raises(NotFound):
        await world.do(threads.edit, berta, topic, words("back", title="back"))


async def test_deleting_is_for_the_author_and_removing_for_moderators(
    world: World, anna: int, group: int
) -> None:
    berta = await world.member("berta")
    carla = await world.member("carla")
    for person in (berta, carla):
        await world.do(groups.join, group, person)
    hers, removed = [await world.topic(berta, group) for _ in range(2)]
    with pytest.raises(NotAllowed):
        await world.do(threads.delete, carla, hers)
    await world.do(threads.delete, berta, hers)
    with pytest.raises(NotAllowed):
        await world.do(threads.delete, anna, removed)
    with pytest.raises(NotAllowed):
        await world.do(moderation.take_down, carla, removed, "remove", moderation.Grounds("No."))
    await world.do(moderation.take_down, anna, removed, "remove", moderation.Grounds("Spam."))
    assert (await world.events())[-2:] == ["object_deleted", "object_removed"]
    row = await world.db.one("SELECT removed_by FROM objects WHERE id = ?", removed)
    assert row is not None and row["removed_by"] == anna
    with pytest.raises(NotFound):
        await world.do(threads.delete, berta, hers)
    post = await world.post(await world.remote("bob"))
    with pytest.raises(NotAllowed):
        await world.do(threads.delete, anna, post)


async def columns_of_text(db: Database) -> list[tuple[str, str]]:
    """(table, column) of everything that may hold words, index tables included."""
    if db.dialect == "postgresql":
        rows = await db.all(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type IN ('text', 'tsvector', 'bytea')"
        )
        return [(row["table_name"], row["column_name"]) for row in rows]
    found = []
    for table in await db.all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        for column in await db.all(f"SELECT name FROM pragma_table_info('{table['name']}')"):
            found.append((table["name"], column["name"]))
    return found


async def places_of(db: Database, marker: str) -> set[str]:
    """Where in the database `marker` stands, in any case."""
    found = set()
    for table, column in await columns_of_text(db):
        # The index's own blocks are overwritten by erasure, not by each delete (security.md §13).
        if table.startswith("search_index_") and table != "search_index_content":
            continue
        for row in await db.all(f'SELECT CAST("{column}" AS TEXT) AS value FROM "{table}"'):
            if marker.casefold() in str(row["value"]).casefold():
                found.add(f"{table}.{column}")
    return found


async def test_inv_50_deleting_leaves_no_word_in_any_table(
    world: World, anna: int, group: int
) -> None:
    berta = await world.member("berta")
    await world.do(groups.join, group, berta)
    picture, file = await world.picture(anna, alt=f"{MARKER} on a photo")
    topic = await world.do(
        threads.create_topic,
        anna,
        group,
        words(
            f"{MARKER} #{MARKER}",
            title=f"About {MARKER}",
            summary=f"warning: {MARKER}",
            sensitive=True,
            mentions=(berta,),
            hashtags=(MARKER,),
            attachments=(attachment(picture, f"{MARKER} on a photo"),),
        ),
    )
    await world.do(threads.edit, anna, topic, words(f"still {MARKER}", title=f"{MARKER} again"))
    await world.reply(berta, topic, "no such word here")
    await world.do(reactions.add, berta, topic, "like")
    before = await places_of(world.db, MARKER)
    assert {"objects.title", "objects.source", "objects.html", "revisions.summary"} <= before
    picture_2, file_2 = await world.picture(anna, alt=f"{MARKER} second")
    await world.do(
        threads.edit,
        anna,
        topic,
        words(
            MARKER, title=MARKER, hashtags=(MARKER,), attachments=(attachment(picture_2, MARKER),)
        ),
    )
    await world.do(threads.delete, anna, topic)
    # The first picture was dropped by an edit: it is the janitor's after a day, its words too.
    await world.run("UPDATE media SET created_at = 0")
    async with world.db.transaction() as tx:
        orphans = await media.unreferenced(tx)
    assert {media_id for media_id, _ in orphans} == {picture, picture_2}
    row = await world.db.one("SELECT state, alt FROM media WHERE id = ?", picture_2)
    assert row is not None and (row["state"], row["alt"]) == ("erased", "")
    await media.remove_orphans(world.db, world.site.media_folder, [i for i, _ in orphans])
    assert await places_of(world.db, MARKER) == set()
    for name in (file, file_2):
        with pytest.raises(NotFound):
            await media.mime_of_file(world.db, await world.viewer(anna), name)
    tombstone = await world.thing(topic)
    assert tombstone.deleted_at is not None and tombstone.reply_count == 1


async def test_inv_50_a_moderators_removal_leaves_no_word_either(
    world: World, anna: int, group: int
) -> None:
    bob = await world.remote("bob")
    content = words(MARKER, title=MARKER, summary=MARKER, hashtags=(MARKER,))
    provenance = await world.provenance(
        bob, details='{"name": "' + MARKER + '"}', url=f"https://f.test/{MARKER}"
    )
    topic = await world.do(threads.create_topic, bob, group, content, provenance=provenance)
    await world.do(moderation.take_down, anna, topic, "remove", moderation.Grounds("Spam."))
    assert (await world.thing(topic)).title == MARKER, "kept for an appeal"
    over = now_ms() + (removal.APPEAL_DAYS + 1) * removal.DAY_MS
    await removal.purge(world.db, now=over)
    assert await places_of(world.db, MARKER) == set()
    assert (await world.thing(topic)).uri == provenance.uri


async def test_a_picture_in_two_posts_stays_while_one_of_them_does(
    world: World, anna: int, group: int
) -> None:
    picture, file = await world.picture(anna, alt="a tree")
    content = words("x", title="t", attachments=(attachment(picture, "a tree"),))
    first = await world.do(threads.create_topic, anna, group, content)
    second = await world.do(threads.create_topic, anna, group, content)
    viewer = await world.viewer(anna)
    await world.do(threads.delete, anna, first)
    assert await media.mime_of_file(world.db, viewer, file) == ("image/png", True)
    await world.do(threads.delete, anna, second)
    with pytest.raises(NotFound):
        await media.mime_of_file(world.db, viewer, file)


async def test_a_remote_object_is_dated_by_its_server_but_never_in_the_future(
    world: World, group: int
) -> None:
    bob = await world.remote("bob")
    for claimed, expected in ((1_700_000_000_000, 1_700_000_000_000), (now_ms() * 2, None)):
        provenance = await world.provenance(bob, published_at=claimed)
        topic = await world.do(
            threads.create_topic, bob, group, words("x", title="t"), provenance=provenance
        )
        stored = await world.thing(topic)
        assert stored.published_at == (expected or stored.created_at)
        found = await threads.thing_by_uri(world.db, provenance.uri)
        assert found == stored


async def test_a_reply_is_never_dated_before_what_it_answers(
    world: World, anna: int, group: int
) -> None:
    topic = await world.topic(anna, group)
    ahead = now_ms() + 3_000
    await world.run("UPDATE objects SET published_at = ? WHERE id = ?", ahead, topic)
    reply = await world.reply(anna, topic)
    assert (await world.thing(reply)).published_at <= ahead
    await world.run("UPDATE objects SET published_at = ? WHERE id = ?", now_ms() - 5, topic)
    later = await world.reply(anna, topic)
    assert (await world.thing(later)).published_at >= (await world.thing(topic)).published_at


async def test_a_suspended_member_writes_nothing(world: World, anna: int, group: int) -> None:
    topic = await world.topic(anna, group)
    await world.do(members.suspend_member, anna, suspended=True)
    for attempt in (world.topic(anna, group), world.reply(anna, topic)):
        with pytest.raises(NotAllowed):
            await attempt


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"text": "  \r\n "}, "text"),
        ({"text": "x" * 50_001}, "text"),
        ({"text": "x", "title": "x" * 201}, "title"),
        ({"text": "x", "summary": "x" * 501}, "summary"),
        ({"text": "x", "media": tuple(range(17))}, "media"),
        ({"text": "x", "media": (12345,)}, "media"),
        ({"text": "---", "title": "\u202e"}, "title"),
    ],
)
async def test_a_draft_has_limits_and_the_field_is_named(
    world: World, anna: int, draft: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await world.compose(anna, is_topic=True, **draft)  # type: ignore[arg-type]
    assert caught.value.field == field


async def test_limits_are_inclusive(world: World, anna: int) -> None:
    topic = await world.compose(
        anna, "x" * 50_000, is_topic=True, title="t" * 200, summary="s" * 500
    )
    assert (len(topic.source), len(topic.title), len(topic.summary)) == (50_000, 200, 500)
    await world.compose(anna, "x" * 10_000)
    with pytest.raises(Invalid):
        await world.compose(anna, "x" * 10_001)


async def test_a_topic_without_a_title_gets_its_first_words(world: World, anna: int) -> None:
    content = await world.compose(
        anna, "**Domani** si va al parco.\n\nPoi si mangia.", is_topic=True
    )
    assert content.title.startswith("Domani si va al parco")


async def test_another_persons_picture_cannot_be_attached(world: World, anna: int) -> None:
    berta = await world.member("berta")
    picture, _ = await world.picture(berta)
    avatar, _ = await world.picture(anna, purpose="avatar")
    unfinished, _ = await world.picture(anna, state="registered")
    for media_id in (picture, avatar, unfinished):
        with pytest.raises(Invalid) as caught:
            await world.compose(anna, "look", media=(media_id,))
        assert caught.value.field == "media"
    mine, _ = await world.picture(anna, alt="a tree")
    content = await world.compose(anna, "look", media=(mine,))
    assert [(part.media_id, part.alt) for part in content.attachments] == [(mine, "a tree")]


@given(text=st.text(min_size=1, max_size=60), title=st.text(max_size=20), tag=st.text(max_size=8))
def test_any_text_is_stored_or_refused_and_never_breaks_a_page(
    site_loop: asyncio.AbstractEventLoop, open_world: World, text: str, title: str, tag: str
) -> None:
    async def write() -> None:
        world = open_world
        author = await world.db.value("SELECT actor_id FROM members")
        group = await world.db.value("SELECT actor_id FROM groups")
        try:
            content: Content = await world.compose(
                author, f"{text} #{tag}", is_topic=True, title=title, summary=title
            )
        except HubError:
            return
        topic = await world.do(threads.create_topic, author, group, content)
        await world.do(threads.edit, author, topic, content)
        viewer = await world.viewer(author)
        shown = await timelines.post(world.db, viewer, topic)
        assert shown is not None and shown.thing.title
        for found in content.hashtags:
            listed = await timelines.tagged(world.db, viewer, found)
            assert topic in {post.thing.id for post in listed}
        await world.do(threads.delete, author, topic)

    site_loop.run_until_complete(write())
