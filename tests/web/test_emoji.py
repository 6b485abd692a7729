"""Custom emoji on pages, and the administrators' page of them."""

from __future__ import annotations

from aiohttp import FormData

from fedcomm.hub import emoji, members
from fedcomm.hub.composition import Draft
from tests.web.world import World, picture_bytes


def form(shortcode: str = "leaf", data: bytes | None = None, **fields: str) -> FormData:
    sent = FormData()
    sent.add_field("shortcode", shortcode)
    for name, value in fields.items():
        sent.add_field(name, value)
    sent.add_field("file", data or picture_bytes(), filename="x.png", content_type="image/png")
    return sent


async def test_only_administrators_look_after_emoji(world: World) -> None:
    for name in ("bruno", "chiara"):
        browser = await world.browser(name)
        assert (await browser.get("/admin/emoji")).status == 403
        assert (await browser.post("/admin/emoji", form())).status == 403
        assert (await browser.post("/admin/emoji/1", {"action": "remove"})).status == 403
    assert (await world.stranger().get("/admin/emoji")).status == 303
    assert await emoji.own(world.site.db) == []


async def test_an_emoji_is_added_shown_hidden_and_removed(world: World) -> None:
    anna = await world.browser("anna")
    assert (await anna.post("/admin/emoji", form(category="Plants"))).status == 303
    (made,) = await emoji.own(world.site.db)
    page = await anna.get("/admin/emoji")
    assert ":leaf:" in page.text and "Plants" in page.text and f"/media/{made.file}" in page.text
    picture = await world.stranger().get(f"/media/{made.file}")
    assert picture.status == 200 and picture.headers["Content-Type"] == "image/webp"
    assert picture.headers["Content-Security-Policy"].endswith("sandbox")
    taken = await anna.post("/admin/emoji", form())
    assert taken.status == 422 and "already" in taken.text
    bad = await anna.post("/admin/emoji", form("rose", b"<svg onload=alert(1)>"))
    assert bad.status == 422 and "not a JPEG" in bad.text
    topic = await world.topic("garden", "chiara", Draft("A :leaf: here", title="The :leaf:"))
    image = f'<img src="/media/{made.file}" alt=":leaf:" title=":leaf:" class="emoji"'
    page = await world.stranger().follow(f"/o/{topic}")
    assert page.text.count(image) >= 2
    assert "<title>The :leaf: –" in page.text
    await anna.post(f"/admin/emoji/{made.id}", {"action": "disable"})
    page = await world.stranger().follow(f"/o/{topic}")
    assert image not in page.text and "A :leaf: here" in page.text
    assert (await world.stranger().get(f"/media/{made.file}")).status == 404
    await anna.post(f"/admin/emoji/{made.id}", {"action": "enable"})
    assert image in (await world.stranger().get("/g/garden")).text
    assert (await anna.post(f"/admin/emoji/{made.id}", {"action": "other"})).status == 400
    assert (await anna.post(f"/admin/emoji/{made.id}", {"action": "remove"})).status == 303
    assert (await anna.post(f"/admin/emoji/{made.id}", {"action": "remove"})).status == 404
    assert not (world.site.media_folder / (made.file or "")).exists()


async def test_names_show_their_emoji_and_stay_text_otherwise(world: World) -> None:
    anna = await world.browser("anna")
    await anna.post("/admin/emoji", form())
    async with world.site.db.transaction() as tx:
        await members.edit_profile(
            tx,
            world.people["chiara"],
            display_name="<b>Chiara :leaf:",
            summary="I like :leaf: `:leaf:`.",
            locale="en",
            local_origin=world.site.origin,
        )
    await world.topic("garden", "chiara", Draft("x", title="x"))
    (made,) = await emoji.own(world.site.db)
    for path in ("/@chiara", "/g/garden"):
        page = await world.stranger().get(path)
        assert f'&lt;b&gt;Chiara <img src="/media/{made.file}"' in page.text, path
    page = await world.stranger().get("/@chiara")
    assert "<code>:leaf:</code>" in page.text
