"""What a demonstration community consists of. Ages count back from the moment of seeding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Person:
    """A member: `about` is Markdown, `locale` the language of their pages."""

    name: str
    display_name: str
    about: str
    locale: Literal["en", "it"] = "en"
    role: Literal["administrator", "moderator", "member"] = "member"


@dataclass(frozen=True, slots=True)
class Words:
    """A topic (with a title) or a reply. `days` is its age; `likes` are names; `edited` is the text
    that stood there first, when it was changed."""

    author: str
    days: float
    text: str
    title: str = ""
    warning: str = ""
    likes: tuple[str, ...] = ()
    replies: tuple[Words, ...] = ()
    edited: str = ""
    pinned: bool = False

    def walk(self) -> Iterator[Words]:
        """This and everything below it."""
        yield self
        for reply in self.replies:
            yield from reply.walk()


@dataclass(frozen=True, slots=True)
class Place:
    """A group with its topics, all in `language`; `members` are names, the first one owns it."""

    name: str
    title: str
    description: str
    language: str
    members: tuple[str, ...]
    moderators: tuple[str, ...] = ()
    topics: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True)
class Community:
    """One instance: the first person is its administrator. `days`: how long it has existed."""

    name: str
    description: str
    language: Literal["en", "it"]
    days: float
    people: tuple[Person, ...]
    places: tuple[Place, ...] = field(default=())

    @property
    def administrator(self) -> Person:
        """Who founded it."""
        return self.people[0]

    @property
    def steps(self) -> int:
        """How much there is to write, for a progress bar."""
        words = sum(1 for place in self.places for topic in place.topics for _ in topic.walk())
        return len(self.people) + len(self.places) + words
