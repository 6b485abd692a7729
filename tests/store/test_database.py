"""The port's promises, on both adapters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Hashable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub import journal
from fedcomm.store.database import (
    Conflict,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    marks,
    storable,
)
from fedcomm.store.postgresql import numbered, open_postgresql
from fedcomm.store.schema import open_database
from fedcomm.store.sqlite import SQLiteDatabase, open_sqlite, sqlite_pragmas
from tests.databases import PostgreSQLServer

HOST = "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, 0)"


class Unexpected(Exception):
    """Something that only this test raises."""


async def count(db: Database, table: str) -> int:
    return int(await db.value(f"SELECT count(*) FROM {table}"))


async def test_reads_answer_rows_by_name(db: Database) -> None:
    async with db.transaction() as tx:
        assert await tx.execute(HOST, 1, "a.test") == 1
        await tx.many(HOST, [(2, "b.test"), (3, "c.test")])
    rows = await db.all("SELECT id, name FROM hosts ORDER BY id")
    assert [(row["id"], row["name"]) for row in rows] == [
        (1, "a.test"),
        (2, "b.test"),
        (3, "c.test"),
    ]
    one = await db.one("SELECT name FROM hosts WHERE id = ?", 2)
    assert one is not None and one["name"] == "b.test"
    assert await db.one("SELECT name FROM hosts WHERE id = ?", 9) is None
    assert await db.value("SELECT name FROM hosts WHERE id = ?", 9) is None


async def test_execute_tells_how_many_rows_it_changed(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.many(HOST, [(number, f"h{number}.test") for number in range(5)])
        assert await tx.execute("UPDATE hosts SET policy = 'suspend' WHERE id < ?", 3) == 3
        assert await tx.execute("DELETE FROM hosts WHERE id = ?", 77) == 0
        assert await tx.execute(HOST + " ON CONFLICT DO NOTHING", 1, "x.test") == 0


async def test_a_transaction_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(Unexpected):  # noqa: PT012
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")
            await journal.record(tx, "group_created")
            raise Unexpected
    assert await count(db, "hosts") == 0
    assert await count(db, "journal") == 0
    async with db.transaction() as tx:
        await tx.execute(HOST, 1, "a.test")
    assert await count(db, "hosts") == 1


async def test_a_failed_statement_rolls_the_whole_transaction_back(db: Database) -> None:
    with pytest.raises(Conflict):  # noqa: PT012
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")
            await tx.execute(HOST, 1, "b.test")
    assert await count(db, "hosts") == 0


async def test_what_is_not_committed_is_not_seen(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(HOST, 1, "a.test")
        assert await tx.value("SELECT count(*) FROM hosts") == 1
        assert await count(db, "hosts") == 0


async def test_unique_and_foreign_keys_are_conflicts(db: Database) -> None:
    await db.append(HOST, (1, "a.test"))
    with pytest.raises(Conflict):
        await db.append(HOST, (2, "a.test"))
    with pytest.raises(Conflict):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO lanes (queue, host_id) VALUES ('inbox', 99)")
    with pytest.raises(Conflict):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO settings (key, value) VALUES ('a', NULL)")


async def test_a_wrong_statement_is_an_error_and_not_an_outage(db: Database) -> None:
    for read in (db.all, db.one, db.value):
        with pytest.raises(DatabaseError) as caught:
            await read("SELECT nothing FROM nowhere")
        assert not isinstance(caught.value, DatabaseUnavailable | Conflict)
    with pytest.raises(DatabaseError) as caught:
        await db.append("INSERT INTO nowhere VALUES (?)", (1,))
    assert not isinstance(caught.value, DatabaseUnavailable | Conflict)


async def test_a_nul_in_a_text_is_stored_as_a_replacement_and_finds_nothing(db: Database) -> None:
    await db.append(HOST, (1, "a\0b"))
    assert await db.value("SELECT name FROM hosts WHERE id = 1") == "a\ufffdb"
    assert await db.one("SELECT id FROM hosts WHERE name = ?", "a\0c") is None
    async with db.transaction() as tx:
        await tx.many(HOST, [(2, "\0"), (3, "plain")])
        assert await tx.value("SELECT name FROM hosts WHERE id = 2") == "\ufffd"


async def test_transactions_come_one_after_the_other(db: Database) -> None:
    """Each reads a number, waits, and writes the next: nobody's change is lost."""
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO settings (key, value) VALUES ('n', '0')")

    async def add_one() -> None:
        async with db.transaction() as tx:
            number = int(await tx.value("SELECT value FROM settings WHERE key = 'n'"))
            await asyncio.sleep(0)
            await tx.execute("UPDATE settings SET value = ? WHERE key = 'n'", str(number + 1))

    await asyncio.gather(*(add_one() for _ in range(20)))
    assert await db.value("SELECT value FROM settings WHERE key = 'n'") == "20"


