"""Our activities by their ids: to whom they are told, and in words as they are now (federation.md §4.3, §12).

Mastodon and NodeBB fetch a `Create` to believe it; strict servers fetch whatever they were sent. What is
stored is what was sent then, so an object inside is put in as it is today: no edit leaves old words behind.
"""

from __future__ import annotations

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject, parse_object
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.dispatch import CONSUMER, FORWARD, TAKES_BACK
from fedcomm.federation.forms import as_page
from fedcomm.federation.sanctions import MATTERS
from fedcomm.federation.sealing import unsealed
from fedcomm.hub import actors, timelines
from fedcomm.hub.visibility import Viewer, can_read, can_see_group
from fedcomm.store.database import Database, Row

TOLD = frozenset({"Create/told", "Update/told"})
"""What a private group tells microblogs itself."""


class Activities:
    """Finds an activity of ours for somebody who asks for it."""

    def __init__(self, db: Database, catalogue: Catalogue, addresses: Addresses) -> None:
        self._db = db
        self._catalogue = catalogue
        self._at = addresses

    async def document(
        self, number: int, viewer: Viewer, known: KnownKey | None
    ) -> tuple[JSONObject, int | None] | None:
        """The activity with its context, and the object whose copy it carries, if any.

        None when there is no such activity for this viewer. `known`: who signed the request.
        """
        row = await self._db.one(
            "SELECT id, actor_id, type, object_id, subject_id, body FROM activities WHERE id = ?",
            number,
        )
        if row is None or row["type"] == FORWARD:
            return None
        if row["type"] not in TAKES_BACK and not await self._may_leave(row):
            return None
        if row["object_id"] is None:
            document = await self._about_an_actor(row, viewer, known)
            return None if document is None else (document, None)
        if await self._may_leave(row) and await can_read(self._db, viewer, row["object_id"]):
            document = await self._about_an_object(row, viewer)
            return None if document is None else (document, row["object_id"])
        if row["type"] in TAKES_BACK and await self._had_a_copy(row["object_id"], known):
            document = _stored(row)
            return None if document is None else (document, None)
        return None

    async def _may_leave(self, row: Row) -> bool:
        """Whether who did it, and who wrote what it is about, let it go."""
        consent = self._catalogue.consent
        if not await consent.allows(self._db, row["actor_id"], CONSUMER):
            return False
        if row["object_id"] is None:
            return True
        return bool(await consent.leaves(self._db, [row["object_id"]], CONSUMER))

    async def _about_an_object(self, row: Row, viewer: Viewer) -> JSONObject | None:
        post = await timelines.post(self._db, viewer, row["object_id"])
        if post is None:
            return None
        thing, kind = post.thing, str(row["type"])
        if kind in TOLD:
            # The group's own words for it, as they are now.
            stored = _stored(row)
            told = await self._catalogue.told(self._db, viewer, thing.id)
            if stored is None or told is None:
                return None
            return unsealed(stored) | {"object": told}
        if kind == "Create" and thing.is_local:
            current = await self._catalogue.render(self._db, post)
            sent = _stored(row)
            if sent is not None and sent.get("object") == current:
                return sent
            return with_context(self._catalogue.create(row["id"], current, thing.published_at))
        stored = _stored(row)
        if stored is None:
            # The rendered text is not kept for long; what still matters is made anew.
            if kind != "Announce/activity":
                return None
            anew = await self._catalogue.stored_announce(self._db, row["actor_id"], post)
            return None if anew is None else with_context(anew)
        if thing.is_local:
            current = await self._catalogue.render(self._db, post)
            if kind.endswith("/page"):
                current = as_page(current)
            return refreshed(stored, self._at.object(thing), current)
        return stored if thing.edited_at is None else without_copy(stored)

    async def _about_an_actor(
        self, row: Row, viewer: Viewer, known: KnownKey | None
    ) -> JSONObject | None:
        stored = _stored(row)
        if stored is None:
            return None
        if row["type"] in MATTERS:
            return stored if await self._concerns_host(stored, known) else None
        if row["subject_id"] != row["actor_id"]:
            # Follow, Accept, Reject and their Undo concern two actors, and nobody else (INV-18).
            host_id = await self._db.value(
                "SELECT host_id FROM actors WHERE id = ?", row["subject_id"]
            )
            return stored if known is not None and known.host_id == host_id else None
        actor = await actors.actor(self._db, row["actor_id"])
        if actor is None or actor.deleted_at is not None or actor.suspended_at is not None:
            return None
        if actor.kind == "group" and not await can_see_group(self._db, viewer, actor.id):
            return None
        profile = await self._catalogue.actor(self._db, actor)
        current = {key: value for key, value in profile.items() if key != "@context"}
        return refreshed(stored, self._at.actor(actor), current)

    async def _concerns_host(self, stored: JSONObject, known: KnownKey | None) -> bool:
        """Whether what a group decided about somebody was for the host that asks: one with members in it."""
        group_id = self._at.local(str(stored.get("actor")), "g") or self._at.local(
            str(stored.get("audience")), "g"
        )
        if known is None or group_id is None:
            return False
        found = await self._db.value(
            "SELECT 1 FROM memberships s JOIN actors a ON a.id = s.actor_id"
            " WHERE s.group_id = ? AND a.host_id = ? AND s.state <> 'requested' LIMIT 1",
            group_id,
            known.host_id,
        )
        return found is not None

    async def _had_a_copy(self, object_id: int, known: KnownKey | None) -> bool:
        if known is None:
            return False
        found = await self._db.value(
            "SELECT 1 FROM reach WHERE subject_id = ? AND host_id = ?", object_id, known.host_id
        )
        return found is not None


def refreshed(activity: JSONObject, uri: str, current: JSONObject) -> JSONObject:
    """The activity with the object `uri` in it, however deep it is wrapped, as it is now."""
    wrapped = activity.get("object")
    if not isinstance(wrapped, dict):
        return activity
    inner = current if wrapped.get("id") == uri else refreshed(wrapped, uri, current)
    # A proof covers the words as they were.
    return activity if inner == wrapped else unsealed(activity) | {"object": inner}


def without_copy(activity: JSONObject) -> JSONObject:
    """The activity with what it wraps named by id only: somebody else's words have changed since."""
    wrapped = activity.get("object")
    if isinstance(wrapped, dict) and isinstance(wrapped.get("id"), str):
        return unsealed(activity) | {"object": wrapped["id"]}
    return activity


def _stored(row: Row) -> JSONObject | None:
    return None if row["body"] is None else parse_object(str(row["body"]).encode())
