"""The documents of what is ours for somebody who takes their data along: exactly as they are served."""

from __future__ import annotations

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from fedcomm.config import Config
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.rendering import Renderer
from fedcomm.federation.vault import Vault
from fedcomm.hub import actors, threads
from fedcomm.store.database import Database


class Copies:
    """Renders documents one after the other (`fedcomm.portability.parcels.Documents`). Raises VaultError."""

    def __init__(self, config: Config, db: Database) -> None:
        at = Addresses(config.instance.origin)
        renderer = Renderer(
            at,
            hub_name=config.instance.name,
            media_prefix=f"{config.instance.origin}/media/",
        )
        keyring = Keyring(db, Vault.load(config.secrets.key_file), at)
        self._db = db
        self._catalogue = Catalogue(renderer, keyring, at)

    async def actor(self, actor_id: int) -> JSONObject | None:
        """The document of a member or group."""
        actor = await actors.actor(self._db, actor_id)
        if actor is None or not actor.is_local or actor.deleted_at is not None:
            return None
        return with_context(await self._catalogue.actor(self._db, actor))

    async def creation(self, object_id: int) -> JSONObject | None:
        """The `Create` of an object, without an id if there was never one to be fetched."""
        thing = await threads.thing(self._db, object_id)
        document = await self._catalogue.object(self._db, object_id)
        if thing is None or document is None:
            return None
        number = await self._db.value(
            "SELECT id FROM activities WHERE object_id = ? AND type = 'Create' AND actor_id = ?",
            object_id,
            thing.author_id,
        )
        activity = self._catalogue.create(int(number or 0), document, thing.published_at)
        if number is None:
            del activity["id"]
        return with_context(activity)
