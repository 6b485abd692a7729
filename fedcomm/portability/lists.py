"""A member's lists as CSV, in and out, with the names and headers that Mastodon uses: follows, blocks, mutes, servers,
and who is on which list.

Mastodon writes its lists with a header for follows and mutes and without one for the others, and reads all of them
with or without. Addresses are `name@server`, of people of this hub too.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from fedcomm.hub import lists as member_lists
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Reader

Kind = Literal["follows", "blocks", "mutes", "servers", "lists"]
KINDS: Final[tuple[Kind, ...]] = ("follows", "lists", "blocks", "mutes", "servers")

NAMES: Final[dict[Kind, str]] = {
    "follows": "following_accounts.csv",
    "blocks": "blocked_accounts.csv",
    "mutes": "muted_accounts.csv",
    "servers": "blocked_domains.csv",
    "lists": "lists.csv",
}
"""What Mastodon calls the files."""

HEADERS: Final[dict[Kind, tuple[str, ...]]] = {
    "follows": ("Account address", "Show boosts", "Notify on new posts", "Languages"),
    "blocks": (),
    "mutes": ("Account address", "Hide notifications"),
    "servers": (),
    "lists": (),
}

FILE_BYTES: Final = 4 << 20
LINES: Final = 20_000
"""What Mastodon takes as well."""

_ADDRESS: Final = re.compile(r"@?([^@\s/]{1,128})@([^@\s/]{1,255})")
_SERVER: Final = re.compile(r"[^@\s/:]{1,253}(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class List:
    """What a file asks for. `refused`: lines in which there is no address. `titles`: for lists of people the list on
    which each address is to be; else empty."""

    kind: Kind
    addresses: tuple[str, ...]
    refused: int
    titles: tuple[str, ...] = ()


async def text_of(db: Reader, member_id: int, kind: Kind, origin: str) -> str:
    """The member's list as a file."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    if HEADERS[kind]:
        lines.writerow(HEADERS[kind])
    if kind == "servers":
        rows = await db.all(
            "SELECT h.name AS name FROM avoided_hosts v JOIN hosts h ON h.id = v.host_id"
            " WHERE v.member_id = ? AND v.kind = 'block' ORDER BY h.name",
            member_id,
        )
        lines.writerows([row["name"]] for row in rows)
        return out.getvalue()
    if kind == "lists":
        host = urlsplit(origin).netloc
        for one in await member_lists.of_member(db, member_id):
            lines.writerows(
                [one.title, f"{actor.name}@{actor.host or host}"]
                for actor, _ in await member_lists.entries(db, one.id)
            )
        return out.getvalue()
    for address in await _addresses(db, member_id, kind, urlsplit(origin).netloc):
        more = {"follows": ["true", "false", ""], "mutes": ["true"]}.get(kind, [])
        lines.writerow([address, *more])
    return out.getvalue()


async def _addresses(db: Reader, member_id: int, kind: Kind, host: str) -> list[str]:
    if kind == "follows":
        condition = (
            "a.id IN (SELECT f.followed_id FROM follows f WHERE f.follower_id = ?"
            " UNION SELECT s.group_id FROM memberships s WHERE s.actor_id = ? AND s.state = 'active')"
        )
        args: tuple[int | str, ...] = (member_id, member_id)
    else:
        condition = (
            "a.id IN (SELECT v.actor_id FROM avoided_actors v WHERE v.member_id = ? AND v.kind = ?)"
        )
        args = (member_id, "block" if kind == "blocks" else "mute")
    rows = await db.all(
        "SELECT a.name, h.name AS host FROM actors a LEFT JOIN hosts h ON h.id = a.host_id"
        f" WHERE {condition} AND a.deleted_at IS NULL ORDER BY a.id",
        *args,
    )
    return [f"{row['name']}@{row['host'] or host}" for row in rows]


def read(data: bytes, kind: Kind) -> List:
    """The addresses in a file. Raises Invalid when it is no such list at all."""
    if len(data) > FILE_BYTES:
        raise Invalid("list", "The file is too large.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("list", "This is not a list: it is no text in UTF-8.") from error
    try:
        lines = [line for line in csv.reader(io.StringIO(text)) if line and "".join(line).strip()]
    except csv.Error as error:
        raise Invalid("list", "This is not a list: the lines cannot be read.") from error
    if len(lines) > LINES:
        raise Invalid("list", "The list is too long.")
    found, refused = _on_lists(lines) if kind == "lists" else _found(lines, kind)
    if not found:
        raise Invalid("list", "There is no address in this file.")
    once = tuple(dict.fromkeys(found))
    titles = tuple(title for title, _ in once) if kind == "lists" else ()
    return List(kind, tuple(address for _, address in once), refused, titles)


def _on_lists(lines: Iterable[list[str]]) -> tuple[list[tuple[str, str]], int]:
    """(title of a list, address) of each line, as Mastodon writes them: two columns, no header."""
    found: list[tuple[str, str]] = []
    refused = 0
    for line in lines:
        title = " ".join(line[0].split()) if line[0].isprintable() else ""
        address = account(line[1]) if len(line) > 1 else None
        if address is None or not 0 < len(title) <= member_lists.TITLE_CHARACTERS:
            refused += 1
        else:
            found.append((title, address))
    return found, refused


def _found(lines: Iterable[list[str]], kind: Kind) -> tuple[list[tuple[str, str]], int]:
    found: list[tuple[str, str]] = []
    column, refused = 0, 0
    for number, line in enumerate(lines):
        if number == 0 and (header := _header(line, kind)) is not None:
            column = header
            continue
        cell = line[column].strip().removeprefix("\N{APOSTROPHE}") if column < len(line) else ""
        address = server(cell) if kind == "servers" else account(cell)
        if address is None:
            refused += 1
        else:
            found.append(("", address))
    return found, refused


def _header(line: list[str], kind: Kind) -> int | None:
    wanted = "#domain" if kind == "servers" else "account address"
    titles = [title.strip().lower() for title in line]
    return titles.index(wanted) if wanted in titles else None


def account(text: str) -> str | None:
    """`name@server` in the form that is kept, or None."""
    found = _ADDRESS.fullmatch(text.strip())
    return f"{found[1]}@{found[2].lower()}" if found and text.isprintable() else None


def server(text: str) -> str | None:
    """A server's name in the form that is kept, or None."""
    name = text.strip().lower().rstrip(".")
    return name if _SERVER.fullmatch(name) and name.isprintable() else None
