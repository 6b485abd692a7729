"""The fields of the form by which a topic is an event: as they were typed, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from fedcomm.hub import events
from fedcomm.hub.errors import Invalid
from fedcomm.web.forms import Form, whole_number

FIELDS: Final = (
    *("event_start", "event_end", "event_zone", "event_place", "event_address"),
    *("event_online", "event_joining", "event_register", "event_capacity", "event_state"),
)
"""What one may see an error at."""

USUAL_ZONE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class EventFields:
    """What was typed. Times are local ones: `2026-12-05T18:00`."""

    start: str = ""
    end: str = ""
    zone: str = ""
    place: str = ""
    address: str = ""
    online: str = ""
    joining: str = "free"
    register: str = ""
    capacity: str = ""
    state: str = "confirmed"

    @property
    def is_filled(self) -> bool:
        """Whether the topic is an event; the choices alone, which always say something, do not make it one."""
        return bool(
            self.start or self.end or self.place or self.address or self.online or self.register
        )

    @property
    def occasion(self) -> events.Occasion | None:
        """The event, or None for a topic that is none. Raises Invalid."""
        if not self.is_filled:
            return None
        starts_at = events.moment(self.start, self.zone, "event_start")
        if starts_at is None:
            raise Invalid("event_start", "Write when the event begins.")
        return events.Occasion(
            starts_at,
            events.moment(self.end, self.zone, "event_end"),
            self.zone,
            cast(events.State, self.state),
            joining=cast(events.Joining, self.joining),
            join_url=self.register,
            place=self.place,
            address=self.address,
            online_url=self.online,
            capacity=_number(self.capacity),
        )


def fields_of(form: Form) -> EventFields:
    """The fields in a posted form."""
    return EventFields(
        form.line("event_start"),
        form.line("event_end"),
        form.line("event_zone"),
        form.line("event_place"),
        form.line("event_address"),
        form.line("event_online"),
        form.line("event_joining") or "free",
        form.line("event_register"),
        form.line("event_capacity"),
        form.line("event_state") or "confirmed",
    )


def filled_with(occasion: events.Occasion) -> EventFields:
    """The fields for changing an event."""

    def local(at: int | None) -> str:
        return "" if at is None else events.clock(at, occasion.zone).strftime("%Y-%m-%dT%H:%M")

    return EventFields(
        local(occasion.starts_at),
        local(occasion.ends_at),
        occasion.zone or USUAL_ZONE,
        occasion.place,
        occasion.address,
        occasion.online_url or "",
        occasion.joining,
        occasion.join_url or "",
        "" if occasion.capacity is None else str(occasion.capacity),
        occasion.state,
    )


def _number(text: str) -> int | None:
    if not text:
        return None
    number = whole_number(text, 9_999_999)
    if number is None:
        raise Invalid("event_capacity", "Write a number of people, or leave it empty.")
    return number
