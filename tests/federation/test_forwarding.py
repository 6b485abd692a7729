"""What comes or goes through others: proofs are believed, everything else is asked of its origin (INV-5 to INV-9)."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from activitypub import proofs
from activitypub.keys import PrivateKey, generate_ed25519
from fedcomm.federation.dispatch import is_forwardable
from fedcomm.hub import actors, follows, groups, threads
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, PUBLIC, Arrived, kind_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)
KEY = generate_ed25519()
LD_SIGNATURE = {
    "type": "RsaSignature2017",
    "creator": "https://peer.example/users/ida#main-key",
    "created": "2026-11-21T10:00:00Z",
    "signatureValue": "AAAA",
}

Activity = dict[str, Any]


def prover(servers: ScriptedStubs, name: str = "prover", **more: Any) -> str:
    """Somebody who publishes an Ed25519 key beside the other; their id."""
    host = servers.new_host()
    uri = f"{servers.host(host).origin}/users/{name}"
    key = {
        "id": f"{uri}#ed25519",
        "type": "Multikey",
        "controller": uri,
        "publicKeyMultibase": KEY.public().to_multibase(),
    }
    return servers.actor(name, host, assertionMethod=[key], **more)


def activity(actor: str, kind: str, thing: Any, **more: Any) -> Activity:
    return {
        "@context": [AS, "https://w3id.org/security/data-integrity/v1"],
        "id": f"{actor}/activities/{next(_numbers)}",
        "type": kind,
        "actor": actor,
        "object": thing,
        "to": [PUBLIC],
        **more,
    }


def proven(act: Activity, key: PrivateKey = KEY, *, days_ago: float = 0) -> Activity:
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days_ago * 86_400))
    return proofs.create(act, key, f"{act['actor']}#ed25519", made)


def answer(town: LocalHub, servers: ScriptedStubs, author: str, **more: Any) -> Activity:
    """The Create of a reply to the group's topic."""
    note = servers.note(
        author,
        number=f"n{next(_numbers)}",
        inReplyTo=town.object_uri(town.topic),
        **{"content": "<p>Honest words.</p>", **more},
    )
    return activity(author, "Create", dict(note))


def forged(act: Activity, text: str = "<p>FORGED</p>") -> Activity:
    return {**act, "object": {**act["object"], "content": text}}


async def stored(town: LocalHub, uri: str) -> threads.Thing | None:
    return await threads.thing_by_uri(town.db, uri)


async def verdict_of(town: LocalHub, act: Activity, key_id: str, seconds: float = 15.0) -> str:
    """POST it signed by somebody else, wait for what became of it."""
    known = set(await _rows(town))
    assert await town.post(act, key_id=key_id) == 202
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for number, verdict in (await _rows(town)).items():
            if number not in known and not verdict.startswith("waiting"):
                return verdict
        await asyncio.sleep(0.01)
    raise AssertionError("not processed")


async def _rows(town: LocalHub) -> dict[int, str]:
    rows = await town.db.all("SELECT id, state, verdict FROM inbox")
    return {row["id"]: f"{row['state']}: {row['verdict']}" for row in rows}


async def no_forgery(town: LocalHub) -> bool:
    return not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%FORGED%'")


# Inbound, forwarded


