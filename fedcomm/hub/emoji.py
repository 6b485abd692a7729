"""Custom emoji: our own, and those of other servers, each under its server's name.

A shortcode means what the server of the one who wrote it says: `:leaf:` of one host is never shown
for another's (the rows are told apart by host). What texts hold is the shortcode; the picture is put
in where a page is made, and every picture went through the image worker (INV-33). Pictures of other
servers are fetched in the background (`fedcomm.federation.pictures`) and kept here; until then, and
where they cannot be had, the text stays as it was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedcomm.hub import audit, purged
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.images import EMOJI, ImageRefused, ProcessedImage, process_image
from fedcomm.hub.sanitizer import plain_name
from fedcomm.hub.shortcodes import CODES_LIMIT, OWN, candidates
from fedcomm.store.database import Database, Reader, Row, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

DAY_MS: Final = 86_400_000

CATEGORY_CHARACTERS: Final = 50

HOST_LIMIT: Final = 2_000
"""Emoji that are remembered of one other server: it can invent as many as it likes."""

KEPT_DAYS: Final = 30
"""An emoji of another server that nothing has used for so long is forgotten with its picture."""

RETRY_MS: Final = (60_000, 600_000, 3_600_000, DAY_MS)
"""Waits after a failed fetch; after the last one it is given up until its server names another address."""

LEASE_MS: Final = 120_000
"""How long the process that fetches a picture has for it."""


@dataclass(frozen=True, slots=True)
class Emoji:
    """A row of `emoji`. `host_id` None: ours. `file` is None until the picture is here."""

    id: int
    host_id: int | None
    shortcode: str
    category: str
    url: str | None
    file: str | None
    still: str | None
    mime: str | None
    bytes: int
    disabled_at: int | None
    updated_at: int

    @property
    def is_local(self) -> bool:
        return self.host_id is None


@dataclass(frozen=True, slots=True)
class NamedEmoji:
    """What another server says beside its words: which picture a shortcode stands for.

    `updated` Unix ms, where it says when the picture changed.
    """

    shortcode: str
    url: str
    updated: int | None = None


_COLUMNS: Final = (
    "e.id, e.host_id, e.shortcode, e.category, e.url, e.file, e.still, e.mime, e.bytes, e.disabled_at,"
    " e.updated_at"
)
_SHOWN: Final = (
    "e.file IS NOT NULL AND e.disabled_at IS NULL AND (e.host_id IS NULL OR NOT EXISTS (SELECT 1"
    " FROM hosts h WHERE h.id = e.host_id AND (h.reject_media = 1 OR h.policy = 'suspend')))"
)


# Ours


async def add(
    db: Database,
    shortcode: str,
    data: bytes,
    *,
    folder: Path,
    category: str = "",
    by: int | None = None,
) -> Emoji:
    """Add an emoji of ours from the bytes of an image; `by` is the administrator, None the command line.

    Raises Invalid: bad or taken shortcode, not an image that we take, a picture that was purged.
    """
    shortcode = shortcode.strip().strip(":")
    category = plain_name(category, CATEGORY_CHARACTERS)
    if not OWN.fullmatch(shortcode):
        raise Invalid(
            "shortcode",
            "A shortcode has 2 to 32 small letters, digits and underscores, and begins and ends"
            " with a letter or digit.",
        )
    if await by_shortcode(db, shortcode) is not None:
        raise Invalid("shortcode", "There is an emoji with this shortcode already.")
    if await purged.is_blocked(db, data):
        raise purged.refusal("file")
    try:
        image = await process_image(data, folder, limits=EMOJI)
    except ImageRefused as refusal:
        raise Invalid("file", refusal.message) from refusal
    emoji_id, now = new_id(), now_ms()
    async with db.transaction() as tx:
        added = await tx.execute(
            "INSERT INTO emoji (id, shortcode, category, file, still, mime, bytes, sha256, created_at,"
            " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            emoji_id,
            shortcode,
            category,
            *_stored(image),
            now,
            now,
        )
        if added:
            await audit.record(tx, "emoji_added", actor_id=by, subject_id=emoji_id)
    if not added:
        remove_files(folder, (image.path.name, image.thumbnail_path.name))
        raise Invalid("shortcode", "There is an emoji with this shortcode already.")
    found = await emoji(db, emoji_id)
    assert found is not None
    return found


async def remove(tx: Transaction, emoji_id: int, *, by: int | None) -> list[str]:
    """Remove an emoji, ours or a remembered one; the names of its files, for `remove_files` after the
    commit. Where it was used its shortcode is shown. Raises NotFound."""
    found = await _required(tx, emoji_id)
    await tx.execute("DELETE FROM emoji WHERE id = ?", emoji_id)
    await audit.record(tx, "emoji_removed", actor_id=by, subject_id=emoji_id)
    return [name for name in (found.file, found.still) if name]


async def set_disabled(tx: Transaction, emoji_id: int, *, disabled: bool, by: int | None) -> None:
    """Show an emoji no longer, or again; its file stays, and what was written stays. Raises NotFound."""
    await _required(tx, emoji_id)
    now = now_ms()
    await tx.execute(
        "UPDATE emoji SET disabled_at = ?, updated_at = ? WHERE id = ?",
        now if disabled else None,
        now,
        emoji_id,
    )
    event = "emoji_disabled" if disabled else "emoji_enabled"
    await audit.record(tx, event, actor_id=by, subject_id=emoji_id)


# Finding


async def emoji(db: Reader, emoji_id: int) -> Emoji | None:
    """The emoji with this id, shown or not."""
    row = await db.one(f"SELECT {_COLUMNS} FROM emoji e WHERE e.id = ?", emoji_id)
    return _emoji_of(row) if row else None


async def by_shortcode(db: Reader, shortcode: str, host: str | None = None) -> Emoji | None:
    """The emoji of this name, of ours or of the server `host`, shown or not."""
    host_id = 0
    if host is not None:
        host_id = int(await db.value("SELECT id FROM hosts WHERE name = ?", host) or -1)
    row = await db.one(
        f"SELECT {_COLUMNS} FROM emoji e WHERE COALESCE(e.host_id, 0) = ? AND e.shortcode = ?",
        host_id,
        shortcode,
    )
    return _emoji_of(row) if row else None


async def own(db: Reader, *, shown_only: bool = False) -> list[Emoji]:
    """All emoji of ours by category and name."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM emoji e WHERE COALESCE(e.host_id, 0) = 0"
        + (f" AND {_SHOWN}" if shown_only else "")
        + " ORDER BY e.category, e.shortcode"
    )
    return [_emoji_of(row) for row in rows]


