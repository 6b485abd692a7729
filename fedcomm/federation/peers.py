"""What is sent to whom: the only place that names other servers' software (federation.md §3.4, §4.2, §6.1).

Each rule says which peer and why. A server that is not named gets what suits an unknown one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["activity", "id"]
"""How a group announces: the whole activity, or the object's id as a string."""

THREADIVERSE = frozenset({"lemmy", "piefed", "nodebb", "mbin", "kbin", "fedcomm"})
"""They build threads from `Announce` of an activity; Lemmy refuses the other form (§4.2)."""

MICROBLOGS = frozenset(
    {
        "mastodon", "hometown", "glitchcafe", "gotosocial", "pixelfed", "misskey", "sharkey", "firefish",
        "iceshrimp", "iceshrimp.net", "foundkey", "calckey", "pleroma", "akkoma", "discourse",
        "wordpress", "friendica", "takahe", "snac", "snac2", "hubzilla", "hollo", "ghost",
    }
)  # fmt: skip
"""They show `Announce` of an id as a boost and drop, or boost one by one, announced activities (§4.2)."""


def topic_forms(software: str | None) -> tuple[Form, ...]:
    """How a new topic is announced to a server, in this order (§4.3)."""
    if software in THREADIVERSE:
        return ("activity",)
    if software in MICROBLOGS:
        return ("id",)
    return ("activity", "id")


def wants_activities(software: str | None) -> bool:
    """Whether replies, votes, edits and moderation in a group are announced to a server.

    Not to microblogs: Mastodon would boost each comment into its followers' home timelines (A1).
    """
    return software not in MICROBLOGS


@dataclass(frozen=True, slots=True)
class ReportForm:
    """How a server takes a Flag (§4.9). `posts_only`: the id of one post, in the name of a person who agreed
    (`named`); otherwise the account and its posts, from the instance actor. `only_named`: it takes no other."""

    posts_only: bool
    named: bool
    only_named: bool = False


def report_form(software: str | None) -> ReportForm:
    """How a report is forwarded to a server.

    Lemmy reads the reporter as Person, Service or Organization: the instance actor, an Application, it
    cannot parse. Mastodon wants the instance actor, and the account among the objects.
    """
    if software == "lemmy":
        return ReportForm(posts_only=True, named=True, only_named=True)
    if software in THREADIVERSE:
        return ReportForm(posts_only=True, named=True)
    return ReportForm(posts_only=False, named=False)


def wants_forwards(software: str | None) -> bool:
    """Whether a server gets what others said in a group as they sent it (AP §7.1.2, federation.md §4.6).

    Microblogs: Mastodon takes a forwarded reply, edit or deletion that carries a proof or an LD signature, and an
    announced activity not at all.
    """
    return not wants_activities(software)


def takes_polls(software: str | None) -> bool:
    """Whether a poll is sent as `Question`. Lemmy knows no such post: it gets the same text as
    `Page`, the options as a list (§5.3)."""
    return software != "lemmy"


def wants_polls_directly(software: str | None) -> bool:
    """Whether the `Create` of a poll is sent besides its announcement: PieFed found that Mastodon
    does not take polls that it knows by an `Announce` only (§5.3)."""
    return software in MICROBLOGS


WITHOUT_EVENTS = frozenset({"nodebb", "mbin", "kbin", "discourse", "pixelfed"})
"""They take no `Event` as a post (§4.4, §5.4)."""


def takes_events(software: str | None) -> bool:
    """Whether an event is sent as `Event`; otherwise as `Page` with time and place in its text. Mastodon converts it,
    GoToSocial shows it as a status, Lemmy as a post, and unknown servers may well know events (§5.4)."""
    return software not in WITHOUT_EVENTS


def takes_as_it_is(kind: str, software: str | None) -> bool:
    """Whether a server takes an object of this type in this type; if not, it gets a `Page` under the same id."""
    if kind == "Question":
        return takes_polls(software)
    return kind != "Event" or takes_events(software)


def delete_as_string(software: str | None) -> bool:
    """Whether a Delete names its object by id only: NodeBB keeps the text when it sees a Tombstone,
    and purges when the id answers 404 (§6.1)."""
    return software == "nodebb"


FORGETTING = frozenset(
    {
        "mastodon", "hometown", "glitchcafe", "lemmy", "piefed", "mbin", "kbin", "gotosocial", "pixelfed",
        "pleroma", "akkoma", "misskey", "sharkey", "firefish", "iceshrimp", "foundkey", "calckey", "fedcomm",
    }
)  # fmt: skip
"""They remove what somebody wrote when that actor is deleted; Lemmy and PieFed because `removeData` says so."""


def forgets_with_actor(software: str | None) -> bool:
    """Whether one `Delete` of the actor is enough. NodeBB ignores it, and of others nobody knows: they are asked for
    each object (§6.2)."""
    return software in FORGETTING


SIGN_WHAT_THEY_CANNOT_READ = frozenset({"nodebb"})
"""They sign with RFC 9421 and refuse it themselves: NodeBB up to 4.15 (§3.1)."""


def retries_other_style(status: int, software: str | None) -> bool:
    """Whether a refusal can mean "I do not understand this style of signature" (§3.4, rule 3)."""
    return status in (400, 401) or (status == 403 and software == "nodebb")


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of server shows what it gets, for the preview of a draft (§4.4, §5.1 to §5.3).

    `converts`: types of which it shows title, summary and a link, never the text. `warns`: types whose summary is a
    warning to open first. `files`: attachments that it shows; `file_is_link`: the first one is the post's link.
    `characters`, `title_characters`, `options`: what is usual there, 0 for no limit that matters. `polls`: whether
    it knows any.
    """

    software: str
    name: str
    converts: frozenset[str] = frozenset()
    warns: frozenset[str] = frozenset()
    files: int = 0
    file_is_link: bool = False
    characters: int = 0
    summary_characters: int = 0
    title_characters: int = 0
    options: int = 0
    polls: bool = True


LOOKS = (
    # It converts what is not a Note or Question, keeps four attachments, and people write 500 characters and polls
    # of four options there.
    Look(
        "mastodon",
        "Mastodon",
        converts=frozenset({"Page", "Article", "Image", "Audio", "Video", "Event"}),
        warns=frozenset({"Note", "Question"}),
        files=4,
        characters=500,
        summary_characters=500,
        options=4,
    ),
    # Titles of 200 characters at most, the first attachment becomes the link of the post, and no polls.
    Look("lemmy", "Lemmy", files=1, file_is_link=True, title_characters=200, polls=False),
    # Title and Markdown source as they are; its titles end at 255 characters.
    Look("nodebb", "NodeBB", title_characters=255),
)
"""The kinds of servers that a preview draws."""
