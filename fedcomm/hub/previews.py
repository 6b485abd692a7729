"""The dry run of something that is not posted yet: what a spoke would send, to whom, and what would go wrong there.

This is the port between those who ask (pages, the command line) and the spoke that knows; the hub itself talks to
no other server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from fedcomm.hub.composition import Content
from fedcomm.hub.reservations import Reservation
from fedcomm.hub.sanitizer import SafeHtml

HOSTS_NAMED: Final = 50
"""Servers that a preview names; the rest is counted."""


def N_(message: str) -> str:
    """Mark a text for the catalogues; whoever shows it translates it."""
    return message


RemarkCode = Literal[
    "no_alt",
    "no_summary",
    "summary_cut",
    "text_cut",
    "title_cut",
    "pictures_cut",
    "options_many",
    "link_only",
    "no_polls",
    "mention_unknown",
    "mention_stays",
    "nobody",
    "stays_here",
    "hosts_limited",
    "hosts_suspended",
    "hosts_dead",
    "hosts_failing",
    "quote_without_consent",
    "followers_of_author",
    "not_sent",
    "thread_only",
    "waits",
]

REMARKS: Final[Mapping[RemarkCode, str]] = {
    "no_alt": N_("%(count)s of the files have no description: people who cannot see them miss them."),
    "no_summary": N_("There is no text that could stand under the title: only the title and a link show."),
    "summary_cut": N_("Only the beginning of the text shows there, %(limit)s characters; the rest is behind the link."),
    "text_cut": N_("Longer than the %(limit)s characters that are usual there: it is folded or hard to read."),
    "title_cut": N_("The title is longer than %(limit)s characters: it is cut or refused there."),
    "pictures_cut": N_("Only the first %(limit)s of the files show there."),
    "options_many": N_("More than %(limit)s options: no usual poll there, and some apps show only the first ones."),
    "link_only": N_("The text itself does not show there: people see title, beginning and a link, and read on here."),
    "no_polls": N_("It knows no polls: it gets the options as a list, and people vote here."),
    "mention_unknown": N_("Nobody is known here as %(name)s: it stays plain text, and nobody is told."),
    "mention_stays": N_("%(name)s is mentioned, but the text does not leave this server: they will not hear of it."),
    "nobody": N_("Nobody on another server would get it now."),
    "stays_here": N_("It does not leave this server."),
    "hosts_limited": N_("Limited by this hub, but it gets what its people follow: %(names)s"),
    "hosts_suspended": N_("Suspended by this hub, so nothing is sent there: %(names)s"),
    "hosts_dead": N_("Silent for days, so nothing is sent there until it is heard of: %(names)s"),
    "hosts_failing": N_("Does not take deliveries at the moment; it gets this later: %(names)s"),
    "quote_without_consent": N_("It quotes somebody who is asked first: until they agree, others see a plain link."),
    "followers_of_author": N_("Your own followers get it as a post of yours as well."),
    "not_sent": N_("It would not get this at all."),
    "thread_only": N_("It is not put into timelines there; people see it inside the thread."),
    "waits": N_("It waits for a moderator first, and is sent when it is let in."),
}  # fmt: skip
"""What remarks say; the names in brackets are `Remark.values`."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before posting. `peer`: the kind of server that it is about; empty for all."""

    code: RemarkCode
    values: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""

    @property
    def text(self) -> str:
        """In English, a msgid with its values filled in."""
        return REMARKS[self.code] % self.values


@dataclass(frozen=True, slots=True)
class Letter:
    """A document that would be sent: `body` to the byte. `kind`: the activity and its form (`Announce/id`).
    `servers`: how many would get it now; `peers`: which kinds of server would, if they were there."""

    kind: str
    body: bytes
    servers: int
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A picture or another file as a peer shows it."""

    url: str
    alt: str
    kind: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """What one kind of server shows, drawn from the bytes that it gets. `kinds`: the letters that it gets.

    `folded` is the warning behind which the rest is hidden; `body` clean HTML; `link` leads to the hub.
    """

    peer: str
    kinds: tuple[str, ...]
    title: str
    folded: str
    body: SafeHtml
    link: str
    files: tuple[ShownFile, ...]
    options: tuple[str, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class HostReach:
    """One server that would get it. `people`: how many there follow, belong or are mentioned."""

    host: str
    software: str | None
    people: int


@dataclass(frozen=True, slots=True)
class SoftwareReach:
    """All servers of one kind; `software` is empty where it is not known."""

    software: str
    servers: int
    people: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole dry run. `document`: what whoever fetches the object by its id gets. `hosts`: at most `HOSTS_NAMED`,
    those with the most people first. `local_people`: members of this hub who can read it in their group.
    `fingerprint`: of every byte; equal when the same would be sent again."""

    reservation: Reservation
    fingerprint: str
    letters: tuple[Letter, ...]
    document: bytes | None
    likenesses: tuple[Likeness, ...]
    servers: int
    people: int
    local_people: int
    by_software: tuple[SoftwareReach, ...]
    hosts: tuple[HostReach, ...]
    remarks: tuple[Remark, ...]

    @property
    def more_hosts(self) -> int:
        """Servers that are counted but not named."""
        return self.servers - len(self.hosts)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be posted: a topic in a group, or an answer to something."""

    author_id: int
    content: Content
    source: str
    group_id: int | None = None
    parent_id: int | None = None


class Previewer(Protocol):
    """A spoke that can say what it would send."""

    async def preview(self, proposal: Proposal, reservation: Reservation) -> Preview:
        """The dry run; changes nothing. Raises what posting it would raise (NotFound, NotAllowed, Invalid)."""
        ...
