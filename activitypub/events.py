"""Events: when, where, and how one takes part (federation.md §5.4).

FEP-8a8e is the form that is agreed on; Mobilizon, Gancio, Gathio and the WordPress plugins write older ones, which
are read as well. What several of them say is one value here, whatever they call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from activitypub import accessors, vocabulary
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url

EventStatus = Literal["confirmed", "tentative", "cancelled"]
JoinMode = Literal["free", "restricted", "external", "invite", "none"]
AttendanceMode = Literal["offline", "online", "mixed"]

PLACES: Final = 8
"""Locations of one event that are looked at."""

_STATUS: Final[dict[str, EventStatus]] = {
    "confirmed": "confirmed",
    "eventscheduled": "confirmed",
    "eventrescheduled": "confirmed",
    "eventmovedonline": "confirmed",
    "tentative": "tentative",
    "eventtentative": "tentative",
    "eventpostponed": "tentative",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "eventcancelled": "cancelled",
}
"""iCalendar's words (Mobilizon) and schema.org's (FEP-8a8e, Gancio), in lower case, without their namespace."""

_STATUS_KEYS: Final = ("eventStatus", "status", "ical:status")
_ATTENDANCE: Final[dict[str, AttendanceMode]] = {
    "offlineeventattendancemode": "offline",
    "onlineeventattendancemode": "online",
    "mixedeventattendancemode": "mixed",
}
_JOIN_MODES: Final[frozenset[JoinMode]] = frozenset(
    {"free", "restricted", "external", "invite", "none"}
)
_ADDRESS_LINES: Final = (
    "streetAddress",
    "postalCode",
    "addressLocality",
    "addressRegion",
    "addressCountry",
)
_MAX_COUNT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EventDocument:
    """What makes an object an event. Times: Unix milliseconds. `end` only when people are to see it.

    `timezone` is an IANA name as written, unchecked. `attendance` is None where nothing is said of it and no
    location tells. `join_url` may be a `mailto:`. `participants`: how many come, as its server says.
    """

    start: int
    end: int | None
    timezone: str | None
    status: EventStatus
    attendance: AttendanceMode | None
    joining: JoinMode
    join_url: str | None
    place: str | None
    address: str | None
    online_url: str | None
    capacity: int | None
    participants: int | None


def read_event(doc: JSONObject) -> EventDocument | None:
    """The event in an object; None if it does not say when it begins. Nothing in it is refused as a whole: a value of
    the wrong type is absent."""
    start = accessors.time(doc, "startTime")
    if start is None:
        return None
    end = accessors.time(doc, "endTime")
    if end is not None and (end <= start or accessors.boolean(doc, "displayEndTime") is False):
        end = None
    place, address, online_url = _where(doc)
    join_url = _join_url(doc)
    return EventDocument(
        start=start,
        end=end,
        timezone=accessors.text(doc, "timezone", limit=vocabulary.NAME_CHARS),
        status=_status(doc),
        attendance=_attendance(doc, bool(place or address), online_url is not None),
        joining=_joining(doc, join_url),
        join_url=join_url,
        place=place,
        address=address,
        online_url=online_url,
        capacity=accessors.integer(doc, "maximumAttendeeCapacity", 1, _MAX_COUNT),
        participants=_participants(doc),
    )


def _word(value: object) -> str:
    """The last part of a word that may stand in its namespace (`ical:status`, a URL, a bare word)."""
    if not isinstance(value, str) or len(value) > vocabulary.NAME_CHARS:
        return ""
    for separator in ("#", "/", ":"):
        value = value.rpartition(separator)[2]
    return value.casefold()


def _status(doc: JSONObject) -> EventStatus:
    for key in _STATUS_KEYS:
        known = _STATUS.get(_word(doc.get(key)))
        if known is not None:
            return known
    return "confirmed"


def _attendance(doc: JSONObject, has_place: bool, has_link: bool) -> AttendanceMode | None:
    stated = _ATTENDANCE.get(_word(doc.get("eventAttendanceMode")))
    if stated is not None:
        return stated
    # Mobilizon's `isOnline` says nothing of a place besides; false is its default.
    online = has_link or accessors.boolean(doc, "isOnline") is True
    if online:
        return "mixed" if has_place else "online"
    return "offline" if has_place else None


def _joining(doc: JSONObject, join_url: str | None) -> JoinMode:
    """How one takes part. Who does not say it does not handle a Join (FEP-8a8e)."""
    mode = _word(doc.get("joinMode"))
    if mode == "external" and join_url is None:
        return "none"
    for known in _JOIN_MODES:
        if mode == known:
            return known
    return "external" if join_url is not None else "none"


def _join_url(doc: JSONObject) -> str | None:
    value = doc.get("externalParticipationUrl")
    if isinstance(value, str) and value.startswith("mailto:"):
        return accessors.text(doc, "externalParticipationUrl", limit=vocabulary.NAME_CHARS)
    return parse_url(value, allow_http=True)


def _where(doc: JSONObject) -> tuple[str | None, str | None, str | None]:
    """The name and the address of the first place, and the first link of a virtual one."""
    place = address = online = None
    for value in accessors.objects(doc, "location", PLACES):
        if isinstance(value, str):
            place = place or accessors.text({"name": value}, "name", limit=vocabulary.NAME_CHARS)
            continue
        if "VirtualLocation" in (name.rpartition(":")[2] for name in accessors.types(value)):
            online = online or parse_url(value.get("url"), allow_http=True)
            continue
        name = accessors.natural(value, "name", limit=vocabulary.NAME_CHARS)[0]
        found = _address(value)
        if place is None and address is None and (name or found):
            place, address = name or None, found
    return place, address if address != place else None, online


def _address(place: JSONObject) -> str | None:
    """An address as text, or as the parts of a PostalAddress, or (Mobilizon once) flat on the place."""
    plain = accessors.text(place, "address", limit=vocabulary.NAME_CHARS * 2)
    if plain:
        return plain.strip() or None
    parts = accessors.document(place, "address") or place
    lines = []
    for key in _ADDRESS_LINES:
        line = accessors.text(parts, key, limit=vocabulary.NAME_CHARS)
        if line and line.strip() and line.strip() not in lines:
            lines.append(line.strip())
    return ", ".join(lines) or None


def _participants(doc: JSONObject) -> int | None:
    told = accessors.integer(doc, "participantCount", 0, _MAX_COUNT)
    if told is not None:
        return told
    attendees = accessors.document(doc, "attendees")
    return None if attendees is None else accessors.integer(attendees, "totalItems", 0, _MAX_COUNT)
