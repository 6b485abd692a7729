"""Custom emoji and files of every kind over the wire, both ways."""

from __future__ import annotations

import asyncio
import io
import itertools
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from fedcomm.federation import pictures
from fedcomm.hub import emoji, media, members, reactions, space, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.recordings import RecordingLimits
from fedcomm.store.ids import now_ms
from tests.federation.inprocess import LocalHub
from tests.federation.stub import AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDINGS = Path(__file__).parents[1] / "hub" / "recordings"
_numbers = itertools.count(1)


def picture(colour: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (24, 24), colour).save(buffer, "PNG")
    return buffer.getvalue()


def tag(url: str, name: str = ":leaf:", **more: Any) -> dict[str, Any]:
    icon = {"type": "Image", "mediaType": "image/png", "url": url}
    return {"id": url, "type": "Emoji", "name": name, "icon": icon} | more


def serve(town: LocalHub, url: str, body: bytes, kind: str = "image/png") -> str:
    """Answer this address with a file."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind)

    return town.stubs.script(url, answer)


def reply(town: LocalHub, author: str, content: str, **more: Any) -> dict[str, Any]:
    """A `Create` of an answer to the town's topic."""
    number = next(_numbers)
    note = {
        "id": f"{author}/e/{number}",
        "type": "Note",
        "attributedTo": author,
        "inReplyTo": town.object_uri(town.topic),
        "to": [PUBLIC],
        "cc": [f"{author}/followers"],
        "content": content,
    } | more
    return {
        "@context": AS,
        "id": f"{author}/e/{number}/create",
        "type": "Create",
        "actor": author,
        "to": [PUBLIC],
        "object": note,
    }


async def until_fetched(town: LocalHub, host: str, code: str = "leaf") -> emoji.Emoji:
    """The emoji once its picture is here."""
    for _ in range(500):
        found = await emoji.by_shortcode(town.db, code, host)
        if found is not None and found.file is not None:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("not fetched")


async def settled(town: LocalHub) -> None:
    """Nothing is left to fetch."""
    for _ in range(500):
        due = await town.count("SELECT count(*) FROM emoji WHERE fetch_at <= ?", now_ms() + 1_000)
        leased = await town.count(
            "SELECT count(*) FROM emoji WHERE attempts = 0 AND fetch_at IS NOT NULL"
        )
        if not due and not leased:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("still fetching")


def host_of(actor: str) -> str:
    return actor.split("/")[2]


async def test_an_emoji_that_comes_with_a_reply_is_shown_in_it_from_here(town: LocalHub) -> None:
    author = town.stubs.somebody("ida")
    url = serve(town, f"http://{host_of(author)}/leaf.png", picture())
    profile = town.stubs.hosts[host_of(author).partition(":")[0]].actors["ida"]
    profile |= {"name": "Ida :leaf:", "tag": [tag(url)]}
    create = reply(town, author, "<p>I like :leaf: <code>:leaf:</code></p>", tag=[tag(url)])
    assert (await town.deliver(create)).startswith("done: stored")
    made = await until_fetched(town, host_of(author))
    _status, page = await town.get(f"/o/{town.topic}")
    image = f'<img src="/media/{made.file}" alt=":leaf:" title=":leaf:" class="emoji"'
    assert f"I like {image}" in page and "<code>:leaf:</code>" in page
    assert f"Ida {image}" in page
    assert url not in page and town.stubs.fetched(url) == 1
    session = town.stubs._session
    assert session is not None
    async with session.get(f"{town.origin}/media/{made.file}") as answer:
        assert (answer.status, answer.content_type) == (200, "image/webp")


