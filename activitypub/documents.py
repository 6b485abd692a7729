"""Foreign documents become values here, or are refused (INV-6, INV-9, INV-12).

Each reader takes a parsed `JSONObject` and returns a frozen value in which every field has one type
and every URL is canonical, or raises `Refused`. Nothing is trusted beyond its shape: that a
document came from where its id says is for the caller to check (INV-5).

JSON-LD is read as plain JSON. Where peers differ, the field says whose form it is. Text is cut to
the limits of `activitypub.vocabulary`; HTML is raw and must be sanitised before use. All times are
Unix milliseconds, UTC.
"""

from __future__ import annotations

import html
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

from activitypub import accessors, vocabulary
from activitypub.accessors import Refused
from activitypub.actors import ActorDocument, KeyDocument, read_actor, read_keys
from activitypub.attachments import (
    AttachmentDocument,
    ImageRef,
    OptionDocument,
    TagDocument,
    read_attachments,
    read_image,
    read_options,
    read_tags,
    read_total,
)
from activitypub.events import EventDocument, read_event
from activitypub.ijson import JSONObject
from activitypub.interactions import PolicyDocument, read_policies, read_quote
from activitypub.origins import parse_url, same_origin
from activitypub.vocabulary import AS_PUBLIC

__all__ = [
    "ActivityDocument",
    "ActorDocument",
    "AttachmentDocument",
    "AudienceClass",
    "CollectionDocument",
    "EventDocument",
    "ImageRef",
    "KeyDocument",
    "ObjectDocument",
    "OptionDocument",
    "Refused",
    "TagDocument",
    "audience_class",
    "read_activity",
    "read_actor",
    "read_collection",
    "read_keys",
    "read_object",
]

AudienceClass: TypeAlias = Literal["public", "unlisted", "followers", "direct"]

_HTML_MEDIA_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_MAX_COUNT = 2**53 - 1


@dataclass(frozen=True, slots=True)
class ObjectDocument:
    """A post, comment, poll, event, medium or tombstone.

    `name` is plain text; `content_html` and `summary` are HTML that nobody has sanitised;
    `content_source` is Markdown. `context` is opaque (§4.11): it may be no URL and grants nothing.
    `to`, `cc` and `audience` hold canonical URLs with the public collection in its full form.
    `type` is the first type that we know, otherwise the first. `closed` is the time a poll was
    closed (or True where a peer gives no time). `event` is what makes an `Event` one, None where it
    does not say when. `deleted` is the time on a tombstone. `quote` and `quote_authorization` (the
    consent to it, FEP-044f) are only claimed.
    """

    id: str
    type: str
    types: tuple[str, ...]
    attributed_to: str | None
    name: str | None
    content_html: str | None
    content_source: str | None
    summary: str | None
    language: str | None
    in_reply_to: str | None
    context: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    audience: tuple[str, ...]
    published: int | None
    updated: int | None
    url: str | None
    sensitive: bool
    image: ImageRef | None
    attachments: tuple[AttachmentDocument, ...]
    tags: tuple[TagDocument, ...]
    options: tuple[OptionDocument, ...]
    multiple: bool
    closed: int | bool | None
    voters: int | None
    start_time: int | None
    end_time: int | None
    location_name: str | None
    event: EventDocument | None
    replies: str | None
    likes: int | None
    shares: int | None
    generator: str | None
    quote: str | None
    quote_authorization: str | None
    policies: PolicyDocument
    is_public: bool
    is_unlisted: bool
    deleted: int | None

    @property
    def is_tombstone(self) -> bool:
        """Whether its author has deleted it (§5.7)."""
        return self.type == "Tombstone"

    @property
    def is_known(self) -> bool:
        """Whether it is of a type of ActivityStreams' objects."""
        return self.type in vocabulary.OBJECT_TYPES

    @property
    def is_writing(self) -> bool:
        """Whether it is something that can be shown as what somebody said: of a known type, or of one that nobody here
        knows and that is neither actor, activity nor collection, has an author, and says what it is in words."""
        if self.is_known:
            return not self.is_tombstone
        return (
            vocabulary.NO_WRITING.isdisjoint(self.types)
            and self.attributed_to is not None
            and bool(self.content_html or self.summary or (self.name and not self.in_reply_to))
        )


@dataclass(frozen=True, slots=True)
class ActivityDocument:
    """An activity. `id` is None where the peer sends none (WordPress: Update of a person).

    `object` is the (first) object as sent, an id or a document; `objects` all of them (PieFed
    announces lists, Mastodon reports lists). Neither has authenticity from being here (INV-7).
    `raw` is the document itself, for wrapping it value-identically.
    """

    id: str | None
    type: str
    actor: str
    object: JSONObject | str | None
    object_id: str | None
    objects: tuple[JSONObject | str, ...]
    target: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    audience: tuple[str, ...]
    published: int | None
    summary: str | None
    content: str | None
    raw: JSONObject


