"""Looks a SQLite file through after it was not closed: a power cut shows what a disk is worth.

SQLite repairs by itself what a crash leaves behind. What it cannot see is a disk that lost what it said it had
written; whoever learns of that today still has last night's backup. It goes on beside the server: a gigabyte takes
about half a second of one core and is read once. After a stop as it should be there is nothing to look for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fedcomm.late import Late
from fedcomm.store import figures

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = Late("sqlite3")  # Not on PostgreSQL.

log = logging.getLogger("fedcomm.database")

CHECK: Final = "PRAGMA quick_check(1)"


def was_left_open(file: Path) -> bool:
    """Whether nobody closed it the last time: its log holds something. Asked before anybody opens it."""
    with contextlib.suppress(OSError):
        return file.with_name(f"{file.name}-wal").stat().st_size > 0
    return False


async def look_through(file: Path) -> None:
    """Say in the log and the figures whether the file is sound. Reads beside everybody else, until cancelled."""
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        looking = asyncio.create_task(asyncio.to_thread(_verdict, connection))
        try:
            verdict = await asyncio.shield(looking)
        except asyncio.CancelledError:
            connection.interrupt()
            await asyncio.gather(looking, return_exceptions=True)
            raise
    finally:
        connection.close()
    figures.SOUNDNESS.add("sound" if verdict == "ok" else "damaged")
    if verdict == "ok":
        log.info("the database was not closed the last time; its file is sound")
        return
    log.error(
        "the database file is damaged: stop, keep a copy of it, restore the last backup",
        extra={"finding": verdict},
    )


def _verdict(connection: sqlite3.Connection) -> str:
    try:
        (found,) = connection.execute(CHECK).fetchone()
    except sqlite3.DatabaseError as error:
        return type(error).__name__
    return str(found)
