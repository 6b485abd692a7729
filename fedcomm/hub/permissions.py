"""What authors let others do with a post: quote it, answer it, like it (their interaction policy).

A policy is stored with the post as words with blanks between them; who fits one of them may:

    everyone   anybody            ask        anybody, but the author decides each time
    followers  who follows them   following  whom they follow
    nobody     the author alone

Without a policy (NULL) answering and liking are free; quoting a post of ours is too, of another server it is not
(federation.md §5.5). The author may always.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.store.database import Reader

Policy = Literal["everyone", "followers", "nobody"]
POLICIES: Final[tuple[Policy, ...]] = ("everyone", "followers", "nobody")
"""What a member chooses from, for the quoting of their posts."""

USUAL: Final[Policy] = "everyone"


def as_policy(text: str) -> Policy | None:
    """The policy of this name, if there is one."""
    return next((policy for policy in POLICIES if policy == text), None)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an author allows, each as in the columns of `objects`; None: nothing was said."""

    quote: str | None = None
    reply: str | None = None
    like: str | None = None


async def permits(
    db: Reader, policy: str | None, *, author_id: int, actor_id: int, unsaid: bool
) -> bool:
    """Whether `policy` of a post of `author_id` lets `actor_id` do it, or ask for it. `unsaid`: without a policy."""
    if author_id == actor_id:
        return True
    if policy is None:
        return unsaid
    words = policy.split()
    if "everyone" in words or "ask" in words:
        return True
    if "followers" in words and await _follows(db, actor_id, author_id):
        return True
    return "following" in words and await _follows(db, author_id, actor_id)


async def may_on_remote(
    db: Reader, kind: Literal["reply", "like"], object_id: int, actor_id: int
) -> bool:
    """Whether the author of a post elsewhere lets one of our members answer or like it (federation.md §5.6).

    Whom a post mentions may always answer it.
    """
    row = await db.one(
        f"SELECT author_id, {kind}_policy AS policy FROM objects WHERE id = ? AND host_id IS NOT NULL",
        object_id,
    )
    if row is None or row["policy"] is None:
        return True
    if await permits(db, row["policy"], author_id=row["author_id"], actor_id=actor_id, unsaid=True):
        return True
    mentioned = await db.value(
        "SELECT 1 FROM mentions WHERE object_id = ? AND actor_id = ?", object_id, actor_id
    )
    return kind == "reply" and mentioned is not None


async def default_of(db: Reader, member_id: int) -> Policy:
    """Who may quote what the member writes, unless they say something else with a post."""
    stored = await db.value("SELECT quote_policy FROM members WHERE actor_id = ?", member_id)
    return as_policy(str(stored)) or USUAL


async def _follows(db: Reader, follower_id: int, followed_id: int) -> bool:
    found = await db.value(
        "SELECT 1 FROM follows WHERE follower_id = ? AND followed_id = ? AND state = 'active'"
        " AND suspended = 0",
        follower_id,
        followed_id,
    )
    return found is not None
