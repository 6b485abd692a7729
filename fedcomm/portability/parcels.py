"""Parcels: what belongs to one member, or to one group, as a zip file that leaves while it is made.

`export.json` says what it is and `README.txt` says it to people; `dictionary.json` what each table holds and what is
kept back. `tables/` holds the rows (`fedcomm.portability.scopes`) in the chosen format, `media/` the files. For other
software there are, as in a Mastodon archive, `actor.json` and `outbox.json` with the objects exactly as they are
served, and a member's lists as CSV. Last `manifest.json` with size and SHA-256 of every file.

Nothing is written to the disk of the hub, so there is nothing to forget afterwards.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

from fedcomm.hub.register import REGISTER
from fedcomm.portability import checksums, formats, lists, scopes
from fedcomm.portability.formats import SUFFIX, Format
from fedcomm.portability.scopes import PEOPLE, PEOPLE_HOLDS, Scope
from fedcomm.portability.tables import PortabilityError, Record, Table
from fedcomm.store.database import Database
from fedcomm.store.schema import HEAD
from fedcomm.version import VERSION

KIND: Final = "fedcomm parcel"
EDITION: Final = 1
CHUNK: Final = 1 << 18
EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file in it (a zip knows none earlier): two parcels of the same rows are the same."""

README: Final = """\
{title}

This is everything that {origin} holds of {name}, and nothing private of others.

export.json      what this is, when it was made and by what
dictionary.json  what each table holds, and what is kept back, with the reason
tables/          the data, one file for each table ({form})
media/           the files
actor.json       the account as other servers see it (ActivityPub)
outbox.json      everything that was written, as other servers see it (ActivityPub)
manifest.json    size and SHA-256 of every file here
"""


class Documents(Protocol):
    """Gives the ActivityPub documents of what is ours, as they are served. Without federation there is none."""

    async def actor(self, actor_id: int) -> Mapping[str, Any] | None:
        """The document of a member or group, with its context."""

    async def creation(self, object_id: int) -> Mapping[str, Any] | None:
        """The activity by which an object of ours came into the world, with the object and the context."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose parcel it is. `name` is what people call them."""

    scope: Scope
    id: int
    name: str


async def parcel(
    db: Database,
    media: Path,
    origin: str,
    subject: Subject,
    form: Format,
    documents: Documents | None = None,
) -> AsyncIterator[bytes]:
    """The bytes of the parcel, a piece at a time. Memory is bounded by one page of rows, whatever there is."""
    out = _Zip()
    about = {
        "kind": KIND,
        "edition": EDITION,
        "scope": subject.scope,
        "subject": str(subject.id),
        "name": subject.name,
        "format": form,
        "made_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": VERSION,
        "schema": HEAD,
        "origin": origin,
    }
    readme = README.format(title=f"{subject.name} - {origin}", form=form, **about)
    out.add("README.txt", readme.encode())
    out.add("export.json", _json(about))
    out.add("dictionary.json", _json(dictionary(subject.scope)))
    yield out.take()
    roots: dict[str, str] = {}
    counts: dict[str, int] = {}
    named: set[int] = set()
    written: list[int] = []
    for part in await scopes.parts(db, subject.scope):
        tree = checksums.Merkle()
        with out.open(f"tables/{part.name}{SUFFIX[form]}") as file:
            write, end = formats.writer(form, part.table, file)
            async for record in scopes.rows_of(db, part, subject.id, db.dialect):
                write(record)
                tree.add(checksums.canonical(record))
                named |= scopes.named_in(part, record)
                if part.name == "objects":
                    written += _own(part.table, record, subject)
                if out.waiting > CHUNK:
                    yield out.take()
            end()
        roots[part.name], counts[part.name] = tree.root(), tree.count
    tree = checksums.Merkle()
    with out.open(f"tables/people{SUFFIX[form]}") as file:
        write, end = formats.writer(form, PEOPLE, file)
        async for record in scopes.people(db, named):
            write(record)
            tree.add(checksums.canonical(record))
        end()
    roots["people"], counts["people"] = tree.root(), tree.count
    for name in await scopes.files(db, subject.scope, subject.id):
        try:
            source = (media / name).open("rb")
        except FileNotFoundError:
            continue  # Erased while we were reading.
        with source, out.open(f"media/{name}", compressed=False) as file:
            while data := await asyncio.to_thread(source.read, CHUNK):
                file.write(data)
                yield out.take()
    if subject.scope == "person":
        for kind, list_name in lists.NAMES.items():
            out.add(list_name, (await lists.text_of(db, subject.id, kind, origin)).encode())
    if documents is not None:
        async for piece in _documents(out, subject, written, documents):
            yield piece
    manifest = {"files": out.files, "rows": counts, "roots": roots, "root": checksums.whole(roots)}
    out.add("manifest.json", _json(manifest))
    out.close()
    yield out.take()