async def of_others(
    db: Reader, *, before: int | None = None, limit: int = 50
) -> list[tuple[Emoji, str]]:
    """Emoji of other servers with the name of the host, the last noted first, before id `before`."""
    rows = await db.all(
        f"SELECT {_COLUMNS}, h.name AS host FROM emoji e JOIN hosts h ON h.id = e.host_id"
        " WHERE e.id < ? ORDER BY e.id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [(_emoji_of(row), row["host"]) for row in rows]


async def shown(
    db: Reader, texts: Mapping[int | None, Iterable[str]]
) -> dict[int | None, dict[str, Emoji]]:
    """By host (None: ours), the emoji that its texts use and that may be shown: shortcode to emoji."""
    asked = {host: codes for host, those in texts.items() if (codes := candidates(those))}
    found: dict[int | None, dict[str, Emoji]] = {}
    if not asked:
        return found
    conditions: list[str] = []
    args: list[int | str] = []
    for host, codes in asked.items():
        conditions.append(f"(COALESCE(e.host_id, 0) = ? AND e.shortcode IN ({marks(len(codes))}))")
        args += [host or 0, *sorted(codes)]
    for row in await db.all(
        f"SELECT {_COLUMNS} FROM emoji e WHERE ({' OR '.join(conditions)}) AND {_SHOWN}", *args
    ):
        found.setdefault(row["host_id"], {})[row["shortcode"]] = _emoji_of(row)
    return found


async def by_ids(db: Reader, ids: Collection[int]) -> dict[int, Emoji]:
    """Those of the emoji that may be shown."""
    if not ids:
        return {}
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM emoji e WHERE e.id IN ({marks(len(ids))}) AND {_SHOWN}",
        *sorted(ids),
    )
    return {row["id"]: _emoji_of(row) for row in rows}


