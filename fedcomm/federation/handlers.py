"""What a received activity means: who handles it fetches what that needs, then returns a change to make.

The change runs in the transaction that also marks the activity as done, so that it takes effect once
(INV-9). The signer travels with the activity: verified to be the actor (INV-2), or else what is said is hearsay,
which only the origin confirms. Content inside Announce, Undo, Accept and collections is never believed for being
there (INV-7).
"""

from __future__ import annotations

from functools import partial

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument
from activitypub.ijson import JSONObject
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.announcements import Announcements
from fedcomm.federation.attendance import Attendance
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.consents import Consents
from fedcomm.federation.directory import Directory
from fedcomm.federation.hearsay import Hearsay
from fedcomm.federation.interventions import Interventions
from fedcomm.federation.library import Library
from fedcomm.federation.moves import Moves
from fedcomm.federation.opinions import Opinions
from fedcomm.federation.polling import Polling
from fedcomm.federation.received import Received
from fedcomm.federation.relaying import RelayIntake
from fedcomm.federation.ties import Ties
from fedcomm.federation.vouching import Vouching
from fedcomm.federation.watch import Watch
from fedcomm.federation.writings import Writings
from fedcomm.hub.policies import PolicyBook
from fedcomm.store.database import Database


class Handlers:
    """Turns activities into changes of the hub."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        library: Library,
        book: PolicyBook,
        hearsay: Hearsay,
        vouching: Vouching,
        addresses: Addresses,
        *,
        allow_http: bool,
        watch: Watch,
        relays: RelayIntake | None = None,
    ) -> None:
        self._relays = relays
        self._book = book
        self._hearsay = hearsay
        self._http = allow_http
        self._ties = Ties(db, directory, addresses)
        self._moves = Moves(db, directory, addresses, allow_http=allow_http)
        self._polling = Polling(db, library)
        self._opinions = Opinions(db, library, allow_http=allow_http)
        self._consents = Consents(db, library, addresses, allow_http=allow_http)
        self._interventions = Interventions(db, library, addresses, allow_http=allow_http)
        self._attendance = Attendance(db, directory, library, addresses, allow_http=allow_http)
        self._announcements = Announcements(
            *(db, library, hearsay, vouching, self._opinions, addresses), allow_http=allow_http
        )
        self._writings = Writings(
            *(db, directory, library, hearsay, self._consents, self._interventions),
            *(self._polling, watch, addresses),
            allow_http=allow_http,
        )

    async def prepare(self, received: Received) -> Change:
        """The change that the activity asks for. Raises Refused, FetchError."""
        if received.signer.suspended_at is not None and not _always_taken(received.activity):
            raise Refused("suspended-actor")
        if self._relays is not None:
            relayed = await self._relays.prepare(received)
            if relayed is not None:
                return relayed
        if received.signer.uri != received.activity.actor:
            return await self._hearsay.prepare(received.activity, received.budget)
        match received.activity.type:
            case "Follow":
                return await self._ties.follow(received)
            case "Accept" | "TentativeAccept":
                return await self._answered(received, accepted=True)
            case "Reject" | "TentativeReject":
                return await self._answered(received, accepted=False)
            case "Create":
                return await self._writings.create(received)
            case "Update":
                return await self._writings.update(received)
            case "Delete":
                return await self._writings.delete(received)
            case "Like" | "EmojiReact" | "Dislike":
                return await self._opinions.react(received)
            case "Announce":
                return await self._announcements.announce(received)
            case "Undo":
                return await self._undo(received)
            case "Flag":
                return await self._flag(received)
            case "Add" | "Remove":
                return await self._interventions.pin(received)
            case "Lock":
                return await self._interventions.lock(received, locked=True)
            case "Join":
                return await self._attendance.join(received)
            case "Leave":
                return await self._attendance.leave(received, received.activity.object_id)
            case "PollVote":
                return await self._polling.activity(received)
            case "Move":
                return await self._moves.move(received)
            case "Block":
                return await self._block(received)
            case "QuoteRequest":
                return await self._consents.requested(
                    received, partial(self._writings.judge_of, received)
                )
        return nothing(f"ignored: {received.activity.type}")

    # What several of them may be about

    async def _answered(self, received: Received, *, accepted: bool) -> Change:
        """An Accept or Reject of something that *we* asked for (INV-7, INV-15)."""
        quote = await self._consents.asked(received.activity)
        if quote is not None:
            return await self._consents.answered(received, quote, accepted=accepted)
        attending = await self._attendance.answered(received, accepted=accepted)
        if attending is not None:
            return attending
        return await self._ties.answered(received, accepted=accepted)

    async def _undo(self, received: Received) -> Change:
        activity = received.activity
        wrapped = activity.object
        kind: str | None = None
        target: str | None = None
        if isinstance(wrapped, dict):
            actor = accessors.url(wrapped, "actor", allow_http=self._http)
            if actor is not None and actor != activity.actor:
                raise Refused("not-ones-own")
            kind = next(iter(accessors.types(wrapped)), None)
            target = accessors.url(wrapped, "object", allow_http=self._http)
        if kind == "Lock":
            return await self._interventions.lock(received, locked=False, target=target)
        if kind == "Join":
            return await self._attendance.leave(received, target)
        if kind == "Delete":
            return await self._interventions.restoration(received, target)
        if kind == "Block" and isinstance(wrapped, dict) and self._is_ban(wrapped):
            return await self._interventions.ban(received, wrapped, lifted=True)
        change: Change | None = None
        if kind in ("Follow", None):
            change = await self._ties.unfollow(received.signer.id, activity.object_id, target)
        change = change or await self._opinions.undone(received, kind, target)
        return change or nothing(f"ignored: Undo of {kind or 'something unknown'}")

    async def _block(self, received: Received) -> Change:
        if self._is_ban(received.activity.raw):
            return await self._interventions.ban(received, received.activity.raw)
        return self._ties.block(received)

    def _is_ban(self, block: JSONObject) -> bool:
        return self._interventions.bans_from(block) is not None

    async def _flag(self, received: Received) -> Change:
        if (await self._book.policy(received.signer.host or "")).reject_reports:
            return nothing("ignored: reports of this server are not taken")
        return await self._interventions.flag(received)


def _always_taken(activity: ActivityDocument) -> bool:
    """What is taken even of somebody who is suspended: what they take back, and what becomes of their account."""
    return activity.type in ("Delete", "Undo") or (
        activity.type == "Update" and activity.object_id == activity.actor
    )