@dataclass(frozen=True, slots=True)
class CollectionDocument:
    """A collection or one page of it. `first` may be embedded; links to other pages are only kept
    when they share the origin of the collection."""

    id: str | None
    type: str
    total_items: int | None
    items: tuple[JSONObject | str, ...]
    first: JSONObject | str | None
    next: str | None
    part_of: str | None


def read_object(doc: JSONObject, *, allow_http: bool = False) -> ObjectDocument:
    """Read an object.

    Raises `Refused` with `no-id`, `no-type`, or `foreign-author` (the author is of another origin
    than the id: INV-6, FEP-fe34).
    """
    object_id = _own_id(doc, allow_http)
    if object_id is None:
        raise Refused("no-id")
    types = accessors.types(doc)
    kind = _known(types, vocabulary.OBJECT_TYPES)
    author = _author(doc, allow_http)
    if author is not None and not same_origin(author, object_id, allow_http=allow_http):
        raise Refused("foreign-author")
    content, content_language = _content(doc)
    name, name_language = accessors.natural(doc, "name", limit=vocabulary.NAME_CHARS)
    summary, summary_language = accessors.natural(doc, "summary", limit=vocabulary.PROFILE_CHARS)
    to = accessors.recipients(doc, "to", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http)
    cc = accessors.recipients(doc, "cc", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http)
    options, multiple = read_options(doc)
    replies = accessors.url(doc, "replies", allow_http=allow_http)
    if replies is not None and not same_origin(replies, object_id, allow_http=allow_http):
        replies = None
    return ObjectDocument(
        id=object_id,
        type=kind,
        types=types,
        attributed_to=author,
        name=name,
        content_html=content,
        content_source=_markdown_source(doc),
        summary=summary,
        language=content_language or _language(doc) or name_language or summary_language,
        in_reply_to=accessors.url(doc, "inReplyTo", allow_http=allow_http),
        context=accessors.link(doc, "context") or accessors.link(doc, "conversation"),
        to=to,
        cc=cc,
        audience=accessors.recipients(
            doc, "audience", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http
        ),
        published=accessors.time(doc, "published"),
        updated=accessors.time(doc, "updated"),
        url=accessors.html_url(doc),
        sensitive=accessors.boolean(doc, "sensitive") or False,
        image=read_image(doc, "image", allow_http=allow_http),
        attachments=read_attachments(doc, allow_http=allow_http),
        tags=read_tags(doc, allow_http=allow_http),
        options=options,
        multiple=multiple,
        closed=accessors.time(doc, "closed") or accessors.boolean(doc, "closed"),
        voters=accessors.integer(doc, "votersCount", 0, _MAX_COUNT),
        start_time=accessors.time(doc, "startTime"),
        end_time=accessors.time(doc, "endTime"),
        location_name=_named(doc, "location"),
        event=read_event(doc) if kind == "Event" else None,
        replies=replies,
        likes=read_total(doc, "likes"),
        shares=read_total(doc, "shares"),
        generator=_named(doc, "generator"),
        quote=read_quote(doc, allow_http=allow_http),
        quote_authorization=accessors.url(doc, "quoteAuthorization", allow_http=allow_http),
        policies=read_policies(doc, allow_http=allow_http),
        is_public=AS_PUBLIC in to or AS_PUBLIC in cc,
        is_unlisted=AS_PUBLIC in cc and AS_PUBLIC not in to,
        deleted=accessors.time(doc, "deleted"),
    )


def read_activity(doc: JSONObject, *, allow_http: bool = False) -> ActivityDocument:
    """Read an activity.

    Raises `Refused` with `no-type`, `no-actor`, `bad-id` (an id that is no URL) or `foreign-id` (of
    another origin than its actor: it could pre-empt somebody else's id, INV-9).
    """
    kind = _known(accessors.types(doc), vocabulary.ACTIVITY_TYPES)
    actor = accessors.url(doc, "actor", allow_http=allow_http)
    if actor is None:
        raise Refused("no-actor")
    activity_id = _own_id(doc, allow_http)
    if activity_id is None and doc.get("id") is not None:
        raise Refused("bad-id")
    if activity_id is not None and not same_origin(activity_id, actor, allow_http=allow_http):
        raise Refused("foreign-id")
    objects = accessors.objects(doc, "object", vocabulary.RECIPIENT_LIMIT)
    first = objects[0] if objects else None
    return ActivityDocument(
        id=activity_id,
        type=kind,
        actor=actor,
        object=first,
        object_id=accessors.address(first, allow_http=allow_http),
        objects=objects,
        target=accessors.url(doc, "target", allow_http=allow_http),
        to=accessors.recipients(doc, "to", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http),
        cc=accessors.recipients(doc, "cc", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http),
        audience=accessors.recipients(
            doc, "audience", vocabulary.RECIPIENT_LIMIT, allow_http=allow_http
        ),
        published=accessors.time(doc, "published"),
        summary=accessors.natural(doc, "summary", limit=vocabulary.PROFILE_CHARS)[0],
        content=accessors.natural(doc, "content", limit=vocabulary.COMMENT_CHARS)[0],
        raw=doc,
    )


