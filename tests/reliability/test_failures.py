"""The disk is full or read-only, the database locked or away, the network gone: pages say so, queues wait, nothing that
was acknowledged is lost, and everything goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fedcomm.federation import lanes
from fedcomm.store import disk, sqlite
from tests.databases import PostgreSQLDatabases, PostgreSQLServer, migrate_apart, require_binaries
from tests.federation.acts import follower, host_of
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import PUBLIC

OUTAGE_S = float(os.environ.get("FEDCOMM_TEST_OUTAGE_SECONDS", "1"))
"""How long PostgreSQL is away (`python -m tests.nightly`: a minute)."""

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
for line in sys.stdin:
    connection.execute(line)
    print("done", flush=True)
"""
"""Another process that does with a SQLite file what it is told, line by line."""

RETRY = {"delivery": {"retry_minutes": [0.005]}, "inbox": {"retry_seconds": [0.2]}}


FULL: dict[str, dict[str, Any]] = {
    **RETRY,
    "media": {"keep_free_bytes": 0},
    "rates": {"posts_per_member_5min": 1_000_000},
}


@pytest.fixture
async def servers() -> AsyncIterator[ScriptedStubs]:
    made = ScriptedStubs()
    await made.start()
    yield made
    await made.stop()


def answer_of(hub: LocalHub, author: str, number: int) -> dict[str, Any]:
    note = hub.stubs.note(author, number=number, inReplyTo=hub.object_uri(hub.topic))
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": f"{note['id']}/create",
        "type": "Create",
        "actor": author,
        "to": [PUBLIC],
        "object": note,
    }


async def write(hub: LocalHub, cookie: dict[str, str], title: str) -> tuple[int, str, str]:
    """Send the form of a topic: status, Retry-After, text."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{hub.origin}/g/gardening/new",
            data={"title": title, "text": "Words."},
            headers={**cookie, "Origin": hub.origin},
            allow_redirects=False,
        ) as answer,
    ):
        return answer.status, answer.headers.get("Retry-After", ""), await answer.text()


async def goes_on(hub: LocalHub, cookie: dict[str, str], host: str, author: str) -> None:
    """After a failure: somebody writes, it is delivered, and an answer comes in."""
    async with asyncio.timeout(30):
        while (await write(hub, cookie, "Afterwards"))[0] != 303:
            await asyncio.sleep(0.1)
        while await hub.post(answer_of(hub, author, 99)) != 202:
            await asyncio.sleep(0.1)
    await hub.quiet(30)
    assert await hub.count("SELECT count(*) FROM objects WHERE title = 'Afterwards'") == 1
    assert await hub.count("SELECT count(*) FROM objects WHERE uri = ?", f"{author}/notes/99") == 1
    arrived = [str(arrival.body) for arrival in hub.stubs.hosts[host].arrived]
    assert sum("Afterwards" in text for text in arrived) >= 1


async def ask_until(hub: LocalHub, end: float) -> tuple[Counter[tuple[str, int]], list[float]]:
    """What a page and the two looks at the hub's health answer until that moment, and the seconds that each took."""
    answers: Counter[tuple[str, int]] = Counter()
    waits = []
    while True:
        for path in ("/g/gardening", "/ready", "/health"):
            asked = time.monotonic()
            status, text = await hub.get(path)
            waits.append(time.monotonic() - asked)
            answers[path, status] += 1
            assert path != "/g/gardening" or "cannot be reached" in text
        if time.monotonic() > end:
            return answers, waits
        await asyncio.sleep(0.2)


