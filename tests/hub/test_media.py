from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from fedcomm.hub import media, members, threads
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.images import ImageLimits
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.hub.world import World, attachment, words

LIMITS = ImageLimits()
DAY_MS = 86_400_000


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def upload(world: World, owner: int, data: bytes, **facts: object) -> int:
    options = {"purpose": "attachment", "limits": LIMITS, "daily_bytes": 1_000_000, **facts}
    return await media.upload(
        world.db,
        owner,
        data,
        folder=world.site.media_folder,
        **options,  # type: ignore[arg-type]
    )


def files(world: World) -> set[str]:
    return {path.name for path in world.site.media_folder.iterdir()}


async def test_an_image_is_stored_under_a_name_of_ours(world: World, anna: int) -> None:
    media_id = await upload(world, anna, picture(), alt="  a wall ", focal=(0.5, -9.0))
    stored = await media.image(world.db, media_id)
    assert stored is not None
    assert (stored.width, stored.height, stored.alt) == (40, 30, "a wall")
    assert files(world) == {stored.file, stored.thumbnail}
    assert stored.mime == media.MIME_OF_SUFFIX[Path(stored.file).suffix]
    row = await world.db.one("SELECT * FROM media")
    assert row is not None
    assert (row["state"], row["focal_x"], row["focal_y"]) == ("stored", 0.5, -1.0)
    sizes = sum((world.site.media_folder / name).stat().st_size for name in files(world))
    assert row["bytes"] == sizes
    assert await media.images(world.db, [media_id, 77, media_id]) == {media_id: stored}


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", picture()[:-30], picture()[:30]])
async def test_an_upload_that_is_no_image_leaves_neither_row_nor_file(
    world: World, anna: int, data: bytes
) -> None:
    with pytest.raises(Invalid) as caught:
        await upload(world, anna, data)
    assert caught.value.field == "media"
    assert await world.rows("SELECT 1 FROM media") == []
    assert files(world) == set()


async def test_an_upload_is_registered_before_anything_is_stored(
    world: World, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[str] = []

    async def look(*args: object, **kwargs: object) -> None:
        states.extend(row["state"] for row in await world.rows("SELECT state FROM media"))
        raise OSError("the disk is full")

    monkeypatch.setattr(media, "process_image", look)
    with pytest.raises(OSError, match="disk is full"):
        await upload(world, anna, picture())
    assert states == ["registered"]
    # What broke off is found by the janitor after a day, and its words go with it.
    await world.run("UPDATE media SET created_at = ?", now_ms() - 2 * DAY_MS)
    async with world.db.transaction() as tx:
        ((media_id, names),) = await media.unreferenced(tx)
    assert names == []
    await media.remove_orphans(world.db, world.site.media_folder, [media_id])
    assert await world.rows("SELECT 1 FROM media") == []


async def test_a_day_has_its_limit(world: World, anna: int) -> None:
    berta = await world.member("berta")
    data = picture()
    await upload(world, anna, data)
    used = int(await world.db.value("SELECT bytes FROM media"))
    with pytest.raises(Invalid, match="as much as a day allows"):
        await upload(world, anna, data, daily_bytes=used + len(data) - 1)
    await upload(world, berta, data, daily_bytes=used + len(data) - 1)
    await upload(world, anna, data, daily_bytes=used + len(data))
    await world.run("UPDATE media SET created_at = ?", now_ms() - DAY_MS - 1)
    await upload(world, anna, data, daily_bytes=len(data))


async def test_a_description_has_its_limit(world: World, anna: int) -> None:
    with pytest.raises(Invalid) as caught:
        await upload(world, anna, picture(), alt="x" * 1501)
    assert caught.value.field == "alt"
    media_id = await upload(world, anna, picture(), alt="x" * 1500)
    with pytest.raises(Invalid):
        await world.do(media.describe, anna, media_id, "x" * 1501)
    await world.do(media.describe, anna, media_id, "new")
    await world.do(media.describe, await world.member("berta"), media_id, "not hers")
    stored = await media.image(world.db, media_id)
    assert stored is not None and stored.alt == "new"


async def test_inv_20_a_file_is_as_visible_as_what_it_belongs_to(world: World, anna: int) -> None:
    berta = await world.member("berta")
    mine, other = await world.viewer(anna), await world.viewer(berta)

    async def seen(viewer: object, file: str) -> tuple[str, bool] | None:
        try:
            return await media.mime_of_file(world.db, viewer, file)  # type: ignore[arg-type]
        except NotFound:
            return None

    media_id, file = await world.picture(anna)
    thumbnail = file.replace(".png", "_small.webp")
    for name, mime in ((file, "image/png"), (thumbnail, "image/webp")):
        assert await seen(mine, name) == (mime, False)
        assert await seen(other, name) is None
        assert await seen(ANONYMOUS, name) is None
    group = await world.group("ambiente", anna)
    content = words("x", title="t", attachments=(attachment(media_id),))
    assert await media.attached_to(
        world.db, await world.do(threads.create_topic, anna, group, content)
    ) == [media_id]
    for viewer in (mine, other, ANONYMOUS):
        assert await seen(viewer, file) == ("image/png", True)
    for name in ("nothing.png", "../secret.key", "\0", ""):
        assert await seen(mine, name) is None


async def test_avatars_are_public_and_kept(world: World, anna: int) -> None:
    media_id, file = await world.picture(anna, purpose="avatar", created_at=0)
    await world.do(
        members.edit_profile,
        anna,
        display_name="Anna",
        summary="",
        locale="en",
        local_origin=ORIGIN,
        avatar_id=media_id,
    )
    assert await media.mime_of_file(world.db, ANONYMOUS, file) == ("image/png", True)
    async with world.db.transaction() as tx:
        assert await media.unreferenced(tx) == []
    await media.remove_orphans(world.db, world.site.media_folder, [media_id])
    assert await media.image(world.db, media_id) is not None


async def test_what_nobody_attached_goes_after_a_day(world: World, anna: int) -> None:
    fresh = await upload(world, anna, picture())
    old = await upload(world, anna, picture())
    await world.run("UPDATE media SET created_at = ? WHERE id = ?", now_ms() - DAY_MS - 1, old)
    async with world.db.transaction() as tx:
        found = await media.unreferenced(tx)
    assert [media_id for media_id, _ in found] == [old]
    gone = set(found[0][1])
    assert gone <= files(world)
    await media.remove_orphans(world.db, world.site.media_folder, [old, 77])
    assert gone.isdisjoint(files(world))
    assert len(files(world)) == 2
    assert await media.image(world.db, fresh) is not None
