"""Proofs on our public activities, as other servers receive them: checked with the keys that we publish (FEP-8b32)."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from apsig import ProofVerifier

from activitypub import proofs
from activitypub.keys import generate_ed25519, generate_rsa, load_public_multibase
from fedcomm.federation.activities import refreshed, without_copy
from fedcomm.federation.keyring import KeyPair
from fedcomm.federation.sealing import sealed
from fedcomm.hub import reactions, threads
from fedcomm.hub.composition import Draft
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, PUBLIC, kind_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


async def member_from(
    town: LocalHub, servers: ScriptedStubs, software: str, group: int | None = None
) -> str:
    """Somebody of a new server who joined the group; their id."""
    host = servers.new_host(software)
    servers.host(host).software = software
    fan = servers.somebody("fan", host)
    follow = {
        "@context": AS,
        "id": f"{fan}/follow/{next(_numbers)}",
        "type": "Follow",
        "actor": fan,
        "object": town.group_uri(group or town.group),
    }
    await town.deliver(follow)
    await servers.until(lambda: "Accept" in servers.hosts[host].kinds(), why=host)
    # Topics that were written before they came may still have reached them.
    await town.quiet()
    known = servers.hosts[host].arrived
    known[:] = [one for one in known if kind_of(one.body) == "Accept"]
    return fan


def arrived(servers: ScriptedStubs, who: str, kind: str) -> list[dict[str, Any]]:
    host = servers.hosts[who.split("/")[2].partition(":")[0]]
    return [json.loads(one.raw) for one in host.arrived if kind_of(one.body) == kind]


async def first(servers: ScriptedStubs, who: str, kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = await servers.until(lambda: arrived(servers, who, kind), why=kind)
    return found[0]


async def verified(servers: ScriptedStubs, activity: dict[str, Any], reader: str) -> bool:
    """Whether the proof is one of the activity's actor: by us, and by an independent library."""
    status, actor = await servers.get(activity["actor"], signer=reader)
    assert status == 200
    key = actor["assertionMethod"][0]
    assert activity["proof"]["verificationMethod"] == key["id"]
    assert key["controller"] == activity["actor"]
    ours = proofs.verify(activity, load_public_multibase(key["publicKeyMultibase"]))
    theirs = ProofVerifier(key["publicKeyMultibase"]).verify(copy.deepcopy(activity))
    assert ours == (theirs == key["id"])
    return ours


