"""The replies on a page of a thread: each as it was rendered before, or as an entry that the template renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from fedcomm.hub.timelines import Post
from fedcomm.i18n import in_words
from fedcomm.web.fragments import Sheet, Source, looks_alike
from fedcomm.web.presentation import Entry, Surroundings


class Replies(Sequence[Entry]):
    """Entries that are made when a template asks for them."""

    def __init__(self, around: Surroundings, posts: Sequence[Post]) -> None:
        self._around = around
        self._posts = posts
        self._by_id = {post.thing.id: post for post in posts}
        self._made: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._posts)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self._entry(post) for post in self._posts[index]]
        return self._entry(self._posts[index])

    def get(self, object_id: int | None) -> Entry | None:
        """The reply with this id, if it is on the page."""
        post = self.post(object_id)
        return self._entry(post) if post is not None else None

    def post(self, object_id: int | None) -> Post | None:
        """What was read of the reply with this id, if it is on the page."""
        return self._by_id.get(object_id) if object_id is not None else None

    def lines(self, sheet: Sheet, viewer_id: int, now: int) -> list[Line]:
        """The replies in their order, with what `sheet` has of them.

        `viewer_id`: 0 for a stranger; `now`: the time that the page says, in Unix milliseconds.
        """
        return [Line(self, post, sheet, self._source(post, viewer_id, now)) for post in self._posts]

    def _source(self, post: Post, viewer_id: int, now: int) -> Source | None:
        """All that a reply is made of, beside what the page says of all of them; None if it is made each time."""
        if not looks_alike(post, viewer_id):
            return None
        thing, above = post.thing, self.post(post.thing.parent_id)
        return (
            in_words(thing.published_at, now),
            in_words(thing.edited_at, now) if thing.edited_at is not None else None,
            (above.thing.id, above.author.title) if above is not None else None,
            post,
            self._around.of(post),
        )

    def _entry(self, post: Post) -> Entry:
        made = self._made.get(post.thing.id)
        if made is None:
            made = self._made[post.thing.id] = self._around.entry(post)
        return made


class Line:
    """One reply of a page that is being made. `kept`: as it was rendered of the same before, or None."""

    __slots__ = ("_post", "_replies", "_sheet", "_source", "kept")

    def __init__(self, replies: Replies, post: Post, sheet: Sheet, source: Source | None) -> None:
        self._replies = replies
        self._post = post
        self._sheet = sheet
        self._source = source
        self.kept = sheet.found(post.thing.id, source) if source is not None else None

    @property
    def entry(self) -> Entry | None:
        """The reply as an entry."""
        return self._replies.get(self._post.thing.id)

    @property
    def above(self) -> Entry | None:
        """What it answers, if that is a reply on this page."""
        return self._replies.get(self._post.thing.parent_id)

    def keep(self, rendered: Any) -> Any:
        """The same, after noting it for the next page."""
        if self._source is not None:
            self._sheet.keep(self._post.thing.id, self._source, rendered)
        return rendered
