"""The lines of a list of posts, on a group's page, in the home timeline and elsewhere: each as it was rendered before,
or as an entry that the template renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from fedcomm.hub.timelines import Post
from fedcomm.i18n import in_words
from fedcomm.store.ids import now_ms
from fedcomm.web import presentation
from fedcomm.web.fragments import Sheet, Source, looks_alike, sheet_of
from fedcomm.web.presentation import Entry, Surroundings
from fedcomm.web.visits import visit_of

NOBODY = 0
"""A line says nothing of who reads it: one's own posts look as they do to others."""


class Row:
    """One line of a list that is being made. `kept`: as it was rendered of the same before, or None.

    Everything else is asked of its entry, so that a template may take it for one.
    """

    __slots__ = ("_around", "_entry", "_post", "_sheet", "_source", "kept")

    def __init__(self, around: Surroundings, post: Post, sheet: Sheet, now: int) -> None:
        self._around = around
        self._post = post
        self._sheet = sheet
        self._entry: Entry | None = None
        self._source = _source(around, post, now)
        self.kept = sheet.found(post.thing.id, self._source) if self._source is not None else None

    def __getattr__(self, name: str) -> Any:
        if self._entry is None:
            self._entry = self._around.entry(self._post)
        return getattr(self._entry, name)

    def keep(self, rendered: Any) -> Any:
        """The same, after noting it for the next page."""
        if self._source is not None:
            self._sheet.keep(self._post.thing.id, self._source, rendered)
        return rendered


def _source(around: Surroundings, post: Post, now: int) -> Source | None:
    """All that a line is made of, beside what the page says of all of them; None if it is made each time."""
    if not looks_alike(post, NOBODY):
        return None
    thing = post.thing
    return (
        in_words(thing.published_at, now),
        in_words(thing.active_at, now),
        post,
        around.of(post),
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines of a page; `now`: the time that it says, in Unix milliseconds."""

    rows: list[Row]
    now: int
    sheet: Sheet

    def shown(self) -> None:
        """The page is made: what it showed is kept for the next one."""
        self.sheet.shown()


async def rows_of(request: web.Request, posts: Sequence[Post], *, with_group: bool = True) -> Rows:
    """How `posts` are listed, in their order. `with_group`: each says in which group it stands."""
    visit = visit_of(request)
    around = await presentation.surroundings(visit.site.db, posts)
    # The next pages of a list are another one's, and what was searched for makes no list of its own.
    alike = (visit.locale, request.path, with_group)
    sheet, now = sheet_of(request, alike, "parts/macros.html"), now_ms()
    return Rows([Row(around, post, sheet, now) for post in posts], now, sheet)
