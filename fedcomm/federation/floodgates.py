"""Limits of what comes in within an hour, once it is known who sends it, and of what nobody can verify (security.md
§10).

Whoever is over a limit is answered 429 and comes again: nothing is lost. Counted in memory, for each process, in fixed
windows; the counters are bounded and end by themselves (INV-45). Looking costs a few lookups in a dictionary; the
database is asked only about follows and messages, whether the person is known.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, Literal

from activitypub import accessors
from activitypub.documents import ActivityDocument
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url
from activitypub.vocabulary import ITEM_LIMIT, RECIPIENT_LIMIT
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.votes import votes_in_create
from fedcomm.http import network_prefix
from fedcomm.settings import Abuse
from fedcomm.store.database import Reader, marks

Limit = Literal[
    "activities",
    "posts",
    "posts-into-group",
    "follows",
    "follows-of-group",
    "reports",
    "messages",
    "bad-requests",
]

HOUR_S: Final = 3600
WINDOWS: Final[dict[Limit, int]] = {"bad-requests": 300}
"""Seconds of a window, where it is not an hour."""

MAX_KEYS: Final = 50_000
"""Counters that are kept; the oldest go first."""

ABOVE_S: Final = 60.0
ABOVE_MOST: Final = 1_000
"""Posts of which it is remembered in which group they stand, and for how long."""

SPEAKS_FOR_OTHERS: Final = frozenset({"group", "application"})
"""What a group or a server sends is what many people did: it is counted by host only."""


class Floodgates:
    """The counters of this process."""

    def __init__(
        self,
        settings: Abuse,
        addresses: Addresses,
        *,
        allow_http: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at = addresses
        self._http = allow_http
        self._clock = clock
        self._counters: OrderedDict[tuple[Limit, int | str], tuple[int, int]] = OrderedDict()
        self._above: dict[str, tuple[float, int]] = {}
        self._most: dict[Limit, int] = {
            "activities": settings.activities_per_actor_hour,
            "posts": settings.posts_per_actor_hour,
            "posts-into-group": settings.posts_per_host_and_group_hour,
            "follows": settings.follows_per_host_hour,
            "follows-of-group": settings.follows_per_group_hour,
            "reports": settings.reports_per_host_hour,
            "messages": settings.messages_per_host_hour,
            "bad-requests": settings.bad_requests_per_5min,
        }

    async def closed(
        self, db: Reader, activity: ActivityDocument, signer: KnownKey
    ) -> tuple[Limit, int] | None:
        """The limit that this activity is over, and in how many seconds its window ends; else it is counted."""
        counted = [
            (limit, key)
            for limit, key in await self._keys(db, activity, signer)
            if self._most[limit]
        ]
        for limit, key in counted:
            used, left = self._look(limit, key)
            if used >= self._most[limit]:
                return limit, left
        for limit, key in counted:
            self._spend(limit, key)
        return None

    async def _keys(
        self, db: Reader, activity: ActivityDocument, signer: KnownKey
    ) -> list[tuple[Limit, int | str]]:
        keys: list[tuple[Limit, int | str]] = []
        if signer.actor_kind not in SPEAKS_FOR_OTHERS:
            keys.append(("activities", signer.actor_id))
        if activity.type == "Flag":
            keys.append(("reports", signer.host_id))
        elif activity.type == "Follow" and not await is_known(db, signer.actor_id):
            keys.append(("follows", signer.host_id))
            group = self._at.local(activity.object_id, "g")
            if group is not None:
                keys.append(("follows-of-group", group))
        elif _brings_post(activity) and not votes_in_create(activity, allow_http=self._http):
            if signer.actor_kind not in SPEAKS_FOR_OTHERS:
                keys.append(("posts", signer.actor_id))
            named = self._named(activity)
            groups = await self._groups_of(db, activity, named)
            keys += [("posts-into-group", f"{signer.host_id} {group}") for group in groups]
            if self._is_message(named) and not groups and not await is_known(db, signer.actor_id):
                keys.append(("messages", signer.host_id))
        return keys

    def _named(self, activity: ActivityDocument) -> list[str]:
        """Everybody whom the activity or its post names, by address or by mention."""
        post = _post(activity)
        named = [*activity.audience, *activity.to, *activity.cc]
        for key in ("audience", "to", "cc"):
            named += accessors.recipients(post, key, RECIPIENT_LIMIT, allow_http=self._http)
        for tag in accessors.documents(post, "tag", ITEM_LIMIT):
            if "Mention" in accessors.types(tag):
                href = parse_url(tag.get("href"), allow_http=self._http)
                named += [href] if href is not None else []
        return named

    async def _groups_of(
        self, db: Reader, activity: ActivityDocument, named: Sequence[str]
    ) -> list[int]:
        """The groups of ours that the activity names, or in which what it answers stands.

        Only those that there are: whoever invents one must not be counted there instead."""
        ids = {group for uri in named if (group := self._at.local(uri, "g")) is not None}
        found: list[int] = []
        if ids:
            rows = await db.all(
                f"SELECT actor_id FROM groups WHERE actor_id IN ({marks(len(ids))})", *sorted(ids)
            )
            found += [row["actor_id"] for row in rows]
        answered = accessors.url(_post(activity), "inReplyTo", allow_http=self._http)
        if answered is not None:
            above = await self._group_above(db, answered)
            found += [above] if above is not None else []
        return sorted(set(found))

    async def _group_above(self, db: Reader, answered: str) -> int | None:
        """The group in which what is answered stands. A thread that is much answered is looked for once a minute."""
        at, group_id = self._above.get(answered, (-ABOVE_S, None))
        if self._clock() - at < ABOVE_S:
            return group_id
        own = self._at.local(answered, "o")
        where = ("id", own) if own is not None else ("uri", answered)
        found = await db.value(
            f"SELECT group_id FROM objects WHERE {where[0]} = ? AND group_id IS NOT NULL",
            where[1],
        )
        if found is None:
            return None
        if len(self._above) >= ABOVE_MOST:
            self._above.clear()
        self._above[answered] = (self._clock(), int(found))
        return int(found)

    def _is_message(self, named: Sequence[str]) -> bool:
        """Whether it is for people of ours alone."""
        return any(self._at.is_ours(uri) for uri in named) and not any(
            accessors.is_public(uri) for uri in named
        )

    # Requests that cannot be verified

    def is_barred(self, address: str) -> bool:
        """Whether so much came from this address's network that could not be verified that no more is read."""
        most = self._most["bad-requests"]
        return bool(most) and self._look("bad-requests", network_prefix(address))[0] >= most

    def note_bad(self, address: str) -> None:
        """Something came from there that cannot be verified.

        Addresses of private networks are not counted: there stands a proxy that the configuration does not name,
        and everybody would be barred with one.
        """
        try:
            if not ip_address(address.split("%")[0]).is_global:
                return
        except ValueError:
            return
        self._spend("bad-requests", network_prefix(address))

    # Counting

    def _look(self, limit: Limit, key: int | str) -> tuple[int, int]:
        """(what is used of this window, seconds until it ends)."""
        length = WINDOWS.get(limit, HOUR_S)
        now = self._clock()
        window = int(now // length)
        known = self._counters.get((limit, key))
        used = known[1] if known is not None and known[0] == window else 0
        return used, int((window + 1) * length - now) + 1

    def _spend(self, limit: Limit, key: int | str) -> None:
        used = self._look(limit, key)[0]
        window = int(self._clock() // WINDOWS.get(limit, HOUR_S))
        self._counters[limit, key] = (window, used + 1)
        self._counters.move_to_end((limit, key))
        while len(self._counters) > MAX_KEYS:
            self._counters.popitem(last=False)


def _brings_post(activity: ActivityDocument) -> bool:
    return activity.type in ("Create", "QuoteRequest")


def _post(activity: ActivityDocument) -> JSONObject:
    """The post inside; what asks to quote brings it as its instrument."""
    key = "instrument" if activity.type == "QuoteRequest" else "object"
    return accessors.document(activity.raw, key) or {}


async def is_known(db: Reader, actor_id: int) -> bool:
    """Whether somebody here follows this person, or they belong to a group of ours."""
    found = await db.value(
        "SELECT 1 FROM follows WHERE followed_id = ? AND state = 'active' AND suspended = 0"
        " UNION ALL SELECT 1 FROM memberships WHERE actor_id = ? AND state = 'active'"
        " AND suspended = 0 LIMIT 1",
        actor_id,
        actor_id,
    )
    return found is not None