async def mime_of_file(db: Reader, file: str) -> str | None:
    """The media type of an emoji's file, if the emoji may be shown: emoji are public."""
    row = await db.one(
        f"SELECT e.mime, e.file FROM emoji e WHERE (e.file = ? OR e.still = ?) AND {_SHOWN}",
        file,
        file,
    )
    if row is None:
        return None
    return str(row["mime"]) if row["file"] == file else "image/webp"


async def names_file(db: Reader, file: str) -> bool:
    """Whether the file belongs to an emoji, shown or not: then it is no stray."""
    found = await db.value("SELECT 1 FROM emoji WHERE file = ? OR still = ?", file, file)
    return found is not None


# Those of other servers


async def note(tx: Transaction, host_id: int, named: Sequence[NamedEmoji]) -> dict[str, int]:
    """Remember what a server says its shortcodes mean; ids by shortcode. Pictures are fetched later.

    Only the host that the words came from can be named by the caller: an emoji belongs to the origin
    of its object. Nothing is noted of hosts whose media are rejected.
    """
    if not named:
        return {}
    named = list({one.shortcode: one for one in named[:CODES_LIMIT]}.values())
    rejected = await tx.value(
        "SELECT 1 FROM hosts WHERE id = ? AND (reject_media = 1 OR policy = 'suspend')", host_id
    )
    if rejected:
        return {}
    known = {
        row["shortcode"]: row
        for row in await tx.all(
            "SELECT id, shortcode, url, updated_at, used_at FROM emoji"
            f" WHERE COALESCE(host_id, 0) = ? AND shortcode IN ({marks(len(named))})",
            host_id,
            *(one.shortcode for one in named),
        )
    }
    ids = {code: int(row["id"]) for code, row in known.items()}
    new = [one for one in named if one.shortcode not in known]
    now = now_ms()
    for one in named:
        row = known.get(one.shortcode)
        if row is None:
            continue
        if one.url != row["url"] or (one.updated or 0) > row["updated_at"]:
            await tx.execute(
                "UPDATE emoji SET url = ?, fetch_at = ?, attempts = 0, used_at = ?, updated_at = ?"
                " WHERE id = ?",
                one.url,
                now,
                now,
                min(one.updated or now, now),
                row["id"],
            )
        elif (row["used_at"] or 0) < now - DAY_MS:
            await tx.execute("UPDATE emoji SET used_at = ? WHERE id = ?", now, row["id"])
    if new:
        many = int(
            await tx.value("SELECT count(*) FROM emoji WHERE COALESCE(host_id, 0) = ?", host_id)
        )
        for one in new[: max(0, HOST_LIMIT - many)]:
            ids[one.shortcode] = new_id()
            await tx.execute(
                "INSERT INTO emoji (id, host_id, shortcode, url, fetch_at, used_at, created_at,"
                " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ids[one.shortcode],
                host_id,
                one.shortcode,
                one.url,
                now,
                now,
                now,
                min(one.updated or now, now),
            )
    return ids


