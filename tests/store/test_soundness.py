"""A SQLite file that nobody closed is looked through, and what is wrong with it is said."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fedcomm.store import figures
from fedcomm.store.soundness import look_through, was_left_open


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Some pages, closed as they should be."""
    path = tmp_path / "hub.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)")
        database.execute("CREATE INDEX by_word ON words (word)")
        database.executemany("INSERT INTO words (word) VALUES (?)", [("x" * 500,)] * 500)
        database.commit()
    return path


def test_what_a_crash_leaves_behind_is_seen(file: Path, tmp_path: Path) -> None:
    assert not was_left_open(file)
    assert not was_left_open(tmp_path / "none.db")
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM words WHERE id = 1")
        database.commit()
        # As it is on the disk at this moment.
        for name in ("hub.db", "hub.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"after-{name}")
    assert was_left_open(tmp_path / "after-hub.db")
    assert not was_left_open(file)


async def test_a_sound_file_is_told_as_such(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = figures.SOUNDNESS.counts.copy()
    with caplog.at_level(logging.INFO, "fedcomm.database"):
        await look_through(file)
    assert figures.SOUNDNESS.counts - before == {"sound": 1}
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_a_damaged_file_is_told_as_such(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = figures.SOUNDNESS.counts.copy()
    with file.open("r+b") as broken:
        broken.seek(file.stat().st_size // 2)
        broken.write(bytes(8192))
    await look_through(file)
    assert figures.SOUNDNESS.counts - before == {"damaged": 1}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "restore the last backup" in caplog.text


async def test_who_stops_does_not_wait_for_the_end_of_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        # Each step asks; as if there were terabytes.
        connection.execute("CREATE TEMP VIEW forever AS WITH RECURSIVE n (i) AS"
                           " (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")  # fmt: skip
        return connection

    monkeypatch.setattr("fedcomm.store.soundness.sqlite3.connect", slowly)
    monkeypatch.setattr(
        "fedcomm.store.soundness.CHECK", "SELECT CAST(count(*) AS TEXT) FROM forever"
    )
    looking = asyncio.create_task(look_through(file))
    await asyncio.sleep(0.1)
    looking.cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(looking, return_exceptions=True)
    assert looking.cancelled()