def read_collection(doc: JSONObject, *, allow_http: bool = False) -> CollectionDocument:
    """Read a collection or a page; at most `ITEM_LIMIT` items are considered.

    Raises `Refused` with `not-a-collection`, or `bad-id` for an id that is no URL.
    """
    kind = next((t for t in accessors.types(doc) if t in vocabulary.COLLECTION_TYPES), None)
    if kind is None:
        raise Refused("not-a-collection")
    collection_id = _own_id(doc, allow_http)
    if collection_id is None and doc.get("id") is not None:
        raise Refused("bad-id")

    def page(key: str) -> str | None:
        target = accessors.url(doc, key, allow_http=allow_http)
        if collection_id is None or same_origin(target, collection_id, allow_http=allow_http):
            return target
        return None

    items_key = "orderedItems" if "orderedItems" in doc else "items"
    return CollectionDocument(
        id=collection_id,
        type=kind,
        total_items=accessors.integer(doc, "totalItems", 0, _MAX_COUNT),
        items=accessors.objects(doc, items_key, vocabulary.ITEM_LIMIT),
        first=accessors.document(doc, "first") or page("first"),
        next=page("next"),
        part_of=page("partOf"),
    )


def audience_class(
    to: Collection[str], cc: Collection[str], followers: str | None
) -> AudienceClass:
    """Who may read something addressed so (INV-16); `followers` is the author's collection.

    Public only in `cc` is Mastodon's "unlisted". Missing or unknown addressing is "direct", the
    narrowest: nobody sees what nobody was named for.
    """
    if any(accessors.is_public(recipient) for recipient in to):
        return "public"
    if any(accessors.is_public(recipient) for recipient in cc):
        return "unlisted"
    if followers is not None and (followers in to or followers in cc):
        return "followers"
    return "direct"


def _own_id(doc: JSONObject, allow_http: bool) -> str | None:
    return parse_url(doc.get("id"), allow_http=allow_http)


def _known(types: tuple[str, ...], known: frozenset[str]) -> str:
    if not types:
        raise Refused("no-type")
    for name in types:
        if name in known:
            return name
    return types[0]


def _author(doc: JSONObject, allow_http: bool) -> str | None:
    """One author. Of an array (PeerTube: person and channel) the first id or Person."""
    stated = doc.get("attributedTo")
    if isinstance(stated, str):
        return parse_url(stated, allow_http=allow_http)
    for value in accessors.objects(doc, "attributedTo", vocabulary.RECIPIENT_LIMIT):
        if isinstance(value, dict) and "type" in value and "Person" not in accessors.types(value):
            continue
        author = accessors.address(value, allow_http=allow_http)
        if author is not None:
            return author
    return accessors.url(doc, "attributedTo", allow_http=allow_http)


def _content(doc: JSONObject) -> tuple[str | None, str | None]:
    content, language = accessors.natural(doc, "content", limit=vocabulary.POST_CHARS)
    media_type = accessors.text(doc, "mediaType", limit=vocabulary.NAME_CHARS)
    if content and media_type and media_type.partition(";")[0].strip() not in _HTML_MEDIA_TYPES:
        # The field is HTML: plain text and Markdown become HTML that reads the same.
        content = html.escape(content, quote=False).replace("\n", "<br>")
    return content, language


def _markdown_source(doc: JSONObject) -> str | None:
    source = accessors.document(doc, "source")
    if source is None:
        return None
    media_type = accessors.text(source, "mediaType", limit=vocabulary.NAME_CHARS) or ""
    if media_type.partition(";")[0].strip() != "text/markdown":
        return None
    return accessors.text(source, "content", limit=vocabulary.POST_CHARS)


def _language(doc: JSONObject) -> str | None:
    """Lemmy's and PieFed's form: `{identifier, name}`."""
    language = accessors.document(doc, "language")
    return None if language is None else accessors.language_tag(language.get("identifier"))


def _named(doc: JSONObject, key: str) -> str | None:
    """The name of an embedded object, or a plain string."""
    if key not in doc:
        return None
    for value in accessors.objects(doc, key, 1):
        place = {key: value} if isinstance(value, str) else value
        field = key if isinstance(value, str) else "name"
        return accessors.text(place, field, limit=vocabulary.NAME_CHARS)
    return None
