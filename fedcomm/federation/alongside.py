"""Activities of one host of which the next is prepared before the one before it is on disk.

Order per host is kept: they are made in their order, mostly in one transaction. What is prepared early must not depend
on what is made late, so only activities go alongside each other that are by different people, change nothing about
people, make nothing but what they name, and of which none names what another one makes, however it is spelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from activitypub.documents import ActivityDocument
from activitypub.failures import FetchBudget
from activitypub.interactions import read_quote
from activitypub.origins import parse_url
from fedcomm.federation.changes import Change
from fedcomm.store.database import Row
from fedcomm.store.ids import now_ms

MOST: Final = 32
"""Activities of one host that are prepared and not written."""

Prepared = tuple[int, Change]
"""Whose activity it is, by their id, and what it changes."""

TYPES: Final = frozenset({"Create", "Like", "Dislike", "EmojiReact"})
"""They make something new, and change what they answer by counting it."""


@dataclass(slots=True)
class Begun:
    """A row of the inbox that is being prepared, or will be when its turn comes. `ahead`: with this budget, which is
    empty, and at the same moment as those before it; None: when they are prepared."""

    row: Row
    activity: ActivityDocument
    ahead: FetchBudget | None = None
    prepared: asyncio.Future[Prepared | None] | None = None

    def in_turn(self) -> None:
        """Whatever was prepared ahead is not wanted."""
        if self.prepared is not None:
            self.prepared.cancel()
            self.prepared.add_done_callback(_heard)
        self.ahead = self.prepared = None


class Alongside:
    """What is under way of one host, in its order: rows of the inbox that are being prepared, and after them those that
    are being made, each with what becomes of it. `held_at`: when its lane was taken, or its lease renewed (Unix
    milliseconds)."""

    def __init__(self) -> None:
        self.held_at = now_ms()
        self.begun: deque[Begun] = deque()
        self.under_way: list[tuple[Row, asyncio.Future[bool]]] = []
        self._people: set[str] = set()
        self._made = _Ids()

    def has_room_for(self, activity: ActivityDocument, signer_uri: str) -> bool:
        """Whether it may be prepared before all that is under way is written."""
        if not self.begun and not self.under_way:
            return True
        return (
            len(self.begun) + len(self.under_way) < MOST
            and _makes_what_it_names(activity, signer_uri)
            # Empty after one that nothing goes alongside of.
            and bool(self._people)
            and signer_uri not in self._people
            and activity.actor not in self._people
            and not self._made.stand_in(activity.raw)
        )

    def begin(self, activity: ActivityDocument, row: Row, signer_uri: str) -> Begun:
        """It is the next one."""
        begun = Begun(row, activity)
        self.begun.append(begun)
        if not _makes_what_it_names(activity, signer_uri):
            self._people.clear()
            return begun
        begun.ahead = FetchBudget(0)
        self._people.update((signer_uri, activity.actor))
        made_by = (activity.id, activity.object_id if activity.type == "Create" else None)
        for uri in made_by:
            if uri is not None:
                self._made.add(uri)
        return begun

    def give_up(self) -> None:
        """Nothing more is made of what is under way."""
        for each in self.begun:
            each.in_turn()
        self.begun.clear()
        for _, made in self.clear():
            made.cancel()

    def clear(self) -> list[tuple[Row, asyncio.Future[bool]]]:
        """Everything that was being made; nothing is being prepared."""
        under_way, self.under_way = self.under_way, []
        self._people.clear()
        self._made = _Ids()
        return under_way


def _heard(done: asyncio.Future[Prepared | None]) -> None:
    """Nobody waits for it any more, whatever it raises."""
    if not done.cancelled():
        done.exception()


class _Ids:
    """Ids in canonical form, to be found in documents that may spell them otherwise."""

    def __init__(self) -> None:
        self._uris: set[str] = set()
        self._ends: set[str] = set()
        self._all_read = False

    def add(self, uri: str) -> None:
        """One more."""
        self._uris.add(uri)
        # What comes after the host is spelled in one way only, so the last part of the path tells most others.
        path = uri.partition("://")[2]
        self._ends.add(path.rpartition("/")[2])
        self._all_read |= "/" not in path

    def stand_in(self, raw: object) -> bool:
        """Whether one of them stands anywhere in the document, in whatever form."""
        left = [raw]
        while left:
            part = left.pop()
            if isinstance(part, str):
                if (self._all_read or part.rpartition("/")[2] in self._ends) and parse_url(
                    part, allow_http=True
                ) in self._uris:
                    return True
            elif isinstance(part, dict):
                left.extend(part.values())
            elif isinstance(part, list):
                left.extend(part)
        return False


def _makes_what_it_names(activity: ActivityDocument, signer_uri: str) -> bool:
    """Whether the document says all that it makes: nothing that is fetched, nor what it quotes, comes along."""
    if activity.type not in TYPES or activity.actor != signer_uri:
        return False
    if activity.type != "Create":
        return True
    thing = activity.object
    return (
        isinstance(thing, dict)
        and parse_url(thing.get("attributedTo"), allow_http=True) == activity.actor
        and read_quote(thing, allow_http=True) is None
    )
