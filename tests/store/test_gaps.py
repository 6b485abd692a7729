"""What SQLite leaves in the gaps of its pages is overwritten, and nothing else is touched (INV-49)."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.store import gaps
from fedcomm.store.gaps import Layout, Unsuitable, dirty_pages, gap, overwrite
from fedcomm.store.sqlite import READER_CACHE_KIB, sqlite_pragmas

MARK = "zqgapzq"
PRAGMAS = sqlite_pragmas(READER_CACHE_KIB, gaps.TIMEOUT_MS)


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in sqlite_pragmas(READER_CACHE_KIB):
        connection.execute(pragma).fetchall()
    return connection


def live(connection: sqlite3.Connection, seed: int, rows: int = 3_000) -> None:
    """Words come and change, those with the mark go again; some of the others too."""
    chance = random.Random(seed)
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(rows):
        marked = chance.random() < 0.5
        word = f"{MARK if marked else 'kept'} {chance.random()} " * chance.randrange(1, 9)
        connection.execute(
            "INSERT OR REPLACE INTO words (id, word) VALUES (?, ?)",
            (chance.randrange(rows * 4), word),
        )
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM words WHERE word LIKE ?", (f"{MARK}%",))
    connection.execute("DELETE FROM words WHERE id % 7 = 0")
    connection.execute("COMMIT")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table with an index, in which there was the mark and is not any more."""
    path = tmp_path / "hub.db"
    with closing(connected(path)) as connection:
        connection.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT)")
        connection.execute("CREATE INDEX by_word ON words (word, id)")
        for seed in range(3):
            live(connection, seed)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


def contents(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: list[tuple[int, str]] = connection.execute("SELECT * FROM words").fetchall()
    return found


def is_marked(path: Path) -> bool:
    """Whether the mark stands in the file, or in its log."""
    files = [path, path.with_name(f"{path.name}-wal")]
    return any(MARK.encode() in each.read_bytes() for each in files if each.exists())


def test_copies_that_stayed_behind_go_and_everything_else_is_as_it_was(file: Path) -> None:
    before = contents(file)
    assert is_marked(file), "SQLite overwrites them itself: then all this is not needed any more"
    dirty = dirty_pages(file)
    assert dirty
    assert overwrite(file, dirty, pragmas=PRAGMAS)
    assert not is_marked(file)
    assert dirty_pages(file) == []
    assert contents(file) == before


def test_what_others_have_in_memory_does_not_bring_them_back(file: Path) -> None:
    with closing(connected(file)) as other:
        other.execute("PRAGMA cache_size = -100000")
        count = len(other.execute("SELECT * FROM words ORDER BY word").fetchall())
        assert overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
        # Now it writes every page that it had read.
        other.execute("UPDATE words SET word = substr(word, 2)")
        other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        assert not is_marked(file)
    assert len(contents(file)) == count


def test_while_somebody_reads_in_the_log_or_writes_nothing_is_done(file: Path) -> None:
    with closing(connected(file)) as reader, closing(connected(file)) as writer:
        writer.execute("UPDATE words SET word = 'kept ' || id")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM words").fetchall()
        writer.execute("DELETE FROM words WHERE id % 2 = 0")
        assert not overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
        assert is_marked(file)
        reader.execute("COMMIT")
        writer.execute("BEGIN IMMEDIATE")
        assert not overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
        assert is_marked(file)
        writer.execute("COMMIT")
        assert overwrite(file, dirty_pages(file), pragmas=PRAGMAS)


def test_others_read_and_write_meanwhile(file: Path) -> None:
    over = threading.Event()
    failed: list[BaseException] = []

    def go_on(seed: int) -> None:
        try:
            with closing(connected(file)) as connection:
                while not over.is_set():
                    live(connection, seed, rows=50)
                    # SQLite has no queue of those who wait to write.
                    time.sleep(0.01)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=go_on, args=(seed,)) for seed in (11, 12)]
    for thread in threads:
        thread.start()
    done = 0
    for _ in range(15):
        done += overwrite(file, dirty_pages(file)[: gaps.PAGES], pragmas=PRAGMAS)
    over.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert done
    assert overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
    contents(file)
    assert not is_marked(file)


def _live_on(path: Path) -> None:
    with closing(connected(path)) as connection:
        for seed in range(100_000):
            live(connection, seed, rows=100)
            overwrite(path, dirty_pages(path), pragmas=PRAGMAS)


def test_whoever_is_killed_in_the_middle_of_it_leaves_a_sound_file(file: Path) -> None:
    chance = random.Random(20261122)
    forks = multiprocessing.get_context("fork")
    for _ in range(10):
        process = forks.Process(target=_live_on, args=(file,))
        process.start()
        time.sleep(chance.uniform(0.02, 0.1))
        assert process.pid is not None and process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        contents(file)
    assert overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
    contents(file)


def test_the_file_is_opened_once(file: Path) -> None:
    """Closing it again would take SQLite's locks away."""
    dirty_pages(file)
    before = len(gaps._descriptors)
    assert overwrite(file, dirty_pages(file), pragmas=PRAGMAS)
    assert len(gaps._descriptors) == before


@given(st.binary(min_size=512, max_size=512))
def test_whatever_a_page_holds_its_gap_is_within_it(page: bytes) -> None:
    found = gap(page, Layout(512, 500))
    assert found is None or 8 <= found[0] <= found[1] <= 500


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"x" * 8_192)
    with pytest.raises(Unsuitable):
        dirty_pages(other)
    mapped = tmp_path / "mapped.db"
    with closing(sqlite3.connect(mapped)) as connection:
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(Unsuitable):
        dirty_pages(mapped)
