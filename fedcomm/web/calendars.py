"""Events as iCalendar (RFC 5545), which stays outside of ActivityPub (federation.md §5.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fedcomm.hub.events import State, clock
from fedcomm.hub.sanitizer import text_of
from fedcomm.hub.timelines import Post
from fedcomm.version import VERSION

CONTENT_TYPE: Final = "text/calendar; charset=utf-8"

_STATUS: Final[dict[State, str]] = {
    "confirmed": "CONFIRMED",
    "tentative": "TENTATIVE",
    "cancelled": "CANCELLED",
}


def event_file(post: Post, origin: str, page: str) -> bytes:
    """A calendar with one event. `origin`: of this hub; `page`: the address on which the event is read.

    The same event has the same UID every time, and a higher SEQUENCE after each change, so that a calendar
    that has it already takes the new one for it.
    """
    # Its import costs 20 ms of every start; few hubs are asked for a calendar right after it.
    from icalendar import Calendar
    from icalendar import Event as CalendarEvent

    assert post.event is not None
    thing, event = post.thing, post.event
    occasion = event.occasion
    entry = CalendarEvent()
    entry.add("uid", thing.uri or f"{origin}/ap/o/{thing.id}")
    entry.add("dtstamp", datetime.now(UTC).replace(microsecond=0))
    entry.add("dtstart", clock(occasion.starts_at, occasion.zone))
    if occasion.ends_at is not None:
        entry.add("dtend", clock(occasion.ends_at, occasion.zone))
    else:
        # Without a length many calendars show none at all; an hour says little enough.
        entry.add("duration", timedelta(hours=1))
    entry.add("summary", thing.title or post.author.title)
    words = text_of(thing.html)
    if words:
        entry.add("description", words)
    where = ", ".join(text for text in (occasion.place, occasion.address) if text)
    if where or occasion.online_url:
        entry.add("location", where or occasion.online_url)
    if occasion.online_url:
        entry.add("conference", occasion.online_url)
    entry.add("url", page)
    entry.add("status", _STATUS[occasion.state])
    entry.add("sequence", event.version)
    edited = thing.edited_at or thing.published_at
    entry.add("last-modified", datetime.fromtimestamp(edited // 1000, UTC))
    calendar = Calendar()
    calendar.add("prodid", f"-//fedcomm//{VERSION}//EN")
    calendar.add("version", "2.0")
    calendar.add_component(entry)
    if occasion.zone and occasion.zone != "UTC":
        calendar.add_missing_timezones()
    return bytes(calendar.to_ical())
