"""A migration takes a copy first, is all or nothing, and the copy does not outlive an erasure."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import namedtuple
from pathlib import Path

import pytest

from fedcomm import erasures, janitor
from fedcomm.hub import erasure
from fedcomm.site import Site
from fedcomm.store import snapshots
from fedcomm.store.schema import HEAD, migrate, open_database
from tests.databases import make_site, migrate_apart
from tests.hub.world import World
from tests.store.test_schema import NEXT, add_revision, history  # noqa: F401


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def file(migrated_sqlite: Path, tmp_path: Path) -> Path:
    path = tmp_path / "hub.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO settings (key, value) VALUES ('a', 'b')")
        connection.commit()
    return path


def test_a_migration_keeps_a_copy_of_what_was_there_before(file: Path, history: Path) -> None:  # noqa: F811
    add_revision(history, NEXT, HEAD, "UPDATE settings SET value = 'changed'")
    told: list[tuple[str, str]] = []
    migrate(f"sqlite:///{file}", told=lambda revision, words: told.append((revision, words)))
    assert [revision for revision, _ in told] == [NEXT]
    [copy] = snapshots.of(file)
    assert rows(copy, "SELECT value FROM settings WHERE key = 'a'") == [("b",)]
    assert rows(copy, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert copy.stat().st_mode & 0o077 == 0
    assert rows(file, "SELECT value FROM settings WHERE key = 'a'") == [("changed",)]


def test_without_anything_to_do_there_is_no_copy(file: Path) -> None:
    migrate(f"sqlite:///{file}")
    assert snapshots.of(file) == []


async def test_inv_48_after_a_migration_that_fails_the_release_before_serves_on(
    file: Path,
    history: Path,  # noqa: F811
) -> None:
    db = await open_database(f"sqlite:///{file}")
    add_revision(history, NEXT, HEAD, "CREATE TABLE half (id BIGINT)")
    add_revision(history, f"{int(NEXT) + 1:04}", NEXT, "NO SQL AT ALL")
    with pytest.raises(Exception, match="syntax error"):
        migrate_apart(f"sqlite:///{file}")
    # The one that serves was never told, and writes and reads as before.
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO settings (key, value) VALUES ('c', 'd')")
    assert await db.value("SELECT value FROM settings WHERE key = 'a'") == "b"
    await db.close()
    again = await open_database(f"sqlite:///{file}")
    await again.close()
    assert snapshots.of(file) == []
    assert rows(file, "PRAGMA integrity_check") == [("ok",)]


def test_without_room_for_the_copy_nothing_begins(
    file: Path,
    history: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_revision(history, NEXT, HEAD, "UPDATE settings SET value = 'changed'")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 1))
    with pytest.raises(OSError, match="no room"):
        migrate(f"sqlite:///{file}")
    assert rows(file, "SELECT value FROM settings WHERE key = 'a'") == [("b",)]


async def test_the_copy_goes_when_the_new_release_has_served_for_days(
    file: Path, tmp_path: Path
) -> None:
    copy = snapshots.take(file, "9999")
    assert copy is not None
    half_done = copy.with_name(f".{copy.name}.unfinished")
    half_done.write_bytes(b"broken off")
    site = await make_site(f"sqlite:///{file}", tmp_path)
    await janitor.tidy(site)
    assert copy.exists()
    for path in (copy, half_done):
        os.utime(path, (0, time.time() - snapshots.KEPT_S - 1))
    await janitor.tidy(site)
    assert snapshots.of(file) == []
    await site.db.close()


async def test_inv_49_an_erasure_does_not_leave_the_copy_behind(file: Path, tmp_path: Path) -> None:
    site: Site = await make_site(f"sqlite:///{file}", tmp_path)
    world = World(site)
    await world.member("boss", role="administrator")
    anna = await world.member("anna", display_name="zqmarkzq")
    assert snapshots.take(file, "9999") is not None
    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    for _ in range(50):
        case = await erasure.case(site.db, case_id)
        assert case is not None
        if case.state == "done":
            break
        await erasures.proceed(site, case)
    assert snapshots.of(file) == []
    await site.db.close()