async def through(hub: LocalHub, fail: Any, mend: Any, statuses: set[int], words: str) -> None:
    """One failure of storage from its beginning to its end."""
    cookie = await hub.cookie()
    host = host_of(await follower(hub))
    author = hub.stubs.somebody("ida")
    assert await hub.deliver(answer_of(hub, author, 1)) == "done: stored"
    assert await hub.post(answer_of(hub, author, 2)) == 202
    await fail()
    try:
        status, retry_after, text = await write(hub, cookie, "Meanwhile")
        assert status in statuses, text
        assert int(retry_after) > 0
        assert words in text
        assert await hub.post(answer_of(hub, author, 3)) == 503
    finally:
        await mend()
    await goes_on(hub, cookie, host, author)
    assert await hub.count("SELECT count(*) FROM objects WHERE title = 'Meanwhile'") == 0
    # What was acknowledged before is there; what was refused was not kept by half.
    assert await hub.count("SELECT count(*) FROM objects WHERE uri = ?", f"{author}/notes/2") == 1
    assert await hub.count("SELECT count(*) FROM objects WHERE uri = ?", f"{author}/notes/3") == 0
    if hub.db.dialect == "sqlite":
        assert await hub.db.value("PRAGMA integrity_check") == "ok"


async def test_inv_42_a_database_locked_by_another_process(
    migrated_sqlite: Path, tmp_path: Path, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 200)
    monkeypatch.setattr(sqlite.sqlite_pragmas, "__defaults__", (200,))
    path = tmp_path / "hub.db"
    shutil.copy(migrated_sqlite, path)
    other = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    async def tell(statement: str) -> None:
        assert other.stdin is not None and other.stdout is not None
        other.stdin.write(f"{statement}\n")
        other.stdin.flush()
        # In a thread: the hub that it waits for is in this process.
        assert await asyncio.to_thread(other.stdout.readline) == "done\n"

    try:
        async with local_hub(tmp_path, f"sqlite:///{path}", servers, RETRY) as hub:
            await through(
                hub,
                lambda: tell("BEGIN IMMEDIATE"),
                lambda: tell("ROLLBACK"),
                {503},
                "cannot be reached",
            )
    finally:
        other.communicate()


async def test_inv_42_a_database_that_became_read_only(
    migrated_sqlite: Path, tmp_path: Path, servers: ScriptedStubs
) -> None:
    path = tmp_path / "hub.db"
    shutil.copy(migrated_sqlite, path)
    async with local_hub(tmp_path, f"sqlite:///{path}", servers, RETRY) as hub:
        writer = hub.db._writer  # type: ignore[attr-defined]

        async def freeze() -> None:
            await writer.execute("PRAGMA query_only = ON")

        async def thaw() -> None:
            await writer.execute("PRAGMA query_only = OFF")

        await through(hub, freeze, thaw, {503}, "cannot be reached")


def mount(*arguments: str) -> bool:
    """Mount something; whether that can be done here."""
    command = shutil.which("mount")
    if command is None or os.geteuid():
        return False
    return not subprocess.run([command, *arguments], capture_output=True).returncode


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A disk of 24 MiB with a file system of its own: where it is mounted, and the file that it is in."""
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    maker = shutil.which("mkfs.ext4") or "/usr/sbin/mkfs.ext4"
    with contextlib.suppress(OSError):
        subprocess.run([maker, "-q", str(image)], capture_output=True)
    if not mount("-o", "loop", str(image), str(folder)):
        pytest.skip("no disk can be mounted here")
    yield folder, image
    subprocess.run(["umount", str(folder)], check=False)


async def test_inv_42_a_disk_that_the_system_made_read_only(
    migrated_sqlite: Path, tmp_path: Path, own_disk: tuple[Path, Path], servers: ScriptedStubs
) -> None:
    """As Linux does with a disk that fails: also files that are open for writing cannot be written any more."""
    folder, image = own_disk
    path = folder / "hub.db"
    shutil.copy(migrated_sqlite, path)
    disk.sync(path)
    disk.sync(folder)
    async with local_hub(tmp_path, f"sqlite:///{path}", servers, RETRY) as hub:
        cookie = await hub.cookie()
        host = host_of(await follower(hub))
        author = servers.somebody("ida")
        assert await hub.deliver(answer_of(hub, author, 1)) == "done: stored"
        assert (await write(hub, cookie, "Before"))[0] == 303
        assert await hub.post(answer_of(hub, author, 2)) == 202
        assert mount("-o", "remount,abort", str(folder))
        status, retry_after, text = await write(hub, cookie, "Meanwhile")
        assert (status, "cannot be reached" in text) == (503, True)
        assert int(retry_after) > 0
        assert await hub.post(answer_of(hub, author, 3)) == 503
        status, text = await hub.get("/g/gardening")
        assert status == 200
        assert "Before" in text
        # Nobody has to make it new: the same hub, started again on the mended disk.
        stopped = hub
    subprocess.run(["umount", str(folder)], check=True)
    assert mount("-o", "loop", str(image), str(folder))
    # What is started anew signs its leases as another process.
    lanes._names.clear()
    async with local_hub(tmp_path, f"sqlite:///{path}", servers, RETRY, again=stopped) as hub:
        await goes_on(hub, cookie, host, author)
        for number, count in ((1, 1), (2, 1), (3, 0)):
            sql = "SELECT count(*) FROM objects WHERE uri = ?"
            assert await hub.count(sql, f"{author}/notes/{number}") == count
        for title, count in (("Before", 1), ("Meanwhile", 0)):
            assert await hub.count("SELECT count(*) FROM objects WHERE title = ?", title) == count
        assert await hub.db.value("PRAGMA integrity_check") == "ok"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)):
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill_up(filler: Path) -> None:
    """Write to this file until its disk has not a byte left."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


