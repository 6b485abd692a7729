"""What is said again under an id that was used before (INV-9).

An activity takes effect once, however often it comes. But servers make ids of what an activity is about: the second
like of a post in NodeBB, PeerTube and snac2 has the id of the first, as has the second follow in Misskey, and every
edit in GoToSocial. So what can be taken back counts anew after it was taken back, and other words under the same id
count as other words. Either way it must have been signed after the last one came: who kept an old request cannot
play it again.
"""

from __future__ import annotations

from typing import Final

from activitypub.documents import ActivityDocument
from fedcomm.store.database import Value

INSERT: Final = (
    "INSERT INTO inbox"
    " (id, uri, host_id, signer_uri, recipient_id, state, body, digest, received_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (uri) DO UPDATE SET id = excluded.id, host_id = excluded.host_id,"
    " recipient_id = excluded.recipient_id, state = excluded.state, body = excluded.body,"
    " digest = excluded.digest, received_at = excluded.received_at, attempts = 0, next_at = 0,"
    " verdict = NULL"
    " WHERE inbox.signer_uri = excluded.signer_uri AND ("
    "(inbox.received_at <= ? AND (inbox.state = 'undone'"
    " OR (inbox.state IN ('done', 'refused', 'failed') AND inbox.digest <> excluded.digest)))"
    " OR (inbox.received_at < ? AND inbox.state IN ('done', 'refused', 'failed')))"
)
"""Stores an activity, unless it is a repeat. The last two parameters are those of `since_when`."""

UNDONE: Final = (
    "UPDATE inbox SET state = 'undone', received_at = ?"
    " WHERE uri = ? AND signer_uri = ? AND state = 'done'"
)
"""What its actor takes back; its id is free for what they do next."""

REPEATABLE: Final = frozenset(
    {
        *("Follow", "Like", "Dislike", "EmojiReact", "Announce", "Block", "Lock", "Add", "Remove"),
        *("Undo", "Update", "PollVote", "Listen", "View"),
    }
)
"""Types that change nothing when they come twice, and can be meant twice. A `Create` or `Flag` can not."""

SECOND_MS: Final = 1_000
"""The precision of a signature's time."""


def since_when(activity: ActivityDocument, signed_at: int, *, by_actor: bool) -> tuple[int, int]:
    """Until when the last one may have come: for what was taken back or says something else, and for anything.

    Unix ms; 0 for never. `signed_at`: Unix seconds. `by_actor`: not forwarded; whoever forwards signs now what
    may be old.
    """
    if not by_actor or activity.type not in REPEATABLE:
        return 0, 0
    signed_ms = signed_at * SECOND_MS
    in_that_second = signed_ms + SECOND_MS - 1
    match activity.type:
        case "Follow":
            # Asked again: the answer was lost, or they were removed since (federation.md §4.7).
            return in_that_second, signed_ms
        case "Undo":
            return in_that_second, in_that_second
    return in_that_second, 0


def taken_back(activity: ActivityDocument, now: int, *, by_actor: bool) -> tuple[Value, ...] | None:
    """The parameters of `UNDONE` for an Undo by the actor itself that names what it undoes."""
    if not by_actor or activity.type != "Undo" or activity.object_id is None:
        return None
    return now, activity.object_id, activity.actor