@pytest.mark.parametrize("what", ["budget", "disk"])
async def test_inv_45_pictures_of_others_stop_before_the_disk_is_full_and_come_when_there_is_room(
    town: LocalHub, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    spoke = town.site.federation
    assert spoke is not None and spoke._pictures.space is not None
    monkeypatch.setattr(pictures, "COUNT_S", 0.0)
    monkeypatch.setattr(space, "LOOK_S", 0.0)
    with monkeypatch.context() as short:
        if what == "disk":
            short.setattr(space, "free_bytes", lambda _: 1_000)
        else:
            taken = await emoji.bytes_of_others(town.db)
            short.setattr(spoke._pictures, "budget", taken or 1)
            if not taken:
                short.setattr(emoji, "bytes_of_others", lambda _: asyncio.sleep(0, 1))
        author = town.stubs.somebody("ida")
        url = serve(town, f"http://{host_of(author)}/leaf.png", picture())
        create = reply(town, author, "<p>I like :leaf:</p>", tag=[tag(url)])
        assert (await town.deliver(create)).startswith("done: stored")
        for _ in range(3):
            assert await spoke._pictures.fetch_due() == 0
        _status, page = await town.get(f"/o/{town.topic}")
        assert "I like :leaf:" in page
        assert town.stubs.fetched(url) == 0
    spoke._pictures.wake()
    made = await until_fetched(town, host_of(author))
    _status, page = await town.get(f"/o/{town.topic}")
    assert f'I like <img src="/media/{made.file}"' in page


async def test_an_emoji_belongs_to_the_origin_of_its_object(town: LocalHub) -> None:
    """Whatever id it claims, it is nothing in the words of another server."""
    first, second = town.stubs.somebody("ugo"), town.stubs.somebody("eva")
    for author, colour in ((first, "red"), (second, "blue")):
        url = serve(town, f"http://{host_of(author)}/one.png", picture(colour))
        claimed = tag(url, ":one:", id=f"http://{host_of(first)}/emoji/one")
        create = reply(town, author, f"<p>{author} :one:</p>", tag=[claimed])
        assert (await town.deliver(create)).startswith("done: stored")
    red = await until_fetched(town, host_of(first), "one")
    blue = await until_fetched(town, host_of(second), "one")
    assert red.file != blue.file
    third = town.stubs.somebody("pia")
    assert (await town.deliver(reply(town, third, "<p>mine :one:</p>"))).startswith("done")
    _status, page = await town.get(f"/o/{town.topic}")
    assert page.count(f"/media/{red.file}") == page.count(f"/media/{blue.file}") == 1
    assert "mine :one:" in page


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"),
        (picture() + b"x" * 300_000, "image/png"),
        (picture()[:30], "image/png"),
        (picture(), "text/html"),
    ],
    ids=["svg", "svg-as-png", "large", "broken", "html"],
)
async def test_inv_33_what_is_no_small_picture_stays_a_shortcode(
    town: LocalHub, body: bytes, kind: str
) -> None:
    author = town.stubs.somebody("max")
    url = serve(town, f"http://{host_of(author)}/bad.png", body, kind)
    create = reply(town, author, f"<p>{author} :bad:</p>", tag=[tag(url, ":bad:")])
    assert (await town.deliver(create)).startswith("done: stored")
    for _ in range(500):
        known = await emoji.by_shortcode(town.db, "bad", host_of(author))
        if known is not None and await town.count(
            "SELECT attempts FROM emoji WHERE id = ?", known.id
        ):
            break
        await asyncio.sleep(0.01)
    assert known is not None and known.file is None
    assert await town.db.value("SELECT fetch_at FROM emoji WHERE id = ?", known.id) is None
    _status, page = await town.get(f"/o/{town.topic}")
    assert f"{author} :bad:" in page


async def test_nothing_is_fetched_of_whose_media_are_rejected(town: LocalHub) -> None:
    author = town.stubs.somebody("leo")
    host = host_of(author)
    assert (await town.deliver(reply(town, author, "<p>first</p>"))).startswith("done")
    async with town.db.transaction() as tx:
        await tx.execute("UPDATE hosts SET reject_media = 1 WHERE name = ?", host)
    url = serve(town, f"http://{host}/no.png", picture())
    create = reply(town, author, "<p>:no:</p>", tag=[tag(url, ":no:")])
    assert (await town.deliver(create)).startswith("done: stored")
    assert await emoji.by_shortcode(town.db, "no", host) is None
    await settled(town)
    assert town.stubs.fetched(url) == 0


