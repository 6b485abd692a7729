"""Pictures behind the gate, static files, and what no address can reach."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
from aiohttp import FormData

from fedcomm.config import Web
from fedcomm.hub import members
from fedcomm.hub.composition import Draft
from fedcomm.hub.images import ATTACHMENT, AVATAR
from fedcomm.hub.media import upload
from tests.web.world import MARKER, World, make_world, picture_bytes


async def stored(world: World, **options: object) -> tuple[int, str]:
    """A new picture of Chiara: its id and the name of its file."""
    image = await upload(
        world.site.db,
        world.people["chiara"],
        picture_bytes(),
        folder=world.site.media_folder,
        daily_bytes=10_000_000,
        **{"purpose": "attachment", "limits": ATTACHMENT, **options},  # type: ignore[arg-type]
    )
    return image, await world.site.db.value("SELECT file FROM media WHERE id = ?", image)


async def test_a_public_picture_is_kept_for_ever_and_can_do_nothing(world: World) -> None:
    image, file = await stored(world)
    await world.topic("garden", "chiara", Draft("Look", title="Look", media=(image,)))
    page = await world.stranger().get(f"/media/{file}")
    assert page.status == 200
    assert page.body.startswith(b"\x89PNG")
    headers = page.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Security-Policy"] == "default-src 'none'; form-action 'none'; sandbox"
    assert headers["Content-Disposition"] == "inline"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["X-Content-Type-Options"] == "nosniff"
    again = await world.stranger().get(f"/media/{file}", If_None_Match=headers["ETag"])
    assert again.status == 304 and not again.body


async def test_a_picture_of_a_private_group_is_for_its_members(world: World) -> None:
    path = f"/media/{world.files[f'{MARKER}board']}"
    assert (await world.stranger().get(path)).status == 404
    assert (await (await world.browser("elsa")).get(path)).status == 404
    page = await (await world.browser("chiara")).get(path)
    assert page.status == 200
    assert page.headers["Cache-Control"] == "private, no-store"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_picture_that_is_not_attached_yet_is_its_owners(world: World) -> None:
    _image, file = await stored(world)
    assert (await (await world.browser("chiara")).get(f"/media/{file}")).status == 200
    assert (await (await world.browser("bruno")).get(f"/media/{file}")).status == 404
    assert (await world.stranger().get(f"/media/{file}")).status == 404


async def test_a_picture_of_a_person_is_public(world: World) -> None:
    image, file = await stored(world, purpose="avatar", limits=AVATAR)
    async with world.site.db.transaction() as tx:
        await members.edit_profile(
            tx,
            world.people["chiara"],
            display_name="C",
            summary="",
            locale="en",
            local_origin=world.site.origin,
            avatar_id=image,
        )
    assert (await world.stranger().get(f"/media/{file}")).status == 200


async def test_a_file_that_is_gone_from_the_disk_is_not_found(world: World) -> None:
    image, file = await stored(world)
    await world.topic("garden", "chiara", Draft("Look", title="Look", media=(image,)))
    (world.site.media_folder / file).unlink()
    assert (await world.stranger().get(f"/media/{file}")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/media/..%2fhub-1.sqlite3",
        "/media/secret.key",
        "/media/.png",
        "/media/aaaaaaaa.svg",
        "/media/aaaaaaaa.html",
        "/static/../base.html",
        "/static/..%2fbase.html",
        "/static/base.html",
        "/static/Style.css",
        "/static//etc/passwd",
    ],
)
async def test_no_address_leaves_its_folder(world: World, path: str) -> None:
    (world.site.media_folder / "aaaaaaaa.svg").write_text("<svg/>")
    response = await world.client.get(_raw(path))
    assert response.status in (404, 403)


def _raw(path: str):  # type: ignore[no-untyped-def]
    from yarl import URL

    return URL(path, encoded=True)


async def test_static_files_are_kept_for_ever_under_their_version(world: World) -> None:
    page = await world.stranger().get("/")
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        file = await world.stranger().get(path)
        assert file.status == 200, path
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Set-Cookie" not in file.headers
        old = await world.stranger().get(path.partition("?")[0] + "?v=older")
        assert old.headers["Cache-Control"] == "public, max-age=0, must-revalidate"


async def test_an_organization_replaces_templates_and_static_files(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "ours"
    (folder / "static").mkdir(parents=True)
    (folder / "static" / "brand.css").write_text(":root { --accent: green }")
    (folder / "about.html").write_text(
        '{% extends "shipped/about.html" %}{% block title %}Ours{% endblock %}'
    )
    async with make_world(database_url, tmp_path, web=Web(templates=folder)) as world:
        page = await world.stranger().get("/about")
        assert "<title>Ours</title>" in page.text
        assert "What becomes of what you write" in page.text
        assert 'href="/static/brand.css?v=' in page.text
        assert "green" in (await world.stranger().get("/static/brand.css")).text


async def test_the_source_of_what_runs_is_offered_and_holds_no_secrets(world: World) -> None:
    page = await world.stranger().get("/source.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(page.body)) as archive:
        names = archive.getnames()
    assert "fedcomm-source/fedcomm/web/routes.py" in names
    assert "fedcomm-source/templates/base.html" in names
    assert "fedcomm-source/activitypub/__init__.py" in names
    assert not [name for name in names if name.endswith((".key", ".db", ".sqlite3", ".pyc"))]


BOARD = f"{MARKER}board"
RECORDINGS = Path(__file__).parents[1] / "hub" / "recordings"
PDF = b"%PDF-1.4\nx\n%%EOF\n"


async def published(world: World, name: str, content: bytes, group: str = "garden") -> str:
    """An attachment that Chiara sent with the form of a new topic; the name of its file."""
    sent = FormData()
    for field, value in {"title": name, "text": "Look", "new_alt_0": "A tone"}.items():
        sent.add_field(field, value)
    sent.add_field("file_0", content, filename=name, content_type="text/html")
    page = await (await world.browser("chiara")).post(f"/g/{group}/new", sent)
    assert page.status == 303, page.text
    return str(await world.site.db.value("SELECT file FROM media ORDER BY id DESC LIMIT 1"))


@pytest.mark.parametrize(
    ("name", "element", "mime"),
    [
        ("video.mp4", "video", "video/mp4"),
        ("video.webm", "video", "video/webm"),
        ("sound.webm", "audio", "audio/webm"),
        ("sound.mp3", "audio", "audio/mpeg"),
        ("opus.ogg", "audio", "audio/ogg"),
        ("sound.flac", "audio", "audio/flac"),
    ],
)
async def test_inv_34_recordings_are_played_from_here_in_pieces(
    world: World, name: str, element: str, mime: str
) -> None:
    file = await published(world, name, (RECORDINGS / name).read_bytes())
    page = await world.stranger().get("/g/garden")
    topic = re.search(r'href="(/g/garden/t/[0-9]+/[^"]*)"', page.text)
    assert topic is not None
    page = await world.stranger().get(topic[1])
    assert f'<{element} controls preload="none"' in page.text
    assert f'<source src="/media/{file}" type="{mime}">' in page.text
    assert 'aria-label="A tone"' in page.text
    assert "media-src 'self'" in page.headers["Content-Security-Policy"]
    whole = await world.stranger().get(f"/media/{file}")
    assert whole.status == 200 and whole.headers["Content-Type"] == mime
    assert whole.headers["Content-Disposition"] == "inline"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    piece = await world.stranger().get(f"/media/{file}", Range="bytes=100-199")
    assert piece.status == 206 and piece.body == whole.body[100:200]
    assert piece.headers["Content-Range"] == f"bytes 100-199/{len(whole.body)}"
    assert piece.headers["Content-Type"] == mime
    beyond = await world.stranger().get(f"/media/{file}", Range=f"bytes={len(whole.body)}-")
    assert beyond.status == 416


async def test_inv_34_documents_are_only_handed_out_as_downloads(world: World) -> None:
    for name, content, mime in (
        ('minutes "2026"/../of<b>.pdf', PDF, "application/pdf"),
        ("page.txt", b"<script>alert(1)</script>", "text/plain; charset=utf-8"),
    ):
        file = await published(world, name, content)
        answer = await world.stranger().get(f"/media/{file}")
        assert answer.status == 200 and answer.body == content
        assert answer.headers["Content-Type"] == mime
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].endswith("sandbox")
        shown = answer.headers["Content-Disposition"]
        assert shown.startswith("attachment; filename*=UTF-8''")
        assert shown.endswith(f".{file.rpartition('.')[2]}")
        assert not {"<", '"', "/"} & set(shown.partition("''")[2])


async def test_inv_20_files_of_a_private_group_are_for_its_members_whole_or_in_pieces(
    world: World,
) -> None:
    for name, content in (
        ("video.mp4", (RECORDINGS / "video.mp4").read_bytes()),
        ("minutes.pdf", PDF),
    ):
        path = f"/media/{await published(world, name, content, BOARD)}"
        elsa = await world.browser("elsa")
        for headers in ({}, {"Range": "bytes=0-9"}, {"If_None_Match": "*"}):
            assert (await world.stranger().get(path, **headers)).status == 404
            assert (await elsa.get(path, **headers)).status == 404
        page = await (await world.browser("chiara")).get(path)
        assert page.status == 200
        assert page.headers["Cache-Control"] == "private, no-store"
        assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_recording_stays_with_an_edited_post(world: World) -> None:
    file = await published(world, "sound.mp3", (RECORDINGS / "sound.mp3").read_bytes())
    chiara = await world.browser("chiara")
    topic = int(await world.site.db.value("SELECT max(id) FROM objects"))
    form = await chiara.get(f"/o/{topic}/edit")
    assert form.status == 200 and f'href="/media/{file}"' in form.text
    assert "sound.mp3" in form.text
    media_id = form.field("media")
    fields = {"title": "New", "text": "New", "media": media_id, f"alt_{media_id}": "Other words"}
    assert (await chiara.post(f"/o/{topic}/edit", fields)).status == 303
    page = await world.stranger().follow(f"/o/{topic}")
    assert 'aria-label="Other words"' in page.text and f"/media/{file}" in page.text
