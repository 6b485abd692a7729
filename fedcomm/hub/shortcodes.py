"""Shortcodes of custom emoji in text: `:leaf:` between anything but letters and digits.

Nothing here knows which emoji exist: a text is searched for candidates, they are looked up
(`fedcomm.hub.emoji`), and the text is cut where a known one stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

OWN: Final = re.compile(r"[a-z0-9](?:[a-z0-9_]{0,30}[a-z0-9])")
"""What an emoji of ours may be called: everybody's Markdown and every peer reads that."""

CODES_LIMIT: Final = 64
"""Different shortcodes of one text that are looked at (security.md §4); further ones stay text."""

FOREIGN_CHARACTERS: Final = 64

_FOREIGN: Final = re.compile(rf"[A-Za-z0-9_+.-]{{1,{FOREIGN_CHARACTERS}}}")
_IN_TEXT: Final = re.compile(rf"(?<![A-Za-z0-9]):({_FOREIGN.pattern}):(?![A-Za-z0-9])")

_EMOJI_CHARACTERS: Final = 16
_JOINER: Final = "\u200d"
_KEYCAP: Final = "\u20e3"
_PARTS: Final = frozenset({"So", "Sk", "Mn", "Me"})


@dataclass(frozen=True, slots=True)
class Shortcode:
    """A piece of a text that is the shortcode `name`, written between colons."""

    name: str

    @property
    def text(self) -> str:
        """As it stood in the text."""
        return f":{self.name}:"


def name_of(text: str | None) -> str | None:
    """The shortcode that another server's tag names, with or without colons; None if it is none."""
    if not text:
        return None
    inner = text[1:-1] if len(text) > 2 and text[0] == text[-1] == ":" else text
    return inner if _FOREIGN.fullmatch(inner) else None


def candidates(texts: Iterable[str]) -> frozenset[str]:
    """What stands in one of the texts and may be an emoji, `CODES_LIMIT` in each at most."""
    found: set[str] = set()
    for text in texts:
        inside: set[str] = set()
        for match in _IN_TEXT.finditer(text):
            inside.add(match[1])
            if len(inside) == CODES_LIMIT:
                break
        found |= inside
    return frozenset(found)


def split(text: str, known: Container[str]) -> Iterator[str | Shortcode]:
    """The text in pieces; joined again they are the text. Only what is in `known` is cut out."""
    start = 0
    for match in _IN_TEXT.finditer(text):
        if match[1] not in known:
            continue
        if match.start() > start:
            yield text[start : match.start()]
        yield Shortcode(match[1])
        start = match.end()
    if start < len(text) or not text:
        yield text[start:]


def is_unicode_emoji(text: str) -> bool:
    """Whether `text` is one emoji of Unicode, or a few that belong together: no letters, no words.

    Symbols with their variation selectors, skin tones, joiners, keycaps and flags (UTS #51, 1.4).
    """
    if not 0 < len(text) <= _EMOJI_CHARACTERS:
        return False
    pictures = 0
    for character in text:
        category = unicodedata.category(character)
        pictures += category == "So" or character == _KEYCAP
        is_tag = 0xE0020 <= ord(character) <= 0xE007F
        is_base = character in "#*0123456789" and _KEYCAP in text
        if not (category in _PARTS or character == _JOINER or is_tag or is_base):
            return False
    return pictures > 0
