from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fedcomm.hub import audit, emoji, purged, reactions
from fedcomm.hub.emoji import NamedEmoji
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.images import EMOJI, process_image
from fedcomm.hub.reactions import Feeling, Tally
from fedcomm.hub.sanitizer import clean_remote, text_with_emoji, with_emoji
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.hub.world import World

CDN = "https://cdn.far.test"
DAY_MS = 86_400_000


def picture(colour: str = "teal", size: tuple[int, int] = (32, 32), kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", size, colour).save(buffer, kind)
    return buffer.getvalue()


async def add(world: World, shortcode: str = "leaf", **options: object) -> emoji.Emoji:
    data = options.pop("data", picture())
    return await emoji.add(
        world.db,
        shortcode,
        data,  # type: ignore[arg-type]
        folder=world.site.media_folder,
        **options,  # type: ignore[arg-type]
    )


def files(world: World) -> set[str]:
    return {path.name for path in world.site.media_folder.iterdir()}


async def fetched(world: World, known: emoji.Emoji, colour: str = "teal") -> list[str]:
    image = await process_image(picture(colour), world.site.media_folder, limits=EMOJI)
    return await emoji.keep_picture(world.db, known, image)


async def test_an_emoji_of_ours_is_our_own_encoding_under_a_name_of_ours(world: World) -> None:
    made = await add(world, ":leaf:", category="  Plants ", data=picture(kind="GIF"))
    assert (made.shortcode, made.category, made.host_id, made.mime) == (
        "leaf",
        "Plants",
        None,
        "image/webp",
    )
    assert files(world) == {made.file, made.still}
    assert made.file is not None
    assert (world.site.media_folder / made.file).read_bytes()[8:12] == b"WEBP"
    assert await emoji.mime_of_file(world.db, made.file) == "image/webp"
    assert await emoji.own(world.db) == [made]
    assert [line.event for line in await audit.lines(world.db)] == ["emoji_added"]


@pytest.mark.parametrize("code", ["", "a", "Leaf", "le af", "_leaf", "x" * 33, "<b>"])
async def test_a_bad_shortcode_is_refused_before_anything_is_stored(
    world: World, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await add(world, code)
    assert caught.value.field == "shortcode"
    assert files(world) == set()


async def test_a_shortcode_is_taken_once(world: World) -> None:
    await add(world)
    before = files(world)
    with pytest.raises(Invalid, match="already"):
        await add(world)
    assert files(world) == before


@pytest.mark.parametrize(
    "data",
    [b"<svg/>", b"GIF89a", picture()[:40], b"MZ" + picture(), picture() + b"x" * 256 * 1024],
    ids=["svg", "cut", "half", "executable", "large"],
)
async def test_inv_33_only_small_pictures_become_emoji(world: World, data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        await add(world, data=data)
    assert caught.value.field == "file"
    assert files(world) == set()
    assert await emoji.own(world.db) == []


async def test_a_disabled_emoji_is_not_shown_and_its_file_is_not_served(world: World) -> None:
    made = await add(world)
    await world.do(emoji.set_disabled, made.id, disabled=True, by=None)
    assert await emoji.shown(world.db, {None: [":leaf:"]}) == {}
    assert await emoji.mime_of_file(world.db, made.file or "") is None
    assert await emoji.names_file(world.db, made.file or "")
    await world.do(emoji.set_disabled, made.id, disabled=False, by=None)
    assert (await emoji.shown(world.db, {None: [":leaf:"]}))[None]["leaf"].id == made.id
    emoji.remove_files(world.site.media_folder, await world.do(emoji.remove, made.id, by=None))
    assert files(world) == set()
    with pytest.raises(NotFound):
        await world.do(emoji.remove, made.id, by=None)


async def test_a_shortcode_means_what_the_host_of_the_words_says(world: World) -> None:
    """The emoji of one host is never shown in the words of another, nor in ours."""
    ours = await add(world)
    await world.remote("ida")
    far = await world.host_id("far.test")
    await world.remote("ugo", host="other.test")
    other = await world.host_id("other.test")
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/leaf.png")])
    assert await emoji.shown(world.db, {far: [":leaf:"]}) == {}, "not fetched yet"
    ((known, host),) = await emoji.claim(world.db)
    assert host == "far.test" and known.shortcode == "leaf"
    assert await fetched(world, known) == []
    found = await emoji.shown(world.db, {None: [":leaf:"], far: [":leaf:"], other: [":leaf:"]})
    assert {host: those["leaf"].id for host, those in found.items()} == {
        None: ours.id,
        far: known.id,
    }


@pytest.fixture
async def far(world: World) -> int:
    await world.remote("ida")
    return await world.host_id("far.test")


async def test_a_picture_is_fetched_by_one_process_and_again_only_when_it_changes(
    world: World, far: int
) -> None:
    leaf = NamedEmoji("leaf", f"{CDN}/1.png", updated=1_000)
    await world.do(emoji.note, far, [leaf, leaf])
    claimed = await emoji.claim(world.db)
    assert len(claimed) == 1 and await emoji.claim(world.db) == []
    await fetched(world, claimed[0][0])
    await world.do(emoji.note, far, [leaf])
    assert await emoji.claim(world.db) == []
    # Another address, or a later time: what was here goes when the new one is here.
    before = files(world)
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/2.png", updated=1_000)])
    ((known, _host),) = await emoji.claim(world.db)
    assert set(await fetched(world, known, "red")) == before
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/2.png", updated=now_ms())])
    assert len(await emoji.claim(world.db)) == 1


async def test_a_picture_that_cannot_be_had_is_tried_less_and_less_and_then_given_up(
    world: World, far: int
) -> None:
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/1.png")])
    for _attempt in emoji.RETRY_MS:
        ((known, _host),) = await emoji.claim(world.db)
        await emoji.put_off(world.db, known.id)
        assert await emoji.claim(world.db) == []
        await world.run("UPDATE emoji SET fetch_at = 1 WHERE fetch_at IS NOT NULL")
    ((known, _host),) = await emoji.claim(world.db)
    await emoji.put_off(world.db, known.id)
    assert await world.db.value("SELECT fetch_at FROM emoji") is None
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/other.png")])
    assert len(await emoji.claim(world.db)) == 1


async def test_a_host_cannot_fill_the_hub_with_emoji(
    world: World, far: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emoji, "HOST_LIMIT", 3)
    for start in (0, 2, 4):
        named = [NamedEmoji(f"e{start + n}", f"{CDN}/{start + n}.png") for n in range(2)]
        await world.do(emoji.note, far, named)
    assert await world.db.value("SELECT count(*) FROM emoji") == 3
    many = [NamedEmoji(f"x{n}", f"{CDN}/{n}.png") for n in range(70)]
    monkeypatch.setattr(emoji, "HOST_LIMIT", 1000)
    assert len(await world.do(emoji.note, far, many)) == 64


async def test_media_of_a_rejected_host_are_neither_noted_nor_shown(world: World, far: int) -> None:
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/1.png")])
    ((known, _host),) = await emoji.claim(world.db)
    await fetched(world, known)
    shown = (await emoji.shown(world.db, {far: [":leaf:"]}))[far]["leaf"]
    await world.run("UPDATE hosts SET reject_media = 1 WHERE id = ?", far)
    assert await emoji.shown(world.db, {far: [":leaf:"]}) == {}
    assert await emoji.by_ids(world.db, [shown.id]) == {}
    assert await emoji.mime_of_file(world.db, shown.file or "") is None
    assert await world.do(emoji.note, far, [NamedEmoji("rose", f"{CDN}/2.png")]) == {}


async def test_what_nothing_uses_any_more_is_forgotten(world: World, far: int) -> None:
    ours = await add(world)
    await world.do(emoji.note, far, [NamedEmoji("leaf", f"{CDN}/1.png")])
    ((known, _host),) = await emoji.claim(world.db)
    await fetched(world, known)
    assert await world.do(emoji.forget_unused) == []
    later = now_ms() + 31 * DAY_MS
    gone = await world.do(emoji.forget_unused, now=later)
    assert len(gone) == 2
    emoji.remove_files(world.site.media_folder, gone)
    assert files(world) == {ours.file, ours.still}
    assert await world.db.value("SELECT count(*) FROM emoji") == 1


async def test_a_purged_picture_does_not_come_back_as_an_emoji(world: World) -> None:
    data = picture("red")
    await world.run(
        "INSERT INTO blocked_media (sha256, created_at) VALUES (?, 1)",
        hashlib.sha256(data).hexdigest(),
    )
    with pytest.raises(Invalid, match="removed from here"):
        await add(world, data=data)
    assert await purged.is_blocked(world.db, data)


async def test_likes_tell_apart_what_they_carry(world: World, far: int) -> None:
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    people = [await world.remote(f"p{number}") for number in range(5)]
    blob = Feeling(":blob:", NamedEmoji("blob", f"{CDN}/blob.png"))
    felt = [Feeling("🔥"), Feeling("🔥"), blob, None, Feeling("❤")]
    for person, feeling in zip(people, felt, strict=True):
        assert await world.do(reactions.add, person, topic, "like", feeling=feeling)
    assert (await world.thing(topic)).like_count == 5
    blob_id = await world.db.value("SELECT id FROM emoji WHERE shortcode = 'blob'")
    tallies = (await reactions.feelings(world.db, [topic]))[topic]
    assert tallies[0] == Tally("🔥", None, 2)
    assert set(tallies[1:]) == {Tally("❤", None, 1), Tally(":blob:", blob_id, 1)}
    # Whoever sends a second one has one like, with the last.
    assert not await world.do(reactions.add, people[0], topic, "like", feeling=Feeling("❤"))
    assert (await world.thing(topic)).like_count == 5
    tallies = (await reactions.feelings(world.db, [topic]))[topic]
    assert tallies[0] == Tally("❤", None, 2)
    await world.do(reactions.withdraw, people[4], topic, "like")
    assert Tally("❤", None, 1) in (await reactions.feelings(world.db, [topic]))[topic]


PICTURES = {"leaf": "/media/abc.webp", "a": '/media/"onerror=.webp'}


def test_inv_27_emoji_are_put_on_text_nodes_and_never_into_markup() -> None:
    html = clean_remote(
        '<p title=":leaf:">x :leaf: <code>:leaf:</code> <a href="https://a.test/:leaf:">:leaf:</a>'
        ' &lt;:leaf:&gt; <img src="x" alt=":leaf:"></p>',
        local_origin=ORIGIN,
    )
    shown = with_emoji(html, {"leaf": "/media/abc.webp"})
    image = (
        '<img src="/media/abc.webp" alt=":leaf:" title=":leaf:" class="emoji" width="20"'
        ' height="20">'
    )
    assert shown.count(image) == 4
    assert "<code>:leaf:</code>" in shown and "https://a.test/:leaf:" in shown
    assert shown.replace(image, ":leaf:") == html


def test_inv_27_the_incident_of_july_2023_needs_a_shortcode_that_is_markup() -> None:
    """lemmy.world: a custom emoji's text was put into the page as HTML."""
    hostile = 'x" onerror="alert(1)'
    assert with_emoji(clean_remote(f"<p>:{hostile}:</p>", local_origin=ORIGIN), {hostile: "/m"})
    for pictures in ({"leaf": '/media/x.webp" onerror="alert(1)'}, {"leaf": "javascript:alert(1)"}):
        shown = text_with_emoji("<script>:leaf:", pictures)
        assert "<script" not in shown and ' onerror="' not in shown


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                ":leaf:",
                ":a:",
                "<b>",
                "</b>",
                "<code>",
                "<pre>",
                "<table>",
                "<a href=https://a.test>",
                "<!--",
                "&lt;",
                "<",
                ">",
                '"',
                ":",
                "x ",
                "<img src=x alt=':leaf:'>",
                "<svg>",
                "</p>",
            ]
        ),
        max_size=12,
    ).map("".join)
)
def test_inv_27_emoji_change_nothing_else_of_a_clean_text(html: str) -> None:
    clean = clean_remote(html, local_origin=ORIGIN)
    shown = with_emoji(clean, PICTURES)
    assert "onerror" not in shown.replace("%22onerror", "").replace("&quot;onerror", "")
    # Read again, with the same pictures, it is the same.
    assert with_emoji(shown, PICTURES) == shown
    assert clean_remote(shown, local_origin=ORIGIN).count("<img") == 0
