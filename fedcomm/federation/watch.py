"""Looks at what strangers send before it is stored: what looks like a wave of abuse waits for a moderator.

Only people are judged whom nobody here follows, who look after none of our groups and of whom nothing older than a day
is here. It costs one read for each of their posts, and hashes in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from activitypub import accessors
from activitypub.ijson import IJSONError, parse_object
from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, holding
from fedcomm.hub.html_tree import attributes_of
from fedcomm.hub.sanitizer import clean_remote, excerpt, text_of
from fedcomm.hub.suspicion import NEW_MS, Echoes, Reason, Signals, reasons, score
from fedcomm.settings import Abuse
from fedcomm.store.database import Database
from fedcomm.store.ids import first_id_at, now_ms

if TYPE_CHECKING:
    from fedcomm.federation.library import Arrival

SHOWN_CHARACTERS: Final = 1_000
"""Of a held post, to who decides about it."""

ONCE_MOST: Final = 4_096
"""Activities of which it is remembered what was heard: those that are prepared once more."""

NO_LINKS: Final = frozenset({"mention", "hashtag", "u-url"})
"""What links to people and hashtags are called."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """What is held, and why."""

    actor_id: int
    host_id: int
    group_id: int | None
    object_uri: str
    score: int
    reasons: tuple[Reason, ...]


class Held(Exception):
    """The activity waits for a moderator; nothing else is wrong with it."""

    def __init__(self, suspect: Suspect) -> None:
        super().__init__(" ".join(suspect.reasons))
        self.suspect = suspect


class Watch:
    """What one process has heard lately, and its judgement."""

    def __init__(self, db: Database, settings: Abuse, addresses: Addresses) -> None:
        self._db = db
        self._settings = settings
        self._at = addresses
        self._echoes = Echoes(settings.wave_minutes * 60)
        self._once: OrderedDict[tuple[int, str], tuple[int, int]] = OrderedDict()
        self._weights = {
            name: getattr(settings, name)
            for name in (
                "new_account", "new_host", "first_contact", "no_profile", "unrelated_mention",
                "many_mentions", "same_text", "same_link",
            )
        }  # fmt: skip

    async def require_harmless(self, arrival: Arrival, inbox_id: int = 0) -> None:
        """Raises Held when it looks like abuse and no moderator has let it in (as the activity `inbox_id`)."""
        author = arrival.author
        if not self._settings.hold_score or author.host_id is None:
            return
        signals = await self._signals(arrival, author, inbox_id)
        if signals is None:
            return
        found = reasons(signals, wave_people=self._settings.wave_people)
        points = score(found, self._weights)
        if points < self._settings.hold_score or await holding.is_released(self._db, inbox_id):
            return
        group_id = arrival.group_id
        if arrival.parent_id is not None:
            group_id = await self._db.value(
                "SELECT group_id FROM objects WHERE id = ?", arrival.parent_id
            )
        raise Held(Suspect(author.id, author.host_id, group_id, arrival.document.id, points, found))

    async def require_not_held(self, author: actors.Actor, object_uri: str) -> None:
        """Raises Held when what this is about waits for a moderator: then a later version waits with it."""
        row = await self._db.one(
            "SELECT group_id FROM held WHERE object_uri = ? AND actor_id = ?"
            " AND released_at IS NULL LIMIT 1",
            object_uri,
            author.id,
        )
        if row is not None:
            raise Held(
                Suspect(
                    *(author.id, author.host_id or 0, row["group_id"], object_uri, 0),
                    ("belongs_to_held",),
                )
            )

    async def _signals(
        self, arrival: Arrival, author: actors.Actor, inbox_id: int
    ) -> Signals | None:
        """What is known of the post; None for somebody who is no stranger."""
        now = now_ms()
        row = await self._db.one(
            "SELECT h.first_seen_at, a.published_at,"
            " EXISTS (SELECT 1 FROM follows f WHERE f.followed_id = a.id AND f.state = 'active'"
            "  AND f.suspended = 0) AS followed,"
            " EXISTS (SELECT 1 FROM memberships s WHERE s.actor_id = a.id AND s.state = 'active'"
            "  AND s.role IN ('owner', 'moderator')) AS moderates,"
            " (SELECT min(o.id) FROM objects o WHERE o.author_id = a.id AND o.withheld IS NULL"
            "  AND o.deleted_at IS NULL) AS first_id"
            " FROM actors a JOIN hosts h ON h.id = a.host_id WHERE a.id = ?",
            author.id,
        )
        if row is None or row["followed"] or row["moderates"]:
            return None
        if row["first_id"] is not None and row["first_id"] < first_id_at(now - NEW_MS):
            return None
        document = arrival.document
        mentions = sum(1 for tag in document.tags if tag.type == "Mention")
        same_text, same_link = self._heard(arrival, inbox_id)
        return Signals(
            new_account=row["published_at"] is not None and row["published_at"] > now - NEW_MS,
            new_host=row["first_seen_at"] > now - NEW_MS,
            first_contact=row["first_id"] is None,
            no_profile=author.avatar_url is None and not author.summary_html,
            unrelated_mention=await self._mentions_strangers(arrival),
            mentions=mentions,
            same_text=same_text,
            same_link=same_link,
        )

    def _heard(self, arrival: Arrival, inbox_id: int) -> tuple[int, int]:
        """How many others had said the same, and named the same link, when this came: it may be prepared more than
        once, and those who said it afterwards are no reason."""
        key = (inbox_id, arrival.document.id)
        known = self._once.get(key)
        if known is None:
            content = arrival.content
            known = self._echoes.heard(
                arrival.author.id, content.plain, self._links(str(content.html))
            )
            if inbox_id:
                self._once[key] = known
            if len(self._once) > ONCE_MOST:
                self._once.popitem(last=False)
        return known

    async def _mentions_strangers(self, arrival: Arrival) -> bool:
        """Whether members are mentioned whom it does not answer."""
        if not arrival.content.mentions:
            return False
        answered: int | None = None
        if arrival.parent_id is not None:
            answered = await self._db.value(
                "SELECT author_id FROM objects WHERE id = ?", arrival.parent_id
            )
        people = await actors.actors(self._db, list(arrival.content.mentions))
        return any(
            person.is_local and person.kind == "person" and person.id != answered
            for person in people.values()
        )

    def _links(self, html: str) -> list[str]:
        """Where the links of clean HTML lead, those to people and hashtags, and to us, left out."""
        return [
            href
            for link in attributes_of(html, "a")
            if (href := link.get("href", "")).startswith(("http://", "https://"))
            and NO_LINKS.isdisjoint(link.get("class", "").split())
            and not self._at.is_ours(href)
        ]


def words_of(body: str, local_origin: str) -> str | None:
    """The words of a held activity, for who decides about it; None if they are for somebody alone."""
    try:
        activity = parse_object(body.encode())
    except IJSONError:
        return ""
    # What asks to be allowed to quote brings its post as the instrument.
    thing = accessors.document(activity, "object") or accessors.document(activity, "instrument")
    if thing is None:
        return ""
    named = [
        uri
        for part in (activity, thing)
        for key in ("to", "cc")
        for uri in accessors.links(part, key, 50)
    ]
    if not any(accessors.is_public(uri) for uri in named):
        return None
    raw = accessors.natural(thing, "content", limit=50_000)[0] or ""
    title = accessors.natural(thing, "name", limit=200)[0] or ""
    text = text_of(clean_remote(raw, local_origin=local_origin))
    return excerpt(f"{title}\n{text}".strip(), SHOWN_CHARACTERS)
