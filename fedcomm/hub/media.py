"""Files of members: registered before they are stored, checked, re-encoded or stripped, served only through
the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from fedcomm.hub import purged
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.formats.plan import Unreadable
from fedcomm.hub.images import ImageLimits, ImageRefused, process_image
from fedcomm.hub.markup import ALT_CHARACTERS, NAME_CHARACTERS
from fedcomm.hub.recordings import (
    HEAD_BYTES,
    Kind,
    RecordingLimits,
    digest,
    family_of,
    kind_of,
    size_of,
    store,
)
from fedcomm.hub.sanitizer import plain_name
from fedcomm.hub.visibility import Viewer, can_read
from fedcomm.store.database import Database, Reader, Row, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

Purpose = Literal["attachment", "avatar", "header"]

MIME_OF_SUFFIX = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".weba": "audio/webm",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
}
"""What our files are served as: decided by our own name, never by what was uploaded (INV-34)."""

INLINE: Final = ("image/", "video/", "audio/")
"""What a browser may show; everything else is only handed out as a download."""

DAY_MS = 86_400_000
UNATTACHED_MS = DAY_MS
"""An image that nobody attached goes after a day (security.md §9)."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of ours: names inside the media folder, size in pixels and bytes, description.

    `thumbnail` is empty where there is no picture of it. `name` is what it was called when it came.
    """

    id: int
    file: str
    thumbnail: str
    mime: str
    width: int
    height: int
    alt: str
    kind: Kind = "image"
    duration_ms: int | None = None
    name: str = ""
    bytes: int = 0


_COLUMNS: Final = "id, file, thumbnail, mime, width, height, alt, kind, duration_ms, name, bytes"


async def upload(
    db: Database,
    owner_id: int,
    data: bytes,
    *,
    folder: Path,
    purpose: Purpose,
    alt: str = "",
    focal: tuple[float, float] = (0.0, 0.0),
    limits: ImageLimits,
    daily_bytes: int,
    alt_chars: int = ALT_CHARACTERS,
    name: str = "",
) -> int:
    """Check, re-encode and store an image; its id. Raises Invalid."""
    await _require_room(db, owner_id, len(data), alt, daily_bytes, alt_chars)
    if await purged.is_blocked(db, data):
        raise purged.refusal("media")
    media_id = await _register(db, owner_id, purpose, alt, focal, name)
    try:
        image = await process_image(data, folder, limits=limits)
    except ImageRefused as refusal:
        await _forget(db, media_id)
        raise Invalid("media", refusal.message) from refusal
    if await purged.looks_blocked(db, image.fingerprint):
        await _forget(db, media_id)
        for path in (image.path, image.thumbnail_path):
            path.unlink(missing_ok=True)
        raise purged.refusal("media")
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE media SET state = 'stored', file = ?, thumbnail = ?, mime = ?, width = ?,"
            " height = ?, bytes = ?, blurhash = ?, sha256 = ?, fingerprint = ? WHERE id = ?",
            image.path.name,
            image.thumbnail_path.name,
            image.mime,
            image.width,
            image.height,
            image.size + image.thumbnail_size,
            image.blurhash,
            image.sha256,
            image.fingerprint,
            media_id,
        )
    return media_id


async def upload_file(
    db: Database,
    owner_id: int,
    file: IO[bytes],
    name: str,
    *,
    folder: Path,
    alt: str = "",
    focal: tuple[float, float] = (0.0, 0.0),
    images: ImageLimits,
    recordings: RecordingLimits,
    daily_bytes: int,
    alt_chars: int = ALT_CHARACTERS,
) -> int:
    """Store an attachment of any kind that is taken; its id. `name` is what its sender called it.

    What it is, its first bytes say. Raises Invalid.
    """
    size = size_of(file)
    file.seek(0)
    family = family_of(file.read(HEAD_BYTES), name)
    if family is None:
        raise Invalid(
            "media",
            "Files of this kind are not taken. Taken are JPEG, PNG, GIF, WebP; MP4, WebM; MP3, Ogg,"
            " FLAC; PDF and plain text.",
        )
    if size > (images.bytes if family == "image" else recordings.of(kind_of(family))):
        raise Invalid("media", "The file is too large.")
    name = plain_name(Path(name).name, NAME_CHARACTERS)
    if family == "image":
        file.seek(0)
        return await upload(
            db,
            owner_id,
            file.read(),
            folder=folder,
            purpose="attachment",
            alt=alt,
            focal=focal,
            limits=images,
            daily_bytes=daily_bytes,
            alt_chars=alt_chars,
            name=name,
        )
    await _require_room(db, owner_id, size, alt, daily_bytes, alt_chars)
    if await purged.is_blocked_hash(db, await asyncio.to_thread(digest, file)):
        raise purged.refusal("media")
    media_id = await _register(db, owner_id, "attachment", alt, focal, name)
    try:
        made = await store(file, family, folder, recordings)
    except Unreadable as refusal:
        await _forget(db, media_id)
        raise Invalid("media", refusal.message) from refusal
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE media SET state = 'stored', kind = ?, file = ?, mime = ?, width = ?, height = ?,"
            " duration_ms = ?, bytes = ?, sha256 = ? WHERE id = ?",
            made.kind,
            made.path.name,
            made.mime,
            made.width,
            made.height,
            made.duration_ms,
            made.size,
            made.sha256,
            media_id,
        )
    return media_id


async def _require_room(
    db: Reader, owner_id: int, size: int, alt: str, daily_bytes: int, alt_chars: int
) -> None:
    if len(alt) > alt_chars:
        raise Invalid("alt", "The description of the image is too long.")
    used = await db.value(
        "SELECT COALESCE(sum(bytes), 0) FROM media WHERE owner_id = ? AND created_at > ?",
        owner_id,
        now_ms() - DAY_MS,
    )
    if int(used) + size > daily_bytes:
        raise Invalid("media", "You have uploaded as much as a day allows.")


async def _register(
    db: Database,
    owner_id: int,
    purpose: Purpose,
    alt: str,
    focal: tuple[float, float],
    name: str,
) -> int:
    """Note that a file comes, before anything of it is stored."""
    media_id = new_id()
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO media (id, owner_id, purpose, state, alt, focal_x, focal_y, name, created_at)"
            " VALUES (?, ?, ?, 'registered', ?, ?, ?, ?, ?)",
            media_id,
            owner_id,
            purpose,
            alt.strip(),
            max(-1.0, min(1.0, focal[0])),
            max(-1.0, min(1.0, focal[1])),
            name,
            now_ms(),
        )
    return media_id


async def _forget(db: Database, media_id: int) -> None:
    async with db.transaction() as tx:
        await tx.execute("DELETE FROM media WHERE id = ?", media_id)


async def image(db: Reader, media_id: int) -> StoredFile | None:
    """The stored file with this id."""
    row = await db.one(f"SELECT {_COLUMNS} FROM media WHERE id = ? AND state = 'stored'", media_id)
    return _file_of(row) if row else None


async def images(db: Reader, media_ids: Sequence[int]) -> dict[int, StoredFile]:
    """The stored files with these ids."""
    if not media_ids:
        return {}
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM media WHERE state = 'stored' AND id IN ({marks(len(media_ids))})",
        *media_ids,
    )
    return {row["id"]: _file_of(row) for row in rows}


def _file_of(row: Row) -> StoredFile:
    return StoredFile(
        row["id"],
        row["file"],
        row["thumbnail"] or "",
        row["mime"],
        row["width"] or 0,
        row["height"] or 0,
        row["alt"],
        row["kind"],
        row["duration_ms"],
        row["name"],
        row["bytes"],
    )


async def attached_to(db: Reader, object_id: int) -> list[int]:
    """Ids of the stored images of an object: ask before it is deleted or edited."""
    rows = await db.all(
        "SELECT media_id FROM attachments WHERE object_id = ? AND media_id IS NOT NULL"
        " ORDER BY position",
        object_id,
    )
    return [row["media_id"] for row in rows]


async def is_attachment_of(db: Reader, media_id: int, owner_id: int) -> bool:
    """Whether the image was uploaded by this member, to be attached to what they write."""
    found = await db.value(
        "SELECT 1 FROM media WHERE id = ? AND owner_id = ? AND purpose = 'attachment'"
        " AND state = 'stored'",
        media_id,
        owner_id,
    )
    return found is not None


async def describe(
    tx: Transaction,
    owner_id: int,
    media_id: int,
    alt: str,
    *,
    alt_chars: int = ALT_CHARACTERS,
) -> None:
    """The owner writes the description of an image anew. Raises Invalid."""
    if len(alt) > alt_chars:
        raise Invalid("alt", "The description of the image is too long.")
    await tx.execute(
        "UPDATE media SET alt = ? WHERE id = ? AND owner_id = ?", alt.strip(), media_id, owner_id
    )


async def mime_of_file(db: Reader, viewer: Viewer, file: str) -> tuple[str, bool]:
    """(media type, public) of the file called `file`, if `viewer` may see it; NotFound otherwise.

    Avatars and headers are public; an attachment is as visible as its object; one that is attached
    to nothing yet is its owner's.
    """
    row = await db.one(
        "SELECT id, owner_id, purpose FROM media"
        " WHERE state = 'stored' AND (file = ? OR thumbnail = ?)",
        file,
        file,
    )
    if row is None:
        raise NotFound("There is no such file.")
    mime = MIME_OF_SUFFIX.get(Path(file).suffix, "application/octet-stream")
    if row["purpose"] != "attachment":
        return mime, True
    objects = await db.all("SELECT object_id FROM attachments WHERE media_id = ?", row["id"])
    for found in objects:
        if await can_read(db, viewer, found["object_id"]):
            public = await can_read(db, Viewer("anonymous"), found["object_id"])
            return mime, public
    if not objects and viewer.kind == "member" and viewer.actor_id == row["owner_id"]:
        return mime, False
    raise NotFound("There is no such file.")


async def name_of_file(db: Reader, file: str) -> str:
    """What a file was called when it came: the name under which a document is saved again."""
    return str(await db.value("SELECT name FROM media WHERE file = ?", file) or "")


async def unreferenced(tx: Transaction, *, limit: int = 100) -> list[tuple[int, list[str]]]:
    """(id, files) of images that were erased, or that nothing refers to and that are older than a
    day, or whose upload broke off."""
    rows = await tx.all(
        "SELECT m.id, m.file, m.thumbnail FROM media m WHERE m.state = 'erased'"
        " OR (m.state IN ('registered', 'stored') AND m.created_at < ?"
        " AND NOT EXISTS (SELECT 1 FROM attachments t WHERE t.media_id = m.id)"
        " AND NOT EXISTS (SELECT 1 FROM draft_media t WHERE t.media_id = m.id)"
        " AND NOT EXISTS (SELECT 1 FROM actors a WHERE a.avatar_id = m.id OR a.header_id = m.id))"
        " ORDER BY m.id LIMIT ?",
        now_ms() - UNATTACHED_MS,
        limit,
    )
    return [(row["id"], [f for f in (row["file"], row["thumbnail"]) if f]) for row in rows]


async def erase_attached(tx: Transaction, object_id: int) -> None:
    """The images of an object that goes, and what is said of them, are not there any more; call it
    before the attachments go. The files themselves go with `remove_orphans`."""
    await tx.execute(
        "UPDATE media SET state = 'erased', alt = '', name = '', blurhash = NULL WHERE id IN"
        " (SELECT t.media_id FROM attachments t WHERE t.object_id = ?)"
        " AND NOT EXISTS (SELECT 1 FROM attachments t WHERE t.media_id = media.id"
        " AND t.object_id <> ?)",
        object_id,
        object_id,
    )


async def remove_orphans(db: Database, folder: Path, media_ids: list[int]) -> None:
    """Remove those of the images that nothing refers to any more: files first, then rows."""
    for media_id in media_ids:
        row = await db.one(
            "SELECT file, thumbnail FROM media m WHERE m.id = ?"
            " AND NOT EXISTS (SELECT 1 FROM attachments t WHERE t.media_id = m.id)"
            " AND NOT EXISTS (SELECT 1 FROM actors a WHERE a.avatar_id = m.id OR a.header_id = m.id)",
            media_id,
        )
        if row is None:
            continue
        for name in (row["file"], row["thumbnail"]):
            if name:
                (folder / name).unlink(missing_ok=True)
        async with db.transaction() as tx:
            await tx.execute("DELETE FROM media WHERE id = ?", media_id)
