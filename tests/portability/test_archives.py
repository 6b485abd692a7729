"""Round trips of whole communities: three formats, two engines, equal checksums; what was changed is refused whole."""

from __future__ import annotations

import asyncio
import random
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcomm.config import Config, Database, Erasure, Media, Secrets
from fedcomm.federation.vault import create_key_file
from fedcomm.hub import search, threads
from fedcomm.hub.register import REGISTER
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.portability import archives
from fedcomm.portability.archives import checksum, export_site, import_site, inspect
from fedcomm.portability.formats import FORMATS, Format
from fedcomm.portability.tables import PortabilityError, exported, left_out, tables
from fedcomm.store.database import Database as Store
from fedcomm.store.ids import new_id
from fedcomm.store.schema import open_database
from tests.databases import Databases, make_site
from tests.hub.test_erasure import Schema, insert, schema  # noqa: F401
from tests.hub.world import World

TEXTS = (
    *("", "\\N", "\\", "NULL", 'a,b;"c"\r\nd', "<b>&amp;</b>]]>", "\x01\x08\x1f", "\ufffe"),
    *(
        "èéàù ŝ Ω ж 中文 日本語 한국어 ไทย עברית العربية",
        "👩🏽‍🚀🏳️‍🌈",
        "\U0001f600\U0010fffd\U00020000",
        "e\u0301",
    ),
    *("\u202etrojan", "   spaces   ", "\t\ttabs", "line\nline\rline", "x" * 5000),
)
NUMBERS = (
    0,
    1,
    -1,
    (1 << 63) - 1,
    -(1 << 63),
    1 << 53,
    (1 << 53) + 1,
    -62135596800000,
    253402300799999,
)


async def community(
    world: World,
    schema: Schema,  # noqa: F811
    seed: int,
    texts: Sequence[str] = TEXTS,
    numbers: Sequence[int] = NUMBERS,
) -> None:
    """A row or more in every exported table, with every kind of text and number where it may stand."""
    chance = random.Random(seed)
    anna = await world.member("anna", role="administrator")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group, "Words to be found: zucchini.", title="A topic")
    far = await world.remote("rita")
    ids = {
        "actors": far, "members": anna, "objects": topic, "groups": group,
        "hosts": int(await world.db.value("SELECT id FROM hosts LIMIT 1")),
    }  # fmt: skip
    for name in exported():
        if name in ("actors", "members", "groups", "handles"):
            continue
        references = schema.references(name)
        for _ in range(2):
            given: dict[str, Any] = {}
            for column, kind, nullable in schema.columns(name):
                if column in references or column in ("id", "object_id"):
                    continue
                if nullable and chance.random() < 0.3:
                    given[column] = None
                elif "TEXT" in kind:
                    # Some of these columns have to differ from row to row.
                    given[column] = chance.choice(texts) + f" {new_id()}"
                    if name not in ("settings",) and chance.random() < 0.4:
                        given[column] = chance.choice(texts)
                elif "DOUBLE" in kind:
                    given[column] = chance.choice((0.0, -0.5, 1 / 3, 1e300, 5e-324))
                elif kind == "INTEGER" and world.db.dialect == "postgresql":
                    given[column] = chance.choice((0, 1, -1, (1 << 31) - 1))
                else:
                    given[column] = (
                        chance.choice(numbers) if kind == "BIGINT" else chance.choice((0, 1))
                    )
            await insert(world, schema, name, ids, **given)
    (world.site.media_folder / "ab").mkdir(parents=True, exist_ok=True)
    (world.site.media_folder / "ab" / "picture.webp").write_bytes(bytes(range(256)) * 300)


def elsewhere(config: Config, url: str, folder: Path) -> Config:
    folder.mkdir(parents=True)
    shutil.copy(config.secrets.key_file, folder / "fedcomm.key")
    return replace(
        config,
        database=Database(url=url),
        media=Media(folder=folder / "media"),
        secrets=Secrets(key_file=folder / "fedcomm.key"),
        erasure=Erasure(journal=folder / "erasure.journal"),
    )