async def test_a_reader_with_a_cursor_never_misses_an_entry(database_url: str) -> None:
    """Twenty writers on two processes' worth of connections; entries appear in their order."""
    writers = [await open_database(database_url, pool_size=4) for _ in range(2)]
    reader = await open_database(database_url)
    written = 0

    async def write(number: int) -> None:
        nonlocal written
        for turn in range(5):
            async with writers[number % 2].transaction() as tx:
                await journal.record(tx, "member_edited", actor_id=number * 100 + turn)
                await asyncio.sleep(0.001 * (number % 3))
            written += 1

    async def read() -> list[journal.Entry]:
        seen: list[journal.Entry] = []
        for _ in range(100_000):
            seen += await journal.entries_after(reader, seen[-1].seq if seen else 0, 7)
            if len(seen) >= 100:
                break
            await asyncio.sleep(0)
        return seen

    *_, seen = await asyncio.wait_for(
        asyncio.gather(*(write(number) for number in range(20)), read()), timeout=60
    )
    assert written == 100
    assert isinstance(seen, list)
    assert sorted(entry.actor_id or 0 for entry in seen) == sorted(
        number * 100 + turn for number in range(20) for turn in range(5)
    )
    for database in (*writers, reader):
        await database.close()


async def test_waiting_writers_leave_connections_to_readers(database_url: str) -> None:
    """Otherwise a transaction that reads beside itself would wait for a connection for ever."""
    db = await open_database(database_url, pool_size=2, readers=1)

    async def write(number: int) -> None:
        async with db.transaction() as tx:
            await tx.execute(HOST, number, f"h{number}.test")
            await db.value("SELECT count(*) FROM hosts")

    await asyncio.wait_for(asyncio.gather(*(write(number) for number in range(20))), 30)
    assert await count(db, "hosts") == 20
    await db.close()


async def test_queue_transactions_of_different_rows_do_not_wait_for_the_hub(
    migrated_postgresql: tuple[PostgreSQLServer, str],
) -> None:
    server, template = migrated_postgresql
    name = server.create(template)
    db = await open_postgresql(server.url(name), pool_size=4)
    async with db.transaction() as tx:
        await tx.execute(HOST, 1, "a.test")

        async def claim() -> None:
            async with db.queue_transaction() as other:
                await other.execute(HOST, 2, "b.test")

        await asyncio.wait_for(claim(), 10)
    await db.close()
    server.drop(name)


async def test_a_cancelled_transaction_leaves_the_writer_free(db: Database) -> None:
    entered = asyncio.Event()

    async def write() -> None:
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(db, "hosts") == 0
    await asyncio.wait_for(db.append(HOST, (1, "a.test")), 10)


@pytest.mark.parametrize("steps", range(12))
async def test_a_transaction_cancelled_at_any_step_leaves_the_writer_free(
    db: Database, steps: int
) -> None:
    async def write() -> None:
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")

    task = asyncio.create_task(write())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        async with db.transaction() as tx:
            await tx.execute(HOST, 2, "b.test")
        assert await db.value("SELECT count(*) FROM hosts WHERE id = 2") == 1


async def test_one_who_gives_up_waiting_for_a_lock_leaves_no_transaction_open(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = await open_sqlite(path, readers=1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.3, other.execute, "COMMIT")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), db.transaction():
            pytest.fail("the lock was not waited for")
    await asyncio.wait_for(db.append(HOST, (2, "b.test")), 5)
    other.close()
    await db.close()