async def test_inv_12_tags_of_wrong_types_and_too_many_are_no_emoji(town: LocalHub) -> None:
    author = town.stubs.somebody("kim")
    host = host_of(author)
    strange: list[Any] = [
        *(tag(f"http://{host}/{n}.png", f":many{n}:") for n in range(70)),
        {"type": "Emoji", "name": 7, "icon": {"url": f"http://{host}/a.png"}},
        {"type": "Emoji", "name": ':a"><script>:', "icon": {"url": f"http://{host}/b.png"}},
        {"type": "Emoji", "name": ":noicon:"},
        {"type": "Emoji", "name": ":script:", "icon": {"url": "javascript:alert(1)"}},
        None,
        "x",
    ]
    assert (await town.deliver(reply(town, author, "<p>x</p>", tag=strange))).startswith("done")
    host_id = await town.count("SELECT id FROM hosts WHERE name = ?", host)
    assert await town.count("SELECT count(*) FROM emoji WHERE host_id = ?", host_id) == 64
    async with town.db.transaction() as tx:
        await tx.execute("DELETE FROM emoji WHERE host_id = ?", host_id)


async def test_a_reaction_shows_its_emoji_and_counts_as_a_like(town: LocalHub) -> None:
    topic = await town.write_topic(town.group, "React to this")
    people = [town.stubs.somebody(f"r{number}") for number in range(5)]
    url = serve(town, f"http://{host_of(people[2])}/blob.png", picture("orange"))
    forms: list[dict[str, Any]] = [
        {"type": "EmojiReact", "content": "🔥"},
        {"type": "Like", "content": "🔥", "_misskey_reaction": "🔥"},
        {"type": "EmojiReact", "content": ":blob:", "tag": [tag(url, ":blob:")]},
        {"type": "Like", "content": "<script>alert(1)</script>"},
        {"type": "Like"},
    ]
    for person, form in zip(people, forms, strict=True):
        activity = {
            "@context": AS,
            "id": f"{person}/react/{next(_numbers)}",
            "actor": person,
            "object": town.object_uri(topic),
            "to": [town.person(town.anna)],
        } | form
        assert (await town.deliver(activity)).startswith("done: like")
    blob = await until_fetched(town, host_of(people[2]), "blob")
    thing = await threads.thing(town.db, topic)
    assert thing is not None and thing.like_count == 5
    tallies = (await reactions.feelings(town.db, [topic]))[topic]
    assert {(one.text, one.count) for one in tallies} == {("🔥", 2), (":blob:", 1)}
    _status, page = await town.get(f"/o/{topic}")
    assert f'src="/media/{blob.file}" alt=":blob:"' in page
    assert "<bdi>🔥</bdi> <b>2</b>" in page and "alert(1)" not in page
    undo = {
        "@context": AS,
        "id": f"{people[0]}/undo/1",
        "type": "Undo",
        "actor": people[0],
        "object": {"type": "EmojiReact", "actor": people[0], "object": town.object_uri(topic)},
    }
    assert (await town.deliver(undo)).startswith("done: like withdrawn")
    tallies = (await reactions.feelings(town.db, [topic]))[topic]
    assert {(one.text, one.count) for one in tallies} == {("🔥", 1), (":blob:", 1)}


async def fetch(town: LocalHub, url: str) -> tuple[int, dict[str, Any]]:
    """A signed GET of somebody elsewhere."""
    return await town.stubs.get(url, signer=town.stubs.somebody("reader"))


