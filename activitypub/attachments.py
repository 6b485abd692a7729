"""The parts that hang on a post or a profile: images, media, tags, poll options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from activitypub import accessors, vocabulary
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url

_MAX_PIXELS_A_SIDE = 65_535
_MAX_COUNT = 2**53 - 1
_BLURHASH = re.compile(r"[0-9A-Za-z#$%*+,.:;=?@\[\]^_{|}~-]{6,166}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,127}")
_DURATION = re.compile(
    r"P(?:0D)?T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?"
)
_MAX_DURATION_MS = 7 * 86_400_000
_ATTACHMENT_TYPES: Final = frozenset({"Audio", "Document", "Image", "Link", "Page", "Video"})

TagType = Literal["Mention", "Hashtag", "Emoji"]
_TAG_LIMITS: Final[dict[TagType, int]] = {
    "Mention": vocabulary.MENTION_LIMIT,
    "Hashtag": vocabulary.HASHTAG_LIMIT,
    "Emoji": vocabulary.EMOJI_LIMIT,
}


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An avatar, header or thumbnail. `alt` is plain text."""

    url: str
    media_type: str | None
    alt: str | None


@dataclass(frozen=True, slots=True)
class AttachmentDocument:
    """A medium or a link on a post. `focal` is (x, y), each from −1 to 1, y upwards; `width` and
    `height` are pixels, `duration_ms` is milliseconds, as claimed by the sender. A `Link` (a preview of
    a web page) may be http."""

    type: str
    media_type: str | None
    url: str
    alt: str | None
    width: int | None
    height: int | None
    blurhash: str | None
    focal: tuple[float, float] | None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TagDocument:
    """A mention (`href` is the actor), hashtag (`name` with or without `#`) or custom emoji
    (`icon_url` is the picture, `name` the shortcode, mostly between colons, `updated` when the picture
    changed, Unix ms). Whatever id an emoji claims, it means something only beside the words that it
    came with."""

    type: TagType
    name: str
    href: str | None
    icon_url: str | None
    updated: int | None = None


@dataclass(frozen=True, slots=True)
class OptionDocument:
    """One choice of a poll; `votes` is None if the sender gives no count."""

    name: str
    votes: int | None


def read_image(doc: JSONObject, key: str, *, allow_http: bool = False) -> ImageRef | None:
    """The image of a property: a URL string, an Image, or the first of an array of these."""
    value = doc.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        target = parse_url(value, allow_http=allow_http)
        return None if target is None else ImageRef(target, None, None)
    if not isinstance(value, dict):
        return None
    found = _media_url(value, allow_http)
    if found is None:
        return None
    return ImageRef(found[0], found[1] or _media_type(value), _alternative_text(value))


def read_attachments(
    doc: JSONObject, *, allow_http: bool = False
) -> tuple[AttachmentDocument, ...]:
    """The media and links of a post, at most `ATTACHMENT_LIMIT`; unknown types are left out."""
    found = []
    for value in accessors.documents(doc, "attachment", vocabulary.ATTACHMENT_LIMIT):
        kind = next((name for name in accessors.types(value) if name in _ATTACHMENT_TYPES), None)
        if kind is None:
            continue
        media = _media_url(value, allow_http or kind == "Link")
        if media is None:
            continue
        found.append(
            AttachmentDocument(
                type=kind,
                media_type=media[1] or _media_type(value),
                url=media[0],
                alt=_alternative_text(value),
                width=accessors.integer(value, "width", 1, _MAX_PIXELS_A_SIDE),
                height=accessors.integer(value, "height", 1, _MAX_PIXELS_A_SIDE),
                blurhash=_blurhash(value),
                focal=_focal_point(value),
                duration_ms=_duration(value),
            )
        )
    return tuple(found)


def read_tags(doc: JSONObject, *, allow_http: bool = False) -> tuple[TagDocument, ...]:
    """Mentions, hashtags and emoji of a post or profile, each kind up to its own limit."""
    tags = accessors.documents(doc, "tag", vocabulary.ITEM_LIMIT)
    if not tags:
        return ()
    counts = dict.fromkeys(_TAG_LIMITS, 0)
    found = []
    for value in tags:
        tag = _read_tag(value, allow_http)
        if tag is not None and counts[tag.type] < _TAG_LIMITS[tag.type]:
            counts[tag.type] += 1
            found.append(tag)
    return tuple(found)


