"""Typed access to properties of foreign documents (INV-12).

Every property of a document from outside is read through one of these. A value of the wrong type is
absent; nothing is ever coerced: NodeBB once turned `attributedTo: 1` into its user 1, the admin.
A document is a `JSONObject` that came out of `activitypub.ijson.parse`.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any

from activitypub.ijson import JSONObject
from activitypub.origins import MAX_URL_CHARS, parse_url
from activitypub.vocabulary import AS_NAMESPACE, AS_PUBLIC, ITEM_LIMIT, PUBLIC_ALIASES

_TYPE_LIMIT = 8
_TYPE_CHARS = 200
_TIME_CHARS = 64
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,32}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_END_OF_TIME_MS = (date(2201, 1, 1).toordinal() - _EPOCH_ORDINAL) * 86_400_000


class Refused(ValueError):
    """A document that cannot be used. `reason` is a short slug for logs and counters, the same for
    all documents with this fault, and holds nothing of the document."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def text(doc: JSONObject, key: str, *, limit: int) -> str | None:
    """A string, cut to `limit` characters. Absent if it holds control characters other than tab,
    line feed and carriage return."""
    value = doc.get(key)
    if value is None or not isinstance(value, str):
        return None
    if not value.isprintable() and _CONTROL.search(value):
        return None
    return value[:limit]


def natural(doc: JSONObject, key: str, *, limit: int) -> tuple[str | None, str | None]:
    """A natural-language value and its language tag, from `key` and `keyMap` (AS2 Core §4.7).

    The language is that of the map's entry which equals the value (GoToSocial's rule). Without the
    plain key, the map's first entry gives both (Mastodon's rule).
    """
    value = text(doc, key, limit=limit)
    translations = doc.get(key + "Map")
    if not isinstance(translations, dict):
        return value, None
    if value is not None:
        whole = doc[key]
        for tag, translation in translations.items():
            if translation == whole:
                return value, language_tag(tag)
        return value, None
    for tag in translations:
        value = text(translations, tag, limit=limit)
        if value is not None:
            return value, language_tag(tag)
        break
    return None, None


def language_tag(value: object) -> str | None:
    """A plausible BCP 47 tag of at most 35 characters (`und` means none), or None."""
    if not isinstance(value, str) or len(value) > 35 or value == "und":
        return None
    return value.replace("_", "-") if _LANGUAGE.fullmatch(value) else None


def identifier(value: object) -> str | None:
    """The id in a string or in an object with a string `id`, unchecked beyond being one word.

    Not necessarily a URL: recipients may be `as:Public`, conversations `tag:` URIs.
    """
    if isinstance(value, dict):
        value = value.get("id")
    if value is None or not isinstance(value, str) or not 0 < len(value) <= MAX_URL_CHARS:
        return None
    return None if _SPACE_OR_CONTROL.search(value) else value


def link(doc: JSONObject, key: str) -> str | None:
    """One id: from a string, an object, or the first element of an array of these."""
    value = doc.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    return identifier(value)


def links(doc: JSONObject, key: str, limit: int) -> tuple[str, ...]:
    """Distinct ids in their order, from the first `limit` elements."""
    found: dict[str, None] = {}
    for element in _elements(doc, key, limit):
        value = identifier(element)
        if value is not None:
            found[value] = None
    return tuple(found)


def url(doc: JSONObject, key: str, *, allow_http: bool = False) -> str | None:
    """`link`, as a canonical URL; absent if it is none."""
    value = doc.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    return address(value, allow_http=allow_http)


def address(value: object, *, allow_http: bool = False) -> str | None:
    """The canonical URL in a string or in an object with a string `id`: `identifier`, parsed.

    What `identifier` refuses is no URL, so it need not be asked as well.
    """
    if isinstance(value, dict):
        value = value.get("id")
    return parse_url(value, allow_http=allow_http)


def objects(doc: JSONObject, key: str, limit: int) -> tuple[JSONObject | str, ...]:
    """The strings and objects among the first `limit` elements; a single value counts as one."""
    found = _elements(doc, key, limit)
    return tuple([value for value in found if isinstance(value, (dict, str))]) if found else ()


def documents(doc: JSONObject, key: str, limit: int) -> tuple[JSONObject, ...]:
    """The objects (not the strings) among the first `limit` elements."""
    found = _elements(doc, key, limit)
    return tuple([value for value in found if isinstance(value, dict)]) if found else ()