async def test_inv_42_a_full_disk(
    migrated_sqlite: Path, tmp_path: Path, small_disk: Path, servers: ScriptedStubs
) -> None:
    path = small_disk / "hub.db"
    shutil.copy(migrated_sqlite, path)
    filler = small_disk / "filler"

    async def fill() -> None:
        # The log is emptied first: what it holds already is room that is left.
        await asyncio.sleep(0.5)
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        fill_up(filler)

    async def tidy_up() -> None:
        filler.unlink()

    async with local_hub(tmp_path, f"sqlite:///{path}", servers, FULL) as hub:
        await through(hub, fill, tidy_up, {507}, "no room left")
        status, _ = await hub.get("/g/gardening")
        assert status == 200


@pytest.fixture
def postgresql_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MiB, which a new cluster fills by a third."""
    # PostgreSQL's own user has to come through to it.
    folder = Path(tempfile.mkdtemp(prefix="fedcomm-disk-"))
    if not mount("-t", "tmpfs", "-o", "size=160m,mode=0755", "tmpfs", str(folder)):
        folder.rmdir()
        pytest.skip("no disk can be mounted here")
    folder.chmod(0o755)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=False)
    folder.rmdir()


async def test_inv_42_postgresql_whose_disk_is_full(
    postgresql_disk: Path, tmp_path: Path, servers: ScriptedStubs
) -> None:
    """What finds room in pages that are there already is still written; what is not, is refused whole."""
    server = PostgreSQLServer(
        require_binaries(), settings={"max_wal_size": "32MB"}, place=postgresql_disk
    )
    filler = postgresql_disk / "filler"
    try:
        server.start()
        url = server.url(server.create())
        await asyncio.to_thread(migrate_apart, url)
        async with local_hub(tmp_path, url, servers, FULL) as hub:
            cookie = await hub.cookie()
            host = host_of(await follower(hub))
            author = servers.somebody("ida")
            fill_up(filler)
            written, accepted = set(), set()
            async with asyncio.timeout(60):
                while True:
                    number = len(written)
                    status, retry_after, text = await write(hub, cookie, f"Meanwhile {number}")
                    if status != 303:
                        break
                    written.add(f"Meanwhile {number}")
            assert status == 507, text
            assert "no room left" in text
            assert int(retry_after) > 0
            assert (await hub.get("/g/gardening"))[0] == 200
            for number in range(3):
                status = await hub.post(answer_of(hub, author, number))
                assert status in (202, 503)
                if status == 202:
                    accepted.add(f"{author}/notes/{number}")
            filler.unlink()
            await goes_on(hub, cookie, host, author)
            rows = await hub.db.all("SELECT title FROM objects WHERE title LIKE 'Meanwhile%'")
            assert sorted(row["title"] for row in rows) == sorted(written)
            rows = await hub.db.all("SELECT uri FROM objects WHERE uri LIKE ?", f"{author}/%")
            assert {row["uri"] for row in rows} == accepted | {f"{author}/notes/99"}
    finally:
        server.close()


async def test_inv_42_postgresql_that_is_killed_and_comes_back(
    tmp_path: Path, servers: ScriptedStubs
) -> None:
    server = PostgreSQLServer(require_binaries(), durable=True)
    try:
        server.start()
        url = server.url(server.create())
        await asyncio.to_thread(migrate_apart, url)
        async with local_hub(tmp_path, url, servers, RETRY) as hub:

            async def kill() -> None:
                await asyncio.to_thread(server.kill)

            async def start() -> None:
                answers, waits = await ask_until(hub, time.monotonic() + OUTAGE_S)
                assert set(answers) == {("/g/gardening", 503), ("/ready", 503), ("/health", 503)}
                await asyncio.to_thread(server.start)
                started = time.monotonic()
                while (await hub.get("/ready"))[0] != 200:
                    await asyncio.sleep(0.01)
                print(
                    f"PostgreSQL was away for {OUTAGE_S:.0f} s: {sum(answers.values())} answers,"
                    f" the slowest after {max(waits):.2f} s; ready"
                    f" {time.monotonic() - started:.2f} s after it was back"
                )

            await through(hub, kill, start, {503}, "cannot be reached")
            assert (await hub.get("/ready"))[0] == 200
    finally:
        server.close()


async def test_inv_42_postgresql_that_was_made_read_only(
    migrated_postgresql: tuple[PostgreSQLServer, str], tmp_path: Path, servers: ScriptedStubs
) -> None:
    server, _ = migrated_postgresql
    databases = PostgreSQLDatabases(*migrated_postgresql)
    url = databases.migrated()
    name = url.rpartition("/")[2]

    async def switch(word: str) -> None:
        # New connections have it at once; those that are open are ended, as a failover does.
        await asyncio.to_thread(
            server.run, f"ALTER DATABASE {name} SET default_transaction_read_only = {word}"
        )
        await asyncio.to_thread(
            server.run,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        await asyncio.sleep(0.2)

    try:
        async with local_hub(tmp_path, url, servers, RETRY) as hub:
            await through(
                hub, lambda: switch("on"), lambda: switch("off"), {503}, "cannot be reached"
            )
    finally:
        databases.remove_all()


@pytest.mark.parametrize("what", ["network", "names"])
async def test_inv_43_without_a_network_or_names_queues_wait_and_go_on(
    database_url: str,
    tmp_path: Path,
    servers: ScriptedStubs,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    async with local_hub(tmp_path, database_url, servers, RETRY) as hub:
        host = host_of(await follower(hub))
        await hub.quiet()
        before = len(servers.hosts[host].arrived)
        spoke = hub.site.federation
        assert spoke is not None
        if what == "network":
            assert servers._runner is not None
            await servers._runner.cleanup()
        else:
            resolve = spoke._client.policy.resolve
            kept = dict(resolve)
            resolve.clear()  # type: ignore[attr-defined]
            # Connections that are open need no names.
            assert spoke._client._session is not None
            connector = spoke._client._session.connector
            assert isinstance(connector, aiohttp.TCPConnector)
            connector.clear_dns_cache()
            for idle in connector._conns.values():
                for protocol, _ in idle:
                    protocol.close()
        for number in range(3):
            await hub.write_topic(hub.group, f"Topic {number}")
        async with asyncio.timeout(20):
            while not await hub.count("SELECT max(failures) FROM lanes WHERE queue = 'delivery'"):
                await asyncio.sleep(0.05)
        status, text = await hub.get("/g/gardening")
        assert status == 200
        assert "Topic 2" in text
        assert len(servers.hosts[host].arrived) == before
        if what == "network":
            session = servers._session
            await servers.start()
            assert session is not None
            await session.close()
        else:
            resolve.update(kept)  # type: ignore[attr-defined]
        await hub.quiet(30)
        names = [
            arrival.body["object"]["object"]["name"]
            for arrival in servers.hosts[host].arrived[before:]
            if arrival.body["type"] == "Announce" and isinstance(arrival.body["object"], dict)
        ]
        assert list(dict.fromkeys(names)) == [f"Topic {number}" for number in range(3)]
