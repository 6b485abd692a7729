"""From the wire to the hub: what a document of another server says, clean and as its place here wants it (§4.6, §5)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from typing import Final

from activitypub.documents import ActivityDocument, ObjectDocument
from fedcomm.federation.emotes import named_emoji
from fedcomm.hub import events
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Attachment, Content
from fedcomm.hub.sanitizer import clean_remote, excerpt, plain_name, text_of
from fedcomm.hub.things import Kind
from fedcomm.store.ids import now_ms

TITLE_CHARACTERS: Final = 80
"""A topic from a microblog has no title: its first words become one (§4.6)."""

UNTITLED: Final = "…"
"""The title of a topic that consists of a picture alone."""

CLEANED_IN_PLACE: Final = 10_000
"""Characters of HTML that are cleaned on the event loop; more than that goes to a thread (INV-26)."""

SHOWN_AS_LINK: Final = frozenset({"Question", "Event", "Image", "Video", "Audio", "Document"})
"""Types that are kept and shown as what they are, with a link to where they work fully."""


async def content_of(
    document: ObjectDocument, mentions: list[int], *, local_origin: str, with_files: bool
) -> Content:
    """A document's content, clean. `mentions`: ids of actors here; `local_origin`: our own, links to which stay in
    the page."""
    raw = document.content_html or ""
    if not raw and document.summary and document.type != "Note":
        raw = document.summary
    if document.type in SHOWN_AS_LINK and document.event is None:
        raw += _facts(document)
    if len(raw) > CLEANED_IN_PLACE:
        html = await asyncio.to_thread(clean_remote, raw, local_origin=local_origin)
    else:
        html = clean_remote(raw, local_origin=local_origin)
    plain = text_of(html)
    # On a Note the summary is the warning; on a titled post it is an excerpt (§5.2).
    warns = document.type in ("Note", "Question") or document.sensitive
    summary = plain_name(text_of(document.summary), 500) if warns and document.summary else ""
    return Content(
        title=plain_name(document.name, 200) if document.name else "",
        source=document.content_source or "",
        html=html,
        plain=plain,
        summary=summary,
        sensitive=document.sensitive or bool(summary),
        language=document.language or "",
        mentions=tuple(dict.fromkeys(mentions)) if mentions else (),
        hashtags=_hashtags(document) if document.tags else (),
        attachments=_files(document) if with_files and document.attachments else (),
        poll=ballot_of(document),
        emoji=named_emoji(document.tags) if document.tags else (),
        event=occasion_of(document),
    )


def _hashtags(document: ObjectDocument) -> tuple[str, ...]:
    names = [tag.name.removeprefix("#").lower() for tag in document.tags if tag.type == "Hashtag"]
    return tuple(dict.fromkeys(names))


def _files(document: ObjectDocument) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            type=file.type,
            uri=file.url,
            mime=file.media_type,
            alt=plain_name(file.alt or "", 1500),
            width=file.width,
            height=file.height,
            blurhash=file.blurhash,
            focal=file.focal,
            duration_ms=file.duration_ms,
        )
        for file in document.attachments
    )


def addressed(document: ObjectDocument, activity: ActivityDocument) -> ObjectDocument:
    """The embedded object with the addressing of its activity, where a peer states it only there."""
    if document.to or document.cc:
        return document
    audience = document.audience or activity.audience
    return replace(document, to=activity.to, cc=activity.cc, audience=audience)


def fitted(content: Content, kind: Kind) -> Content:
    """The content as its place wants it: a topic has a title, if need be its first words; a reply has none."""
    if kind == "topic" and not content.title:
        words = excerpt(plain_name(content.plain, 200), TITLE_CHARACTERS)
        return replace(content, title=words or UNTITLED)
    return replace(content, title="") if kind == "reply" and content.title else content


def ballot_of(document: ObjectDocument) -> Ballot | None:
    """The poll in a `Question`, as its server counts it (§5.3)."""
    if document.type != "Question" or not document.options:
        return None
    closed_at: int | None = None
    if document.closed is not None and document.closed is not False:
        closed_at = document.closed if document.closed is not True else now_ms()
    votes = tuple(option.votes or 0 for option in document.options)
    # Pleroma and older servers give no votersCount.
    voters = document.voters if document.voters is not None else sum(votes)
    names = tuple(option.name for option in document.options)
    # A peer may write the end of a poll into `closed` before it has come.
    over = closed_at is not None and closed_at <= now_ms()
    return Ballot(
        names,
        document.multiple,
        document.end_time if document.end_time is not None else closed_at,
        closed_at if over else None,
        votes,
        voters,
    )


def occasion_of(document: ObjectDocument) -> events.Occasion | None:
    """The event in a document, its texts clean (§5.4)."""
    found = document.event
    if found is None:
        return None
    return events.Occasion(
        found.start,
        found.end,
        found.timezone if found.timezone in events.zones() else "",
        found.status,
        found.attendance or "",
        # To whom one is not invited one cannot say that one comes.
        "none" if found.joining == "invite" else found.joining,
        found.join_url,
        plain_name(found.place or "", events.PLACE_CHARS),
        plain_name(found.address or "", events.ADDRESS_CHARS),
        found.online_url,
        found.capacity,
        found.participants or 0,
    )


def details(document: ObjectDocument) -> str | None:
    """What only this type has, as JSON: times and place of an event."""
    facts: dict[str, object] = {}
    for name, value in (
        ("start_time", document.start_time),
        ("end_time", document.end_time),
        ("location", document.location_name),
    ):
        if value is not None:
            facts[name] = value
    return json.dumps(facts, ensure_ascii=False) if facts else None


def _facts(document: ObjectDocument) -> str:
    """Times and place as HTML, so that an event can be read wherever text is shown."""
    parts = []
    times = [
        datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        for moment in (document.start_time, document.end_time)
        if moment is not None and document.type == "Event"
    ]
    if times:
        parts.append(f"<p>{' – '.join(times)}</p>")
    if document.location_name:
        parts.append(f"<p>{escape(document.location_name)}</p>")
    return "".join(parts)
