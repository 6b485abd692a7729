"""Proofs on what we say in public: FEP-8b32 with the actor's Ed25519 key (federation.md §3.9).

Whoever gets a public activity from a third server, forwarded or wrapped in an `Announce`, can believe it without
asking us. A proof is transferable, so nothing that is not public ever carries one.
"""

from __future__ import annotations

from activitypub import accessors, proofs
from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from fedcomm.federation.keyring import KeyPair
from fedcomm.federation.moments import iso

PROVEN = frozenset({"Create", "Update", "Delete", "Announce", "Undo"})
"""What others forward or repeat (§3.8); a Like or a Follow concerns its two ends."""


def may_be_proven(activity: JSONObject) -> bool:
    """Whether a proof is made for this activity: of these types, and said in public."""
    if activity.get("type") not in PROVEN:
        return False
    return any(
        isinstance(recipients := activity.get(field), list)
        and any(accessors.is_public(recipient) for recipient in recipients)
        for field in ("to", "cc")
    )


def sealed(activity: JSONObject, keys: KeyPair, now: int) -> JSONObject:
    """The whole document as it is sent for ever: with its context, and with a proof where it may have one.

    `now`: Unix milliseconds. A wrapped activity that was sealed before keeps its own context and proof: one that is
    taken away or added breaks it.
    """
    if not may_be_proven(activity):
        return with_context(activity)
    # The context comes before the proof, which covers it, and must define the proof's own terms.
    whole = with_context(activity | {"proof": {"type": "DataIntegrityProof"}})
    del whole["proof"]
    return proofs.create(whole, keys.ed25519, keys.multikey_id, iso(now // 1000 * 1000))


def unsealed(activity: JSONObject) -> JSONObject:
    """The activity without its proof: something in it is not as it was."""
    return {key: value for key, value in activity.items() if key != "proof"}