def dictionary(scope: Scope) -> dict[str, Any]:
    """What each table of such a parcel holds, and what is left out and kept back."""
    given = {}
    for name, rule in sorted(scopes.RULES[scope].items()):
        if isinstance(rule, scopes.Theirs):
            table = REGISTER[name]
            given[name] = {
                "holds": table.holds,
                "retention": table.retention,
                "people": sorted(set(table.people) - rule.without),
                "words": sorted(set(table.words) - rule.without),
                "kept_back": sorted(rule.without),
            }
    given["people"] = {
        "holds": PEOPLE_HOLDS,
        "retention": "cache",
        "people": ["id"],
        "words": ["display_name", "host", "name", "uri", "url"],
        "kept_back": [],
    }
    return {"tables": given, "left_out": scopes.left_out(scope)}


def _own(table: Table, record: Record, subject: Subject) -> list[int]:
    row = dict(zip(table.names, record, strict=True))
    mine = row["author_id"] == subject.id if subject.scope == "person" else True
    number = row["id"]
    return [number] if mine and isinstance(number, int) and row["host_id"] is None else []


async def _documents(
    out: _Zip, subject: Subject, written: list[int], documents: Documents
) -> AsyncIterator[bytes]:
    actor = await documents.actor(subject.id)
    if actor is not None:
        out.add("actor.json", _json(dict(actor)))
    with out.open("outbox.json") as file:
        head = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "outbox.json",
            "type": "OrderedCollection",
        }
        file.write(_json(head)[:-2] + b',\n "orderedItems": [')
        count = 0
        for object_id in written:
            document = await documents.creation(object_id)
            if document is None:
                continue
            file.write((b",\n" if count else b"\n") + _line(document))
            count += 1
            if out.waiting > CHUNK:
                yield out.take()
        file.write(f'\n ],\n "totalItems": {count}\n}}\n'.encode())


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


class _Zip:
    """A zip file whose bytes are taken away while it grows; notes size and digest of what is put in."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")
        self.files: dict[str, dict[str, Any]] = {}

    @property
    def waiting(self) -> int:
        """Bytes that were not taken yet."""
        return self._sink.waiting

    def take(self) -> bytes:
        """What has come since the last time."""
        return self._sink.take()

    def add(self, name: str, data: bytes) -> None:
        """Put a whole file in."""
        with self.open(name) as file:
            file.write(data)

    def open(self, name: str, *, compressed: bool = True) -> IO[bytes]:
        """Begin a file; only one can be open at a time."""
        if name in self.files:
            raise PortabilityError(f"{name} would stand in it twice.")
        info = zipfile.ZipInfo(name, EARLIEST)
        info.external_attr = 0o600 << 16
        info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        self.files[name] = entry = {"bytes": 0, "sha256": ""}
        return cast(IO[bytes], _Entry(self._zip.open(info, "w", force_zip64=True), entry))

    def close(self) -> None:
        """Write the directory of the zip."""
        self._zip.close()


class _Entry(io.RawIOBase):
    """One file in the zip; `formats` writes into it as into any other."""

    def __init__(self, file: IO[bytes], entry: dict[str, Any]) -> None:
        self._file = file
        self._entry = entry
        self._digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self._entry["bytes"] += len(data)
        return self._file.write(data)

    def close(self) -> None:
        if not self.closed:
            self._entry["sha256"] = self._digest.hexdigest()
            self._file.close()
        super().close()


class _Sink(io.RawIOBase):
    """Where the zip writes; it cannot be sought in, so that sizes follow each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self.waiting += len(data)
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return taken
