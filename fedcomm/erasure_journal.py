"""The erasure journal: what was erased, in a file outside the database and outside its backups (INV-51).

One line for each erasure, with opaque numbers only, each chained to the line before it:

    {"n": 3, "at": 1790000000000, "what": "member", "id": "382706736425460538", "chain": "9f3c…"}

The database remembers up to which line it has come. A database that is restored from a backup has come less far: it
is not served before every later line was replayed. A file that lost lines which the database knows is refused, since
nobody could say any more what a backup would bring back.

It is a consumer of the hub's journal like any other channel, a second behind as a rule; whoever confirms an erasure to
a person calls `catch_up` first. Lines are on stable storage before the cursor moves: after a crash between the two a
line stands there twice, which does no harm.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fedcomm.hub import erasure, instance, journal, removal, threads
from fedcomm.hub.errors import NotFound
from fedcomm.store import disk
from fedcomm.store.database import Database, Reader, Transaction

log = logging.getLogger("fedcomm.erasures")

CONSUMER: Final = "erasure-journal"
POSITION: Final = "erasure_journal"
"""The setting that says how far the database has come: `n` and `chain` of the last line."""

FIRST_CHAIN: Final = hashlib.sha256(b"fedcomm erasure journal").hexdigest()
ENTRIES: Final = 500

What = Literal["object", "removed", "restored", "member", "group", "remote", "host"]
_OF_EVENT: Final[dict[str, What]] = {
    "object_deleted": "object",
    "object_purged": "object",
    "object_removed": "removed",
    "object_restored": "restored",
}


class JournalLost(Exception):
    """The file is missing, cut, or of another hub; the message is for operators."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `id`: of the object, the actor or the host; `at`: Unix milliseconds."""

    n: int
    at: int
    what: What
    id: int
    chain: str

    @classmethod
    def after(cls, before: str, n: int, at: int, what: What, subject_id: int) -> Line:
        """The line that follows the one whose chain is `before`."""
        link = f"{before}\0{n}\0{at}\0{what}\0{subject_id}"
        return cls(n, at, what, subject_id, hashlib.sha256(link.encode()).hexdigest())

    def written(self) -> str:
        fields = {"n": self.n, "at": self.at, "what": self.what, "id": str(self.id)}
        return json.dumps(fields | {"chain": self.chain}) + "\n"


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody has come in the file."""

    n: int = 0
    chain: str = FIRST_CHAIN


class ErasureJournal:
    """The file at `path`, for one hub."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # How far the file was read, in bytes, and the last line there: what is before is not read for each new one.
        self._tail = (0, Position())

    def _last(self) -> Position:
        """The last line, also if another process wrote it. Raises JournalLost."""
        offset, last = self._tail
        if self.path.exists() and self.path.stat().st_size < offset:
            offset, last = 0, Position()
        for line, end in self._read(offset, last):
            offset, last = end, Position(line.n, line.chain)
        self._tail = (offset, last)
        return last

    async def position(self, db: Reader) -> Position:
        """How far this database has come."""
        found = await instance.setting(db, POSITION)
        return Position(**json.loads(found)) if found else Position()

    def lines(self) -> Iterator[Line]:
        """Every line, each checked against the one before it. Raises JournalLost.

        A last line that a crash cut off was never confirmed to anybody, and is passed over.
        """
        return (line for line, _ in self._read(0, Position()))

    def _read(self, offset: int, before: Position) -> Iterator[tuple[Line, int]]:
        """The lines from byte `offset` on, where the line `before` ends; each with the byte where it ends."""
        chain, n = before.chain, before.n
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for number, written in enumerate(file, n + 1):
                if not written.endswith(b"\n"):
                    return
                try:
                    fields = json.loads(written)
                    line = Line.after(
                        chain, fields["n"], fields["at"], fields["what"], int(fields["id"])
                    )
                except (ValueError, KeyError, TypeError) as error:
                    raise JournalLost(
                        f"{self.path}, line {number}: this is no line of it."
                    ) from error
                if line.chain != fields.get("chain") or line.n != n + 1:
                    raise JournalLost(
                        f"{self.path}, line {number}: lines before this one were changed or lost."
                    )
                chain, n, offset = line.chain, line.n, offset + len(written)
                yield line, offset

    async def pending(self, db: Reader) -> Sequence[Line]:
        """The lines that this database has not come to. Raises JournalLost."""
        known = await self.position(db)
        return await asyncio.to_thread(self._after, known)

    def _after(self, known: Position) -> list[Line]:
        found: list[Line] = []
        offset, last = 0, Position()
        for line, end in self._read(0, last):
            offset, last = end, Position(line.n, line.chain)
            if line.n == known.n and line.chain != known.chain:
                raise JournalLost(
                    f"the erasure journal {self.path} is not the one of this database: put the right "
                    "file back."
                )
            if line.n > known.n:
                found.append(line)
        if known.n > last.n:
            raise JournalLost(
                f"the erasure journal {self.path} has {last.n} lines, and the database knows of "
                f"{known.n}: put the file back, or what was erased since could return with a backup. "
                "If it is lost for good: `fedcomm erasure begin-journal`."
            )
        self._tail = (offset, last)
        return found

    # Writing

    async def catch_up(self, db: Database) -> int:
        """Write down what was erased since; how many lines. On stable storage when it returns."""
        total = 0
        while True:
            seen = await journal.cursor(db, CONSUMER)
            entries = await journal.entries_after(db, seen, ENTRIES)
            if not entries:
                return total
            total += await self._take(db, entries)
            if len(entries) < ENTRIES:
                # What has happened meanwhile is for the next time: under load there is always something.
                return total

    async def _take(self, db: Database, entries: Sequence[journal.Entry]) -> int:
        async with db.transaction() as tx:
            # Read again inside: another process may have been here meanwhile.
            seen = await journal.cursor(tx, CONSUMER)
            fresh = [entry for entry in entries if entry.seq > seen]
            if not fresh:
                return 0
            found: list[tuple[int, What, int]] = []
            for entry in fresh:
                what = _OF_EVENT.get(entry.event)
                if what is not None and entry.object_id is not None:
                    found.append((entry.at, what, entry.object_id))
                elif entry.event == "erasure_requested" and entry.target_id is not None:
                    case = await erasure.case_of(tx, entry.target_id)
                    if case is not None:
                        found.append((entry.at, case.kind, entry.target_id))
            if found:
                known = await self.position(tx)
                after = await asyncio.to_thread(self._append, known, found)
                await self._note(tx, after)
            await journal.move_cursor(tx, CONSUMER, fresh[-1].seq)
        return len(found)

    def _append(self, known: Position, found: Sequence[tuple[int, What, int]]) -> Position:
        """Write the lines after those that the database knows of. Raises JournalLost."""
        is_new = not self.path.exists()
        if is_new and known.n:
            raise JournalLost(f"the erasure journal {self.path} is gone.")
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._cut_broken_end(file.fileno())
            last = self._last()
            n, chain = last.n, last.chain
            for at, what, subject_id in found:
                line = Line.after(chain, n + 1, at, what, subject_id)
                file.write(line.written())
                n, chain = line.n, line.chain
            file.flush()
            os.fsync(file.fileno())
            self._tail = (os.fstat(file.fileno()).st_size, Position(n, chain))
        if is_new:
            disk.sync(self.path.parent)
        return Position(n, chain)

    def _cut_broken_end(self, descriptor: int) -> None:
        """A line that a crash cut off was confirmed to nobody; what follows must not be glued to it."""
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, min(size, 4096), max(0, size - 4096))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)

    async def _note(self, tx: Transaction, position: Position) -> None:
        await instance.set_setting(
            tx, POSITION, json.dumps({"n": position.n, "chain": position.chain})
        )

    # Replaying

    async def replay(
        self,
        db: Database,
        *,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[int]:
        """Do again what the database does not know of; the ids of cases that have to be finished before anybody is
        served. Raises JournalLost."""
        pending = await self.pending(db)
        cases: list[int] = []
        for done, line in enumerate(pending, 1):
            async with db.transaction() as tx:
                found = await self._replay(tx, line)
                if found is not None:
                    cases.append(found)
                await self._note(tx, Position(line.n, line.chain))
            on_progress(done, len(pending))
        if pending:
            log.warning("%d erasures were replayed", len(pending))
        return cases

    async def _replay(self, tx: Transaction, line: Line) -> int | None:
        if line.what == "object" or line.what == "removed" or line.what == "restored":
            known = await threads.thing(tx, line.id)
            if known is None or known.deleted_at is not None:
                return None
            if line.what == "object":
                await threads.erase(tx, known)
                await journal.record(
                    tx,
                    "object_deleted",
                    actor_id=known.author_id,
                    object_id=known.id,
                    group_id=known.group_id,
                )
            elif line.what == "removed":
                await removal.withhold(tx, None, line.id, "removed")
            else:
                await removal.restore(tx, None, line.id)
            return None
        before = await erasure.case_of(tx, line.id)
        if before is not None and before.erased_at is not None:
            return None
        try:
            return await erasure.request(
                tx,
                line.what,
                line.id,
                requested_by=None,
                reason="Erased before; replayed from the erasure journal.",
                replayed=True,
            )
        except NotFound:
            # It came into being after the backup was made.
            return None

    async def begin_anew(self, db: Database) -> None:
        """The old file is lost for good, and the operator has said so: count from the file that is there now."""
        last = await asyncio.to_thread(self._last)
        async with db.transaction() as tx:
            await self._note(tx, last)
