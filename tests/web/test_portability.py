"""Pages: bring your data, take your data, take a group's data."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from fedcomm import imports as worker
from fedcomm.hub import imports
from tests.portability.archive import OLD, files_of, note, pack
from tests.web.world import World, upload_form


def opened(page_body: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(page_body))


async def fetched(world: World, name: str, path: str) -> tuple[int, bytes, str]:
    browser = await world.browser(name)
    response = await world.client.get(path, cookies=browser.cookies, allow_redirects=False)
    return response.status, await response.read(), response.headers.get("Content-Disposition", "")


async def proceed(world: World) -> None:
    for one in await imports.unfinished(world.site.db):
        await worker.proceed(world.site, one)


async def test_a_member_takes_everything_of_theirs_along(world: World) -> None:
    page = await (await world.browser("chiara")).get("/settings/take")
    assert "everything-json.zip" in page.text
    for form in ("json", "csv", "xml"):
        status, body, saved = await fetched(
            world, "chiara", f"/settings/take/everything-{form}.zip"
        )
        assert status == 200
        assert saved == f'attachment; filename="hub.test-chiara-person-{form}.zip"'
        with opened(body) as archive:
            assert archive.testzip() is None
            assert json.loads(archive.read("export.json"))["name"] == "chiara"
    status, body, _ = await fetched(world, "chiara", "/settings/take/following_accounts.csv")
    assert status == 200
    assert body.startswith(b"Account address,Show boosts,Notify on new posts,Languages\n")
    assert (await fetched(world, "chiara", "/settings/take/other.csv"))[0] == 404


async def test_inv_53_what_is_taken_along_is_the_signed_in_members_alone(world: World) -> None:
    stranger = await world.client.get("/settings/take/everything-json.zip", allow_redirects=False)
    assert stranger.status == 303
    _, body, _ = await fetched(world, "chiara", "/settings/take/everything-json.zip")
    with opened(body) as archive:
        (member,) = archive.read("tables/members.jsonl").splitlines()
        assert json.loads(member)["actor_id"] == world.people["chiara"]
        assert "password_hash" not in json.loads(member)


async def test_owners_take_their_group_along_and_nobody_else(world: World) -> None:
    group = next(iter(world.groups))
    owner = await world.site.db.value(
        "SELECT a.name FROM memberships s JOIN actors a ON a.id = s.actor_id"
        " WHERE s.group_id = ? AND s.role = 'owner'",
        world.groups[group],
    )
    path = f"/g/{group}/take/everything-json.zip"
    status, body, _ = await fetched(world, str(owner), path)
    assert status == 200
    with opened(body) as archive:
        assert json.loads(archive.read("export.json"))["scope"] == "group"
    others = [name for name in world.people if name != owner]
    for name in others:
        role = await world.site.db.value(
            "SELECT role FROM memberships WHERE group_id = ? AND actor_id = ?",
            world.groups[group],
            world.people[name],
        )
        if role != "owner":
            assert (await fetched(world, name, path))[0] == 404, name
    page = await (await world.browser(str(owner))).get(f"/g/{group}/life")
    assert path in page.text


async def test_an_archive_is_brought_shown_and_taken_back(world: World, tmp_path: Path) -> None:
    chiara = await world.browser("chiara")
    items = [note(1, "<p>Long <em>ago</em></p>", published="2019-03-04T05:06:07Z")]
    archive = pack(tmp_path / "archive.zip", files_of(items)).read_bytes()
    sent = await chiara.post("/settings/bring/archive", upload_form({}, archive=archive))
    assert sent.status == 303
    assert "waits" in (await chiara.get("/settings/bring")).text
    await proceed(world)
    page = await chiara.get("/settings/bring")
    assert OLD in page.text and "1 of 1 taken over" in page.text
    public = await world.stranger().get("/@chiara")
    assert "Long ago" in public.text
    object_id = await world.site.db.value("SELECT object_id FROM imported_objects")
    single = await world.stranger().follow(f"/o/{object_id}")
    assert single.status == 200 and "Long <em>ago</em>" in single.text
    assert "brought from elsewhere" in single.text
    assert "Long ago" not in (await chiara.get("/")).text

    number = await world.site.db.value("SELECT id FROM imports")
    anna = await world.browser("anna")
    assert (await anna.post(f"/settings/bring/{number}/undo", {})).status == 404
    await proceed(world)
    assert "Long ago" in (await world.stranger().get("/@chiara")).text
    assert (await chiara.post(f"/settings/bring/{number}/undo", {})).status == 303
    await proceed(world)
    assert "Long ago" not in (await world.stranger().get("/@chiara")).text


async def test_what_is_no_archive_is_said_to_be_none(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.post("/settings/bring/archive", upload_form({"x": "y"}))
    assert page.status == 422 and "Choose a file first." in page.text
    await chiara.post("/settings/bring/archive", upload_form({}, archive=b"no archive"))
    await proceed(world)
    assert "could not be read" in (await chiara.get("/settings/bring")).text


async def test_a_list_is_brought_and_what_came_to_nothing_is_shown(world: World) -> None:
    chiara = await world.browser("chiara")
    other = next(name for name in world.people if name != "chiara")
    lines = f"Account address,Hide notifications\n{other}@hub.test,true\nnobody@hub.test,true\n"
    sent = await chiara.post(
        "/settings/bring/list", upload_form({"kind": "mutes"}, list=lines.encode())
    )
    assert sent.status == 303
    await proceed(world)
    await proceed(world)
    await proceed(world)
    page = await chiara.get("/settings/bring")
    assert "nobody@hub.test" in page.text
    muted = await world.site.db.all(
        "SELECT actor_id FROM avoided_actors WHERE member_id = ?", world.people["chiara"]
    )
    assert world.people[other] in {row["actor_id"] for row in muted}
    faulty = await chiara.post("/settings/bring/list", upload_form({"kind": "x"}, list=b"a"))
    assert faulty.status == 422
    empty = await chiara.post(
        "/settings/bring/list", upload_form({"kind": "mutes"}, list=b"\xff\xfe")
    )
    assert empty.status == 422


async def test_the_pages_are_there_in_italian(world: World) -> None:
    chiara = await world.browser("chiara")
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET locale = 'it' WHERE actor_id = ?", world.people["chiara"]
        )
    assert "Prendi i tuoi dati" in (await chiara.get("/settings/take")).text
    assert "Porta i tuoi dati" in (await chiara.get("/settings/bring")).text
