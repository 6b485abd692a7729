"""Attachments of every kind, from upload to object: rows, limits, what was purged."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path

import pytest
from PIL import Image

from fedcomm.hub import audit, media, purged, threads, timelines
from fedcomm.hub.composition import Draft, compose
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.images import ImageLimits
from fedcomm.hub.recordings import RecordingLimits
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.hub.test_recordings import SAMPLES
from tests.hub.world import World

DAY_MS = 86_400_000
PDF = b"%PDF-1.4\nMARKER\n%%EOF\n"
KINDS = {
    "video.mp4": ("Video", "video/mp4"),
    "video.webm": ("Video", "video/webm"),
    "sound.webm": ("Audio", "audio/webm"),
    "opus.ogg": ("Audio", "audio/ogg"),
    "sound.mp3": ("Audio", "audio/mpeg"),
    "sound.flac": ("Audio", "audio/flac"),
}


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


def photograph(size: tuple[int, int] = (192, 192), kind: str = "PNG", seed: int = 0) -> bytes:
    """A picture that gets lighter and darker as photographs do."""
    image = Image.new("RGB", (192, 192))
    image.putdata(
        [
            (
                int(127 + 120 * math.sin((x + seed * 37) / 29) * math.cos(y / (41 - seed))),
                y,
                int(128 + 100 * math.sin((x + y) / 37)),
            )
            for y in range(192)
            for x in range(192)
        ]
    )
    buffer = io.BytesIO()
    image.resize(size).save(buffer, kind)
    return buffer.getvalue()


async def upload(
    world: World, owner: int, content: bytes, name: str, path: Path, **options: object
) -> int:
    came = path / "came"
    came.write_bytes(content)
    with came.open("rb") as file:
        return await media.upload_file(
            world.db,
            owner,
            file,
            name,
            folder=world.site.media_folder,
            **{
                "images": ImageLimits(),
                "recordings": RecordingLimits(),
                "daily_bytes": 10_000_000,
                **options,
            },  # type: ignore[arg-type]
        )


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@pytest.mark.parametrize("name", KINDS)
async def test_a_recording_becomes_an_attachment_with_what_is_known_of_it(
    world: World, anna: int, tmp_path: Path, name: str
) -> None:
    media_id = await upload(world, anna, sample(name), f"../<b>/{name}", tmp_path, alt=" A tone ")
    group = await world.group("garden", anna)
    content = await compose(
        world.db,
        Draft("Listen", title="Listen", media=(media_id,)),
        local_origin=ORIGIN,
        is_topic=True,
        author_id=anna,
    )
    topic = await world.do(threads.create_topic, anna, group, content)
    post = await timelines.post(world.db, ANONYMOUS, topic)
    assert post is not None
    (file,) = post.attachments
    assert (file.type, file.mime, file.alt, file.name) == (*KINDS[name], "A tone", name)
    assert (file.duration_ms or 0) >= 300 and file.focal is None
    stored = await media.image(world.db, media_id)
    assert stored is not None
    assert (stored.thumbnail, stored.kind) == ("", KINDS[name][0].lower())
    assert stored.bytes == (world.site.media_folder / stored.file).stat().st_size
    assert await media.mime_of_file(world.db, ANONYMOUS, stored.file) == (KINDS[name][1], True)
    assert media.MIME_OF_SUFFIX[Path(stored.file).suffix] == KINDS[name][1]
    # With the post goes its file, and what it was called.
    await world.do(threads.delete, anna, topic)
    with pytest.raises(NotFound):
        await media.mime_of_file(world.db, ANONYMOUS, stored.file)
    assert await world.db.value("SELECT name FROM media") == ""


async def test_inv_20_recordings_and_documents_are_as_visible_as_what_they_belong_to(
    world: World, anna: int, tmp_path: Path
) -> None:
    berta = await world.member("berta")
    group = await world.group("board", anna, mode="private")
    for name, content in (("video.mp4", sample("video.mp4")), ("a.pdf", PDF), ("a.txt", b"x")):
        media_id = await upload(world, anna, content, name, tmp_path)
        stored = await media.image(world.db, media_id)
        assert stored is not None
        for viewer in (await world.viewer(berta), ANONYMOUS):
            with pytest.raises(NotFound):
                await media.mime_of_file(world.db, viewer, stored.file)
        content_ = await compose(
            world.db,
            Draft("x", title=name, media=(media_id,)),
            local_origin=ORIGIN,
            is_topic=True,
            author_id=anna,
        )
        await world.do(threads.create_topic, anna, group, content_)
        mime, public = await media.mime_of_file(world.db, await world.viewer(anna), stored.file)
        assert mime == stored.mime and not public
        for viewer in (await world.viewer(berta), ANONYMOUS):
            with pytest.raises(NotFound):
                await media.mime_of_file(world.db, viewer, stored.file)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"<svg/>", "a.svg", "not taken"),
        (b"MZ", "a.mp4", "not taken"),
        (sample("refused.mov"), "a.mp4", "save it as an MP4"),
        (sample("video.mp4")[:-10], "a.mp4", "damaged"),
        (PDF[:-8], "a.pdf", "damaged"),
        (b"", "a.txt", "too large"),
    ],
)
async def test_what_is_refused_leaves_neither_row_nor_file(
    world: World, anna: int, tmp_path: Path, content: bytes, name: str, words: str
) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        await upload(world, anna, content, name, tmp_path)
    assert caught.value.field == "media"
    assert await world.rows("SELECT 1 FROM media") == []
    assert list(world.site.media_folder.iterdir()) == []


async def test_the_day_has_one_limit_for_all_kinds(world: World, anna: int, tmp_path: Path) -> None:
    content = sample("sound.mp3")
    await upload(world, anna, content, "a.mp3", tmp_path)
    used = int(await world.db.value("SELECT sum(bytes) FROM media"))
    with pytest.raises(Invalid, match="as much as a day allows"):
        await upload(world, anna, PDF, "a.pdf", tmp_path, daily_bytes=used + len(PDF) - 1)
    await upload(world, anna, PDF, "a.pdf", tmp_path, daily_bytes=used + len(PDF))
    await world.run("UPDATE media SET created_at = ?", now_ms() - DAY_MS - 1)
    await upload(world, anna, content, "a.mp3", tmp_path, daily_bytes=len(content))


async def test_what_was_purged_does_not_come_back(world: World, anna: int, tmp_path: Path) -> None:
    """Neither as the same bytes, nor (a picture) in another size and format."""
    came = {"a.png": photograph(), "a.mp3": sample("sound.mp3"), "a.pdf": PDF}
    ids = [await upload(world, anna, data, name, tmp_path) for name, data in came.items()]
    assert await world.do(purged.block, ids, by=anna, reason="Against the rules.") == 3
    assert await world.do(purged.block, ids, by=anna) == 0
    before = set(world.site.media_folder.iterdir())
    for name, data in came.items():
        with pytest.raises(Invalid, match="removed from here"):
            await upload(world, anna, data, f"new-{name}", tmp_path)
    for data in (photograph((400, 300)), photograph(kind="JPEG"), photograph((80, 80), "WEBP")):
        with pytest.raises(Invalid, match="removed from here"):
            await upload(world, anna, data, "new.png", tmp_path)
    assert set(world.site.media_folder.iterdir()) == before
    await upload(world, anna, photograph(seed=2), "other.png", tmp_path)
    # The list holds no file and no name, and can be taken back.
    listed = await purged.blocked(world.db)
    assert {one.sha256 for one in listed} == {
        hashlib.sha256(data).hexdigest() for data in came.values()
    }
    assert {one.reason for one in listed} == {"Against the rules."}
    for one in listed:
        await world.do(purged.unblock, one.sha256, by=None)
    with pytest.raises(NotFound):
        await world.do(purged.unblock, listed[0].sha256, by=None)
    await upload(world, anna, came["a.png"], "a.png", tmp_path)
    events = [line.event for line in await audit.lines(world.db)]
    assert events.count("media_blocked") == events.count("media_unblocked") == 3


async def test_pictures_without_structure_do_not_look_alike(
    world: World, anna: int, tmp_path: Path
) -> None:
    def plain(colour: str) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
        return buffer.getvalue()

    red = await upload(world, anna, plain("red"), "red.png", tmp_path)
    await world.do(purged.block, [red], by=None)
    await upload(world, anna, plain("blue"), "blue.png", tmp_path)
    assert await world.db.value("SELECT fingerprint FROM media WHERE id = ?", red) == ""
