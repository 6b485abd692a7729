"""From what somebody typed to what is stored: limits, Markdown, mentions, hashtags, language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fedcomm.hub import actors, ballots, events, quotes
from fedcomm.hub.emoji import NamedEmoji
from fedcomm.hub.errors import Invalid
from fedcomm.hub.limits import DEFAULT_LIMITS, TextLimits
from fedcomm.hub.markup import (
    NAME_CHARACTERS,
    find_mentions,
    render,
)
from fedcomm.hub.permissions import Permissions, Policy
from fedcomm.hub.sanitizer import SafeHtml, excerpt, plain_name
from fedcomm.store.database import Reader
from fedcomm.store.frozen import made_through_slots

SUMMARY_LIMIT = 500
"""Characters of a content warning."""

TITLE_FROM_TEXT = 80
"""Characters of a title that is taken from the first words of the text."""


ATTACHMENT_TYPES: Final = {
    "image": "Image",
    "video": "Video",
    "audio": "Audio",
    "document": "Document",
}
"""What files of ours are among attachments, by their kind."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of an object: one of ours (`media_id`) or the address of one elsewhere (`uri`)."""

    type: str
    media_id: int | None = None
    uri: str | None = None
    mime: str | None = None
    alt: str = ""
    width: int | None = None
    height: int | None = None
    blurhash: str | None = None
    focal: tuple[float, float] | None = None
    duration_ms: int | None = None
    name: str = ""
    """What the file was called where it came from."""


@made_through_slots
@dataclass(frozen=True, slots=True)
class Content:
    """What an object says. `html` is clean; `plain` is its text; `mentions` are ids of actors.

    `summary` is the content warning when `sensitive`. `language` is a BCP 47 tag or empty. `quote`: the id of the post
    that a new one quotes; `unquote`: an edit takes the quote out. `permissions`: what its author allows, None for what
    it was before or is by default.
    """

    title: str
    source: str
    html: SafeHtml
    plain: str
    summary: str = ""
    sensitive: bool = False
    language: str = ""
    mentions: tuple[int, ...] = ()
    hashtags: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    poll: ballots.Ballot | None = None
    event: events.Occasion | None = None
    emoji: tuple[NamedEmoji, ...] = ()
    """What a remote object says that its shortcodes mean."""
    quote: int | None = None
    unquote: bool = False
    permissions: Permissions | None = None
    only_here: bool = False
    """Its author keeps a new one on this hub."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a member typed: Markdown in `source`, `media` the ids of images that they uploaded, `quote` the id of a
    post. `quote_policy`: who may quote this one, None for what the member's settings say."""

    source: str
    title: str = ""
    summary: str = ""
    sensitive: bool = False
    language: str = ""
    media: tuple[int, ...] = ()
    poll: ballots.Ballot | None = None
    event: events.Occasion | None = None
    quote: int | None = None
    unquote: bool = False
    quote_policy: Policy | None = None
    only_here: bool = False


async def compose(
    db: Reader,
    draft: Draft,
    *,
    local_origin: str,
    is_topic: bool,
    author_id: int,
    limits: TextLimits = DEFAULT_LIMITS,
) -> Content:
    """Check and render a draft. Raises Invalid with the field that is wrong.

    A topic without a title gets its first words: peers lose untitled topics (federation.md §4.4).
    """
    limit = limits.topic_chars if is_topic else limits.reply_chars
    source = draft.source.replace("\r\n", "\n").strip()
    poll = draft.poll if is_topic else None
    event = draft.event if is_topic else None
    if poll is not None and event is not None:
        raise Invalid("poll", "A topic is a poll or an event, not both.")
    if not source and not draft.media and poll is None and event is None:
        raise Invalid("text", "Write something first.")
    if len(source) > limit:
        raise Invalid("text", "The text is too long.")
    if len(draft.title) > limits.title_chars:
        raise Invalid("title", "The title is too long.")
    if len(draft.summary) > SUMMARY_LIMIT:
        raise Invalid("summary", "The content warning is too long.")
    if draft.quote is not None:
        await quotes.check(db, author_id, draft.quote)
    if len(draft.media) > limits.attachments:
        raise Invalid("media", "These are too many images.")
    links: dict[tuple[str, str | None], str] = {}
    mentioned: list[int] = []
    local_host = local_origin.split("://", 1)[1]
    for mention in find_mentions(source, limit=limits.mentions):
        if mention.host is None or mention.host == local_host:
            person = await actors.local_actor(db, mention.name)
        else:
            person = await actors.remote_actor(db, mention.name, mention.host)
        if person is not None:
            links[mention.name, mention.host] = profile_url(person, local_origin)
            mentioned.append(person.id)
    rendered = render(
        source,
        mention_links=links,
        hashtag_link=lambda tag: f"{local_origin}/tags/{quote(tag)}",
        local_origin=local_origin,
        mentions_limit=limits.mentions,
        hashtags_limit=limits.hashtags,
    )
    title = plain_name(draft.title, limits.title_chars)
    if is_topic and not title:
        title = excerpt(plain_name(rendered.text, NAME_CHARACTERS), TITLE_FROM_TEXT)
        if not title:
            raise Invalid("title", "A topic needs a title.")
    return Content(
        title=title if is_topic else "",
        source=source,
        html=rendered.html,
        plain=rendered.text,
        summary=plain_name(draft.summary, SUMMARY_LIMIT),
        sensitive=draft.sensitive or bool(draft.summary.strip()),
        language=draft.language,
        mentions=tuple(dict.fromkeys(mentioned)),
        hashtags=rendered.hashtags,
        attachments=await attachments_of(db, draft.media, author_id),
        poll=ballots.checked(poll) if poll is not None else None,
        event=events.checked(event) if event is not None else None,
        quote=draft.quote,
        unquote=draft.unquote,
        permissions=Permissions(quote=draft.quote_policy) if draft.quote_policy else None,
        only_here=draft.only_here,
    )


def profile_url(person: actors.Actor, local_origin: str) -> str:
    """The page about a person or group: ours, or the one that their server names."""
    if not person.is_local:
        return person.url or person.uri or ""
    prefix = "g/" if person.kind == "group" else "@"
    return f"{local_origin}/{prefix}{person.name}"


async def attachments_of(
    db: Reader, media: tuple[int, ...], author_id: int
) -> tuple[Attachment, ...]:
    """Files that the author uploaded, as parts of what they write. Raises Invalid if one is not theirs."""
    found = []
    for media_id in media:
        row = await db.one(
            "SELECT id, kind, mime, alt, width, height, blurhash, focal_x, focal_y, duration_ms, name"
            " FROM media"
            " WHERE id = ? AND owner_id = ? AND state = 'stored' AND purpose = 'attachment'",
            media_id,
            author_id,
        )
        if row is None:
            raise Invalid("media", "One of the images is not there any more: choose it again.")
        found.append(
            Attachment(
                ATTACHMENT_TYPES[row["kind"]],
                media_id=row["id"],
                mime=row["mime"],
                alt=row["alt"],
                width=row["width"],
                height=row["height"],
                blurhash=row["blurhash"],
                focal=(row["focal_x"], row["focal_y"]) if row["kind"] == "image" else None,
                duration_ms=row["duration_ms"],
                name=row["name"],
            )
        )
    return tuple(found)
