"""What somebody wrote elsewhere becomes their past here: dates kept, told to nobody, bounded, undone as a whole."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm import imports as worker
from fedcomm.hub import erasure, follows, imports, timelines
from fedcomm.hub.visibility import ANONYMOUS, member
from fedcomm.portability import containers, past
from fedcomm.portability.containers import Bounds
from fedcomm.portability.tables import PortabilityError
from fedcomm.store.ids import EPOCH_MS
from tests.hub.world import World
from tests.portability.archive import FOLLOWERS, OLD, PUBLIC, boost, files_of, note, pack


@pytest.fixture
def world(site: Any) -> World:
    return World(site)


async def brought(world: World, member_id: int, path: Path) -> imports.Import:
    with path.open("rb") as file:
        number = await worker.take_in(world.site, member_id, file)
    one = await imports.find(world.db, member_id, number)
    assert one is not None
    return await worker.proceed(world.site, one)


def png() -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar"])
async def test_a_mastodon_archive_becomes_the_members_past(
    world: World, tmp_path: Path, form: Any
) -> None:
    anna = await world.member("anna")
    bruno = await world.member("bruno")
    await world.do(follows.request, bruno, anna)
    before = await world.events()
    told = await world.db.value("SELECT count(*) FROM notifications")
    picture = {
        "type": "Document",
        "mediaType": "image/png",
        "url": "/media_attachments/files/1/original/bee.png",
        "name": "A bee",
        "focalPoint": [0.5, -0.5],
    }
    items = [
        note(1, '<p>The <b>first</b> <a href="https://old.example/tags/bees">#bees</a></p>',
             published="2017-01-02T03:04:05Z", tag=[{"type": "Hashtag", "name": "#Bees"}]),
        note(2, "<p>goes on</p>", published="2017-01-02T03:05:05Z", inReplyTo=f"{OLD}/statuses/1"),
        note(3, "<p>To friends</p>", to=[FOLLOWERS], cc=[]),
        note(4, "<p>Quietly</p>", to=[FOLLOWERS], cc=[PUBLIC], attachment=[picture]),
        note(5, "<p>To one</p>", to=["https://other.example/u/x"], cc=[]),
        note(6, "<p>An answer</p>", inReplyTo="https://other.example/notes/9", sensitive=True,
             summary="Careful", published="2024-05-06T07:08:09Z"),
        boost(7),
        note(8, "<p>Somebody else's</p>", attributedTo="https://other.example/u/x"),
    ]  # fmt: skip
    files = files_of(items, **{"media_attachments/files/1/original/bee.png": png()})
    one = await brought(world, anna, pack(tmp_path / "archive", files, form))
    assert (one.state, one.source, one.error) == ("done", OLD, "")
    assert (one.total, one.position, one.made, one.skipped) == (8, 8, 6, 2)

    own = await timelines.by_author(world.db, member(anna), anna)
    by_uri = {post.brought_from: post for post in own}
    first = by_uri[f"{OLD}/statuses/1"].thing
    assert first.published_at == 1_483_326_245_000
    assert "<strong>first</strong>" in first.html or "<b>first</b>" in first.html
    assert by_uri[f"{OLD}/statuses/2"].thing.parent_id == first.id
    assert first.reply_count == 1
    assert {uri.rpartition("/")[2]: post.thing.visibility for uri, post in by_uri.items() if uri} == {
        "1": "public", "2": "public", "3": "followers", "4": "unlisted", "5": "direct", "6": "public",
    }  # fmt: skip
    quiet = by_uri[f"{OLD}/statuses/4"]
    assert [file.alt for file in quiet.attachments] == ["A bee"]
    assert quiet.attachments[0].focal == (0.5, -0.5)
    assert by_uri[f"{OLD}/statuses/6"].thing.summary == "Careful"
    # In the order in which they were published, newest first, among whatever else there is.
    assert [post.thing.published_at for post in own] == sorted(
        (post.thing.published_at for post in own), reverse=True
    )
    everybody = {post.brought_from for post in await timelines.by_author(world.db, ANONYMOUS, anna)}
    assert everybody == {f"{OLD}/statuses/{number}" for number in (1, 2, 4, 6)}
    tagged = await timelines.tagged(world.db, ANONYMOUS, "bees")
    assert [post.thing.id for post in tagged] == [first.id]

    # Nobody is told, and nothing stands at anybody's home.
    assert await timelines.home(world.db, member(bruno)) == []
    assert await world.events() == before
    assert await world.db.value("SELECT count(*) FROM notifications") == told
    assert list(worker.folder_of(world.site.config).iterdir()) == []

    # The same archive again brings nothing.
    again = await brought(world, anna, pack(tmp_path / "again", files, form))
    assert (again.made, again.skipped) == (0, 8)
    assert len(await timelines.by_author(world.db, member(anna), anna)) == 6


async def test_an_import_is_undone_as_a_whole(world: World, tmp_path: Path) -> None:
    anna = await world.member("anna")
    garden = await world.group("garden", anna)
    topic = await world.topic(anna, garden, "Written here.")
    items = [note(number, f"<p>zucchini {number}</p>") for number in range(45)]
    one = await brought(world, anna, pack(tmp_path / "a.zip", files_of(items)))
    assert one.made == 45
    await world.do(imports.ask_undo, anna, one.id)
    undone = await imports.find(world.db, anna, one.id)
    assert undone is not None
    assert (await worker.proceed(world.site, undone)).state == "undone"
    assert [p.thing.id for p in await timelines.by_author(world.db, member(anna), anna)] == [topic]
    left = await world.db.value("SELECT count(*) FROM objects WHERE html LIKE '%zucchini%'")
    assert left == 0
    # And it can be brought again.
    again = await brought(world, anna, pack(tmp_path / "b.zip", files_of(items)))
    assert again.made == 45


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_interrupted_import_goes_on_where_it_was(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await world.member("anna")
    items = [note(number, f"<p>Number {number}</p>") for number in range(50)]
    with pack(tmp_path / "a.zip", files_of(items)).open("rb") as file:
        number = await worker.take_in(world.site, anna, file)
    one = await imports.find(world.db, anna, number)
    assert one is not None
    store, calls = imports.store_past, 0

    async def pulled(*args: Any, **kwargs: Any) -> int | None:
        nonlocal calls
        calls += 1
        if calls == 31:
            raise OSError("pulled")
        return await store(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(imports, "store_past", pulled)
        with pytest.raises(OSError, match="pulled"):
            await worker.proceed(world.site, one)
    between = await imports.find(world.db, anna, number)
    assert between is not None
    assert (between.state, between.position, between.made) == ("working", 20, 20)
    assert (await worker.proceed(world.site, between)).made == 50
    assert await world.db.value("SELECT count(*) FROM imported_objects") == 50


HOSTILE = (
    "<script>alert(1)</script><p onclick=x>Hello</p>",
    '<img src=x onerror="alert(1)"><a href="javascript:alert(1)">here</a>',
    "<iframe src='https://evil.example'></iframe><style>*{display:none}</style>text",
)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_hostile_words_go_through_the_sanitiser(world: World, tmp_path: Path) -> None:
    anna = await world.member("anna")
    items: list[Any] = [note(number, text) for number, text in enumerate(HOSTILE)]
    items += [
        note(10, "x\u0000y"),
        note(11, "fine", id="javascript:alert(1)"),
        note(12, "fine", published="0001-01-01T00:00:00Z"),
        note(13, "fine", published="not a date"),
        note(14, "deep", tag=json.loads("[" * 60 + "]" * 60)),
        *("no item", 7, None, [], {"type": "Create"}, {"type": "Create", "object": {}}),
    ]
    one = await brought(world, anna, pack(tmp_path / "a.zip", files_of(items)))
    assert one.state == "done"
    assert one.made == 3
    pages = "".join(p.thing.html for p in await timelines.by_author(world.db, ANONYMOUS, anna))
    assert "Hello" in pages
    for evil in ("<script", "onclick", "onerror", "javascript:", "<iframe", "<style"):
        assert evil not in pages


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_bombs_and_broken_archives_are_refused_and_leave_nothing(
    world: World, tmp_path: Path
) -> None:
    anna = await world.member("anna")
    good = files_of([note(1, "<p>Fine</p>")])
    cases = {
        "bomb": pack(tmp_path / "bomb", {**good, "media/zeros.bin": bytes(200 << 20)}),
        "bomb in a tar": pack(
            tmp_path / "bomb.tar.gz", {**good, "other/zeros.bin": bytes(200 << 20)}, "tar.gz"
        ),
        "nothing": pack(tmp_path / "nothing", {"readme.txt": b"hello"}),
        "no outbox": pack(tmp_path / "half", {"actor.json": good["actor.json"]}),
        "broken outbox": pack(
            tmp_path / "broken", {**good, "outbox.json": good["outbox.json"][:-20]}
        ),
        "no actor": pack(tmp_path / "actorless", {**good, "actor.json": b"[]"}),
    }
    (tmp_path / "text").write_bytes(b"no archive at all")
    cases["no archive"] = tmp_path / "text"
    cut = tmp_path / "cut"
    cut.write_bytes(pack(tmp_path / "whole", good).read_bytes()[:-30])
    cases["cut"] = cut
    for name, path in cases.items():
        one = await brought(world, anna, path)
        assert one.state == "failed", name
        assert one.error, name
        assert list(worker.folder_of(world.site.config).iterdir()) == [], name
    assert await timelines.by_author(world.db, member(anna), anna) == []


def test_no_name_of_an_archive_becomes_a_path(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        for name in (
            "../actor.json",
            "/etc/passwd",
            "media/../../x",
            "media/a\n.png",
            "actor.json",
        ):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"{}"))
        link = tarfile.TarInfo("outbox.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    folder = tmp_path / "out"
    folder.mkdir()
    found = containers.unpack(path, folder)
    assert set(found) == {"media/../../x", "actor.json"}
    assert {file.name for file in folder.iterdir()} == {"000000", "000001", "index.json"}
    assert containers.index_of(folder) == found


def test_an_archive_is_bounded_in_files_and_bytes(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {f"media/{n}": b"x" * 100 for n in range(10)})
    for number, (bounds, fits) in enumerate(
        [
            (Bounds(files=10), True),
            (Bounds(files=9), False),
            (Bounds(bytes=1000), True),
            (Bounds(bytes=999), False),
            (Bounds(ratio=0, floor=1000), True),
            (Bounds(ratio=0, floor=999), False),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        if fits:
            assert len(containers.unpack(path, folder, bounds)) == 10
        else:
            with pytest.raises(PortabilityError):
                containers.unpack(path, folder, bounds)
            assert containers.index_of(folder) is None


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_is_erased_leaves_no_archive_and_no_past(world: World, tmp_path: Path) -> None:
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    await brought(world, anna, pack(tmp_path / "a.zip", files_of([note(1, "<p>zucchini</p>")])))
    with pack(tmp_path / "b.zip", files_of([note(2, "<p>zucchini</p>")])).open("rb") as file:
        waiting = await worker.take_in(world.site, anna, file)
    one = await imports.find(world.db, anna, waiting)
    assert one is not None
    case_id = await world.do(
        erasure.request, "member", anna, requested_by=None, own=True, reason=""
    )
    case = await erasure.case(world.db, case_id)
    while case is not None and case.state in ("objects", "rows"):
        case = await erasure.advance(world.db, case, origin=world.site.origin)
    assert await world.db.value("SELECT count(*) FROM imports") == 0
    assert await world.db.value("SELECT count(*) FROM imported_objects") == 0
    assert await world.db.value("SELECT count(*) FROM objects WHERE html LIKE '%zucchini%'") == 0
    # A step that was under way finds that it is over.
    await worker.proceed(world.site, one)
    assert await world.db.value("SELECT count(*) FROM objects WHERE html LIKE '%zucchini%'") == 0
    worker.forget_all_of(world.site.config, anna)
    assert list(worker.folder_of(world.site.config).iterdir()) == []


def test_numbers_of_the_past_stand_in_order_of_time() -> None:
    times = [0, 700_000_000_000, 1_400_000_000_000, 1_400_000_000_001, EPOCH_MS - 1, EPOCH_MS,
             EPOCH_MS + 3_600_000, EPOCH_MS + 3_600_001, 1_750_000_000_000]  # fmt: skip
    found = [imports.past_id(at) for at in times]
    assert found == sorted(found)
    assert all(0 < number < 1 << 63 for number in found)


@given(st.lists(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
), max_size=6))  # fmt: skip
def test_whatever_stands_among_the_items_is_read_to_the_end(
    tmp_path_factory: pytest.TempPathFactory, things: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "outbox.json"
    wrapped = [{"type": "Create", "thing": thing} for thing in things]
    path.write_text(json.dumps({"id": "x", "orderedItems": wrapped, "totalItems": 1}))
    assert len(list(past.items(path))) == len(things)


def test_an_outbox_larger_than_what_is_read_at_once_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "outbox.json"
    items = [note(number, "x" * (number * 977 % 9000)) for number in range(200)]
    path.write_text(json.dumps({"orderedItems": items}, indent=2))
    found = list(past.items(path))
    assert [item["id"] for item in found] == [item["id"] for item in items]
