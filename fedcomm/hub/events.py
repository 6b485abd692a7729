"""What makes an object an event: when, where, in which state, and how one takes part.

An event belongs to an object (`objects.type` is `Event`). Of an event of ours the number of those who come is
ours (`fedcomm.hub.participation`); of one of another server it is what its server last said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from fedcomm.hub import actors
from fedcomm.hub.errors import Invalid
from fedcomm.hub.sanitizer import plain_name
from fedcomm.late import Late
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import now_ms

if TYPE_CHECKING:
    import zoneinfo
else:
    zoneinfo = Late("zoneinfo")

State = Literal["confirmed", "tentative", "cancelled"]
STATES: Final[tuple[State, ...]] = ("confirmed", "tentative", "cancelled")

Attendance = Literal["", "offline", "online", "mixed"]
"""Where one takes part; empty: nothing is known of it."""

Joining = Literal["free", "restricted", "external", "none"]
JOININGS: Final[tuple[Joining, ...]] = ("free", "restricted", "external", "none")
"""Who comes: everybody who says so; whom the organiser lets in; whoever registers elsewhere; nobody says so."""

Answer = Literal["requested", "going", "refused"]

PLACE_CHARS: Final = 200
ADDRESS_CHARS: Final = 400
URL_CHARS: Final = 2_000
CAPACITY_MOST: Final = 1_000_000

LONGEST_MS: Final = 366 * 86_400_000
"""How long an event of ours may last."""

FAR_MS: Final = 20 * 366 * 86_400_000
"""How far ahead an event of ours may be, so that a slip in the year is noticed."""

EARLY_MS: Final = 20 * 366 * 86_400_000
"""How long ago an event of ours may have begun: somebody may write down what was."""

USUAL_LENGTH_MS: Final = 4 * 3_600_000
"""When an event without an end counts as over (FEP-8a8e wants a time after which programs treat it so)."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is planned. Times: Unix milliseconds; `zone` an IANA name or empty. `join_url`: where one registers, when
    `joining` is external. `going`: how many come, as another server counts them."""

    starts_at: int
    ends_at: int | None = None
    zone: str = ""
    state: State = "confirmed"
    attendance: Attendance = ""
    joining: Joining = "none"
    join_url: str | None = None
    place: str = ""
    address: str = ""
    online_url: str | None = None
    capacity: int | None = None
    going: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An occasion as it stands now. `answer`: what the viewer said or was told; `version` counts the changes, from 0
    (iCalendar's SEQUENCE)."""

    object_id: int
    occasion: Occasion
    going: int
    version: int
    answer: Answer | None = None

    @property
    def is_over(self) -> bool:
        end = self.occasion.ends_at or self.occasion.starts_at + USUAL_LENGTH_MS
        return end <= now_ms()

    @property
    def is_cancelled(self) -> bool:
        return self.occasion.state == "cancelled"

    @property
    def is_full(self) -> bool:
        capacity = self.occasion.capacity
        return capacity is not None and self.going >= capacity

    @property
    def takes_answers(self) -> bool:
        """Whether one can say here that one comes."""
        return (
            self.occasion.joining in ("free", "restricted")
            and not self.is_cancelled
            and not self.is_over
        )


@cache
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(zoneinfo.available_timezones())


def zone_of(name: str) -> zoneinfo.ZoneInfo | None:
    """The zone called so, if there is one."""
    # Asked first: a zone is read from a file of its name.
    return zoneinfo.ZoneInfo(name) if name in zones() else None


def moment(text: str, zone: str, field: str) -> int | None:
    """Unix milliseconds of a date and time as a form sends it (`2026-12-05T18:00`), on the clocks of `zone`; None for
    an empty field. Raises Invalid. A time that the clocks skip is the one an hour later, of a time that they
    show twice it is the first."""
    if not text.strip():
        return None
    tz = zone_of(zone)
    if tz is None:
        raise Invalid("event_zone", "There is no such time zone. It looks like Europe/Rome.")
    try:
        local = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(field, "Write a date and a time.") from None
    if local.tzinfo is not None or not 1970 < local.year < 2200:
        raise Invalid(field, "Write a date and a time.")
    return int(local.replace(tzinfo=tz).timestamp() * 1000)


def clock(at: int, zone: str) -> datetime:
    """The time `at` (Unix ms) on the clocks of `zone`; in UTC if there is no such zone."""
    return datetime.fromtimestamp(at / 1000, zone_of(zone) or UTC)


