"""Custom emoji as they come: the `Emoji` tags of objects, actors and reactions (§5.2, FEP-c0e0)."""

from __future__ import annotations

from collections.abc import Sequence

from activitypub.documents import ActivityDocument, TagDocument
from activitypub.reactions import read_reaction
from fedcomm.hub.emoji import NamedEmoji
from fedcomm.hub.reactions import Feeling
from fedcomm.hub.shortcodes import is_unicode_emoji, name_of

REACTIONS_WITH_EMOJI = frozenset({"Like", "EmojiReact"})


def named_emoji(tags: Sequence[TagDocument]) -> tuple[NamedEmoji, ...]:
    """What a document's tags say that its shortcodes mean; tags that name no usable shortcode are left out.

    Nothing of a tag's id is kept: an emoji belongs to the origin of the object that it came with, so no
    server can say what a shortcode means on another.
    """
    found = []
    for tag in tags:
        code = name_of(tag.name) if tag.type == "Emoji" else None
        if code is not None and tag.icon_url is not None:
            found.append(NamedEmoji(code, tag.icon_url, tag.updated))
    return tuple(found)


def feeling_of(activity: ActivityDocument, *, allow_http: bool) -> Feeling | None:
    """The emoji of a reaction; None for a plain like, and for what is neither an emoji nor a picture."""
    if activity.type not in REACTIONS_WITH_EMOJI:
        return None
    reaction = read_reaction(activity.raw, allow_http=allow_http)
    if reaction is None:
        return None
    if is_unicode_emoji(reaction.text):
        return Feeling(reaction.text)
    code = name_of(reaction.text)
    if code is None or reaction.tag is None or reaction.tag.icon_url is None:
        return None
    picture = NamedEmoji(code, reaction.tag.icon_url, reaction.tag.updated)
    return Feeling(f":{code}:", picture)
