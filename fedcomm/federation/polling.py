"""Votes that come in for polls of ours, and how polls elsewhere stand (federation.md §5.3)."""

from __future__ import annotations

from activitypub.accessors import Refused
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.library import Library
from fedcomm.federation.received import Received, keep
from fedcomm.federation.votes import Cast, poll_vote
from fedcomm.hub import polls, threads
from fedcomm.hub.ballots import Ballot
from fedcomm.store.database import Database, Transaction


class Polling:
    """Prepares votes, and counts that Updates bring."""

    def __init__(self, db: Database, library: Library) -> None:
        self._db = db
        self._library = library

    async def activity(self, received: Received) -> Change:
        """A `PollVote` (PieFed)."""
        cast = poll_vote(received.activity)
        if cast is None:
            raise Refused("no-object")
        return await self.cast(received, [cast])

    async def cast(self, received: Received, votes: list[Cast]) -> Change:
        """Votes in a poll of ours. They are counted and never kept as what they came as, nor repeated
        by a group: who voted for what is nobody else's business."""
        question = votes[0].question
        if any(cast.question != question for cast in votes):
            raise Refused("several-polls")
        known = await self._library.find(self._db, question)
        if known is None or not known.is_local:
            return nothing("ignored: vote in a poll that is not ours")
        positions: list[int] = []
        for cast in votes:
            position = await polls.position_of(self._db, known.id, cast.name)
            if position is None:
                raise Refused("no-such-option")
            positions.append(position)

        async def change(tx: Transaction) -> str:
            counted = await polls.vote(tx, received.signer.id, known.id, positions)
            return "voted" if counted else "vote already counted"

        return change

    def recount(self, received: Received, known: threads.Thing, ballot: Ballot) -> Change:
        """How a poll of another server stands, as its author says."""

        async def change(tx: Transaction) -> str:
            current = await threads.thing(tx, known.id)
            if current is None or current.author_id != received.signer.id:
                raise Refused("not-the-author")
            await keep(tx, received, object_id=known.id)
            await polls.refresh(tx, known.id, ballot)
            return "poll counted"

        return change
