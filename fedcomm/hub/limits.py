"""How much one may write (security.md §4): the defaults, which the configuration may change."""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.hub.markup import (
    ALT_CHARACTERS,
    COMMENT_CHARACTERS,
    HASHTAGS_LIMIT,
    MENTIONS_LIMIT,
    NAME_CHARACTERS,
    POST_CHARACTERS,
    PROFILE_CHARACTERS,
)


@dataclass(frozen=True, slots=True)
class TextLimits:
    """Characters of the source of texts, and numbers of things in one text."""

    topic_chars: int = POST_CHARACTERS
    reply_chars: int = COMMENT_CHARACTERS
    profile_chars: int = PROFILE_CHARACTERS
    alt_chars: int = ALT_CHARACTERS
    name_chars: int = NAME_CHARACTERS
    title_chars: int = NAME_CHARACTERS
    attachments: int = 16
    mentions: int = MENTIONS_LIMIT
    hashtags: int = HASHTAGS_LIMIT


DEFAULT_LIMITS = TextLimits()