def document(doc: JSONObject, key: str) -> JSONObject | None:
    """One embedded object: the value, or the first element of an array."""
    value = doc.get(key)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, dict) else None


def integer(doc: JSONObject, key: str, minimum: int, maximum: int) -> int | None:
    """An integer within the bounds, both included. `true` and `1.0` are none."""
    value = doc.get(key)
    if type(value) is not int or not minimum <= value <= maximum:
        return None
    return value


def boolean(doc: JSONObject, key: str) -> bool | None:
    """`true` or `false`; absent for `1`, `"true"` and the rest."""
    value = doc.get(key)
    return value if isinstance(value, bool) else None


def time(doc: JSONObject, key: str) -> int | None:
    """Unix milliseconds (UTC) of an RFC 3339 time within 1970 to 2200.

    Any number of fraction digits (cut, not rounded), a zone or none (UTC), a blank for the `T`.
    """
    value = doc.get(key)
    if value is None or not isinstance(value, str) or len(value) > _TIME_CHARS:
        return None
    return _milliseconds(value)


@lru_cache(maxsize=256)
def _milliseconds(value: str) -> int | None:
    # Remembered, because an activity and its object state the same moment.
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, zone_hours, zone_minutes = match.groups()[6:]
    # 60 is a leap second: it becomes the first second of the next minute.
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    if sign is not None:
        if int(zone_hours) > 23 or int(zone_minutes) > 59:
            return None
        offset = int(zone_hours) * 3_600 + int(zone_minutes) * 60
        seconds += offset if sign == "-" else -offset
    milliseconds = seconds * 1_000 + int(((fraction or "") + "000")[:3])
    return milliseconds if 0 <= milliseconds < _END_OF_TIME_MS else None


def types(doc: JSONObject) -> tuple[str, ...]:
    """The types of a document, without the ActivityStreams prefix (`as:Note` is `Note`)."""
    value = doc.get("type")
    if isinstance(value, str):
        return _single_type(value) if 0 < len(value) <= _TYPE_CHARS else ()
    return tuple(
        [
            value.removeprefix("as:").removeprefix(AS_NAMESPACE)
            for value in _elements(doc, "type", _TYPE_LIMIT)
            if isinstance(value, str) and 0 < len(value) <= _TYPE_CHARS
        ]
    )


@lru_cache(maxsize=128)
def _single_type(value: str) -> tuple[str, ...]:
    return (value.removeprefix("as:").removeprefix(AS_NAMESPACE),)


def html_url(doc: JSONObject) -> str | None:
    """The page for people behind `url`: the first http(s) link of type text/html, otherwise the
    first link without a type (Mastodon's rule, which also takes a plain string)."""
    untyped: str | None = None
    for value in _elements(doc, "url", ITEM_LIMIT):
        if isinstance(value, str):
            target, media_type = parse_url(value, allow_http=True), None
        elif isinstance(value, dict):
            target = parse_url(value.get("href"), allow_http=True)
            media_type = value.get("mediaType")
        else:
            continue
        if target is None:
            continue
        if isinstance(media_type, str) and media_type.partition(";")[0].strip() == "text/html":
            return target
        if media_type is None and untyped is None:
            untyped = target
    return untyped


def is_public(iri: object) -> bool:
    """Whether an IRI is the public collection, in any of its three forms."""
    return isinstance(iri, str) and iri in PUBLIC_ALIASES


def recipients(
    doc: JSONObject, key: str, limit: int, *, allow_http: bool = False
) -> tuple[str, ...]:
    """Distinct canonical URLs of an addressing property, the public collection in its full form.
    What is neither is dropped (NodeBB has sent its own user numbers)."""
    found: dict[str, None] = {}
    for value in _elements(doc, key, limit):
        if isinstance(value, dict):
            value = value.get("id")
        if not isinstance(value, str):
            continue
        target = AS_PUBLIC if value in PUBLIC_ALIASES else parse_url(value, allow_http=allow_http)
        if target is not None:
            found[target] = None
    return tuple(found)


def _elements(doc: JSONObject, key: str, limit: int) -> list[Any]:
    value = doc.get(key)
    if value is None:
        return []
    if isinstance(value, list):
        return value if len(value) <= limit else value[:limit]
    return [value]
