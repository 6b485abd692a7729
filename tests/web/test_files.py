"""Pictures behind the gate, static files, and what no address can reach."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

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
    import re

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
