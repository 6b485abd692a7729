"""What somebody wrote elsewhere, out of the `outbox.json` of a Mastodon archive or of one of ours.

Read piece by piece, since such a file can be larger than the memory. An item is taken only if it is a `Create` by the
account that the archive is of; shares and what others wrote are left out. Words are what their author typed or what
their server made of it: HTML goes through the sanitiser like anything from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from activitypub import accessors
from activitypub.ijson import IJSONError, JSONObject, parse
from fedcomm.portability.tables import PortabilityError

ACTOR_BYTES: Final = 1 << 20
ITEM_CHARACTERS: Final = 1 << 20
ITEMS: Final = 500_000
HTML_CHARACTERS: Final = 100_000
ATTACHMENTS: Final = 16
TAGS: Final = 50
OPTIONS: Final = 20
EARLIEST_MS: Final = 631_152_000_000
"""1990: whoever dates a post earlier has no clock."""

TYPES: Final = frozenset(
    {"Note", "Article", "Page", "Question", "Event", "Video", "Image", "Audio"}
)
PUBLIC: Final = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})

Reach = Literal["public", "unlisted", "followers", "direct"]

_ITEMS: Final = re.compile(r'"orderedItems"\s*:\s*\[')


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that an archive is of: ids and names there, and where its followers are told."""

    uri: str
    name: str
    display_name: str
    summary: str
    followers: str | None
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PastFile:
    """A file of a post: names under which the archive may hold it, its media type and description."""

    names: tuple[str, ...]
    mime: str
    alt: str
    focal: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PastPost:
    """One post. `html` is not clean yet; `published_at`: Unix ms; `reach`: to whom it was; direct is for its author."""

    uri: str
    published_at: int
    title: str
    html: str
    source: str
    summary: str
    sensitive: bool
    language: str
    reach: Reach
    parent_uri: str | None
    hashtags: tuple[str, ...]
    files: tuple[PastFile, ...]


def owner(path: Path) -> Owner:
    """Whose archive it is, from its `actor.json`. Raises PortabilityError."""
    try:
        if path.stat().st_size > ACTOR_BYTES:
            raise PortabilityError("actor.json is too large.")
        document = parse(path.read_bytes(), max_bytes=ACTOR_BYTES)
    except (OSError, IJSONError) as error:
        raise PortabilityError("actor.json is missing or cannot be read.") from error
    if not isinstance(document, dict):
        raise PortabilityError("actor.json cannot be read.")
    uri = accessors.link(document, "id")
    name = accessors.text(document, "preferredUsername", limit=100)
    if uri is None or not name or not uri.startswith(("https://", "http://")):
        raise PortabilityError("actor.json does not say whose archive it is.")
    fields = [
        (
            accessors.text(field, "name", limit=200) or "",
            accessors.text(field, "value", limit=2000) or "",
        )
        for field in accessors.documents(document, "attachment", 16)
        if field.get("type") == "PropertyValue"
    ]
    return Owner(
        uri,
        name,
        accessors.text(document, "name", limit=500) or "",
        accessors.text(document, "summary", limit=HTML_CHARACTERS) or "",
        accessors.link(document, "followers"),
        tuple(fields),
    )


def items(path: Path) -> Iterator[JSONObject]:
    """The items of an `outbox.json`, one after the other. Raises PortabilityError where it cannot be read on."""
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8-sig", errors="strict", newline="") as file:
        try:
            buffer = _to_the_items(file.read)
            for _ in range(ITEMS):
                buffer = buffer.lstrip(" \t\r\n,")
                while True:
                    if buffer.startswith("]"):
                        return
                    try:
                        item, end = decoder.raw_decode(buffer)
                        # A number could go on behind what was read so far; items are no numbers.
                        break
                    except json.JSONDecodeError:
                        more = file.read(1 << 16)
                        if not more or len(buffer) > ITEM_CHARACTERS:
                            raise
                        buffer = (buffer + more).lstrip(" \t\r\n,")
                buffer = buffer[end:]
                yield _checked(item)
        except (ValueError, RecursionError) as error:
            raise PortabilityError("outbox.json cannot be read to its end.") from error
    raise PortabilityError("outbox.json holds too many posts.")


