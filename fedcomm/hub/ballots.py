"""The ballot of a poll: what can be chosen, how the votes stand, and until when.

A ballot belongs to an object (`objects.type` is `Question`). Of a poll of ours the counts are ours;
of a poll of another server they are what its author's server last said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedcomm.hub.errors import Invalid
from fedcomm.hub.sanitizer import plain_name
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import now_ms

OPTIONS = range(2, 21)
"""How many options a poll of ours has (security.md §4: 20)."""

OPTION_CHARS = 200
"""Characters of one option."""

SHORTEST_MS = 5 * 60_000
LONGEST_MS = 366 * 86_400_000
"""How long a poll of ours may run, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is asked. `ends_at`, `closed_at`: Unix ms, None for a poll without end or one that is not
    closed. `votes` (by option) and `voters` only as another server counts them."""

    options: tuple[str, ...]
    multiple: bool = False
    ends_at: int | None = None
    closed_at: int | None = None
    votes: tuple[int, ...] = ()
    voters: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """One choice. `votes`: how many chose it."""

    position: int
    name: str
    votes: int


@dataclass(frozen=True, slots=True)
class Poll:
    """A ballot as it stands now. `chosen`: positions that the viewer voted for."""

    object_id: int
    options: tuple[Option, ...]
    multiple: bool
    ends_at: int | None
    closed_at: int | None
    voters: int
    chosen: frozenset[int] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether no vote is taken any more."""
        return self.closed_at is not None or (self.ends_at is not None and self.ends_at <= now_ms())

    @property
    def shows_results(self) -> bool:
        """Results are for those who have voted, and for everybody in the end: nobody is led."""
        return bool(self.chosen) or self.is_over

    @property
    def total(self) -> int:
        """All votes."""
        return sum(option.votes for option in self.options)


def checked(ballot: Ballot) -> Ballot:
    """A member's ballot with its options cleaned. Raises Invalid (`poll`, `poll_end`)."""
    names = tuple(name for text in ballot.options if (name := plain_name(text, OPTION_CHARS + 1)))
    if len(names) not in OPTIONS:
        raise Invalid("poll", "A poll has 2 to 20 options.")
    if any(len(name) > OPTION_CHARS for name in names):
        raise Invalid("poll", "An option of the poll is too long.")
    if len({name.casefold() for name in names}) < len(names):
        # Votes name their option, so two of one name could not be told apart.
        raise Invalid("poll", "Two options of the poll are the same.")
    left = (ballot.ends_at or 0) - now_ms()
    # A second of grace, because the form was filled in before.
    if not SHORTEST_MS - 1000 <= left <= LONGEST_MS:
        raise Invalid("poll_end", "A poll runs from 5 minutes to one year.")
    return Ballot(names, ballot.multiple, ballot.ends_at)


async def insert(tx: Transaction, object_id: int, ballot: Ballot, *, is_local: bool) -> None:
    """Add the ballot to a new object. Only ours is closed by us."""
    await tx.execute(
        "INSERT INTO polls (object_id, multiple, ends_at, closed_at, voter_count, close_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        object_id,
        int(ballot.multiple),
        ballot.ends_at,
        ballot.closed_at,
        ballot.voters,
        ballot.ends_at if is_local else None,
    )
    await _insert_options(tx, object_id, ballot)


async def refresh(tx: Transaction, object_id: int, ballot: Ballot) -> None:
    """What its server says now of a remote poll. Other options make it another poll: votes that
    members cast for the old ones are forgotten, as their server forgot them."""
    rows = await tx.all(
        "SELECT name FROM poll_options WHERE object_id = ? ORDER BY position", object_id
    )
    if not await tx.execute(
        "UPDATE polls SET multiple = ?, ends_at = ?, closed_at = COALESCE(?, closed_at),"
        " voter_count = ? WHERE object_id = ?",
        int(ballot.multiple),
        ballot.ends_at,
        ballot.closed_at,
        ballot.voters,
        object_id,
    ):
        await insert(tx, object_id, ballot, is_local=False)
        return
    if tuple(row["name"] for row in rows) == ballot.options:
        await tx.many(
            "UPDATE poll_options SET vote_count = ? WHERE object_id = ? AND position = ?",
            [(votes, object_id, position) for position, votes in enumerate(ballot.votes)],
        )
        return
    await tx.execute("DELETE FROM poll_votes WHERE object_id = ?", object_id)
    await tx.execute("DELETE FROM poll_options WHERE object_id = ?", object_id)
    await _insert_options(tx, object_id, ballot)


async def erase(tx: Transaction, object_id: int) -> None:
    """Every option and every vote goes."""
    for table in ("poll_votes", "poll_options", "polls"):
        await tx.execute(f"DELETE FROM {table} WHERE object_id = ?", object_id)


async def polls_of(db: Reader, viewer_id: int, object_ids: Sequence[int]) -> dict[int, Poll]:
    """The polls of these objects, by id, with what the actor `viewer_id` (0 for nobody) chose."""
    if not object_ids:
        return {}
    listed = marks(len(object_ids))
    options: dict[int, list[Option]] = {}
    for row in await db.all(
        "SELECT object_id, position, name, vote_count FROM poll_options"
        f" WHERE object_id IN ({listed}) ORDER BY object_id, position",
        *object_ids,
    ):
        option = Option(row["position"], row["name"], row["vote_count"])
        options.setdefault(row["object_id"], []).append(option)
    if not options:
        return {}
    chosen: dict[int, set[int]] = {}
    for row in await db.all(
        f"SELECT object_id, position FROM poll_votes WHERE object_id IN ({listed}) AND actor_id = ?",
        *object_ids,
        viewer_id,
    ):
        chosen.setdefault(row["object_id"], set()).add(row["position"])
    return {
        row["object_id"]: Poll(
            row["object_id"],
            tuple(options.get(row["object_id"], ())),
            bool(row["multiple"]),
            row["ends_at"],
            row["closed_at"],
            row["voter_count"],
            frozenset(chosen.get(row["object_id"], ())),
        )
        for row in await db.all(
            "SELECT object_id, multiple, ends_at, closed_at, voter_count FROM polls"
            f" WHERE object_id IN ({listed})",
            *object_ids,
        )
    }


async def poll_of(db: Reader, viewer_id: int, object_id: int) -> Poll | None:
    """The poll of this object."""
    return (await polls_of(db, viewer_id, [object_id])).get(object_id)


async def _insert_options(tx: Transaction, object_id: int, ballot: Ballot) -> None:
    votes = (*ballot.votes, *([0] * len(ballot.options)))
    await tx.many(
        "INSERT INTO poll_options (object_id, position, name, vote_count) VALUES (?, ?, ?, ?)",
        [
            (object_id, position, name, votes[position])
            for position, name in enumerate(ballot.options)
        ],
    )