@pytest.fixture
async def filled(world: World, schema: Schema, request: pytest.FixtureRequest) -> World:  # noqa: F811
    create_key_file(world.site.config.secrets.key_file)
    await community(world, schema, getattr(request, "param", 1))
    return world


@pytest.fixture
def world(site: Any) -> World:
    return World(site)


async def opened(config: Config) -> Store:
    return await open_database(config.database.url)


OF_EVERY_PLANE = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=120
)
COMMUNITIES = {
    "seed": st.integers(0, 1 << 32),
    "texts": st.lists(OF_EVERY_PLANE | st.sampled_from(TEXTS), min_size=6, max_size=40),
    "numbers": st.lists(
        st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from(NUMBERS), min_size=4, max_size=20
    ),
}


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=2)  # Each is three hubs and two archives.
@given(**COMMUNITIES)
def test_export_import_export_gives_equal_checksums(
    form: Format,
    databases: Databases,
    migrated_sqlite: Path,
    schema: Schema,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    texts: list[str],
    numbers: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("trip")

    async def trip() -> None:
        site = await make_site(databases.migrated(), folder)
        filled = World(site)
        create_key_file(site.config.secrets.key_file)
        await community(filled, schema, seed, texts, numbers)
        try:
            await round_trip(filled, form, databases, migrated_sqlite, folder)
        finally:
            await site.db.close()

    asyncio.run(trip())


async def round_trip(
    filled: World, form: Format, databases: Databases, migrated_sqlite: Path, tmp_path: Path
) -> None:
    config = filled.site.config
    roots, root = await checksum(filled.db)
    empty = [
        name for name in exported() if not await filled.db.value(f"SELECT count(*) FROM {name}")
    ]
    assert empty == []
    first = await export_site(config, filled.db, tmp_path / "first", form)
    assert (first.roots, first.root) == (roots, root)

    # To the other engine as well: what leaves PostgreSQL arrives in SQLite, and the other way round.
    url = f"sqlite:///{tmp_path}/moved.db"
    shutil.copy(migrated_sqlite, tmp_path / "moved.db")
    there = elsewhere(config, url, tmp_path / "there")
    moved = await opened(there)
    await import_site(there, moved, tmp_path / "first")
    assert await checksum(moved) == (roots, root)
    second = await export_site(there, moved, tmp_path / "second", form)
    assert second.root == root
    assert (there.media.folder / "ab" / "picture.webp").read_bytes() == bytes(range(256)) * 300
    assert await search.find(moved, ANONYMOUS, "zucchini")
    await moved.close()

    back = elsewhere(config, databases.migrated(), tmp_path / "back")
    again = await opened(back)
    await import_site(back, again, tmp_path / "second")
    assert await checksum(again) == (roots, root)
    assert await search.find(again, ANONYMOUS, "zucchini")
    await again.close()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_changed_or_cut_archive_is_refused_whole(
    filled: World, migrated_sqlite: Path, tmp_path: Path
) -> None:
    config = filled.site.config
    good = tmp_path / "good"
    await export_site(config, filled.db, good, "csv")
    data = good.read_bytes()
    with tarfile.open(good) as archive:
        used = sum(member.size for member in archive)
    shutil.copy(migrated_sqlite, tmp_path / "moved.db")
    there = elsewhere(config, f"sqlite:///{tmp_path}/moved.db", tmp_path / "there")
    moved = await opened(there)
    before = await checksum(moved)
    chance = random.Random(5)
    spoiled = [data[: len(data) // 3], data[:-11_000], b"", b"no archive" * 100]
    for _ in range(20):
        changed = bytearray(data)
        changed[chance.randrange(used)] ^= 1 << chance.randrange(8)
        spoiled.append(bytes(changed))
    refused = 0
    for content in spoiled:
        bad = tmp_path / "bad"
        bad.write_bytes(content)
        try:
            inspect(bad)
        except PortabilityError:
            refused += 1
            with pytest.raises(PortabilityError):
                await import_site(there, moved, bad)
            assert await checksum(moved) == before
            assert not there.media.folder.exists() or not any(there.media.folder.iterdir())
    assert refused >= len(spoiled) - 4, "only padding may be changed unnoticed"
    await import_site(there, moved, good)
    assert await checksum(moved) != before
    await moved.close()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_archive_whose_rows_contradict_its_manifest_changes_nothing(
    filled: World, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = filled.site.config
    good = tmp_path / "good"
    summary = await export_site(config, filled.db, good, "json")
    shutil.copy(migrated_sqlite, tmp_path / "moved.db")
    there = elsewhere(config, f"sqlite:///{tmp_path}/moved.db", tmp_path / "there")
    moved = await opened(there)
    before = await checksum(moved)
    # Whoever makes such an archive can make its manifest fit its files; its roots they must fit too.
    forged = replace(summary, roots=summary.roots | {"statements": "00" * 32})
    monkeypatch.setattr(archives, "inspect", lambda path: forged)
    with pytest.raises(PortabilityError, match="statements"):
        await import_site(there, moved, good)
    assert await checksum(moved) == before
    await moved.close()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_it_is_imported_into_an_empty_hub_of_the_same_origin_and_key_only(
    filled: World, migrated_sqlite: Path, tmp_path: Path
) -> None:
    config = filled.site.config
    good = tmp_path / "good"
    await export_site(config, filled.db, good, "json", with_key=True)
    with pytest.raises(PortabilityError, match="not empty"):
        await import_site(config, filled.db, good)
    shutil.copy(migrated_sqlite, tmp_path / "moved.db")
    there = elsewhere(config, f"sqlite:///{tmp_path}/moved.db", tmp_path / "there")
    moved = await opened(there)
    other = replace(there, instance=replace(there.instance, origin="https://other.test"))
    with pytest.raises(PortabilityError, match="origin"):
        await import_site(other, moved, good)
    there.secrets.key_file.unlink()
    create_key_file(there.secrets.key_file)
    with pytest.raises(PortabilityError, match="another key"):
        await import_site(there, moved, good)
    there.secrets.key_file.unlink()
    await import_site(there, moved, good)
    assert there.secrets.key_file.read_bytes() == config.secrets.key_file.read_bytes()
    await moved.close()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_interrupted_export_goes_on_with_the_state_it_began_with(
    filled: World, tmp_path: Path
) -> None:
    _, root = await checksum(filled.db)
    seen: list[str] = []

    class Pulled(Exception):
        pass

    def until_statements(what: str, count: int) -> None:
        seen.append(what)
        if what == "statements":
            raise Pulled

    config = filled.site.config
    with pytest.raises(Pulled):
        await export_site(config, filled.db, tmp_path / "out", "xml", told=until_statements)
    assert not (tmp_path / "out").exists()
    anna = await filled.db.value("SELECT actor_id FROM members LIMIT 1")
    group = await filled.db.value("SELECT actor_id FROM groups LIMIT 1")
    await filled.topic(anna, group, "Written after the export had begun.")
    told: list[str] = []
    done = await export_site(
        config, filled.db, tmp_path / "out", "xml", told=lambda what, count: told.append(what)
    )
    assert done.root == root
    assert "objects" in seen
    assert "objects" not in told
    assert list(tmp_path.glob(".out*")) == []


async def test_every_table_is_in_the_export_or_left_out_for_a_reason(
    filled: World,
    schema: Schema,  # noqa: F811
) -> None:
    assert {*exported(), *left_out()} == set(REGISTER) == set(schema.tables)
    assert all(len(reason) > 10 for reason in left_out().values())
    found = await tables(filled.db)
    for table in found:
        expected = sorted(name for name, _, _ in schema.columns(table.name))
        assert list(table.names) == expected, table.name
        assert table.key
    assert await threads.thing(filled.db, 1) is None
