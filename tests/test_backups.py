"""Backups: whole or refused, restored elsewhere, and forgetful after an erasure."""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fedcomm import backups, erasures
from fedcomm.backups import BackupError
from fedcomm.config import Config, Database, Erasure, Media, Secrets
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.vault import Vault, create_key_file
from fedcomm.hub import erasure, media, threads
from fedcomm.hub.images import ImageLimits
from fedcomm.portability.tars import MANIFEST
from fedcomm.site import Site
from fedcomm.store.pseudonyms import Pseudonyms
from fedcomm.store.schema import open_database
from tests.databases import Databases
from tests.hub.world import World

MARK = "zqbackupzq"


@pytest.fixture
async def filled(site: Site) -> World:
    """A hub with people, a picture, a topic and keys."""
    create_key_file(site.config.secrets.key_file)
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member("anna", display_name=MARK)
    group = await world.group("garden", boss)
    from fedcomm.hub import groups

    await world.do(groups.join, group, anna)
    await world.topic(anna, group, f"{MARK} words", title="A topic")
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), (200, 10, 10)).save(stream, "PNG")
    picture = await media.upload(
        site.db, boss, stream.getvalue(), folder=site.media_folder, purpose="avatar",
        limits=ImageLimits(), daily_bytes=1 << 30,
    )  # fmt: skip
    await world.run("UPDATE actors SET avatar_id = ? WHERE id = ?", picture, boss)
    await Keyring(site.db, Vault.load(site.config.secrets.key_file), Addresses(site.origin)).pair(
        anna
    )
    return world


def elsewhere(config: Config, url: str, folder: Path, *, journal: Path | None = None) -> Config:
    """The same hub on another machine."""
    folder.mkdir()
    shutil.copy(config.secrets.key_file, folder / "fedcomm.key")
    return replace(
        config,
        database=Database(url=url),
        media=Media(folder=folder / "media"),
        secrets=Secrets(key_file=folder / "fedcomm.key"),
        erasure=Erasure(journal=journal or config.erasure.journal),
    )


def new_url(databases: Databases, folder: Path) -> str:
    return f"sqlite:///{folder}/other.db" if databases.engine == "sqlite" else databases.empty()


async def test_a_restored_hub_has_everything_and_its_keys_open(
    filled: World, databases: Databases, tmp_path: Path
) -> None:
    config = filled.site.config
    file = tmp_path / "hub.backup"
    made = await asyncio.to_thread(backups.make, config, file)
    assert file.stat().st_mode & 0o077 == 0
    assert not made.has_key
    assert config.secrets.key_file.read_bytes().strip() not in file.read_bytes()
    drill = await asyncio.to_thread(backups.drill, file, key_file=config.secrets.key_file)
    assert drill.missing == ()
    if databases.engine == "sqlite":
        assert drill.counts["members"] == 2
        assert drill.key_fits is True
        other_key = tmp_path / "other.key"
        create_key_file(other_key)
        assert (await asyncio.to_thread(backups.drill, file, key_file=other_key)).key_fits is False

    there = elsewhere(config, new_url(databases, tmp_path), tmp_path / "there")
    await asyncio.to_thread(backups.restore, there, file)
    db = await open_database(there.database.url)
    for table in ("actors", "members", "objects", "journal", "media", "search_index"):
        sql = f"SELECT count(*) FROM {table}"
        assert await db.value(sql) == await filled.db.value(sql), table
    names = sorted(path.name for path in config.media.folder.iterdir() if path.is_file())
    assert sorted(path.name for path in there.media.folder.iterdir()) == names != []
    anna = await db.value("SELECT id FROM actors WHERE name = 'anna'")
    pair = await Keyring(
        db, Vault.load(there.secrets.key_file), Addresses(there.instance.origin)
    ).pair(anna)
    assert pair.rsa.public().to_pem() == await filled.db.value(
        "SELECT public_key FROM actor_keys WHERE uri = ?", pair.key_id
    )
    await db.close()