async def test_what_a_group_repeats_carries_the_proofs_of_group_and_author(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    fan = await member_from(town, servers, "lemmy")
    topic = await town.write_topic(town.group, "Proven", "Who wrote this?")
    announce = await first(servers, fan, "Announce/Create")
    create = announce["object"]
    assert announce["actor"] == town.group_uri(town.group)
    assert create["actor"] == town.person(town.anna)
    assert await verified(servers, announce, fan)
    assert await verified(servers, create, fan)
    # One changed letter and neither is believed.
    changed = json.loads(json.dumps(announce).replace("Who wrote", "Who stole"))
    assert not await verified(servers, changed, fan)

    # By its own id the Create is served with its proof, and after an edit without the old one.
    status, served = await servers.get(create["id"], signer=fan)
    assert status == 200 and served == create
    async with town.db.transaction() as tx:
        content = await town.site.compose(
            tx, Draft("I did.", "Proven"), is_topic=True, author_id=town.anna
        )
        await threads.edit(tx, town.anna, topic, content)
    town.site.wake()
    update = await first(servers, fan, "Announce/Update")
    assert await verified(servers, update, fan)
    assert await verified(servers, update["object"], fan)
    _, served = await servers.get(create["id"], signer=fan)
    assert "proof" not in served and "I did." in served["object"]["content"]
    _, served = await servers.get(announce["id"], signer=fan)
    assert "proof" not in served and "proof" not in served["object"]

    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    town.site.wake()
    deleted = await first(servers, fan, "Announce/Delete")
    assert await verified(servers, deleted, fan)
    assert await verified(servers, deleted["object"], fan)
    assert await verified(servers, await first(servers, fan, "Delete"), fan)


async def test_an_undone_boost_is_proven_to_microblogs(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    fan = await member_from(town, servers, "mastodon")
    topic = await town.write_topic(town.group, "Boosted")
    assert await verified(servers, await first(servers, fan, "Announce/id"), fan)
    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    town.site.wake()
    assert await verified(servers, await first(servers, fan, "Undo/Announce"), fan)


async def test_nothing_that_is_not_public_carries_a_proof(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """A proof is transferable: whoever has it can show it around (§8, rule 8)."""
    author = await member_from(town, servers, "mastodon")
    to_anna = {"to": [town.person(town.anna)], "cc": []}
    mention = {"type": "Mention", "href": town.person(town.anna), "name": "@anna"}
    note = servers.note(author, number="secret", tag=[mention], **to_anna)
    create = {
        "@context": AS,
        "id": f"{author}/c/{next(_numbers)}",
        "type": "Create",
        "actor": author,
        "object": note,
        **to_anna,
    }
    assert await town.deliver(create) == "done: stored"
    secret = await threads.thing_by_uri(town.db, note["id"])
    assert secret is not None and secret.visibility == "direct"
    public = servers.note(author, number="open", inReplyTo=town.object_uri(town.topic))
    create = {**create, "id": f"{author}/c/{next(_numbers)}", "object": public, "to": [PUBLIC]}
    assert await town.deliver(create) == "done: stored"
    known = await threads.thing_by_uri(town.db, public["id"])
    assert known is not None
    async with town.db.transaction() as tx:
        content = await town.site.compose(
            tx, Draft("Only for you."), is_topic=False, author_id=town.anna
        )
        await threads.create_reply(tx, town.anna, secret.id, content)
        await reactions.add(tx, town.anna, known.id, "like")
    town.site.wake()
    for kind in ("Accept", "Create", "Like"):
        assert "proof" not in json.dumps(await first(servers, author, kind))


async def test_only_public_activities_of_some_types_are_sealed() -> None:
    keys = KeyPair("https://hub.example/ap/p/1", generate_rsa(), generate_ed25519())
    create = {"id": "https://hub.example/ap/c/1", "type": "Create", "actor": keys.actor_uri}
    assert "proof" in sealed({**create, "to": [PUBLIC]}, keys, 0)
    assert "proof" in sealed({**create, "to": [], "cc": ["as:Public"]}, keys, 0)
    for other in (
        {**create, "to": [f"{keys.actor_uri}/followers"]},
        create,
        {**create, "type": "Like", "to": [PUBLIC]},
        {**create, "type": "Follow", "to": [PUBLIC]},
    ):
        assert "proof" not in sealed(other, keys, 0)


async def test_a_wrapped_document_keeps_its_context_and_proof_as_they_are() -> None:
    keys = KeyPair("https://hub.example/ap/p/1", generate_rsa(), generate_ed25519())
    inner = {"id": "https://peer.example/1", "type": "Create", "to": [PUBLIC]}
    foreign = proofs.create(
        {"@context": [AS, {"x": "https://x.example/ns#"}], **inner},
        keys.ed25519,
        "https://peer.example/key",
        "2026-11-21T10:00:00Z",
    )
    announce = {"type": "Announce", "to": [PUBLIC], "object": foreign}
    whole = sealed(announce, keys, 1_795_000_000_123)
    assert whole["object"] == foreign
    assert proofs.verify(foreign, keys.ed25519.public())
    assert proofs.verify(whole, keys.ed25519.public())
    assert whole["proof"]["created"] == "2026-11-18T11:06:40Z"
    assert "https://w3id.org/security/data-integrity/v1" in whole["@context"]
    # What is changed afterwards shows no proof of what it was.
    current = {"id": inner["id"], "type": "Create"}
    assert "proof" not in refreshed(whole, inner["id"], current)
    assert refreshed(whole, inner["id"], foreign) == whole
    assert "proof" not in without_copy(whole)
