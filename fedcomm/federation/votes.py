"""Votes in polls as peers send them (federation.md §5.3).

Most send one `Create` of a `Note` for each choice: the option's name in `name`, the poll in
`inReplyTo`, no `content`. GoToSocial may put several such Notes into one Create. PieFed also has an
activity of its own, `PollVote`, which names the poll as its object.
"""

from __future__ import annotations

from dataclasses import dataclass

from activitypub import accessors
from activitypub.documents import ActivityDocument, ObjectDocument
from activitypub.ijson import JSONObject
from activitypub.vocabulary import NAME_CHARS, OPTION_LIMIT

CHOICE_KEYS = ("choice_text", "name", "content")
"""Where a `PollVote` has the text of the option; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Cast:
    """One choice: the id of the poll and the name of the option."""

    question: str
    name: str


def votes_in_create(activity: ActivityDocument, *, allow_http: bool) -> list[Cast]:
    """The votes in a `Create`; empty if anything in it is no vote."""
    found: list[Cast] = []
    for wrapped in activity.objects[: OPTION_LIMIT + 1]:
        cast = _vote(wrapped, activity.actor, allow_http) if isinstance(wrapped, dict) else None
        if cast is None:
            return []
        found.append(cast)
    return found if len(found) <= OPTION_LIMIT else []


def vote_of(thing: ObjectDocument) -> Cast | None:
    """The vote that a fetched object is, if it is one."""
    if thing.type != "Note" or not thing.name or thing.in_reply_to is None or thing.content_html:
        return None
    return Cast(thing.in_reply_to, thing.name)


def poll_vote(activity: ActivityDocument) -> Cast | None:
    """The vote in a `PollVote`."""
    if activity.object_id is None:
        return None
    for key in CHOICE_KEYS:
        name = accessors.text(activity.raw, key, limit=NAME_CHARS)
        if name:
            return Cast(activity.object_id, name)
    return None


def _vote(document: JSONObject, actor: str, allow_http: bool) -> Cast | None:
    if "Note" not in accessors.types(document):
        return None
    name = accessors.natural(document, "name", limit=NAME_CHARS)[0]
    if not name:
        return None  # what nearly all are: nothing more is read
    question = accessors.url(document, "inReplyTo", allow_http=allow_http)
    author = accessors.url(document, "attributedTo", allow_http=allow_http)
    says_something = accessors.natural(document, "content", limit=NAME_CHARS)[0]
    if question is None or says_something or author not in (None, actor):
        return None
    return Cast(question, name)
