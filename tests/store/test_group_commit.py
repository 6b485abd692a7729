from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedcomm.store.database import Conflict, Database, DatabaseUnavailable
from fedcomm.store.groupcommit import MAX_BATCH_ROWS, Batch, GroupCommit
from fedcomm.store.ids import now_ms
from fedcomm.store.postgresql import open_postgresql
from fedcomm.store.schema import open_database
from tests.databases import PostgreSQLServer, migrate_apart, require_binaries

HOST = "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, ?)"
LANE = "INSERT INTO lanes (queue, host_id) VALUES (?, ?)"


def host(number: int, name: str = "") -> tuple[int, str, int]:
    return number, name or f"h{number}.test", now_ms()


async def test_what_is_appended_can_be_read_when_append_returns(
    db: Database, database_url: str
) -> None:
    await db.append(HOST, host(1))
    other = await open_database(database_url)
    try:
        assert await other.value("SELECT name FROM hosts WHERE id = 1") == "h1.test"
    finally:
        await other.close()


async def test_a_bad_row_does_not_refuse_its_neighbours(db: Database) -> None:
    rows = [host(number) for number in range(1, 30)]
    rows[10] = host(11, "h1.test")
    answers = await asyncio.gather(*(db.append(HOST, row) for row in rows), return_exceptions=True)
    assert isinstance(answers[10], Conflict)
    assert [answer for answer in answers if answer is not None] == [answers[10]]
    assert await db.value("SELECT count(*) FROM hosts") == 28


async def test_statements_of_different_kinds_gather_in_one_batch(db: Database) -> None:
    await db.append(HOST, host(1))
    await asyncio.gather(
        *(db.append(HOST, host(number)) for number in range(2, 10)),
        *(db.append(LANE, (f"queue{number}", 1)) for number in range(5)),
    )
    assert await db.value("SELECT count(*) FROM hosts") == 9
    assert await db.value("SELECT count(*) FROM lanes") == 5


async def test_statements_appended_together_stand_or_fall_together(db: Database) -> None:
    answers = await asyncio.gather(
        db.append_together((HOST, host(1)), (LANE, ("inbox", 1))),
        db.append_together((HOST, host(2)), (LANE, ("inbox", 99))),
        db.append_together((HOST, host(3)), (LANE, ("inbox", 3))),
        return_exceptions=True,
    )
    assert isinstance(answers[1], Conflict)
    assert answers[0] is None and answers[2] is None
    assert [row["id"] for row in await db.all("SELECT id FROM hosts ORDER BY id")] == [1, 3]
    assert [row["host_id"] for row in await db.all("SELECT host_id FROM lanes")] == [1, 3]


async def test_one_who_stops_waiting_disturbs_nobody(db: Database) -> None:
    waiting = [asyncio.create_task(db.append(HOST, host(number))) for number in range(1, 6)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers if answer is not None] == [asyncio.CancelledError]
    await db.append(HOST, host(6))


async def test_closing_waits_for_what_was_appended(database_url: str) -> None:
    db = await open_database(database_url)
    waiting = [asyncio.create_task(db.append(HOST, host(number))) for number in range(1, 50)]
    await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*waiting)
    db = await open_database(database_url)
    assert await db.value("SELECT count(*) FROM hosts") == 49
    await db.close()


class Writes:
    """Notes the batches that it is given; fails as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sizes: list[int] = []
        self._error = error

    async def __call__(self, batch: Batch) -> None:
        self.sizes.append(sum(map(len, batch.values())))
        await asyncio.sleep(0.001)
        if self._error is not None:
            raise self._error


async def test_rows_of_one_moment_share_a_transaction_and_a_batch_is_bounded() -> None:
    writes = Writes()
    group = GroupCommit(writes)
    await asyncio.gather(*(group.append((HOST, host(n))) for n in range(MAX_BATCH_ROWS + 7)))
    assert writes.sizes == [MAX_BATCH_ROWS, 7]


async def test_a_database_that_is_gone_is_asked_once_and_not_for_each_row() -> None:
    writes = Writes(DatabaseUnavailable("disk full"))
    group = GroupCommit(writes)
    answers = await asyncio.gather(
        *(group.append((HOST, host(n))) for n in range(20)), return_exceptions=True
    )
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert writes.sizes == [20]


async def test_appending_goes_on_after_a_failure() -> None:
    writes = Writes(DatabaseUnavailable("disk full"))
    group = GroupCommit(writes)
    with pytest.raises(DatabaseUnavailable):
        await group.append((HOST, host(1)))
    writes._error = None
    await group.append((HOST, host(1)))


@pytest.fixture
def durable_server() -> Iterator[PostgreSQLServer]:
    server = PostgreSQLServer(require_binaries(), durable=True)
    server.start()
    yield server
    server.close()


async def test_inv_42_what_was_appended_survives_the_loss_of_power(
    durable_server: PostgreSQLServer,
) -> None:
    url = durable_server.url(durable_server.create())
    migrate_apart(url)
    db = await open_postgresql(url, pool_size=2)
    await asyncio.gather(*(db.append(HOST, host(number)) for number in range(1, 40)))
    durable_server.kill()
    with pytest.raises(DatabaseUnavailable):
        await db.append(HOST, host(41))
    with pytest.raises(DatabaseUnavailable):
        await db.value("SELECT count(*) FROM hosts")
    durable_server.start()
    assert await db.value("SELECT count(*) FROM hosts") == 39
    await db.append(HOST, host(41))
    await db.close()


async def test_inv_42_a_killed_process_loses_nothing_that_append_answered(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", APPEND_FOR_EVER, f"sqlite:///{path}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = [int(await process.stdout.readline()) for _ in range(60)]
    process.kill()
    told += [int(line) for line in (await process.stdout.read()).split(b"\n")[:-1]]
    await process.wait()
    db = await open_database(f"sqlite:///{path}")
    kept = {row["id"] for row in await db.all("SELECT id FROM hosts")}
    await db.close()
    assert len(told) >= 60
    assert set(told) <= kept


APPEND_FOR_EVER = """
import asyncio, sys
from fedcomm.store.schema import open_database

async def main():
    db = await open_database(sys.argv[1])
    async def one(number):
        await db.append(
            "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, 0)", (number, str(number))
        )
        print(number, flush=True)
    for start in range(0, 1_000_000, 10):
        await asyncio.gather(*(one(number) for number in range(start, start + 10)))

asyncio.run(main())
"""
