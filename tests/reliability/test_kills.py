"""kill -9 at random instants, again and again, while everything goes on: what was acknowledged is there, once.

`FEDCOMM_TEST_KILLS_ALIVE` and `FEDCOMM_TEST_KILLS_MIGRATING` say how often (`python -m tests.nightly` wants more).
Erasures are killed in `tests/test_erasure_bytes.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import aiohttp

from fedcomm.resources import resource_folder
from fedcomm.store import schema
from fedcomm.store.schema import HEAD, migrate, open_database
from tests.databases import PostgreSQLDatabases, PostgreSQLServer
from tests.federation.hub import make_hub
from tests.federation.stub import stubs
from tests.reliability.life import Life
from tests.reliability.processes import Mortal, forks
from tests.store.test_schema import NEXT, add_revision

ALIVE = int(os.environ.get("FEDCOMM_TEST_KILLS_ALIVE", "24"))
MIGRATING = int(os.environ.get("FEDCOMM_TEST_KILLS_MIGRATING", "12"))
UNLIMITED = {
    "rates": {"posts_per_member_5min": 1_000_000, "uploads_per_30min": 1_000_000},
    "abuse": {"posts_per_actor_hour": 0, "activities_per_actor_hour": 0, "hold_score": 1000,
              "posts_per_host_and_group_hour": 0, "follows_per_group_hour": 0},
    "media": {"daily_bytes_per_member": 1 << 40},
}  # fmt: skip


async def live_and_die(
    folder: Path, kills: int, database_url: str | None = None, processes: int = 1
) -> Life:
    """A hub that is killed so often; its people, with everything checked. Of several processes it is mostly one that
    is killed, and the others go on."""
    chance = random.Random(20261122)
    settings = UNLIMITED | {"server": {"processes": processes}}
    hub = await make_hub(folder, settings=settings, database_url=database_url)
    mortal = Mortal(hub)
    async with stubs() as servers, aiohttp.ClientSession() as session:
        db = await open_database(database_url or f"sqlite:///{folder / 'fedcomm.db'}", readers=1)
        life = Life(hub, servers, db)
        mortal.start()
        try:
            await mortal.answers(session)
            await life.settle_in()
            async with life.going_on():
                while mortal.kills < kills:
                    # Mostly in the middle of work, sometimes while it starts.
                    if chance.random() < 0.8:
                        await life.moved()
                    await asyncio.sleep(chance.uniform(0, 0.25))
                    if processes > 1 and chance.random() < 0.8:
                        mortal.kill_part(chance)
                        await life.note_kill()
                        continue
                    await mortal.kill()
                    await life.note_kill()
                    mortal.start()
                await mortal.answers(session)
            assert life.tries > life.progress, "nobody ever noticed a kill"
            print(f"{kills} kills came into: {dict(life.interrupted)}")
            await life.audit()
        finally:
            with contextlib.suppress(AssertionError):
                await mortal.stop()
            await db.close()
    return life


async def test_inv_41_42_43_killed_at_random_instants_nothing_acknowledged_is_lost_or_done_twice(
    tmp_path: Path,
) -> None:
    life = await live_and_die(tmp_path / "hub", ALIVE)
    assert len(life.replies) + len(life.titles) > ALIVE // 2
    assert life.pictures
    assert {"inbox", "delivery", "posting", "upload"} <= set(life.interrupted)


async def test_inv_41_42_43_the_same_on_postgresql(
    migrated_postgresql: tuple[PostgreSQLServer, str], tmp_path: Path
) -> None:
    databases = PostgreSQLDatabases(*migrated_postgresql)
    try:
        await live_and_die(tmp_path / "hub", max(4, ALIVE // 5), databases.migrated())
    finally:
        databases.remove_all()


async def test_inv_41_44_46_of_two_processes_one_is_killed_and_the_other_takes_over(
    database_url: str, tmp_path: Path
) -> None:
    """On one SQLite file as well."""
    url = None if database_url.startswith("sqlite") else database_url
    life = await live_and_die(tmp_path / "hub", max(6, ALIVE // 5), url, processes=2)
    assert life.replies and life.titles


def _migrate(url: str, history: str) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    setattr(schema, "resource_folder", lambda _name: Path(history))  # noqa: B010
    migrate(url)


def _longer_history(folder: Path) -> Path:
    """The migrations with one more, which takes its time."""
    history = folder / "history"
    shutil.copytree(
        resource_folder("migrations"), history, ignore=shutil.ignore_patterns("__pycache__")
    )
    add_revision(
        history,
        NEXT,
        HEAD,
        "CREATE TABLE copies AS SELECT key, value || 'x' AS value FROM settings",
        "UPDATE settings SET value = 'new'",
        "CREATE INDEX copies_by_value ON copies (value)",
    )
    return history


async def test_inv_48_killed_at_random_instants_a_migration_of_postgresql_has_happened_or_not(
    migrated_postgresql: tuple[PostgreSQLServer, str], tmp_path: Path
) -> None:
    history = _longer_history(tmp_path)
    server, _ = migrated_postgresql
    databases = PostgreSQLDatabases(*migrated_postgresql)
    chance = random.Random(20261122)
    longest, kills, happened = 0.0, 0, 0
    try:
        before = databases.migrated()
        db = await open_database(before, pool_size=1)
        async with db.transaction() as tx:
            await tx.execute(
                "INSERT INTO settings (key, value) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
                " SELECT i + 1 FROM n WHERE i < 20000) SELECT 'k' || CAST(i AS TEXT), 'old' FROM n"
            )
        await db.close()
        while kills < max(3, MIGRATING // 4):
            name = server.create(before.rpartition("/")[2])
            url = server.url(name)
            process = forks.Process(target=_migrate, args=(url, str(history)), daemon=True)
            started = time.monotonic()
            process.start()
            await asyncio.to_thread(process.join, chance.uniform(longest / 4, longest) or 60)
            is_killed = process.is_alive()
            if is_killed:
                process.kill()
                await asyncio.to_thread(process.join, 60)
                kills += 1
            else:
                # The first one shows how long it takes; only that a process is made the first time takes longer.
                assert process.exitcode == 0
                longest = time.monotonic() - started
            db = await open_database(url, pool_size=1, check=False)
            revision = await db.value("SELECT version_num FROM alembic_version")
            values = await db.all("SELECT DISTINCT value FROM settings WHERE key LIKE 'k%'")
            copies = await db.value("SELECT count(*) FROM pg_tables WHERE tablename = 'copies'")
            await db.close()
            assert revision in (HEAD, NEXT)
            assert [row["value"] for row in values] == ["new" if revision == NEXT else "old"]
            assert bool(copies) == (revision == NEXT)
            happened += revision == NEXT
            if is_killed:
                # Whatever the kill left behind, the next try succeeds.
                again = forks.Process(target=_migrate, args=(url, str(history)), daemon=True)
                again.start()
                await asyncio.to_thread(again.join, 60)
                assert again.exitcode == 0
            server.drop(name)
    finally:
        databases.remove_all()
    print(f"{kills} kills of a migration of PostgreSQL, {happened} runs had happened")


def test_inv_48_killed_at_random_instants_a_migration_has_happened_or_not(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    history = _longer_history(tmp_path)
    before = tmp_path / "before.db"
    shutil.copy(migrated_sqlite, before)
    with contextlib.closing(sqlite3.connect(before)) as file:
        file.executemany(
            "INSERT INTO settings (key, value) VALUES (?, 'old')",
            [(f"k{n}",) for n in range(20_000)],
        )
        file.commit()
    chance = random.Random(20261122)
    path = tmp_path / "hub.db"
    longest, kills, happened = 0.0, 0, 0
    while kills < MIGRATING:
        for left in tmp_path.glob("*hub.db*"):
            left.unlink()
        shutil.copy(before, path)
        process = forks.Process(
            target=_migrate, args=(f"sqlite:///{path}", str(history)), daemon=True
        )
        started = time.monotonic()
        process.start()
        if longest:
            time.sleep(chance.uniform(0, longest))
        killed = bool(longest) and process.is_alive()
        if killed:
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.join(60)
        if not killed:
            # Those that are left alone show how long it takes; the first one may have met a busy moment.
            assert process.exitcode == 0
            longest = min(longest or 60.0, time.monotonic() - started)
        with contextlib.closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (revision,) = file.execute("SELECT version_num FROM alembic_version").fetchone()
            values = set(file.execute("SELECT value FROM settings WHERE key LIKE 'k%'"))
            copies = file.execute("SELECT 1 FROM sqlite_master WHERE name = 'copies'").fetchone()
        assert revision in (HEAD, NEXT)
        assert values == ({("new",)} if revision == NEXT else {("old",)})
        assert bool(copies) == (revision == NEXT)
        happened += killed and revision == NEXT
        # Whatever the kill left behind, the next try succeeds.
    last = forks.Process(target=_migrate, args=(f"sqlite:///{path}", str(history)), daemon=True)
    last.start()
    last.join(60)
    assert last.exitcode == 0
    assert happened < kills, "every kill came too late"
    print(f"{kills} kills of a migration, {happened} of them after it had happened")
