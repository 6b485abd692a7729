"""The words of ActivityStreams that we know, the limits on what is read, and content negotiation.

Limits are those of the security reference, §4; counts are elements, lengths are characters.
"""

from __future__ import annotations

from typing import Final

AS_NAMESPACE: Final = "https://www.w3.org/ns/activitystreams#"
AS_CONTEXT: Final = "https://www.w3.org/ns/activitystreams"
AS_PUBLIC: Final = "https://www.w3.org/ns/activitystreams#Public"
PUBLIC_ALIASES: Final = frozenset({AS_PUBLIC, "as:Public", "Public"})
"""The three forms in which peers write the public collection; we write the first."""

CONTENT_TYPE: Final = "application/activity+json"
"""What we answer, without parameters: Lemmy compares the whole header."""

LD_PROFILE_TYPE: Final = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
ACCEPT: Final = f"{CONTENT_TYPE}, {LD_PROFILE_TYPE}"
"""The Accept header of our own fetches."""

ACTOR_TYPES: Final = frozenset({"Application", "Group", "Organization", "Person", "Service"})

OBJECT_TYPES: Final = frozenset(
    {
        "Article",
        "Audio",
        "ChatMessage",
        "Document",
        "Event",
        "Image",
        "Link",
        "Note",
        "Page",
        "Place",
        "Profile",
        "Question",
        "Relationship",
        "Tombstone",
        "Video",
    }
)

ACTIVITY_TYPES: Final = frozenset(
    {
        "Accept",
        "Add",
        "Announce",
        "AnnounceRequest",
        "Block",
        "ChooseAnswer",
        "Create",
        "Delete",
        "Dislike",
        "EmojiReact",
        "Flag",
        "Follow",
        "Ignore",
        "Invite",
        "Join",
        "Leave",
        "Like",
        "LikeRequest",
        "Listen",
        "Lock",
        "Move",
        "Offer",
        "PollVote",
        "QuoteRequest",
        "Read",
        "Reject",
        "Remove",
        "ReplyRequest",
        "Resolve",
        "TentativeAccept",
        "TentativeReject",
        "Travel",
        "Undo",
        "Update",
        "View",
        "Warn",
    }
)

COLLECTION_TYPES: Final = frozenset(
    {"Collection", "CollectionPage", "OrderedCollection", "OrderedCollectionPage"}
)

NO_WRITING: Final = (
    ACTOR_TYPES
    | ACTIVITY_TYPES
    | COLLECTION_TYPES
    | {"DataIntegrityProof", "Emoji", "Key", "Multikey", "PropertyValue", "QuoteAuthorization"}
    | {"LikeAuthorization", "ReplyAuthorization", "AnnounceAuthorization"}
)
"""Types of what nobody has written for others to read, whatever else stands in it."""

RECIPIENT_LIMIT: Final = 500
MENTION_LIMIT: Final = 50
HASHTAG_LIMIT: Final = 30
EMOJI_LIMIT: Final = 64
ATTACHMENT_LIMIT: Final = 16
OPTION_LIMIT: Final = 20
KEY_LIMIT: Final = 5
ALIAS_LIMIT: Final = 256
FIELD_LIMIT: Final = 50
ITEM_LIMIT: Final = 1000
"""Elements of any array that are looked at at all."""

POST_CHARS: Final = 50_000
COMMENT_CHARS: Final = 10_000
PROFILE_CHARS: Final = 5_000
ALT_CHARS: Final = 1_500
NAME_CHARS: Final = 200
FIELD_CHARS: Final = 2_047
KEY_CHARS: Final = 8_192

_ACCEPT_RANGES: Final = 32
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})


def is_activity_type(content_type: str | None) -> bool:
    """Whether a Content-Type header names an ActivityStreams document.

    `application/activity+json` with any parameters, or `application/ld+json` with the
    ActivityStreams profile; quotes and blanks around the parameter do not matter. JSON-LD without
    the profile is not ours: what any file host would serve must not become an actor.
    """
    if not content_type:
        return False
    media_type, parameters = _parse_media_range(content_type)
    if media_type == CONTENT_TYPE:
        return True
    return (
        media_type == "application/ld+json" and AS_CONTEXT in parameters.get("profile", "").split()
    )


def wants_activity(accept: str | None) -> bool:
    """Whether to answer an Accept header with ActivityStreams rather than with HTML.

    True if `application/activity+json` or `application/ld+json` (with or without profile: PieFed
    asks without) is named, and not less wanted than HTML. Wildcards alone mean HTML (browsers).
    """
    if not accept:
        return False
    activity = html = 0.0
    activity_first = False
    for media_range in accept.split(",", _ACCEPT_RANGES)[:_ACCEPT_RANGES]:
        media_type, parameters = _parse_media_range(media_range)
        quality = _quality(parameters.get("q"))
        if media_type in (CONTENT_TYPE, "application/ld+json"):
            activity_first = activity_first or html == 0.0
            activity = max(activity, quality)
        elif media_type in _HTML_TYPES:
            html = max(html, quality)
    return activity > html or (activity == html > 0 and activity_first)


def _parse_media_range(text: str) -> tuple[str, dict[str, str]]:
    media_type, *rest = text.split(";")
    parameters: dict[str, str] = {}
    for parameter in rest:
        name, _, value = parameter.partition("=")
        parameters.setdefault(name.strip().lower(), value.strip().strip('"').strip())
    return media_type.strip().lower(), parameters


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    # `float` alone would take "nan", "1e3" and "+1".
    if len(text) > 5 or not text.isascii() or not text.replace(".", "", 1).isdigit():
        return 0.0
    return min(float(text), 1.0)
