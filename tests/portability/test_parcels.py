"""What a member or a group takes along: complete, readable by other software, and nothing of others."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from fedcomm.federation.copies import Copies
from fedcomm.federation.vault import create_key_file
from fedcomm.hub import avoidance, follows, groups
from fedcomm.portability import formats, parcels, scopes
from fedcomm.portability.formats import FORMATS, SUFFIX, Format
from tests.databases import ORIGIN
from tests.hub.world import World


@pytest.fixture
def world(site: Any) -> World:
    create_key_file(site.config.secrets.key_file)
    return World(site)


async def packed(
    world: World, scope: scopes.Scope, number: int, form: Format = "json"
) -> zipfile.ZipFile:
    subject = parcels.Subject(scope, number, "anna")
    documents = Copies(world.site.config, world.db)
    pieces = parcels.parcel(world.db, world.site.media_folder, ORIGIN, subject, form, documents)
    return zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in pieces])))


@pytest.mark.parametrize("form", FORMATS)
async def test_a_members_parcel_holds_rows_files_lists_and_documents(
    world: World, form: Format
) -> None:
    anna = await world.member("anna")
    bruno = await world.member("bruno")
    rita = await world.remote("rita")
    garden = await world.group("garden", bruno)
    await world.do(groups.join, garden, anna)
    media_id, file = await world.picture(anna, "A bee")
    (world.site.media_folder / file).write_bytes(b"picture" * 1000)
    content = await world.compose(
        anna, "Look: *bees*!", is_topic=True, title="Bees", media=(media_id,)
    )
    from fedcomm.hub import threads

    topic = await world.do(threads.create_topic, anna, garden, content)
    answer = await world.reply(bruno, topic, "Bruno says so.")
    await world.do(follows.request, anna, rita)
    await world.do(avoidance.avoid, anna, bruno, "mute")

    with await packed(world, "person", anna, form) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = set(archive.namelist()) - {"manifest.json"}
        assert set(manifest["files"]) == names
        for name, facts in manifest["files"].items():
            data = archive.read(name)
            assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        assert archive.read(f"media/{file}") == b"picture" * 1000
        assert "rita@far.test,true,false," in archive.read("following_accounts.csv").decode()
        assert "garden@hub.test" in archive.read("following_accounts.csv").decode()
        assert "bruno@hub.test,true" in archive.read("muted_accounts.csv").decode()
        actor = json.loads(archive.read("actor.json"))
        assert actor["preferredUsername"] == "anna"
        outbox = json.loads(archive.read("outbox.json"))
        assert outbox["type"] == "OrderedCollection"
        assert outbox["totalItems"] == len(outbox["orderedItems"]) == 1
        (created,) = outbox["orderedItems"]
        served = await Copies(world.site.config, world.db).creation(topic)
        assert created == served
        assert created["object"]["name"] == "Bees"
        part = next(p for p in await scopes.parts(world.db, "person") if p.name == "objects")
        rows = list(
            formats.reader(
                form, part.table, io.BytesIO(archive.read(f"tables/objects{SUFFIX[form]}"))
            )
        )
        assert [row[part.table.names.index("id")] for row in rows] == [topic]
        assert all(b"Bruno says" not in archive.read(name) for name in archive.namelist())
        assert answer not in [row[part.table.names.index("id")] for row in rows]
        dictionary = json.loads(archive.read("dictionary.json"))
        assert set(dictionary["tables"]) == {
            name.split("/")[1].split(".")[0] for name in names if name.startswith("tables/")
        }


async def test_a_groups_parcel_holds_its_topics_with_public_names_of_authors(world: World) -> None:
    anna = await world.member("anna", email="anna@mail.test")
    bruno = await world.member("bruno", email="bruno@mail.test")
    garden = await world.group("garden", anna)
    await world.do(groups.join, garden, bruno)
    topic = await world.topic(bruno, garden, "About bees.", title="Bees")
    with await packed(world, "group", garden) as archive:
        everything = b"\n".join(archive.read(name) for name in archive.namelist())
        people = [json.loads(line) for line in archive.read("tables/people.jsonl").splitlines()]
        outbox = json.loads(archive.read("outbox.json"))
        assert json.loads(archive.read("actor.json"))["type"] == "Group"
    assert {person["name"] for person in people} == {"anna", "bruno"}
    assert b"@mail.test" not in everything
    assert b"About bees." in everything
    assert [item["object"]["id"] for item in outbox["orderedItems"]] == [f"{ORIGIN}/ap/o/{topic}"]


async def test_what_was_erased_meanwhile_is_left_out(world: World) -> None:
    anna = await world.member("anna")
    _, file = await world.picture(anna, "Gone")
    with await packed(world, "person", anna) as archive:
        assert f"media/{file}" not in archive.namelist()
        assert "actor.json" in archive.namelist()
