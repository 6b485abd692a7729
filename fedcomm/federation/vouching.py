"""Who stands behind an activity that somebody else delivered: an integrity proof of its actor, or nobody.

Only FEP-8b32 proofs count. A Linked-Data signature grants nothing (INV-8), nor does the server that forwards.
"""

from __future__ import annotations

from activitypub import accessors, proofs
from activitypub.accessors import Refused
from activitypub.documents import ActivityDocument, ObjectDocument, read_object
from activitypub.failures import FetchBudget
from activitypub.keys import InvalidKey
from activitypub.origins import same_origin
from fedcomm.federation.contents import addressed
from fedcomm.federation.directory import Directory, KnownKey
from fedcomm.store.ids import now_ms

DAY_MS = 86_400_000

TRANSFERABLE = frozenset(
    {
        *("Create", "Update", "Delete", "Undo", "Announce", "Like", "EmojiReact", "Dislike"),
        *("Add", "Remove", "Lock"),
    }
)
"""What may come with somebody else. A relation (Follow, Accept, Move, Block …) is between its two ends."""

REFETCHABLE = frozenset({"Create", "Update", "Delete"})
"""What its object's origin can confirm: there, changed, or gone."""

KEY_MAY_BE_OLD_MS = 300_000
"""A key that is younger than this is not fetched again because a proof does not fit."""

AHEAD_MS = 3_600_000
"""How far a proof's time may be in the future."""


class Vouching:
    """Checks proofs. `remember_days`: how long ids of activities are remembered; an older proof could be a repeat."""

    def __init__(self, directory: Directory, *, remember_days: float, allow_http: bool) -> None:
        self._directory = directory
        self._most_ms = int(remember_days * DAY_MS)
        self._http = allow_http

    async def author(
        self, activity: ActivityDocument, *, budget: FetchBudget | None = None
    ) -> KnownKey | None:
        """The actor's key, if a proof by it covers the activity. Raises FetchError when it cannot be fetched."""
        method = proofs.verification_method(activity.raw)
        if method is None or activity.id is None or activity.type not in TRANSFERABLE:
            return None
        if not same_origin(method, activity.actor, allow_http=self._http):
            return None
        if not self._is_recent(activity):
            return None
        try:
            known = await self._directory.key(method, budget=budget)
            if known.actor_uri != activity.actor:
                return None
            if proofs.verify(activity.raw, known.key):
                return known
            if now_ms() - known.fetched_at <= KEY_MAY_BE_OLD_MS:
                return None
            fresh = await self._directory.refetch_key(method)
        except (Refused, InvalidKey):
            return None
        if fresh is None or fresh.actor_uri != activity.actor:
            return None
        return fresh if proofs.verify(activity.raw, fresh.key) else None

    async def object(
        self, activity: ActivityDocument, *, budget: FetchBudget
    ) -> ObjectDocument | None:
        """The embedded object of an activity by its author that carries their proof: it needs no fetch (INV-5)."""
        if not isinstance(activity.object, dict):
            return None
        if await self.author(activity, budget=budget) is None:
            return None
        try:
            thing = addressed(read_object(activity.object, allow_http=self._http), activity)
        except Refused:
            return None
        own = thing.attributed_to == activity.actor and same_origin(
            thing.id, activity.actor, allow_http=self._http
        )
        return thing if own else None

    def _is_recent(self, activity: ActivityDocument) -> bool:
        proof = activity.raw.get("proof")
        if isinstance(proof, list):
            proof = proof[0] if proof else None
        if not isinstance(proof, dict):
            return False
        made = accessors.time(proof, "created")
        now = now_ms()
        return made is not None and now - self._most_ms < made < now + AHEAD_MS


def can_be_confirmed(activity: ActivityDocument, *, allow_http: bool) -> bool:
    """Whether the origin of the activity's object can be asked if it is true."""
    return activity.type in REFETCHABLE and same_origin(
        activity.object_id, activity.actor, allow_http=allow_http
    )