async def test_a_backup_is_whole_while_members_write(filled: World, tmp_path: Path) -> None:
    stop = False
    group = await filled.db.value("SELECT actor_id FROM groups")
    boss = await filled.db.value("SELECT created_by FROM groups")

    async def busy() -> int:
        count = 0
        while not stop:
            await filled.topic(boss, group, f"Number {count}")
            count += 1
        return count

    writing = asyncio.create_task(busy())
    files = []
    for number in range(3):
        await asyncio.sleep(0.02)
        files.append(tmp_path / f"{number}.backup")
        await asyncio.to_thread(backups.make, filled.site.config, files[-1])
    stop = True
    assert await writing > 3
    for file in files:
        await asyncio.to_thread(backups.drill, file)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_changed_or_cut_backup_is_refused_whole_and_changes_nothing(
    filled: World, tmp_path: Path
) -> None:
    config = filled.site.config
    file = tmp_path / "hub.backup"
    made = backups.make(config, file)
    data = file.read_bytes()
    there = elsewhere(config, f"sqlite:///{tmp_path}/other.db", tmp_path / "there")
    chance = random.Random(7)
    spoiled = [data[: len(data) // 2], data[:-20_000], data[:600], b"", b"hello" * 500]
    for _ in range(25):
        # Somewhere in what counts; the padding between the parts of a tar file says nothing.
        position = chance.randrange(made.size // 2)
        changed = bytearray(data)
        changed[position] ^= 0xFF
        spoiled.append(bytes(changed))
    refused = 0
    for number, content in enumerate(spoiled):
        bad = tmp_path / "bad.backup"
        bad.write_bytes(content)
        try:
            backups.read(bad)
        except BackupError:
            refused += 1
            with pytest.raises(BackupError):
                backups.restore(there, bad)
            assert not (tmp_path / "other.db").exists(), number
            assert not there.media.folder.exists() or not any(there.media.folder.iterdir())
    assert refused >= len(spoiled) - 4, "only padding may be changed unnoticed"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_has_no_place_in_a_backup_is_refused(filled: World, tmp_path: Path) -> None:
    good = tmp_path / "good.backup"
    backups.make(filled.site.config, good)
    for name, kind in (
        ("../evil", tarfile.REGTYPE),
        ("/etc/evil", tarfile.REGTYPE),
        ("media/../../evil", tarfile.REGTYPE),
        ("media//etc/evil", tarfile.REGTYPE),
        ("media/./evil", tarfile.REGTYPE),
        ("media/link", tarfile.SYMTYPE),
        ("strange", tarfile.REGTYPE),
    ):
        bad = tmp_path / "bad.backup"
        with tarfile.open(good) as source, tarfile.open(bad, "w") as target:
            for member in source:
                if member.name == MANIFEST:
                    added = tarfile.TarInfo(name)
                    added.type, added.linkname = kind, "/etc/passwd"
                    target.addfile(added)
                target.addfile(member, source.extractfile(member))
        with pytest.raises(BackupError, match=r"place|missing"):
            backups.read(bad)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_nothing_is_overwritten(filled: World, tmp_path: Path) -> None:
    config = filled.site.config
    file = tmp_path / "hub.backup"
    backups.make(config, file)
    with pytest.raises(BackupError, match="exists"):
        backups.make(config, file)
    with pytest.raises(BackupError, match="database"):
        backups.restore(config, file)
    there = elsewhere(config, f"sqlite:///{tmp_path}/other.db", tmp_path / "there")
    there.media.folder.mkdir()
    (there.media.folder / "mine.png").write_bytes(b"x")
    with pytest.raises(BackupError, match="files"):
        backups.restore(there, file)
    (there.media.folder / "mine.png").unlink()
    there.secrets.key_file.unlink()
    with pytest.raises(BackupError, match="key"):
        backups.restore(there, file)
    with_key = tmp_path / "key.backup"
    assert backups.make(config, with_key, with_key=True).has_key
    backups.restore(there, with_key)
    assert there.secrets.key_file.read_bytes() == config.secrets.key_file.read_bytes()


async def test_inv_51_a_restored_backup_from_before_an_erasure_is_clean(
    filled: World, databases: Databases, tmp_path: Path
) -> None:
    site = filled.site
    file = tmp_path / "hub.backup"
    await asyncio.to_thread(backups.make, site.config, file)
    anna = await filled.db.value("SELECT id FROM actors WHERE name = 'anna'")
    topic = await filled.db.value("SELECT id FROM objects WHERE author_id = ?", anna)
    await filled.do(erasure.request, "member", anna, requested_by=anna, own=True)
    await site.erasure_journal.catch_up(site.db)

    there = elsewhere(site.config, new_url(databases, tmp_path), tmp_path / "there")
    await asyncio.to_thread(backups.restore, there, file)
    db = await open_database(
        there.database.url, pseudonyms=Pseudonyms.under(there.secrets.key_file)
    )
    assert await db.value("SELECT source FROM objects WHERE id = ?", topic) != ""
    again = Site(there, db)
    assert [line.what for line in await again.erasure_journal.pending(db)] == ["member"]
    await erasures.replay(again)
    assert list(await again.erasure_journal.pending(db)) == []
    assert (await threads.thing(db, topic)).deleted_at is not None  # type: ignore[union-attr]
    (case,) = await erasure.open_cases(db)
    for _ in range(50):
        case = await erasures.proceed(again, case)
        if case.state == "done":
            break
    assert case.state == "done"
    if there.database.file is not None:
        for path in there.database.file.parent.glob("other.db*"):
            assert MARK.encode() not in path.read_bytes()
    await db.close()
