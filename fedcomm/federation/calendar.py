"""Events of ours as documents (federation.md §5.4): in the terms of FEP-8a8e, and in those that Mobilizon reads.

What shows only title, summary and a link has time and place in the summary; what knows no events gets a `Page` under
the same id with them in its text.
"""

from __future__ import annotations

from datetime import datetime
from html import escape, unescape
from typing import Final

from activitypub.ijson import JSONObject
from fedcomm.hub.events import USUAL_LENGTH_MS, Event, Occasion, State, clock
from fedcomm.hub.sanitizer import excerpt

SUMMARY_CHARACTERS: Final = 500
"""What Mastodon shows of a summary at most (§0.2, rule 12)."""

_STATUS: Final[dict[State, str]] = {
    "confirmed": "CONFIRMED",
    "tentative": "TENTATIVE",
    "cancelled": "CANCELLED",
}
_SAID: Final[dict[str, dict[str, str]]] = {
    "CANCELLED": {
        "en": "Cancelled",
        "it": "Annullato",
        "de": "Abgesagt",
        "fr": "Annulé",
        "es": "Cancelado",
    },
    "TENTATIVE": {
        "en": "Not certain yet",
        "it": "Da confermare",
        "de": "Noch nicht sicher",
        "fr": "À confirmer",
        "es": "Por confirmar",
    },
}
"""What a summary says first, in the language of the event (§5.4: peers show nothing of the status)."""

EVENT_KEYS: Final = frozenset(
    {
        *("startTime", "endTime", "displayEndTime", "timezone", "eventStatus", "ical:status"),
        *("location", "isOnline", "joinMode", "externalParticipationUrl", "organizers"),
        *("maximumAttendeeCapacity", "attendees", "participantCount"),
    }
)
"""What only an event has."""


def as_event(document: JSONObject, event: Event, *, warning: str) -> JSONObject:
    """The document of a topic with the event in it. `warning`: its content warning, which stays the summary."""
    occasion = event.occasion
    made = document | {
        "type": "Event",
        "startTime": _time(occasion.starts_at, occasion.zone),
        # FEP-8a8e wants an end for programs, and a word when people are not to see it.
        "endTime": _time(occasion.ends_at or occasion.starts_at + USUAL_LENGTH_MS, occasion.zone),
        "displayEndTime": occasion.ends_at is not None,
        "eventStatus": _STATUS[occasion.state],
        # The key under which Mobilizon looks for it.
        "ical:status": _STATUS[occasion.state],
        "isOnline": occasion.attendance == "online",
        "joinMode": occasion.joining,
        "organizers": {
            "type": "OrderedCollection",
            "totalItems": 1,
            "orderedItems": [document["attributedTo"]],
        },
        "participantCount": event.going,
        "attendees": {
            "id": f"{document['id']}/attendees",
            "type": "OrderedCollection",
            "totalItems": event.going,
        },
    }
    if occasion.zone:
        made["timezone"] = occasion.zone
    places = _places(occasion)
    if places:
        made["location"] = places[0] if len(places) == 1 else places
    if occasion.join_url is not None:
        made["externalParticipationUrl"] = occasion.join_url
    if occasion.capacity is not None:
        made["maximumAttendeeCapacity"] = occasion.capacity
    if not warning:
        facts = facts_of(made)
        words = excerpt(f"{facts} — {_bare(document)}".removesuffix(" — "), SUMMARY_CHARACTERS)
        made["summary"] = f"<p>{escape(words)}</p>"
        made["preview"] = document["preview"] | {
            "content": f"<p><strong>{escape(str(document['name']))}</strong></p>{made['summary']}"
        }
    return made


def without_event(document: JSONObject) -> JSONObject:
    """The same as a `Page`: time and place stand above its words."""
    page = {key: value for key, value in document.items() if key not in EVENT_KEYS}
    page["type"] = "Page"
    page["content"] = f"<p>{escape(facts_of(document))}</p>{document['content']}"
    if "contentMap" in page:
        page["contentMap"] = dict.fromkeys(page["contentMap"], page["content"])
    # Its reader makes the post from Markdown where there is any.
    page.pop("source", None)
    return page


def facts_of(document: JSONObject) -> str:
    """Status, time and place of an event's document in one line, the same in every language but for one word."""
    parts = [_span(document)]
    locations = document.get("location", [])
    for place in locations if isinstance(locations, list) else [locations]:
        parts.append(
            str(place["url"])
            if place["type"] == "VirtualLocation"
            else ", ".join(str(place[key]) for key in ("name", "address") if place.get(key))
        )
    line = " · ".join(parts)
    said = _SAID.get(str(document["eventStatus"]))
    if said is None:
        return line
    language = next(iter(document.get("contentMap", {"en": ""})))
    return f"{said.get(str(language).partition('-')[0], said['en'])}: {line}"


def _span(document: JSONObject) -> str:
    start = datetime.fromisoformat(str(document["startTime"]))
    end = datetime.fromisoformat(str(document["endTime"]))
    text = start.strftime("%Y-%m-%d %H:%M")
    if document["displayEndTime"]:
        text += end.strftime("–%H:%M" if end.date() == start.date() else " – %Y-%m-%d %H:%M")
    return f"{text} ({document.get('timezone', 'UTC')})"


def _time(at: int, zone: str) -> str:
    """RFC 3339 with the offset that the clocks there have then."""
    return clock(at, zone).isoformat(timespec="seconds").replace("+00:00", "Z")


def _places(occasion: Occasion) -> list[JSONObject]:
    found: list[JSONObject] = []
    if occasion.place or occasion.address:
        place: JSONObject = {"type": "Place", "name": occasion.place or occasion.address}
        if occasion.place and occasion.address:
            place["address"] = occasion.address
        found.append(place)
    if occasion.online_url is not None:
        found.append({"type": "VirtualLocation", "name": "Online", "url": occasion.online_url})
    return found


def _bare(document: JSONObject) -> str:
    """What the summary of the topic said before."""
    text = str(document["summary"])
    return unescape(text.removeprefix("<p>").removesuffix("</p>"))