async def claim(db: Database, *, limit: int = 20) -> list[tuple[Emoji, str]]:
    """Emoji whose picture is to be fetched now, with their hosts; nobody else gets them for a while."""
    now = now_ms()
    with db.at_hand():
        # Asked after each activity that arrives: no transaction just to see that there are none.
        due = "SELECT 1 FROM emoji WHERE fetch_at IS NOT NULL AND fetch_at <= ? LIMIT 1"
        if await db.value(due, now) is None:
            return []
    async with db.queue_transaction() as tx:
        rows = await tx.all(
            f"SELECT {_COLUMNS}, h.name AS host FROM emoji e JOIN hosts h ON h.id = e.host_id"
            " WHERE e.fetch_at IS NOT NULL AND e.fetch_at <= ? ORDER BY e.fetch_at LIMIT ?",
            now,
            limit,
        )
        mine = []
        for row in rows:
            # Compared and set at once: two processes never have one row.
            if await tx.execute(
                "UPDATE emoji SET fetch_at = ? WHERE id = ? AND fetch_at <= ?",
                now + LEASE_MS,
                row["id"],
                now,
            ):
                mine.append((_emoji_of(row), str(row["host"])))
    return mine


async def keep_picture(db: Database, known: Emoji, image: ProcessedImage) -> list[str]:
    """The picture of an emoji of another server is here; names of files that it replaces."""
    async with db.queue_transaction() as tx:
        before = await emoji(tx, known.id)
        kept = before is not None and await tx.execute(
            "UPDATE emoji SET file = ?, still = ?, mime = ?, bytes = ?, sha256 = ?, attempts = 0,"
            # Its server may have named another address meanwhile: then that is still to be fetched.
            " fetch_at = CASE WHEN url = ? THEN NULL ELSE fetch_at END WHERE id = ?",
            *_stored(image),
            known.url,
            known.id,
        )
    if before is None or not kept:
        return [image.path.name, image.thumbnail_path.name]
    return [name for name in (before.file, before.still) if name]


async def put_off(db: Database, emoji_id: int, *, for_good: bool = False) -> None:
    """The picture could not be had: try later, or (`for_good`) not until its server names another."""
    async with db.queue_transaction() as tx:
        attempts = int(await tx.value("SELECT attempts FROM emoji WHERE id = ?", emoji_id) or 0)
        wait = RETRY_MS[attempts] if attempts < len(RETRY_MS) and not for_good else None
        await tx.execute(
            "UPDATE emoji SET attempts = attempts + 1, fetch_at = ? WHERE id = ?",
            now_ms() + wait if wait is not None else None,
            emoji_id,
        )


async def bytes_of_others(db: Reader) -> int:
    """What the pictures of other servers take on the disk."""
    return int(
        await db.value("SELECT COALESCE(sum(bytes), 0) FROM emoji WHERE host_id IS NOT NULL")
    )


async def forget_unused(tx: Transaction, *, now: int | None = None, limit: int = 100) -> list[str]:
    """Forget emoji of other servers that nothing has used for `KEPT_DAYS`; names of their files, for
    `remove_files` after the commit.

    Those of a server whose media are rejected are not shown from then on, not noted any more, and so
    are gone after that time as well.
    """
    rows = await tx.all(
        "SELECT e.id, e.file, e.still FROM emoji e WHERE e.used_at IS NOT NULL AND e.used_at < ?"
        " AND e.host_id IS NOT NULL ORDER BY e.used_at LIMIT ?",
        (now or now_ms()) - KEPT_DAYS * DAY_MS,
        limit,
    )
    if rows:
        await tx.execute(
            f"DELETE FROM emoji WHERE id IN ({marks(len(rows))})", *(row["id"] for row in rows)
        )
    return [name for row in rows for name in (row["file"], row["still"]) if name]


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files of emoji from the media folder."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


async def _required(tx: Transaction, emoji_id: int) -> Emoji:
    found = await emoji(tx, emoji_id)
    if found is None:
        raise NotFound("There is no such emoji.")
    return found


def _stored(image: ProcessedImage) -> tuple[str, str, str, int, str]:
    size = image.size + image.thumbnail_size
    return image.path.name, image.thumbnail_path.name, image.mime, size, image.sha256


def _emoji_of(row: Row) -> Emoji:
    return Emoji(
        row["id"],
        row["host_id"],
        row["shortcode"],
        row["category"],
        row["url"],
        row["file"],
        row["still"],
        row["mime"],
        row["bytes"],
        row["disabled_at"],
        row["updated_at"],
    )