def read_options(doc: JSONObject) -> tuple[tuple[OptionDocument, ...], bool]:
    """The choices of a Question, and whether several may be chosen (`anyOf`)."""
    if "oneOf" not in doc and "anyOf" not in doc:
        return (), False
    multiple = "oneOf" not in doc
    found = []
    for value in accessors.documents(
        doc, "anyOf" if multiple else "oneOf", vocabulary.OPTION_LIMIT
    ):
        name = accessors.text(value, "name", limit=vocabulary.NAME_CHARS)
        if name:
            found.append(OptionDocument(name, read_total(value, "replies")))
    return tuple(found), multiple


def read_total(doc: JSONObject, key: str) -> int | None:
    """`totalItems` of an embedded collection."""
    if key not in doc:
        return None
    collection = accessors.document(doc, key)
    return (
        None if collection is None else accessors.integer(collection, "totalItems", 0, _MAX_COUNT)
    )


def _read_tag(value: JSONObject, allow_http: bool) -> TagDocument | None:
    types = accessors.types(value)
    kind = types[0] if types else None
    name = accessors.text(value, "name", limit=vocabulary.NAME_CHARS)
    href = parse_url(value.get("href"), allow_http=allow_http)
    if kind == "Mention":
        # A mention is whom it points to; its name is only how it was written.
        return None if href is None else TagDocument("Mention", name or "", href, None)
    if not name:
        return None
    if kind == "Hashtag":
        return TagDocument("Hashtag", name, href, None)
    if kind == "Emoji":
        icon = read_image(value, "icon", allow_http=allow_http)
        if icon is None:
            return None
        return TagDocument("Emoji", name, None, icon.url, accessors.time(value, "updated"))
    return None


def _media_url(value: JSONObject, allow_http: bool) -> tuple[str, str | None] | None:
    """URL and media type from `url` or `href`; PeerTube sends an array of Links in `url`."""
    for target, media_type in _candidates(value):
        parsed = parse_url(target, allow_http=allow_http)
        if parsed is not None:
            return parsed, media_type
    return None


def _candidates(value: JSONObject) -> Iterator[tuple[object, str | None]]:
    yield value.get("href"), None
    for target in accessors.objects(value, "url", vocabulary.ATTACHMENT_LIMIT):
        if isinstance(target, str):
            yield target, None
        else:
            yield target.get("href"), _media_type(target)


def _media_type(value: JSONObject) -> str | None:
    name = accessors.text(value, "mediaType", limit=vocabulary.NAME_CHARS)
    if name is None:
        return None
    name = name.partition(";")[0].strip().lower()
    return name if _MEDIA_TYPE.fullmatch(name) else None


def _alternative_text(value: JSONObject) -> str | None:
    """Mastodon and GoToSocial write `summary`, most others `name`."""
    for key in ("summary", "name"):
        found = accessors.text(value, key, limit=vocabulary.ALT_CHARS)
        if found:
            return found
    return None


def _blurhash(value: JSONObject) -> str | None:
    found = accessors.text(value, "blurhash", limit=vocabulary.NAME_CHARS)
    return found if found and _BLURHASH.fullmatch(found) else None


def _duration(value: JSONObject) -> int | None:
    """Milliseconds of an `xsd:duration` in hours, minutes and seconds: what is played is no longer."""
    found = accessors.text(value, "duration", limit=vocabulary.NAME_CHARS)
    match = _DURATION.fullmatch(found) if found else None
    if match is None or found == "PT":
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    milliseconds = round((hours * 3600 + minutes * 60 + seconds) * 1000)
    return milliseconds if 0 < milliseconds <= _MAX_DURATION_MS else None


def _focal_point(value: JSONObject) -> tuple[float, float] | None:
    point = value.get("focalPoint")
    if not isinstance(point, list) or len(point) != 2:
        return None
    x, y = point
    if type(x) not in (int, float) or type(y) not in (int, float):
        return None
    return (float(x), float(y)) if -1 <= x <= 1 and -1 <= y <= 1 else None
