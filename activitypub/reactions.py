"""What somebody felt about an object: the emoji of an `EmojiReact` or of a `Like` (FEP-c0e0)."""

from __future__ import annotations

from dataclasses import dataclass

from activitypub import accessors, vocabulary
from activitypub.attachments import TagDocument, read_tags
from activitypub.ijson import JSONObject

_KEYS = ("content", "_misskey_reaction")
"""Pleroma, Akkoma and FEP-c0e0 write `content`; Misskey writes both, older ones its own key only."""


@dataclass(frozen=True, slots=True)
class ReactionDocument:
    """`text` is what was sent: an emoji of Unicode, a shortcode between colons, or anything else that
    the caller has to judge. `tag` is the picture that the activity itself names for that shortcode."""

    text: str
    tag: TagDocument | None


def read_reaction(doc: JSONObject, *, allow_http: bool = False) -> ReactionDocument | None:
    """The emoji of a `Like` or `EmojiReact`; None where it carries none."""
    for key in _KEYS:
        text = accessors.text(doc, key, limit=vocabulary.NAME_CHARS)
        if text and (text := text.strip()):
            named = next(
                (
                    tag
                    for tag in read_tags(doc, allow_http=allow_http)
                    if tag.type == "Emoji" and tag.name.strip(":") == text.strip(":")
                ),
                None,
            )
            return ReactionDocument(text, named)
    return None
