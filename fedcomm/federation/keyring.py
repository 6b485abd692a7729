"""The keys of our own actors: one RSA-2048 key for HTTP signatures and one Ed25519 key for proofs each.

Made when first needed (an RSA key takes 50-500 ms), in a thread; kept sealed in the database.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from activitypub.client import Signer
from activitypub.keys import PrivateKey, generate_ed25519, generate_rsa, load_private
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.vault import Vault
from fedcomm.hub import actors, instance
from fedcomm.store.database import Database, Reader
from fedcomm.store.ids import now_ms

CACHED_KEYS = 500
"""Loaded key pairs that stay in memory."""

KEPT_S = 300.0
"""For so long: a pair that another process destroyed, at the end of an erasure, goes from here too."""

INSTANCE_ACTOR = "instance_actor"
"""The setting that names our instance actor."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An actor's keys with their ids: `#main-key` and `#ed25519-key` (federation.md §0.2, rule 4)."""

    actor_uri: str
    rsa: PrivateKey
    ed25519: PrivateKey

    @property
    def key_id(self) -> str:
        return f"{self.actor_uri}#main-key"

    @property
    def multikey_id(self) -> str:
        return f"{self.actor_uri}#ed25519-key"

    @property
    def signer(self) -> Signer:
        return Signer(self.key_id, self.rsa)


class Keyring:
    """Finds, loads and makes key pairs."""

    def __init__(self, db: Database, vault: Vault, addresses: Addresses) -> None:
        self._db = db
        self._vault = vault
        self._addresses = addresses
        self._cache: OrderedDict[int, tuple[float, KeyPair]] = OrderedDict()
        self._making: dict[int, asyncio.Task[KeyPair]] = {}
        self._instance: int | None = None

    async def pair(self, actor_id: int) -> KeyPair:
        """The key pair of an actor of ours. Raises LookupError if there is no such actor."""
        known = self._at_hand(actor_id)
        if known is not None:
            return known
        task = self._making.get(actor_id)
        if task is None:
            task = asyncio.create_task(self._load_or_make(actor_id))
            self._making[actor_id] = task
            task.add_done_callback(lambda _: self._making.pop(actor_id, None))
        return self._remember(actor_id, await asyncio.shield(task))

    async def known(self, actor_id: int, tx: Reader | None = None) -> KeyPair | None:
        """The key pair if it was made before: reads only. Whoever is within a transaction asks with it: another
        connection may be there only when those who wait for the transaction have given theirs back."""
        pair = self._at_hand(actor_id)
        if pair is not None:
            return pair
        reader = tx or self._db
        actor = await actors.actor(reader, actor_id)
        if actor is not None:
            pair = await self._load(self._addresses.actor(actor), reader)
        return self._remember(actor_id, pair) if pair is not None else None

    def _at_hand(self, actor_id: int) -> KeyPair | None:
        since, pair = self._cache.get(actor_id, (0.0, None))
        if pair is None or time.monotonic() - since > KEPT_S:
            self._cache.pop(actor_id, None)
            return None
        self._cache.move_to_end(actor_id)
        return pair

    def _remember(self, actor_id: int, pair: KeyPair) -> KeyPair:
        self._cache[actor_id] = (time.monotonic(), pair)
        self._cache.move_to_end(actor_id)
        while len(self._cache) > CACHED_KEYS:
            self._cache.popitem(last=False)
        return pair

    def forget(self, actor_id: int) -> None:
        """Let go of a pair that was destroyed."""
        self._cache.pop(actor_id, None)

    async def instance_actor(self) -> int:
        """The id of our instance actor, which is made on the first call."""
        if self._instance is None:
            known = await instance.setting(self._db, INSTANCE_ACTOR)
            if known is None:
                async with self._db.transaction() as tx:
                    known = await instance.setting(tx, INSTANCE_ACTOR)
                    if known is None:
                        host = self._addresses.origin.split("://", 1)[1]
                        known = str(
                            await actors.insert_local(tx, "application", host, "", locked=True)
                        )
                        await instance.set_setting(tx, INSTANCE_ACTOR, known)
            self._instance = int(known)
        return self._instance

    async def instance_signer(self) -> Signer:
        """Who signs our GETs (federation.md §3.6)."""
        return (await self.pair(await self.instance_actor())).signer

    async def _load_or_make(self, actor_id: int) -> KeyPair:
        actor = await actors.actor(self._db, actor_id)
        if actor is None or not actor.is_local:
            raise LookupError(f"no local actor {actor_id}")
        uri = self._addresses.actor(actor)
        pair = await self._load(uri, self._db)
        if pair is not None:
            return pair
        rsa = await asyncio.to_thread(generate_rsa)
        made = KeyPair(uri, rsa, generate_ed25519())
        async with self._db.transaction() as tx:
            for key_id, key in ((made.key_id, made.rsa), (made.multikey_id, made.ed25519)):
                # Another process may have been first: its keys stay, and are read below.
                await tx.execute(
                    "INSERT INTO actor_keys (uri, actor_id, algorithm, public_key, private_key,"
                    " created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uri) DO NOTHING",
                    key_id,
                    actor_id,
                    key.algorithm,
                    key.public().to_pem(),
                    self._vault.seal(key.to_pem(), key_id),
                    now_ms(),
                )
        stored = await self._load(uri, self._db)
        assert stored is not None
        return stored

    async def _load(self, uri: str, reader: Reader) -> KeyPair | None:
        keys: dict[str, PrivateKey] = {}
        for row in await reader.all(
            "SELECT uri, private_key FROM actor_keys WHERE uri IN (?, ?)",
            f"{uri}#main-key",
            f"{uri}#ed25519-key",
        ):
            pem = self._vault.open(row["private_key"], row["uri"])
            # Made here, and the vault would not open what somebody else wrote.
            keys[row["uri"]] = load_private(pem, check=False)
        if len(keys) < 2:
            return None
        return KeyPair(uri, keys[f"{uri}#main-key"], keys[f"{uri}#ed25519-key"])