async def test_inv_5_a_forwarded_activity_with_its_actors_proof_is_believed_without_asking(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, forwarder = prover(servers), servers.somebody("forwarder")
    act = proven(answer(town, servers, author))
    assert await verdict_of(town, act, f"{forwarder}#main-key") == "done: stored"
    thing = await stored(town, act["object"]["id"])
    assert thing is not None and "Honest words." in thing.html
    assert servers.fetched(act["object"]["id"]) == 0
    # The same activity from its author has come already.
    assert await town.post(act) == 202
    like = proven(activity(author, "Like", town.object_uri(town.topic)))
    assert await verdict_of(town, like, f"{forwarder}#main-key") == "done: like"
    edited = {
        **act["object"],
        "content": "<p>Better words.</p>",
        "updated": "2026-11-21T12:00:00Z",
    }
    update = proven(activity(author, "Update", edited))
    assert await verdict_of(town, update, f"{forwarder}#main-key") == "done: edited"
    gone = proven(activity(author, "Delete", act["object"]["id"]))
    assert await verdict_of(town, gone, f"{forwarder}#main-key") == "done: deleted"


async def test_inv_5_a_proof_that_does_not_fit_is_no_proof(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, forwarder = prover(servers), servers.somebody("forwarder")
    other = prover(servers, "other")
    like = activity(author, "Like", town.object_uri(town.topic))
    key_id = f"{forwarder}#main-key"
    stranger = generate_ed25519()
    elsewhere = proofs.create(like, KEY, f"{other}#ed25519", "2026-11-21T10:00:00Z")
    for bad in (
        {**proven(like), "object": town.object_uri(town.secret_topic)},
        {**proven(like), "actor": f"{author}x"},
        proven(like, stranger),
        proven(like, days_ago=60),
        proven(like, days_ago=-2),
        elsewhere,
        like,
        {**like, "proof": {"type": "DataIntegrityProof"}},
        {**like, "signature": LD_SIGNATURE},
        {key: value for key, value in proven(like).items() if key != "id"},
    ):
        assert await town.post(bad, key_id=key_id) == 401, bad
    assert not await town.count("SELECT count(*) FROM reactions WHERE uri = ?", like["id"])


async def test_inv_2_a_relation_comes_from_its_own_end_only(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """A proof can be carried anywhere: nobody joins, moves or blocks by somebody else's hand."""
    author, forwarder = prover(servers), servers.somebody("forwarder")
    for kind in ("Follow", "Accept", "Reject", "Move", "Block", "Flag"):
        act = proven(activity(author, kind, town.group_uri(town.group)))
        assert await town.post(act, key_id=f"{forwarder}#main-key") == 401, kind


async def test_inv_8_what_is_forwarded_without_a_proof_is_fetched_from_its_origin(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, forwarder = servers.somebody("author"), servers.somebody("forwarder")
    key_id = f"{forwarder}#main-key"
    act = answer(town, servers, author)
    lie = {**forged(act), "signature": LD_SIGNATURE}
    assert await verdict_of(town, lie, key_id) == "done: stored from its origin"
    uri = act["object"]["id"]
    thing = await stored(town, uri)
    assert thing is not None and "Honest words." in thing.html and await no_forgery(town)

    lie = activity(author, "Update", {**act["object"], "content": "<p>FORGED</p>"})
    servers.publish({**act["object"], "content": "<p>Newer words.</p>"})
    assert await verdict_of(town, {**lie, "signature": LD_SIGNATURE}, key_id) == "done: edited"
    thing = await stored(town, uri)
    assert thing is not None and "Newer words." in thing.html and await no_forgery(town)

    lie = activity(author, "Delete", uri, signature=LD_SIGNATURE)
    assert "still there" in await verdict_of(town, lie, key_id)
    del servers.hosts[uri.split("/")[2].partition(":")[0]].objects[uri]
    true = activity(author, "Delete", uri, signature=LD_SIGNATURE)
    assert await verdict_of(town, true, key_id) == "done: deleted"
    thing = await stored(town, uri)
    assert thing is not None and thing.deleted_at is not None


async def test_inv_6_hearsay_about_nothing_or_somebody_elses_is_refused(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, forwarder = servers.somebody("author"), servers.somebody("forwarder")
    key_id = f"{forwarder}#main-key"
    act = answer(town, servers, author)
    invented = {**forged(act), "object": {**act["object"], "id": f"{author}/notes/never"}}
    assert (await verdict_of(town, invented, key_id)).startswith("refused")
    # Written by somebody else on the same server.
    neighbour = servers.actor("neighbour", author.split("/")[2].partition(":")[0])
    note = servers.note(neighbour, number="x", inReplyTo=town.object_uri(town.topic))
    stolen = activity(author, "Create", {**note, "attributedTo": author})
    assert await verdict_of(town, stolen, key_id) == "refused: not-the-author"
    private = answer(town, servers, author, to=[f"{author}/followers"], cc=[])
    assert await verdict_of(town, private, key_id) == "refused: not-public"
    # About an object on another host than its actor, or on ours.
    foreign = {**act, "object": {**act["object"], "id": f"{forwarder}/notes/1"}}
    assert await town.post(foreign, key_id=key_id) == 401
    ours = activity(author, "Delete", town.object_uri(town.topic))
    assert await town.post(ours, key_id=key_id) == 401
    assert await no_forgery(town)


async def test_inv_9_hearsay_does_not_take_the_place_of_the_activity_itself(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, forwarder = servers.somebody("author"), servers.somebody("forwarder")
    real = answer(town, servers, author)
    early = {**real, "object": {**real["object"], "id": f"{author}/notes/not-yet"}}
    assert (await verdict_of(town, early, f"{forwarder}#main-key")).startswith("refused")
    assert await town.deliver(real) == "done: stored"


async def test_hearsay_waits_for_an_origin_that_is_down(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """The row is the job: it is tried again, and survives a restart like every other."""
    from aiohttp import web

    author, forwarder = servers.somebody("author"), servers.somebody("forwarder")
    act = answer(town, servers, author)
    asked = 0

    async def moody(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503)

    servers.script(act["object"]["id"], moody)
    assert await town.post(act, key_id=f"{forwarder}#main-key") == 202
    deadline = time.monotonic() + 10
    while not asked and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    servers.scripts.pop(act["object"]["id"])
    client = town.site.federation._client  # type: ignore[union-attr]
    while await stored(town, act["object"]["id"]) is None and time.monotonic() < deadline:
        client.negative.forget(author.split("/")[2])
        await asyncio.sleep(0.05)
    assert await stored(town, act["object"]["id"]) is not None


# Inbound, announced


async def test_inv_7_an_announced_activity_with_its_authors_proof_needs_no_fetch(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    club = servers.somebody("club", kind="Group")
    found = await town.site.federation.find_actor(club)  # type: ignore[union-attr]
    assert found is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, found.id)
        await follows.accept(tx, town.anna, found.id)
    author = prover(servers)
    note = servers.note(author, number="p", content="<p>Honest words.</p>")
    create = proven(activity(author, "Create", dict(note)))
    assert await town.deliver(activity(club, "Announce", create)) == "done: shared"
    thing = await stored(town, note["id"])
    assert thing is not None and "Honest words." in thing.html
    assert servers.fetched(note["id"]) == 0

    # With a proof that does not fit, what the origin says counts.
    other = servers.note(author, number="q", content="<p>Honest words.</p>")
    lie = forged(proven(activity(author, "Create", dict(other))))
    assert await town.deliver(activity(club, "Announce", lie)) == "done: shared"
    assert servers.fetched(other["id"]) == 1
    lie = activity(
        author, "Update", {**note, "content": "FORGED", "updated": "2026-11-21T12:00:00Z"}
    )
    assert await town.deliver(activity(club, "Announce", lie)) == "done: edited"
    assert servers.fetched(note["id"]) == 1
    edited = {**note, "content": "<p>Proven edit.</p>", "updated": "2026-11-21T13:00:00Z"}
    update = proven(activity(author, "Update", edited))
    assert (await town.deliver(activity(club, "Announce", update))).startswith("done:")
    assert servers.fetched(note["id"]) == 1
    assert await no_forgery(town)

    lie = activity(author, "Delete", note["id"])
    assert "still there" in await town.deliver(activity(club, "Announce", lie))
    gone = proven(activity(author, "Delete", note["id"]))
    assert await town.deliver(activity(club, "Announce", gone)) == "done: deleted"


# Outbound


async def follower(town: LocalHub, servers: ScriptedStubs, software: str) -> str:
    """The host of somebody who joined the group, on a server of this software."""
    host = servers.new_host(software)
    servers.host(host).software = software
    fan = servers.somebody("fan", host)
    await town.deliver(activity(fan, "Follow", town.group_uri(town.group)))
    await servers.until(lambda: "Accept" in servers.hosts[host].kinds(), why=host)
    await town.quiet()
    servers.hosts[host].arrived.clear()
    return host


async def test_a_group_forwards_what_carries_a_proof_to_microblogs_byte_by_byte_once(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mastodon, lemmy = (
        await follower(town, servers, "mastodon"),
        await follower(town, servers, "lemmy"),
    )
    author = prover(servers)
    act = proven(answer(town, servers, author, cc=[town.group_uri(town.group)]))
    # Spaces and order as no serialiser of ours writes them.
    body = json.dumps(act, indent=3).encode()

    def got(host: str, kind: str) -> list[Arrived]:
        return [one for one in servers.hosts[host].arrived if kind_of(one.body) == kind]

    async def hand_over(raw: bytes) -> None:
        assert await town.post(raw, signer=author) == 202
        assert (await town.verdict(json.loads(raw))).startswith("done")
        await town.quiet()

    await hand_over(body)
    (forward,) = got(mastodon, "Create")
    assert forward.raw == body
    assert f'keyId="{town.group_uri(town.group)}#main-key"' in forward.headers["Signature"]
    assert not got(lemmy, "Create") and len(got(lemmy, "Announce/Create")) == 1
    wrapped = got(lemmy, "Announce/Create")[0].body["object"]
    assert wrapped == act and proofs.verify(wrapped, KEY.public())
    # Its own server has it.
    assert "Create" not in servers.hosts[author.split("/")[2].partition(":")[0]].kinds()

    # Again, by another way: not twice.
    forwarder = servers.somebody("forwarder")
    assert await town.post(body, key_id=f"{forwarder}#main-key", signer=forwarder) == 202
    await town.quiet()
    assert len(got(mastodon, "Create")) == 1

    update = proven(
        activity(author, "Update", {**act["object"], "updated": "2026-11-21T12:00:00Z"})
    )
    await hand_over(json.dumps(update).encode())
    assert [one.body for one in got(mastodon, "Update")] == [update]
    delete = proven(activity(author, "Delete", act["object"]["id"]))
    await hand_over(json.dumps(delete).encode())
    assert [one.body for one in got(mastodon, "Delete")] == [delete]

    # Under no id of ours can it be had.
    rows = await town.db.all("SELECT id FROM activities WHERE type = 'Forward'")
    reader = servers.somebody("reader")
    for row in rows:
        status, _ = await servers.get(f"{town.origin}/ap/c/{row['id']}", signer=reader)
        assert status == 404


@pytest.mark.parametrize("by", ["author", "moderator"])
async def test_a_delete_that_names_no_context_is_announced_and_holds_up_nothing(
    town: LocalHub, servers: ScriptedStubs, by: str
) -> None:
    """Nobody needs a context who reads plain JSON; and no one else's key is ours to prove anything with."""
    lemmy = servers.hosts[await follower(town, servers, "lemmy")]
    author = deleter = servers.somebody("author")
    act = answer(town, servers, author, cc=[town.group_uri(town.group)])
    assert await town.deliver(act) == "done: stored"
    if by == "moderator":
        deleter = servers.somebody("keeper")
        await town.deliver(activity(deleter, "Follow", town.group_uri(town.group)))
        person = await actors.actor_by_uri(town.db, deleter)
        assert person is not None
        async with town.db.transaction() as tx:
            await groups.add_member(tx, town.group, town.anna, person.id, "moderator")
    await town.quiet()
    gone = activity(deleter, "Delete", act["object"]["id"], summary="Enough.")
    del gone["@context"]
    assert (await town.deliver(gone)).startswith("done")
    await town.quiet()
    (told,) = (one for one in lemmy.arrived if kind_of(one.body) == "Announce/Delete")
    assert told.body["object"] == gone
    assert await town.count("SELECT count(*) FROM outbox_failures") == 0


async def test_an_ld_signature_is_handed_on_and_nothing_else_is(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mastodon = servers.hosts[await follower(town, servers, "mastodon")]
    author = prover(servers)
    signed = {**answer(town, servers, author), "signature": LD_SIGNATURE}
    plain = answer(town, servers, author)
    hidden = proven(answer(town, servers, author, to=[f"{author}/followers"], cc=[]))
    hidden_to = proven({**answer(town, servers, author, to=[f"{author}/followers"]), "to": []})
    unlisted = proven(answer(town, servers, author, to=[f"{author}/followers"], cc=[PUBLIC]))
    for act in (signed, plain, hidden, hidden_to, unlisted):
        await town.deliver(act)
    await town.quiet()
    creates = [one.body for one in mastodon.arrived if one.body["type"] == "Create"]
    assert creates == [signed]


async def test_only_what_is_public_and_provable_is_forwardable() -> None:
    note = {"type": "Note", "to": [PUBLIC]}
    assert is_forwardable({"type": "Create", "object": note, "proof": {}})
    assert is_forwardable({"type": "Create", "cc": "as:Public", "signature": {}})
    assert is_forwardable({"type": "Delete", "object": "x", "proof": {}})
    assert not is_forwardable({"type": "Create", "object": note})
    assert not is_forwardable({"type": "Create", "object": {"to": ["x"]}, "proof": {}})