def checked(occasion: Occasion) -> Occasion:
    """A member's event with its texts cleaned. Raises Invalid with the name of the form's field."""
    now = now_ms()
    if zone_of(occasion.zone) is None:
        raise Invalid("event_zone", "There is no such time zone. It looks like Europe/Rome.")
    if not now - EARLY_MS <= occasion.starts_at <= now + FAR_MS:
        raise Invalid("event_start", "The year of this event does not look right.")
    if occasion.ends_at is not None:
        if occasion.ends_at <= occasion.starts_at:
            raise Invalid("event_end", "An event ends after it begins.")
        if occasion.ends_at - occasion.starts_at > LONGEST_MS:
            raise Invalid("event_end", "An event lasts a year at most.")
    if occasion.state not in STATES:
        raise Invalid("event_state", "An event takes place, is not certain yet, or is cancelled.")
    if occasion.joining not in JOININGS:
        raise Invalid("event_joining", "Choose how people take part.")
    place = plain_name(occasion.place, PLACE_CHARS + 1)
    address = plain_name(occasion.address, ADDRESS_CHARS + 1)
    if len(place) > PLACE_CHARS or len(address) > ADDRESS_CHARS:
        raise Invalid("event_place", "The place is too long.")
    online_url = _web_address(occasion.online_url, "event_online")
    join_url = _web_address(occasion.join_url, "event_register")
    if occasion.joining == "external" and join_url is None:
        raise Invalid("event_register", "Write the address where people register.")
    if occasion.capacity is not None and not 1 <= occasion.capacity <= CAPACITY_MOST:
        raise Invalid("event_capacity", "Write a number of people, or leave it empty.")
    has_place = bool(place or address)
    attendance: Attendance = "offline" if has_place else ""
    if online_url is not None:
        attendance = "mixed" if has_place else "online"
    return Occasion(
        occasion.starts_at,
        occasion.ends_at,
        occasion.zone,
        occasion.state,
        attendance,
        occasion.joining,
        join_url if occasion.joining == "external" else None,
        place,
        address if address != place else "",
        online_url,
        occasion.capacity if occasion.joining in ("free", "restricted") else None,
    )


_COLUMNS: Final = (
    "e.object_id, e.starts_at, e.ends_at, e.zone, e.state, e.attendance, e.joining, e.join_url,"
    " e.place, e.address, e.online_url, e.capacity, e.going_count, e.version"
)


async def insert(tx: Transaction, object_id: int, occasion: Occasion) -> None:
    """Make a new object an event."""
    await tx.execute(
        "INSERT INTO events (starts_at, ends_at, zone, state, attendance, joining, join_url, place,"
        " address, online_url, capacity, going_count, object_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *_values(occasion),
        occasion.going,
        object_id,
    )


async def update(tx: Transaction, object_id: int, occasion: Occasion, *, is_local: bool) -> bool:
    """The event is as `occasion` says now; whether those who come have to know. How many come to one of ours is ours to
    know."""
    before = await event_of(tx, 0, object_id)
    if not await tx.execute(
        "UPDATE events SET starts_at = ?, ends_at = ?, zone = ?, state = ?, attendance = ?,"
        " joining = ?, join_url = ?, place = ?, address = ?, online_url = ?, capacity = ?,"
        " version = version + 1 WHERE object_id = ?",
        *_values(occasion),
        object_id,
    ):
        await insert(tx, object_id, occasion)
    elif not is_local:
        await tx.execute(
            "UPDATE events SET going_count = ? WHERE object_id = ?", occasion.going, object_id
        )
    return before is not None and _essence(before.occasion) != _essence(occasion)


def _essence(occasion: Occasion) -> tuple[int | str | None, ...]:
    """When, where and whether."""
    return (
        occasion.starts_at,
        occasion.ends_at,
        occasion.zone,
        occasion.state,
        occasion.place,
        occasion.address,
        occasion.online_url,
    )


async def erase(tx: Transaction, object_id: int) -> None:
    """The event goes, and who came."""
    for table in ("participations", "events"):
        await tx.execute(f"DELETE FROM {table} WHERE object_id = ?", object_id)


async def events_of(db: Reader, viewer_id: int, object_ids: Sequence[int]) -> dict[int, Event]:
    """The events among these objects, by id, with what the actor `viewer_id` (0 for nobody) answered."""
    if not object_ids:
        return {}
    rows = await db.all(
        f"SELECT {_COLUMNS}, p.state AS answer FROM events e LEFT JOIN participations p"
        " ON p.object_id = e.object_id AND p.actor_id = ?"
        f" WHERE e.object_id IN ({marks(len(object_ids))})",
        viewer_id,
        *object_ids,
    )
    return {
        row["object_id"]: Event(
            row["object_id"],
            Occasion(
                row["starts_at"],
                row["ends_at"],
                row["zone"],
                row["state"],
                row["attendance"],
                row["joining"],
                row["join_url"],
                row["place"],
                row["address"],
                row["online_url"],
                row["capacity"],
                row["going_count"],
            ),
            row["going_count"],
            row["version"],
            row["answer"],
        )
        for row in rows
    }


async def event_of(db: Reader, viewer_id: int, object_id: int) -> Event | None:
    """The event that this object is."""
    return (await events_of(db, viewer_id, [object_id])).get(object_id)


async def members_coming(db: Reader, object_id: int) -> list[actors.Actor]:
    """The members here who come, or asked to."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS} {actors.FROM} JOIN participations p ON p.actor_id = a.id"
        " WHERE p.object_id = ? AND p.state IN ('going', 'requested') AND a.host_id IS NULL"
        " ORDER BY a.id",
        object_id,
    )
    return [actors.actor_of(row) for row in rows]


def _values(occasion: Occasion) -> tuple[int | str | None, ...]:
    return (
        occasion.starts_at,
        occasion.ends_at,
        occasion.zone,
        occasion.state,
        occasion.attendance,
        occasion.joining,
        occasion.join_url,
        occasion.place,
        occasion.address,
        occasion.online_url,
        occasion.capacity,
    )


def _web_address(text: str | None, field: str) -> str | None:
    """The address of a page, or None for an empty field."""
    address = (text or "").strip()
    if not address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in ("https", "http")
        or not parts.hostname
        or len(address) > URL_CHARS
        or any(letter.isspace() or not letter.isprintable() for letter in address)
    ):
        raise Invalid(field, "Write an address that begins with https://.")
    return address