async def test_every_sqlite_connection_is_durable_checked_and_overwrites_what_it_deletes(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = await open_sqlite(path, readers=3)
    assert isinstance(db, SQLiteDatabase)
    # Debian's SQLite is built with some of these as defaults; others are not.
    for setting in ("synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
        assert f"PRAGMA {setting}" in sqlite_pragmas(1)
    connections = [db._writer, *db._readers]
    assert len(connections) == 4
    for connection in connections:

        async def pragma(name: str, connection: object = connection) -> object:
            rows = await connection.execute_fetchall(f"PRAGMA {name}")  # type: ignore[attr-defined]
            return rows[0][0]

        assert await pragma("synchronous") == 2
        assert await pragma("secure_delete") == 1
        assert await pragma("foreign_keys") == 1
        assert await pragma("journal_mode") == "wal"
        assert await pragma("busy_timeout") == 10_000
        assert await pragma("query_only") == int(connection is not db._writer)
    await db.close()


async def test_postgresql_commits_synchronously(
    migrated_postgresql: tuple[PostgreSQLServer, str],
) -> None:
    server, template = migrated_postgresql
    db = await open_postgresql(server.url(template), pool_size=1)
    assert await db.value("SHOW synchronous_commit") == "on"
    await db.close()


async def test_a_read_only_database_is_unavailable_for_writes_and_readable(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = await open_sqlite(path, readers=1)
    assert isinstance(db, SQLiteDatabase)
    await db._writer.execute_fetchall("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnavailable):
        await db.append(HOST, (1, "a.test"))
    assert await count(db, "hosts") == 0
    await db._writer.execute_fetchall("PRAGMA query_only = OFF")
    await db.append(HOST, (1, "a.test"))
    await db.close()


async def test_a_full_disk_is_unavailable_and_recovers_by_itself(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = await open_sqlite(path, readers=1)
    assert isinstance(db, SQLiteDatabase)
    pages = (await db._writer.execute_fetchall("PRAGMA page_count"))[0][0]  # type: ignore[index]
    await db._writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    row = "INSERT INTO settings (key, value) VALUES (?, ?)"
    with pytest.raises(DatabaseUnavailable, match="full"):
        await db.append(row, ("big", "x" * 200_000))
    with pytest.raises(DatabaseUnavailable, match="full"):
        async with db.transaction() as tx:
            await tx.execute(row, "big", "x" * 200_000)
    assert await count(db, "settings") == 0
    await db._writer.execute_fetchall("PRAGMA max_page_count = 1000000")
    await db.append(row, ("big", "x" * 200_000))
    await db.close()


async def test_nobody_at_the_address_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await open_postgresql("postgresql://postgres@127.0.0.1:1/hub", pool_size=1)


async def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        await open_sqlite(tmp_path / "nowhere" / "hub.sqlite3", readers=1)


def test_a_file_that_is_no_database_is_refused_and_keeps_no_thread(tmp_path: Path) -> None:
    """Threads of connections that failed to open would keep the process alive."""
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    program = (
        "import asyncio, pathlib, sys\n"
        "from fedcomm.store.database import DatabaseError\n"
        "from fedcomm.store.sqlite import open_sqlite\n"
        "try:\n"
        "    asyncio.run(open_sqlite(pathlib.Path(sys.argv[1]), readers=2))\n"
        "except DatabaseError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.startswith("refused: ")


@given(st.lists(st.text(alphabet="abc ,()=", max_size=8), min_size=1, max_size=20))
def test_numbered_counts_the_parameters_from_one(parts: list[str]) -> None:
    sql = numbered("?".join(parts))
    rebuilt = parts[0]
    for number, part in enumerate(parts[1:], 1):
        rebuilt += f"${number}{part}"
    assert sql == rebuilt
    assert "?" not in sql


@given(st.integers(min_value=0, max_value=50))
def test_marks_are_never_none(count: int) -> None:
    assert marks(count).split(", ") == ["?"] * max(count, 1)


@given(st.lists(st.one_of(st.none(), st.integers(), st.binary(), st.text(alphabet="a\0b"))))
def test_storable_changes_nothing_but_nul(values: list[int | str | bytes | None]) -> None:
    stored = list(storable(values))
    assert stored == [v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in values]


async def test_statements_at_hand_read_and_write_as_others_do(db: Database) -> None:
    with db.at_hand():
        async with db.transaction() as tx:
            assert await tx.execute(HOST, 1, "a.test") == 1
            assert await tx.value("SELECT name FROM hosts WHERE id = ?", 1) == "a.test"
        row = await db.one("SELECT name FROM hosts WHERE id = ?", 1)
        assert row is not None and row["name"] == "a.test"
        assert await db.value("SELECT name FROM hosts WHERE id = ?", 9) is None
    assert await count(db, "hosts") == 1


async def test_a_transaction_at_hand_that_fails_leaves_nothing(db: Database) -> None:
    with contextlib.suppress(Unexpected), db.at_hand():
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")
            raise Unexpected
    assert await count(db, "hosts") == 0


async def test_errors_at_hand_are_the_ports(db: Database) -> None:
    with db.at_hand():
        with contextlib.suppress(Conflict):
            async with db.transaction() as tx:
                await tx.execute(HOST, 1, "a.test")
                await tx.execute(HOST, 2, "a.test")
                raise AssertionError("the second name is the first one's")
        with pytest.raises(DatabaseError):
            await db.all("SELECT nothing FROM nowhere")
    assert await count(db, "hosts") == 0


async def test_what_is_at_hand_sees_what_was_committed_and_nothing_else(db: Database) -> None:
    """INV-9 needs it: what one activity has changed the next one finds."""

    async def look() -> int:
        with db.at_hand():
            return await count(db, "hosts")

    with db.at_hand():
        async with db.transaction() as tx:
            await tx.execute(HOST, 1, "a.test")
            assert await look() == 0
        assert await look() == 1


async def test_appends_and_transactions_at_hand_take_turns(db: Database) -> None:
    async def change(number: int) -> None:
        with db.at_hand():
            async with db.transaction() as tx:
                await tx.execute(HOST, number, f"h{number}.test")
                await asyncio.sleep(0)

    await asyncio.gather(
        *(change(number) for number in range(20)),
        *(db.append(HOST, (100 + number, f"a{number}.test")) for number in range(20)),
    )
    assert await count(db, "hosts") == 40


async def test_the_state_is_another_after_every_commit(db: Database) -> None:
    states = {await db.state()}
    async with db.transaction() as tx:
        await tx.execute(HOST, 1, "a.test")
    states.add(await db.state())
    await db.append(HOST, (2, "b.test"))
    states.add(await db.state())
    async with db.queue_transaction() as tx:
        await tx.execute("DELETE FROM hosts WHERE id = 1")
    states.add(await db.state())
    assert len(states) == 4


async def test_the_state_stays_while_nobody_writes(db: Database) -> None:
    # PostgreSQL's own housekeeping may commit in between, once in a while.
    pairs = [(await db.state(), await count(db, "hosts"), await db.state()) for _ in range(20)]
    assert any(before == after for before, _, after in pairs)


async def test_the_state_is_another_after_a_commit_while_others_ask_for_it_all_the_time(
    db: Database,
) -> None:
    known: set[Hashable] = set()
    done = False

    async def ask() -> None:
        while not done:
            known.add(await db.state())
            await asyncio.sleep(0)

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    for number in range(20):
        known.add(await db.state())
        before = set(known)
        if number % 2:
            await db.append(HOST, (number, f"{number}.test"))
        else:
            async with db.transaction() as tx:
                await tx.execute(HOST, number, f"{number}.test")
        assert await db.state() not in before
    done = True
    await asyncio.gather(*asking)


async def test_a_question_for_the_state_answers_nobody_who_asks_after_it_was_put(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if db.dialect == "sqlite":
        pytest.skip("SQLite is asked where the answer is needed")
    value, answered, gate = db.value, asyncio.Event(), asyncio.Event()
    asked = 0

    async def put(sql: str) -> object:
        nonlocal asked
        asked += 1
        answer = await value(sql)
        answered.set()
        await gate.wait()
        return answer

    monkeypatch.setattr(db, "value", put)
    before = asyncio.create_task(db.state())
    await answered.wait()
    async with db.transaction() as tx:
        await tx.execute(HOST, 1, "a.test")
    after = [asyncio.create_task(db.state()) for _ in range(8)]
    await asyncio.sleep(0)
    gate.set()
    states = set(await asyncio.gather(*after))
    assert (len(states), asked) == (1, 2)
    assert await before not in states


async def test_another_process_changes_the_state(tmp_path: Path, migrated_sqlite: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = await open_sqlite(path, readers=1)
    before = await db.state()
    assert await db.state() == before
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(HOST, (7, "other.test"))
        other.commit()
    assert await db.state() != before
    await db.close()


async def test_postgresql_is_asked_nothing_besides_what_is_wanted(
    migrated_postgresql: tuple[PostgreSQLServer, str],
) -> None:
    """A pool that tidies up a connection after each statement makes two trips of each."""
    server, template = migrated_postgresql
    name = server.create(template)
    db = await open_postgresql(server.url(name), pool_size=2)
    other = await open_postgresql(server.url(name), pool_size=1)
    try:
        assert await db.value("SELECT 'a word that is found again'") == "a word that is found again"
        said = await other.all(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'fedcomm'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert [row["query"] for row in said] == ["SELECT 'a word that is found again'"]
    finally:
        await other.close()
        await db.close()
        server.drop(name)


async def test_who_breaks_off_leaves_no_transaction_open(db: Database) -> None:
    """The next one to have the connection would write into it."""
    for _ in range(3):
        with contextlib.suppress(asyncio.CancelledError):
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO settings (key, value) VALUES ('half', 'x')")
                raise asyncio.CancelledError
        assert await db.value("SELECT value FROM settings WHERE key = 'half'") is None
        async with db.transaction() as tx:
            await tx.execute(
                "INSERT INTO settings (key, value) VALUES ('whole', 'x')"
                " ON CONFLICT (key) DO UPDATE SET value = 'y'"
            )
    assert await db.value("SELECT value FROM settings WHERE key = 'whole'") == "y"
