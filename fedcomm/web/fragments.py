"""Posts as they were rendered: most of what a page shows when it is made anew, the page before it showed too.

A fragment is used again when everything that it was made of is equal, value by value: what was read of the post and of
its author, whoever may have changed it, and what the page says of all its posts (`Fragments.sheet`). There is no
version that an operation could forget to raise. What looks different for each member or at each moment is made each
time: posts of one's own, polls, events, quotes.

A page keeps what it has just shown and nothing else, and for `KEEP_S` after it was shown last: what was deleted, edited
or erased goes from memory with the next page, or by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

from aiohttp import web

from fedcomm.hub.timelines import Post
from fedcomm.web.rendering import RENDERER

KEEP_S: Final = 4.0
"""Seconds for which a sheet is kept that nobody asks for."""

SWEEP_S: Final = 1.0
"""How often it is looked which are over: `KEEP_S` and this together is the longest that anything is kept."""

MOST_CHARACTERS: Final = 4_000_000
"""Of all fragments together; the sheets that were shown longest ago go first."""

Source = tuple[object, ...]
"""What a fragment was made of."""


def looks_alike(post: Post, viewer_id: int) -> bool:
    """Whether the post looks the same for all members but for its marks, and until something is changed."""
    return (
        post.poll is None
        and post.event is None
        and post.quote is None
        and post.thing.author_id != viewer_id
    )


class Sheet:
    """The fragments of one page that is being made."""

    def __init__(
        self, owner: Fragments, like: Hashable, before: dict[int, tuple[Source, str]]
    ) -> None:
        self._owner = owner
        self._like = like
        self._before = before
        self._shown: dict[int, tuple[Source, str]] = {}

    def found(self, object_id: int, source: Source) -> str | None:
        """The fragment of a post, if it was made of the same."""
        kept = self._before.get(object_id)
        if kept is None or kept[0] != source:
            return None
        self._shown[object_id] = kept
        return kept[1]

    def keep(self, object_id: int, source: Source, fragment: str) -> None:
        """Note a fragment that was just made."""
        self._shown[object_id] = (source, fragment)

    def shown(self) -> None:
        """The page is made: from here on what it showed is kept, and what only the page before it did is not."""
        self._owner.put(self._like, self._shown)


class Fragments:
    """The fragments of one process."""

    def __init__(self) -> None:
        self._sheets: dict[Hashable, tuple[float, int, dict[int, tuple[Source, str]]]] = {}
        self._characters = 0
        self._sweeping = False

    def __len__(self) -> int:
        return sum(len(pieces) for _, _, pieces in self._sheets.values())

    def sheet(self, like: Hashable) -> Sheet:
        """The sheet of pages that say `like` of all their posts."""
        kept = self._sheets.get(like)
        return Sheet(self, like, kept[2] if kept is not None else {})

    def put(self, like: Hashable, pieces: dict[int, tuple[Source, str]]) -> None:
        """Keep the fragments of a page that was just made, in place of those of the page before it."""
        self._drop(like)
        size = sum(len(fragment) for _, fragment in pieces.values())
        if not pieces or size > MOST_CHARACTERS:
            return
        while self._characters + size > MOST_CHARACTERS:
            self._drop(next(iter(self._sheets)))
        loop = asyncio.get_running_loop()
        self._sheets[like] = (loop.time(), size, pieces)
        self._characters += size
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_S, self._sweep)

    def _drop(self, like: Hashable) -> None:
        kept = self._sheets.pop(like, None)
        if kept is not None:
            self._characters -= kept[1]

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for like in [
            like for like, kept in self._sheets.items() if kept[0] + KEEP_S <= loop.time()
        ]:
            self._drop(like)
        self._sweeping = bool(self._sheets)
        if self._sweeping:
            loop.call_later(SWEEP_S, self._sweep)


FRAGMENTS: Final = web.AppKey("fragments", Fragments)


def sheet_of(request: web.Request, alike: Hashable, *templates: str) -> Sheet:
    """The sheet for pages that say `alike` of all their posts, made by `templates`. One that keeps nothing if an
    organization has these of its own: nobody knows what they look at."""
    fragments = request.config_dict[FRAGMENTS]
    if request.config_dict[RENDERER].is_shipped(*templates):
        return fragments.sheet(alike)
    return Sheet(Fragments(), alike, {})
