"""What makes a stranger's post look like part of a wave of abuse: a small score of points, each with its reason.

Nobody is turned away for it: a post that reaches the score waits for a moderator (`fedcomm.hub.holding`), who sees the
reasons. Only people whom nobody here follows are judged at all.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from typing import Final, Literal
from urllib.parse import urlsplit

Reason = Literal[
    "new_account",
    "new_host",
    "first_contact",
    "no_profile",
    "unrelated_mention",
    "many_mentions",
    "same_text",
    "same_link",
    "belongs_to_held",
]

NEW_MS: Final = 86_400_000
"""An account or a host is new for a day."""

MANY_MENTIONS: Final = 5

SHINGLE: Final = 4
"""Words that are looked at together."""

LEAST_WORDS: Final = 6
"""Shorter texts (thank you, good morning) are the same by chance."""

SKETCH: Final = 8
"""Hashes that are remembered of a text: the smallest of its shingles', so that nearly the same texts share most."""

LINKS: Final = 4
MARKS: Final = 50_000
"""Hashes that a process remembers; the oldest go first (INV-45)."""

PEOPLE_PER_MARK: Final = 50
LONGEST_S: Final = 86_400.0
"""Nothing is remembered longer, whatever the window is."""

_WORD = re.compile(r"[^\W_]+")
_LINK = re.compile(r"https?://\S+")
_MENTION = re.compile(r"@[\w.-]+(?:@[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a post and of who wrote it. `same_text`, `same_link`: others who said so within the window."""

    new_account: bool = False
    new_host: bool = False
    first_contact: bool = False
    no_profile: bool = False
    unrelated_mention: bool = False
    mentions: int = 0
    same_text: int = 0
    same_link: int = 0


def reasons(signals: Signals, *, wave_people: int) -> tuple[Reason, ...]:
    """What speaks against it. `wave_people`: people who say the same, the author included, before it is a wave."""
    found: list[Reason] = []
    if signals.new_account:
        found.append("new_account")
    if signals.new_host:
        found.append("new_host")
    if signals.first_contact:
        found.append("first_contact")
    if signals.no_profile:
        found.append("no_profile")
    if signals.unrelated_mention:
        found.append("unrelated_mention")
    if signals.mentions >= MANY_MENTIONS:
        found.append("many_mentions")
    if signals.same_text + 1 >= wave_people:
        found.append("same_text")
    if signals.same_link + 1 >= wave_people:
        found.append("same_link")
    return tuple(found)


def score(found: Iterable[Reason], weights: Mapping[str, int]) -> int:
    """The points of all reasons together."""
    return sum(weights.get(reason, 0) for reason in found)


class Echoes:
    """Who said the same as others lately: hashes in memory, keyed anew at each start, of no use to anybody else."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = min(seconds, LONGEST_S)
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._marks: OrderedDict[bytes, dict[int, float]] = OrderedDict()

    def heard(self, author_id: int, text: str, links: Iterable[str]) -> tuple[int, int]:
        """Remember what somebody said; how many others said the same, and how many named the same link."""
        now = self._clock()
        sketch = self._sketch(text)
        same_text = 0
        said = [people for mark in sketch if (people := self._recent(mark, now))]
        need = max(2, (len(sketch) + 1) // 2)
        if len(said) >= need:
            shared = Counter(chain.from_iterable(said))
            del shared[author_id]
            same_text = sum(1 for count in shared.values() if count >= need)
        same_link = 0
        marks = [self._mark("link", link) for link in _addresses(links)]
        if marks:
            same_link = max(len(self._recent(mark, now).keys() - {author_id}) for mark in marks)
        marks += sketch
        for mark in marks:
            self._note(mark, author_id, now)
        self._forget_oldest(2 * len(marks), now)
        return same_text, same_link

    def _sketch(self, text: str) -> list[bytes]:
        plain = _MENTION.sub(" ", _LINK.sub(" ", text.lower()))
        words = _WORD.findall(plain)
        if len(words) < LEAST_WORDS:
            return []
        shingles = {
            " ".join(words[start : start + SHINGLE]) for start in range(len(words) - SHINGLE + 1)
        }
        return sorted(self._mark("text", shingle) for shingle in shingles)[:SKETCH]

    def _mark(self, kind: str, value: str) -> bytes:
        return blake2b(f"{kind} {value}".encode(), digest_size=8, key=self._key).digest()

    def _recent(self, mark: bytes, now: float) -> Mapping[int, float]:
        """Who said it within the window, and when: whoever said it last is the last."""
        people = self._marks.get(mark)
        if people is None:
            return {}
        oldest = now - self._seconds
        while people and people[first := next(iter(people))] < oldest:
            del people[first]
        return people

    def _note(self, mark: bytes, author_id: int, now: float) -> None:
        people = self._marks.get(mark)
        if people is None:
            self._marks[mark] = {author_id: now}
            return
        people.pop(author_id, None)
        people[author_id] = now
        if len(people) > PEOPLE_PER_MARK:
            del people[next(iter(people))]
        self._marks.move_to_end(mark)

    def _forget_oldest(self, looked_at: int, now: float) -> None:
        """What nobody repeated goes when its time is over: more is looked at than was added."""
        while len(self._marks) > MARKS:
            self._marks.popitem(last=False)
        for old in list(islice(self._marks, looked_at)):
            if self._recent(old, now):
                # Whatever comes after it was said later.
                return
            del self._marks[old]


def _addresses(links: Iterable[str]) -> list[str]:
    """Where links lead, without what varies from post to post."""
    found = []
    for link in links:
        parts = urlsplit(link)
        if parts.hostname:
            found.append(f"{parts.hostname}{parts.path.rstrip('/')}")
    return list(dict.fromkeys(found))[:LINKS]