def _checked(item: object) -> JSONObject:
    """The item as the gate for documents lets it pass (INV-11), or an empty one."""
    try:
        found = parse(json.dumps(item).encode(), max_bytes=4 * ITEM_CHARACTERS)
    except (IJSONError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _to_the_items(read: Callable[[int], str]) -> str:
    buffer = ""
    while (found := _ITEMS.search(buffer)) is None:
        more = read(1 << 16)
        if not more:
            raise ValueError("there are no items")
        # What could be the beginning of what is looked for stays.
        buffer = buffer[-64:] + more
    return buffer[found.end() :]


def post_of(item: JSONObject, whose: Owner) -> PastPost | None:
    """The post in an item of the outbox; None for what is none of the owner's, or has no words and no files."""
    document = accessors.document(item, "object")
    if item.get("type") != "Create" or document is None:
        return None
    if accessors.link(item, "actor") != whose.uri:
        return None
    if accessors.link(document, "attributedTo") != whose.uri:
        return None
    kinds = accessors.types(document)
    uri = accessors.link(document, "id")
    published = accessors.time(document, "published") or accessors.time(item, "published")
    if published is None or published < EARLIEST_MS or not TYPES & set(kinds):
        return None
    if uri is None or not uri.startswith(("https://", "http://")):
        return None
    html, language = accessors.natural(document, "content", limit=HTML_CHARACTERS)
    title, _ = accessors.natural(document, "name", limit=500)
    summary, _ = accessors.natural(document, "summary", limit=500)
    files = tuple(_file(one) for one in accessors.documents(document, "attachment", ATTACHMENTS))
    html = (html or "") + _options(document)
    if not html and not files and not title:
        return None
    source = accessors.document(document, "source") or {}
    is_markdown = source.get("mediaType") == "text/markdown"
    sensitive = accessors.boolean(document, "sensitive")
    return PastPost(
        uri=uri[:2000],
        published_at=published,
        title=title or "",
        html=html,
        source=(accessors.text(source, "content", limit=HTML_CHARACTERS) or "")
        if is_markdown
        else "",
        summary=summary or "" if sensitive or summary else "",
        sensitive=bool(sensitive),
        language=language or "",
        reach=_reach(document, item, whose),
        parent_uri=accessors.link(document, "inReplyTo"),
        hashtags=_hashtags(document),
        files=files,
    )


def _reach(document: JSONObject, item: JSONObject, whose: Owner) -> Reach:
    to = {*accessors.links(document, "to", 100), *accessors.links(item, "to", 100)}
    cc = {*accessors.links(document, "cc", 100), *accessors.links(item, "cc", 100)}
    if to & PUBLIC:
        return "public"
    if cc & PUBLIC:
        return "unlisted"
    if whose.followers is not None and whose.followers in to | cc:
        return "followers"
    return "direct"


def _hashtags(document: JSONObject) -> tuple[str, ...]:
    found = []
    for tag in accessors.documents(document, "tag", TAGS):
        name = accessors.text(tag, "name", limit=100)
        if tag.get("type") == "Hashtag" and name and name.lstrip("#").isprintable():
            found.append(name.lstrip("#").lower())
    return tuple(dict.fromkeys(name for name in found if name))


def _options(document: JSONObject) -> str:
    """What a poll let one choose, as a list: it is over, and its votes stay where they were cast."""
    names = [
        accessors.text(option, "name", limit=500)
        for key in ("oneOf", "anyOf")
        for option in accessors.documents(document, key, OPTIONS)
    ]
    lines = "".join(f"<li>{escape(name)}</li>" for name in names if name)
    return f"<ul>{lines}</ul>" if lines else ""


def _file(document: JSONObject) -> PastFile:
    address = accessors.text(document, "url", limit=2000) or accessors.link(document, "url") or ""
    try:
        path = unquote(urlsplit(address).path).lstrip("/")
    except ValueError:
        path = ""
    focal = document.get("focalPoint")
    x, y = focal if isinstance(focal, list) and len(focal) == 2 else (0.0, 0.0)
    return PastFile(
        (path, path.removeprefix("system/"), f"media/{path.rpartition('/')[2]}"),
        accessors.text(document, "mediaType", limit=100) or "",
        accessors.text(document, "name", limit=10_000)
        or accessors.text(document, "summary", limit=10_000)
        or "",
        (_side(x), _side(y)),
    )


def _side(value: object) -> float:
    return max(-1.0, min(1.0, float(value))) if isinstance(value, int | float) else 0.0
