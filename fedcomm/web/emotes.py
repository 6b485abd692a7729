"""Custom emoji on pages: looked up once for all texts of a page, put into names and texts as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fedcomm.hub import emoji
from fedcomm.hub.reactions import Tally
from fedcomm.hub.sanitizer import SafeHtml, text_with_emoji, with_emoji
from fedcomm.hub.shortcodes import candidates
from fedcomm.store.database import Reader

Pictures: TypeAlias = Mapping[int | None, Mapping[str, str]]
"""By the host that a text came from (None: ours), shortcode to the address of the picture."""

Shown: TypeAlias = SafeHtml | str
"""A name or title: HTML when an emoji stands in it, else text that the template escapes."""

_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Felt:
    """An emoji that likes carry, with its picture if it is a custom one that is here."""

    text: str
    picture: str | None
    count: int


async def pictures(db: Reader, texts: Mapping[int | None, Iterable[str]]) -> Pictures:
    """The pictures that these texts need, each only from its own host."""
    found = await emoji.shown(db, texts)
    return {
        host: {code: address(one) for code, one in codes.items()} for host, codes in found.items()
    }


async def felt(db: Reader, tallies: Mapping[int, Sequence[Tally]]) -> dict[int, tuple[Felt, ...]]:
    """What likes of objects carry, by object. One whose picture is not here is its shortcode."""
    ids = {
        tally.emoji_id
        for those in tallies.values()
        for tally in those
        if tally.emoji_id is not None
    }
    known = await emoji.by_ids(db, ids)
    return {
        object_id: tuple(
            Felt(
                tally.text,
                address(known[tally.emoji_id]) if tally.emoji_id in known else None,
                tally.count,
            )
            for tally in those
        )
        for object_id, those in tallies.items()
    }


def address(one: emoji.Emoji) -> str:
    """Where the picture of an emoji is."""
    return f"/media/{one.file}"


def named(text: str, host_id: int | None, known: Pictures) -> Shown:
    """A name, title or option with its emoji."""
    needed = _needed([text], known.get(host_id, _NONE))
    return text_with_emoji(text, needed) if needed else text


def said(html: SafeHtml, host_id: int | None, known: Pictures) -> SafeHtml:
    """A text with its emoji."""
    needed = _needed([html], known.get(host_id, _NONE))
    return with_emoji(html, needed) if needed else html


def _needed(texts: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    return {code: known[code] for code in candidates(texts) if code in known} if known else {}
