"""An activity out of the inbox, and how it is kept for those to whom it is repeated."""

from __future__ import annotations

from dataclasses import dataclass

from activitypub.documents import ActivityDocument
from activitypub.failures import FetchBudget
from activitypub.ijson import JSONObject, dumps
from fedcomm.hub import actors
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms


@dataclass(frozen=True, slots=True)
class Received:
    """An activity out of the inbox with its verified signer."""

    activity: ActivityDocument
    signer: actors.Actor
    budget: FetchBudget
    text: str = ""
    """The body as it came, for those to whom it is forwarded."""
    row_id: int = 0
    """Its row in the inbox."""


async def keep(tx: Transaction, received: Received, *, object_id: int) -> None:
    """Keep the activity as it came: the group repeats it value-identical (§4.3), Accept embeds it."""
    if received.activity.id is None:
        return
    raw = received.activity.raw
    blind = _has_blind_copies(raw)
    await tx.later(
        "INSERT INTO received_activities (uri, type, actor_id, object_id, body, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uri) DO UPDATE SET body = excluded.body",
        received.activity.id,
        received.activity.type,
        received.signer.id,
        object_id,
        received.text
        if received.text and not blind
        else dumps(_without_blind_copies(raw) if blind else raw).decode(),
        now_ms(),
    )


def _has_blind_copies(raw: JSONObject) -> bool:
    """Whether `_without_blind_copies` would leave anything out."""
    if "bto" in raw or "bcc" in raw:
        return True
    inner = raw.get("object")
    if isinstance(inner, dict):
        return _has_blind_copies(inner)
    if isinstance(inner, list):
        return any(isinstance(item, dict) and _has_blind_copies(item) for item in inner)
    return False


def _without_blind_copies(raw: JSONObject) -> JSONObject:
    """Who was addressed in confidence is nobody else's business, even if the peer forgot (INV-17).

    All else stays value-identical, for the sake of proofs."""
    kept = {key: value for key, value in raw.items() if key not in ("bto", "bcc")}
    inner = kept.get("object")
    if isinstance(inner, dict):
        kept["object"] = _without_blind_copies(inner)
    elif isinstance(inner, list):
        kept["object"] = [
            _without_blind_copies(item) if isinstance(item, dict) else item for item in inner
        ]
    return kept