async def test_our_emoji_go_out_with_what_uses_them(town: LocalHub) -> None:
    made = await emoji.add(town.db, "rose", picture("pink"), folder=town.site.media_folder)
    topic = await town.write_topic(town.group, "A :rose:", "Red :rose: and :unknown:, `:rose:`")
    status, document = await fetch(town, town.object_uri(topic))
    assert status == 200
    emoji_uri = f"{town.origin}/ap/e/{made.id}"
    (found,) = [one for one in document["tag"] if one["type"] == "Emoji"]
    assert found == {
        "id": emoji_uri,
        "type": "Emoji",
        "name": ":rose:",
        "updated": found["updated"],
        "icon": {
            "type": "Image",
            "mediaType": "image/webp",
            "url": f"{town.origin}/media/{made.file}",
        },
    }
    assert "<img" not in document["content"] and ":rose:" in document["content"]
    status, own = await fetch(town, emoji_uri)
    assert status == 200 and own["name"] == ":rose:" and "@context" in own
    async with town.db.transaction() as tx:
        await members.edit_profile(
            tx,
            town.ben,
            display_name="Ben :rose:",
            summary="",
            locale="en",
            local_origin=town.origin,
        )
    _status, actor = await fetch(town, town.person(town.ben))
    assert [one["id"] for one in actor["tag"]] == [emoji_uri]
    assert actor["name"] == "Ben :rose:"
    async with town.db.transaction() as tx:
        await emoji.set_disabled(tx, made.id, disabled=True, by=None)
    assert (await fetch(town, emoji_uri))[0] == 404
    _status, document = await fetch(town, town.object_uri(topic))
    assert all(one["type"] != "Emoji" for one in document["tag"])


async def test_files_of_ours_go_out_as_documents(town: LocalHub, tmp_path: Path) -> None:
    ids = []
    pdf = tmp_path / "minutes.pdf"
    pdf.write_bytes(b"%PDF-1.4\n%%EOF\n")
    files = (RECORDINGS / "video.mp4", RECORDINGS / "sound.mp3", pdf)
    for path, alt in zip(files, ("A test", "", ""), strict=True):
        with path.open("rb") as file:
            ids.append(
                await media.upload_file(
                    town.db,
                    town.anna,
                    file,
                    path.name,
                    folder=town.site.media_folder,
                    alt=alt,
                    images=ATTACHMENT,
                    recordings=RecordingLimits(),
                    daily_bytes=10_000_000,
                )
            )
    async with town.db.transaction() as tx:
        draft = Draft("Look and listen.", "Files", media=tuple(ids))
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        topic = await threads.create_topic(tx, town.anna, town.group, content)
    _status, document = await fetch(town, town.object_uri(topic))
    video, sound, minutes = document["attachment"]
    assert {one["type"] for one in document["attachment"]} == {"Document"}
    assert (video["mediaType"], video["width"], video["height"]) == ("video/mp4", 64, 48)
    assert (video["duration"], video["name"]) == ("PT1S", "A test")
    assert (sound["mediaType"], sound["duration"]) == ("audio/mpeg", "PT1.097S")
    assert "width" not in sound and sound["name"] == ""
    assert (minutes["mediaType"], minutes["name"]) == ("application/pdf", "minutes.pdf")


async def test_files_of_others_are_links_with_what_is_known_of_them(town: LocalHub) -> None:
    author = town.stubs.somebody("zoe")
    host = host_of(author)
    files = [
        {"type": "Document", "mediaType": "video/mp4", "url": f"http://{host}/v.mp4",
         "name": "A dance", "width": 640, "height": 360, "duration": "PT1M2.4S"},
        {"type": "Audio", "mediaType": "audio/ogg", "url": f"http://{host}/a.ogg"},
        {"type": "Video", "url": [{"type": "Link", "mediaType": "video/webm",
                                   "href": f"http://{host}/w.webm"}]},
        {"type": "Document", "mediaType": "application/pdf", "url": f"http://{host}/d.pdf"},
        {"type": "Document", "mediaType": "text/html", "url": "javascript:alert(1)"},
    ]  # fmt: skip
    create = reply(town, author, "<p>My files</p>", attachment=files)
    assert (await town.deliver(create)).startswith("done: stored")
    _status, page = await town.get(f"/o/{town.topic}")
    for url, words in (
        ("v.mp4", f"Video on {host} (1:02)</a> <span"),
        ("a.ogg", f"Sound on {host}</a>"),
        ("w.webm", f"Video on {host}</a>"),
        ("d.pdf", f"File on {host}</a>"),
    ):
        assert f'href="http://{host}/{url}"' in page and words in page, url
    assert "A dance" in page and "javascript:" not in page
    assert all(not town.stubs.fetched(f"http://{host}/{url}") for url in ("v.mp4", "a.ogg"))
