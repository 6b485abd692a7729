"""What each peer sends, in its own forms, and what the hub makes of it (federation.md §4, §5, §6)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fedcomm.hub import follows, threads
from tests.federation.acts import unaddressed as activity
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = dict[str, Any]


async def known(town: LocalHub, uri: str) -> threads.Thing:
    thing = await threads.thing_by_uri(town.db, uri)
    assert thing is not None, uri
    return thing


async def page_of(town: LocalHub, uri: str) -> str:
    thing = await known(town, uri)
    status, page = await town.get(f"/o/{thing.id}", await town.cookie())
    assert status == 200
    return page


async def anna_follows(town: LocalHub, who: str) -> None:
    followed = await town.site.federation.find_actor(who)  # type: ignore[union-attr]
    assert followed is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, followed.id)
        await follows.accept(tx, town.anna, followed.id)


# Mastodon


async def test_a_mention_from_mastodon_becomes_a_topic_with_its_first_words_as_title(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    ida = servers.somebody("ida", servers.new_host("mastodon"), software="mastodon")
    group = town.group_uri(town.group)
    note = servers.note(
        ida,
        content=f'<p><span class="h-card"><a href="{group}" class="u-url mention">@<span>gardening'
        "</span></a></span> My tomatoes have brown spots at the base. What is it?</p>",
        contentMap={"en": "<p>…</p>"},
        summary=None,
        inReplyTo=None,
        sensitive=False,
        atomUri=f"{ida}/notes/1",
        conversation="tag:mastodon.test,2026-11-21:objectId=1:objectType=Conversation",
        cc=[f"{ida}/followers", group],
        tag=[{"type": "Mention", "href": group, "name": "@gardening@localhost"}],
        replies={
            "id": f"{ida}/notes/1/replies",
            "type": "Collection",
            "first": {"type": "CollectionPage"},
        },
    )
    create = activity(
        ida, "Create", note, to=note["to"], cc=note["cc"], signature={"type": "RsaSignature2017"}
    )
    assert await town.deliver(create) == "done: stored"
    topic = await known(town, note["id"])
    assert topic.kind == "topic" and topic.group_id == town.group
    assert "brown spots" in topic.title and "<" not in topic.title and len(topic.title) <= 100
    assert topic.title in (await town.get("/g/gardening"))[1]


async def test_a_reply_from_mastodon_stands_in_the_thread_without_naming_the_group(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    ida = servers.somebody("ida", servers.new_host("mastodon"), software="mastodon")
    note = servers.note(ida, content="<p>Add compost.</p>", inReplyTo=town.object_uri(town.topic))
    assert await town.deliver(activity(ida, "Create", note)) == "done: stored"
    reply = await known(town, note["id"])
    assert (reply.kind, reply.parent_id, reply.group_id) == ("reply", town.topic, town.group)
    edited = {**note, "content": "<p>Add a lot of compost.</p>", "updated": "2026-11-21T12:00:00Z"}
    assert await town.deliver(activity(ida, "Update", edited)) == "done: edited"
    assert "a lot of" in (await known(town, note["id"])).html
    gone = {"type": "Tombstone", "id": note["id"], "atomUri": note["id"]}
    assert await town.deliver(activity(ida, "Delete", gone, to=[PUBLIC])) == "done: deleted"
    assert (await known(town, note["id"])).html == ""


async def test_mastodons_way_of_boosting_and_taking_back(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    ida = servers.somebody("ida")
    topic = await town.write_topic(town.group, "Boost me")
    boost = activity(
        ida, "Announce", town.object_uri(topic), to=[PUBLIC], cc=[town.person(town.anna)]
    )
    assert await town.deliver(boost) == "done: share"
    undo = activity(
        ida,
        "Undo",
        {"id": boost["id"], "type": "Announce", "actor": ida, "object": town.object_uri(topic)},
    )
    assert await town.deliver(undo) == "done: share withdrawn"
    thing = await threads.thing(town.db, topic)
    assert thing is not None and thing.share_count == 0


# Lemmy, PieFed, NodeBB


async def test_lemmy_follows_posts_votes_and_deletes(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host("lemmy")
    max_ = servers.somebody("max", host, software="lemmy")
    group, topic = town.group_uri(town.group), town.object_uri(town.topic)
    follow = activity(max_, "Follow", group, to=[group])
    assert await town.deliver(follow) == "done: membership active"
    await servers.until(lambda: "Accept" in servers.host(host).kinds())
    accept = next(a.body for a in servers.host(host).arrived if a.body["type"] == "Accept")
    assert accept["object"]["id"] == follow["id"] and accept["object"]["type"] == "Follow"
    page: JSON = {
        "type": "Page",
        "id": f"{max_}/post/1",
        "attributedTo": max_,
        "to": [group, PUBLIC],
        "cc": [],
        "audience": group,
        "name": "Slugs & snails",
        "content": "<p>All <strong>over</strong>.</p>\n",
        "mediaType": "text/html",
        "source": {"content": "All **over**.", "mediaType": "text/markdown"},
        "attachment": [
            {"href": "https://example.org/slugs", "mediaType": "text/html", "type": "Link"}
        ],
        "sensitive": False,
        "published": "2026-11-21T09:00:00.123456Z",
        "language": {"identifier": "en", "name": "English"},
        "tag": [{"type": "Hashtag", "name": "#gardening", "href": f"{group}/tag"}],
    }
    create = activity(max_, "Create", page, to=[group, PUBLIC], cc=[], audience=group)
    assert await town.deliver(create) == "done: stored"
    stored = await known(town, page["id"])
    assert (stored.kind, stored.title, stored.language) == ("topic", "Slugs & snails", "en")
    assert "<strong>" in stored.html and "slugs" in await page_of(town, page["id"])
    like, dislike = activity(max_, "Like", topic), activity(max_, "Dislike", topic, audience=group)
    assert await town.deliver(like) == "done: like"
    assert await town.deliver(dislike) == "done: dislike"
    thing = await threads.thing(town.db, town.topic)
    assert thing is not None and (thing.like_count, thing.dislike_count) == (0, 1)
    assert await town.deliver(activity(max_, "Undo", dislike)) == "done: dislike withdrawn"
    assert (
        await town.deliver(activity(max_, "Delete", page["id"], to=[PUBLIC], cc=[group]))
        == "done: deleted"
    )
    assert await town.deliver(activity(max_, "Undo", follow, to=[group])) == "done: left the group"


@pytest.mark.parametrize("kind", ["Page", "Article", "Note"])
async def test_titled_posts_keep_their_title(
    town: LocalHub, servers: ScriptedStubs, kind: str
) -> None:
    """Lemmy and PieFed send Page, NodeBB Article, Discourse a Note with a name."""
    author = servers.somebody("author")
    group = town.group_uri(town.group)
    post = servers.note(
        author, type=kind, name=f"A {kind} about bees", to=[PUBLIC], cc=[group], audience=group,
        summary="<p>An excerpt.</p>" if kind != "Note" else None,
    )  # fmt: skip
    assert (
        await town.deliver(activity(author, "Create", post, to=[PUBLIC, group])) == "done: stored"
    )
    topic = await known(town, post["id"])
    assert (topic.title, topic.summary, topic.sensitive) == (f"A {kind} about bees", "", False)


async def test_a_group_elsewhere_announces_in_all_forms(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    group = servers.somebody("bees", kind="Group")
    await anna_follows(town, group)
    author = servers.somebody("author")
    notes = [servers.note(author, number=n, type="Article", name=f"Bees {n}", content=f"<p>Buzz {n}</p>")
             for n in range(5)]  # fmt: skip
    addressed = {"to": [f"{group}/followers"], "cc": [author, PUBLIC]}
    creates = [activity(author, "Create", note) for note in notes]
    for number, form in enumerate(
        (notes[0]["id"], notes[1], creates[2])
    ):  # id, object, whole activity
        assert (
            await town.deliver(activity(group, "Announce", form, **addressed)) == "done: shared"
        ), number
    # PieFed sends several at once.
    lost = activity(author, "Create", f"{author}/notes/lost")
    batch = activity(group, "Announce", [creates[3], lost, creates[4]], **addressed)
    assert await town.deliver(batch) == "done: 2 activities: shared"
    for note in notes:
        assert (await known(town, note["id"])).title == note["name"]
    home = (await town.get("/", await town.cookie()))[1]
    assert "Buzz" in home or "Bees" in home
    changed = {**notes[0], "content": "<p>Buzz again</p>", "updated": "2026-11-21T12:00:00Z"}
    servers.publish(changed)
    await town.deliver(
        activity(group, "Announce", activity(author, "Update", changed), **addressed)
    )
    assert "again" in (await known(town, notes[0]["id"])).html


# GoToSocial, snac, WordPress, Pixelfed


async def test_a_warning_from_gotosocial_is_a_warning(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    group = town.group_uri(town.group)
    note = servers.note(
        author, summary="spiders", sensitive=True, content="<p>Look at this spider.</p>", to=PUBLIC, cc=group,
        tag={"type": "Mention", "href": group, "name": "@gardening@localhost"}, attachment=[],
        interactionPolicy={"canReply": {"automaticApproval": PUBLIC}},
    )  # fmt: skip
    assert (
        await town.deliver(activity(author, "Create", note, to=PUBLIC, cc=group)) == "done: stored"
    )
    topic = await known(town, note["id"])
    assert (topic.summary, topic.sensitive) == ("spiders", True)


async def test_wordpress_updates_a_profile_without_an_id(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host("wp")
    blog = servers.somebody("blog", host)
    assert await town.deliver(activity(blog, "Follow", town.group_uri(town.group)))
    servers.host(host).actors["blog"]["name"] = "The renamed blog"
    update = {
        "@context": AS,
        "type": "Update",
        "actor": blog,
        "object": servers.host(host).actors["blog"],
    }
    assert await town.deliver(update) == "done: profile refreshed"
    row = await town.db.one("SELECT display_name FROM actors WHERE uri = ?", blog)
    assert row is not None and row["display_name"] == "The renamed blog"


async def test_a_picture_from_pixelfed_keeps_its_words(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    group = town.group_uri(town.group)
    note = servers.note(
        author, content=None, to=[PUBLIC], cc=[group], tag=[{"type": "Mention", "href": group, "name": "@g"}],
        attachment=[{"type": "Document", "mediaType": "image/jpeg", "url": f"{author}/1.jpg",
                     "name": "A red door", "blurhash": None, "width": 800.0, "height": "600"}],
    )  # fmt: skip
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    topic = await known(town, note["id"])
    assert topic.title
    row = await town.db.one("SELECT uri, alt, mime FROM attachments WHERE object_id = ?", topic.id)
    assert row is not None
    assert (row["uri"], row["alt"], row["mime"]) == (f"{author}/1.jpg", "A red door", "image/jpeg")
    assert "A red door" in await page_of(town, note["id"])


# What is neither post nor reply


async def test_a_poll_and_an_event_are_shown_as_what_they_are_with_a_link(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    to = {
        "to": [PUBLIC],
        "cc": [town.group_uri(town.group)],
        "audience": town.group_uri(town.group),
    }
    option = {"type": "Note", "replies": {"type": "Collection", "totalItems": 4}}
    poll = servers.note(
        author, number="q", type="Question", content="<p>Which one?</p>", url=f"{author}/q", votersCount=4,
        oneOf=[{**option, "name": "Basil"}, {**option, "name": "Mint"}], endTime="2099-12-01T10:00:00Z", **to,
    )  # fmt: skip
    event = servers.note(
        author, number="e", type="Event", name="Seed swap", startTime="2026-12-05T18:00:00+01:00",
        endTime="2026-12-05T20:00:00+01:00", location={"type": "Place", "name": "Old mill"},
        url=[{"type": "Link", "href": f"{author}/e", "mediaType": "text/html"}], **to,
    )  # fmt: skip
    for thing, words in (
        (poll, ("Basil", "Mint")),
        (event, ("Seed swap", "Old mill", "2026-12-05")),
    ):
        assert await town.deliver(activity(author, "Create", thing)) == "done: stored"
        topic = await known(town, thing["id"])
        assert topic.type == thing["type"]
        page = await page_of(town, thing["id"])
        assert all(word in page for word in words)
        assert f"{author}/{thing['id'][-1]}" in page
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    edited = {**poll, "content": "<p>Which one now?</p>", "updated": later}
    assert await town.deliver(activity(author, "Update", edited)) == "done: edited"
    # Without a newer time it only tells how the poll stands.
    counted = {**poll, "votersCount": 5}
    assert await town.deliver(activity(author, "Update", counted)) == "done: poll counted"
    vote = {"type": "Note", "id": f"{author}/vote", "name": "Basil", "inReplyTo": poll["id"],
            "attributedTo": author, "to": [author]}  # fmt: skip
    assert (
        await town.deliver(activity(author, "Create", vote))
        == "done: ignored: vote in a poll that is not ours"
    )


@pytest.mark.parametrize("form", ["string", "array", "objects"])
async def test_reports_come_as_strings_and_as_arrays(
    town: LocalHub, servers: ScriptedStubs, form: str
) -> None:
    """Mastodon lists person and posts, Lemmy and GoToSocial name one id, others embed."""
    reporter = servers.somebody("reporter")
    person, topic = town.person(town.anna), town.object_uri(town.topic)
    subject: Any = {
        "string": topic,
        "array": [person, topic],
        "objects": [{"type": "Note", "id": topic}],
    }[form]
    report = activity(reporter, "Flag", subject, content="This is <b>spam</b>", summary="spam")
    assert await town.deliver(report) == "done: report filed"
    row = await town.db.one("SELECT id, reason FROM reports WHERE uri = ?", report["id"])
    assert row is not None and "spam" in row["reason"]
    subjects = await town.db.all(
        "SELECT actor_id, object_id FROM report_subjects WHERE report_id = ?", row["id"]
    )
    assert town.topic in [subject["object_id"] for subject in subjects]
    assert (town.anna in [subject["actor_id"] for subject in subjects]) == (form == "array")


async def test_single_values_arrays_and_objects_mean_the_same(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    group = town.group_uri(town.group)
    forms: tuple[JSON, ...] = (
        {"type": ["Note", "http://example.org/Thing"]},
        {"attributedTo": [author]},
        {"attributedTo": {"type": "Person", "id": author}},
        {
            "attributedTo": [
                {"type": "Person", "id": author},
                {"type": "Group", "id": f"{author}/channel"},
            ]
        },
        {"to": PUBLIC, "cc": group},
        {"to": ["as:Public"], "cc": [{"type": "Group", "id": group}]},
        {"to": "Public"},
        {"tag": {"type": "Mention", "href": group, "name": "@gardening"}},
        {"inReplyTo": [], "summary": "", "name": None},
        {"content": None, "contentMap": {"it": "<p>Ciao</p>"}},
        {"url": [{"type": "Link", "href": f"{author}/page"}]},
        {"attachment": {"type": "Image", "url": f"{author}/1.png"}},
    )
    for number, odd in enumerate(forms):
        note = (
            servers.note(author, number=number)
            | {"to": [PUBLIC], "cc": [group], "audience": group}
            | odd
        )
        assert await town.deliver(activity(author, "Create", note)) == "done: stored", odd
        assert (await known(town, note["id"])).kind == "topic", odd
    like = activity(author, "Like", {"id": town.object_uri(town.topic), "type": "Page"})
    assert (
        await town.deliver({**like, "actor": {"id": author, "type": "Person"}}, signer=author)
        == "done: like"
    )
    wrapped = {**like, "actor": {"id": author}, "object": [town.object_uri(town.topic)]}
    assert await town.deliver(activity(author, "Undo", [wrapped])) == "done: like withdrawn"


async def test_nodebb_names_the_public_in_cc_only_and_its_words_stay_in_the_thread_for_all(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """An edit addressed like the topic itself does not hide it, and an answer is repeated by the group."""
    author = servers.somebody("author", software="nodebb")
    reader = servers.somebody("reader", software="lemmy")
    await town.deliver(activity(reader, "Follow", town.group_uri(town.group)))
    quiet = {"to": [f"{author}/followers", town.group_uri(town.group)], "cc": [PUBLIC]}
    article = servers.note(author, number="t", type="Article", name="Quiet topic", **quiet)
    assert await town.deliver(activity(author, "Create", article)) == "done: stored"
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    edited = {**article, "name": "Quiet topic, edited", "updated": later}
    assert await town.deliver(activity(author, "Update", edited)) == "done: edited"
    topic = await known(town, article["id"])
    assert (topic.title, topic.visibility) == ("Quiet topic, edited", "public")

    answer = servers.note(author, number="r", inReplyTo=article["id"], **quiet)
    assert await town.deliver(activity(author, "Create", answer)) == "done: stored"
    host = servers.hosts[reader.split("/")[2].partition(":")[0]]
    await servers.until(lambda: host.kinds().count("Announce/Create") == 2, why=str(host.kinds()))


async def test_a_kind_that_nobody_here_knows_is_shown_by_its_words_with_a_link_and_its_server(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host("books")
    author, group = servers.somebody("author", host), town.group_uri(town.group)
    to = {"to": [PUBLIC], "cc": [group], "audience": group}
    review = servers.note(
        author, number="review", type="bookwyrm:Review", name="A book about <b>beans</b>", rating=4,
        content="<p>Four stars.</p><script>x</script>", url=f"{author}/review", **to,
    )  # fmt: skip
    assert await town.deliver(activity(author, "Create", review)) == "done: stored"
    assert (await known(town, review["id"])).title == "A book about <b>beans</b>"
    page = await page_of(town, review["id"])
    assert "Four stars." in page and "<script>x" not in page
    assert "A book about &lt;b&gt;beans" in page and "about <b>beans" not in page
    assert "Of a kind that this site does not know" in page
    assert f'href="{author}/review"' in page and f"@author@{host}" in page
    # As an answer it needs words; a name alone is how votes look.
    answer = servers.note(
        author, number="rating", type=["Rating"], name="5", content=None,
        inReplyTo=town.object_uri(town.topic),
    )  # fmt: skip
    assert "ignored" in await town.deliver(activity(author, "Create", answer))
    worded = {**answer, "id": f"{author}/notes/worded", "content": "<p>Five stars.</p>"}
    assert await town.deliver(activity(author, "Create", worded)) == "done: stored"
    # What nobody wrote for others to read stays ignored, whatever words stand in it.
    for number, kind in enumerate(("Person", "Follow", "OrderedCollection", "Key", "Emoji")):
        odd = servers.note(author, number=f"odd{number}", type=kind, name="Look", **to)
        assert "stored" not in await town.deliver(activity(author, "Create", odd)), kind


async def test_language_hashtags_focal_point_and_what_stood_before_are_kept(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, group = servers.somebody("author"), town.group_uri(town.group)
    sown = "<p>Semina <a href='https://x.test/tags/orto'>#orto</a></p>"
    note = servers.note(
        author, number="lang", type="Page", name=None, nameMap={"it": "Fagioli", "en": "Beans"},
        content=sown, contentMap={"en": "<p>Sow</p>", "it": sown},
        to=[PUBLIC], cc=[group], audience=group,
        tag=[{"type": "Hashtag", "name": "#Orto"}, {"type": "Mention", "href": group}],
        attachment=[{"type": "Image", "url": f"{author}/1.png", "mediaType": "image/png",
                     "focalPoint": [-0.5, 0.25]}],
    )  # fmt: skip
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    topic = await known(town, note["id"])
    assert (topic.title, topic.language) == ("Fagioli", "it")
    assert 'lang="it"' in await page_of(town, note["id"])
    tag = "SELECT tag FROM hashtags WHERE object_id = ?"
    assert await town.db.value(tag, topic.id) == "orto"
    focal = await town.db.one(
        "SELECT focal_x, focal_y FROM attachments WHERE object_id = ?", topic.id
    )
    assert focal is not None and (focal["focal_x"], focal["focal_y"]) == (-0.5, 0.25)
    # An edit keeps what stood before, for everybody to see.
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    edited = {**note, "content": "<p>Raccogli</p>", "contentMap": {"it": "<p>Raccogli</p>"}}
    update = activity(author, "Update", edited | {"updated": later})
    assert await town.deliver(update) == "done: edited"
    status, history = await town.get(f"/o/{topic.id}/history", await town.cookie())
    assert status == 200 and "Semina" in history and "Raccogli" in history
