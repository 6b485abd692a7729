"""The keys of our actors: as many in memory as there is room for, whoever asks for them."""

from __future__ import annotations

import secrets

import pytest

from activitypub.keys import generate_ed25519
from fedcomm.federation import keyring
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.vault import KEY_BYTES, Vault
from fedcomm.hub import members
from fedcomm.store.database import Database
from tests.databases import ORIGIN


async def test_keys_that_are_only_read_are_forgotten_like_those_that_are_made(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "CACHED_KEYS", 2)
    # A key of any kind will do, and this one takes no time.
    monkeypatch.setattr(keyring, "generate_rsa", generate_ed25519)
    vault, at = Vault(secrets.token_bytes(KEY_BYTES)), Addresses(ORIGIN)
    async with db.transaction() as tx:
        people = [await members.create_member(tx, f"anna{number}") for number in range(4)]
    made = Keyring(db, vault, at)
    for person in people:
        assert await made.known(person) is None
        await made.pair(person)
    read = Keyring(db, vault, at)
    for person in [*people, people[0]]:
        found = await read.known(person)
        assert found is not None and found.actor_uri == at.member(person)
    for ring in (made, read):
        assert len(ring._cache) == 2
    # Whom somebody asked for last stays longest.
    await read.known(people[-1])
    await read.known(people[1])
    assert list(read._cache) == [people[-1], people[1]]


async def test_a_pair_that_another_process_destroyed_goes_from_memory_by_itself(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "generate_rsa", generate_ed25519)
    ring = Keyring(db, Vault(secrets.token_bytes(KEY_BYTES)), Addresses(ORIGIN))
    async with db.transaction() as tx:
        anna = await members.create_member(tx, "anna")
    await ring.pair(anna)
    async with db.transaction() as tx:
        await tx.execute("DELETE FROM actor_keys WHERE actor_id = ?", anna)
    assert await ring.known(anna) is not None
    monkeypatch.setattr(keyring, "KEPT_S", -1.0)
    assert await ring.known(anna) is None
    assert not ring._cache
