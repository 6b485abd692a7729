"""INV-1 to INV-25 of the security reference, end to end: the other server holds valid keys for its own
origin and tries everything else, or is honest and full of faults."""

from __future__ import annotations

import ast
import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from activitypub import cavage
from activitypub.keys import generate_rsa
from activitypub.network import NetworkPolicy, UrlRefused, url_allowed
from fedcomm.federation import intake, reception
from fedcomm.hub import follows, threads
from fedcomm.hub.composition import Draft
from tests.databases import SQLiteDatabases
from tests.federation.acts import Activity, activity, anna_follows, create, stored, to_group
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub, moved_to
from tests.federation.stub import ACTIVITY, AS, PUBLIC, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


async def reply_of_anna(town: LocalHub, parent: int, text: str) -> int:
    async with town.db.transaction() as tx:
        content = await town.site.compose(tx, Draft(text), is_topic=False, author_id=town.anna)
        return await threads.create_reply(tx, town.anna, parent, content)


# Authenticity


def _without(name: str) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        headers.pop(name)
        return headers, body

    return change


def _other_body(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    return headers, body.replace(b"Follow", b"Follow ")


def _signed_over(*names: str) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    """A signature that is right and covers less than it must."""

    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        fields = {name.lower(): value for name, value in headers.items()}
        message = cavage.signing_string(names, method="POST", target="/ap/inbox", fields=fields)
        signature = base64.b64encode(test_key().sign(message)).decode()
        key_id = headers["Signature"].split('keyId="')[1].split('"')[0]
        headers["Signature"] = (
            f'keyId="{key_id}",algorithm="rsa-sha256",headers="{" ".join(names)}",'
            f'signature="{signature}"'
        )
        return headers, body

    return change


def _another_time(seconds: int) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        headers["Date"] = formatdate(time.time() + seconds, usegmt=True)
        return _signed_over("(request-target)", "host", "date", "digest")(headers, body)

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        _without("Signature"),
        _without("Digest"),
        _without("Date"),
        _other_body,
        _signed_over("host", "date", "digest"),
        _signed_over("(request-target)", "date", "digest"),
        _signed_over("(request-target)", "host", "digest"),
        _signed_over("(request-target)", "host", "date"),
        _another_time(-7300),
        _another_time(7300),
    ],
)
async def test_inv_1_an_unsigned_or_partly_signed_activity_is_refused_without_a_trace(
    town: LocalHub, servers: ScriptedStubs, spoil: Any
) -> None:
    somebody = servers.somebody()
    follow = activity(somebody, "Follow", town.group_uri(town.group))
    await town.quiet()
    before = await town.fingerprint()
    assert await town.post(follow, change=spoil) == 401
    after = await town.fingerprint()
    # The profile and the key of the claimed signer may be remembered; nothing else may happen.
    assert after[0] == before[0]
    # (The last two tables still change by what was delivered before.)
    assert after[3:15] == before[3:15]
    assert await town.deliver(follow) == "done: membership active"


async def test_inv_1_a_signature_for_another_inbox_is_no_signature_for_this_one(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    follow = activity(somebody, "Follow", town.person(town.anna))
    body = json.dumps(follow).encode()
    other = f"{town.origin}/ap/p/{town.anna}/inbox"
    signed = cavage.sign("POST", other, body, test_key(), f"{somebody}#main-key")
    assert await town.post(body, signer=somebody, headers=signed) == 401


async def test_inv_2_the_actor_must_be_the_owner_of_the_key(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    mallory, victim = servers.somebody("mallory", host), servers.somebody("victim", host)
    elsewhere = servers.somebody("victim")
    for claimed in (victim, elsewhere):
        forged = activity(claimed, "Follow", town.group_uri(town.group))
        assert await town.post(forged, key_id=f"{mallory}#main-key") == 401
        assert not await town.count("SELECT count(*) FROM inbox WHERE uri = ?", forged["id"])
    # Nothing was fetched on behalf of somebody whose key was not even shown.
    assert servers.fetched(elsewhere) == 0


async def test_inv_2_nobody_elsewhere_acts_as_one_of_ours(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    for ours in (town.person(town.anna), f"{town.origin}/ap/instance"):
        forged = activity(ours, "Follow", town.group_uri(town.group))
        assert await town.post(forged, key_id=f"{mallory}#main-key") == 401
        assert await town.post(forged, key_id=f"{ours}#main-key") == 401


async def test_inv_3_a_key_counts_only_if_its_owner_lists_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    victim = servers.somebody("victim", host)
    pem = test_key().public().to_pem()
    key = {"id": f"{victim[:-6]}stray", "owner": victim, "publicKeyPem": pem, "type": "Key"}
    servers.script(key["id"], {"@context": AS, **key})
    forged = activity(victim, "Follow", town.group_uri(town.group))
    # The victim's own document has another key: the stray one says of itself whose it is.
    servers.host(host).actors["victim"]["publicKey"]["publicKeyPem"] = (
        generate_rsa().public().to_pem()
    )
    assert await town.post(forged, key_id=key["id"]) == 401
    assert await town.post(forged) == 401


async def test_inv_3_a_key_document_cannot_name_an_owner_elsewhere(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    victim = servers.somebody("victim")
    evil = servers.new_host("evil")
    pem = test_key().public().to_pem()
    origin = servers.host(evil).origin
    stray = servers.script(
        f"{origin}/key", {"id": f"{origin}/key", "owner": victim, "publicKeyPem": pem}
    )
    assert (
        await town.post(activity(victim, "Follow", town.group_uri(town.group)), key_id=stray) == 401
    )
    mallory = activity(f"{origin}/users/m", "Follow", town.group_uri(town.group))
    assert await town.post(mallory, key_id=stray) == 401


async def test_inv_3_an_actor_that_redirects_lends_no_key(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """The key id is on the liar's host, the document behind the redirect is the victim's."""
    victim = servers.somebody("victim")
    liar = f"{servers.host(servers.new_host('evil')).origin}/users/ghost"
    servers.script(liar, moved_to(victim))
    follow = activity(liar, "Follow", town.group_uri(town.group))
    assert await town.post(follow) == 401


async def test_inv_4_there_is_one_signer_or_none(town: LocalHub, servers: ScriptedStubs) -> None:
    mallory, victim = servers.somebody(), servers.somebody("victim")
    follow = activity(mallory, "Follow", town.group_uri(town.group))

    def twice(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        headers["Signature"] = f'keyId="{victim}#main-key",{headers["Signature"]}'
        return headers, body

    def both_styles(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        headers["Signature-Input"] = f'sig1=("@method");created=1;keyid="{victim}#main-key"'
        return headers, body

    assert await town.post(follow, change=twice) == 401
    assert await town.post(follow, change=both_styles) == 401


async def test_inv_5_a_document_is_believed_only_at_its_own_address(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    booster, victim = servers.somebody("booster"), servers.somebody("victim")
    await anna_follows(town, booster)
    origin = booster.split("/users/")[0]
    genuine = servers.note(victim, number="true", content="<p>what I said</p>")
    forged = {**genuine, "content": "<p>FORGED5</p>"}
    copy = servers.script(f"{origin}/copy", forged)
    assert (await town.deliver(activity(booster, "Announce", copy))).startswith("refused")
    assert await stored(town, genuine["id"]) is None
    assert await stored(town, copy) is None


async def test_inv_5_a_forged_author_behind_a_redirect_speaks_for_nobody(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """The note's author is on the liar's host and redirects to the victim, whose words they would become."""
    victim, booster = servers.somebody("victim"), servers.somebody("booster")
    await anna_follows(town, booster)
    origin = booster.split("/users/")[0]
    ghost = servers.script(f"{origin}/users/ghost", moved_to(victim))
    forged = servers.note(ghost, number=1, content="<p>FORGED5B</p>")
    announced = await town.deliver(activity(booster, "Announce", forged["id"]))
    assert announced.startswith("refused")
    # The same through what a reply answers.
    topic = servers.note(ghost, number=2, content="<p>FORGED5B</p>", **to_group(town))
    reply = servers.note(booster, number=3, inReplyTo=topic["id"])
    await town.deliver(create(reply))
    assert not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%FORGED5B%'")


async def test_inv_5_nothing_of_ours_comes_back_as_somebody_elses(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    booster = servers.somebody("booster")
    await anna_follows(town, booster)
    origin = booster.split("/users/")[0]
    for number, ours in enumerate((town.object_uri(town.topic), town.person(town.anna))):
        hop = servers.script(f"{origin}/hop{number}", moved_to(ours))
        assert (await town.deliver(activity(booster, "Announce", hop))).startswith("refused")
    like = f"{town.origin}/%"
    assert not await town.count("SELECT count(*) FROM objects WHERE uri LIKE ?", like)
    assert not await town.count("SELECT count(*) FROM actors WHERE uri LIKE ?", like)


@pytest.mark.parametrize(
    "author",
    [
        1,
        True,
        "1",
        None,
        [],
        {},
        "anna",
        ["https://nobody.test/u"],
        [[]],
        {"id": 1},
        "acct:anna@localhost",
    ],
)
async def test_inv_6_nobody_is_the_author_but_the_actor(
    town: LocalHub, servers: ScriptedStubs, author: Any
) -> None:
    mallory = servers.somebody()
    note = servers.note(mallory, **to_group(town), content="<p>FORGED6</p>")
    act = create(note)
    act["object"] = {**note, "attributedTo": author}
    assert (await town.deliver(act)).startswith("refused")
    assert await stored(town, note["id"]) is None


async def test_inv_6_author_and_object_and_actor_are_one(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    mallory, neighbour = servers.somebody("mallory", host), servers.somebody("neighbour", host)
    victim = servers.somebody("victim")
    for author, place in (
        (neighbour, mallory),  # same server, another person
        (victim, victim),  # another server altogether
        (victim, mallory),
        (mallory, victim),  # one's own words under another server's id
        (town.person(town.anna), mallory),
        (mallory, town.origin + "/ap/o"),  # … or under one of ours
    ):
        note = {**servers.note(mallory, number="x"), **to_group(town), "content": "<p>FORGED6</p>"}
        note |= {"attributedTo": author, "id": f"{place}/notes/{next(_numbers)}"}
        verdict = await town.deliver(activity(mallory, "Create", note))
        assert verdict.startswith("refused"), (author, place)
    assert not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%FORGED6%'")


async def test_inv_6_several_authors_are_read_in_one_way_only(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """What is stored under a name is what everybody else would read there: the first author."""
    mallory, victim = servers.somebody(), servers.somebody("victim")
    note = servers.note(mallory, **to_group(town))
    note["attributedTo"] = [victim, mallory]
    assert (await town.deliver(activity(mallory, "Create", note))).startswith("refused")


@pytest.mark.parametrize("kind", ["Update", "Delete"])
async def test_inv_6_what_others_wrote_is_not_changed(
    town: LocalHub, servers: ScriptedStubs, kind: str
) -> None:
    host = servers.new_host()
    author, neighbour = servers.somebody("author", host), servers.somebody("neighbour", host)
    mallory = servers.somebody()
    note = servers.note(author, **to_group(town), content="<p>mine</p>")
    assert await town.deliver(create(note)) == "done: stored"
    for who in (neighbour, mallory):
        for target in (note["id"], town.object_uri(town.topic)):
            changed: Any = {**note, "id": target, "content": "<p>FORGED6C</p>"}
            variants = [changed, {**changed, "attributedTo": who}, target]
            for thing in (
                variants if kind == "Update" else [target, {"type": "Tombstone", "id": target}]
            ):
                verdict = await town.deliver(activity(who, kind, thing))
                assert verdict.startswith("refused"), (who, thing)
    known = await stored(town, note["id"])
    assert known is not None and known.deleted_at is None and "mine" in known.html
    ours = await threads.thing(town.db, town.topic)
    assert ours is not None and ours.deleted_at is None and "FORGED" not in ours.html


async def test_inv_6_strangers_do_not_moderate(town: LocalHub, servers: ScriptedStubs) -> None:
    mallory = servers.somebody()
    follow = activity(mallory, "Follow", town.group_uri(town.group))
    assert await town.deliver(follow) == "done: membership active"
    topic, featured = town.object_uri(town.topic), f"{town.group_uri(town.group)}/featured"
    for attempt in (
        activity(mallory, "Lock", topic),
        activity(mallory, "Add", topic, target=featured),
        activity(mallory, "Remove", topic, target=featured),
        activity(mallory, "Undo", {"type": "Lock", "actor": mallory, "object": topic}),
        activity(
            mallory, "Undo", {"type": "Lock", "actor": town.person(town.anna), "object": topic}
        ),
    ):
        assert (await town.deliver(attempt)).startswith("refused")
    known = await threads.thing(town.db, town.topic)
    assert known is not None and known.locked_at is None and known.pinned_at is None


async def test_inv_7_an_announce_vouches_for_nothing_that_it_carries(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    group, victim = servers.somebody("bees", kind="Group"), servers.somebody("victim")
    await anna_follows(town, group)
    genuine = servers.note(victim, number="true", content="<p>genuine words</p>")
    forged = {**genuine, "content": "<p>FORGED7</p>"}
    wrapped = create(forged)
    assert (await town.deliver(activity(group, "Announce", wrapped))).startswith("done")
    known = await stored(town, genuine["id"])
    assert known is not None and "genuine" in known.html
    for inner in (
        activity(victim, "Update", {**forged, "updated": "2030-01-01T00:00:00Z"}),
        activity(victim, "Delete", genuine["id"]),
        activity(victim, "Undo", activity(victim, "Like", town.object_uri(town.topic))),
        activity(victim, "Like", town.object_uri(town.topic)),
        activity(town.person(town.anna), "Delete", town.object_uri(town.topic)),
        activity(victim, "Delete", victim),
        activity(victim, "Follow", town.group_uri(town.group)),
        activity(victim, "Flag", [town.object_uri(town.topic)]),
    ):
        before = await town.count("SELECT count(*) FROM reactions")
        await town.deliver(activity(group, "Announce", inner))
        assert await town.count("SELECT count(*) FROM reactions") == before, inner["type"]
    known = await stored(town, genuine["id"])
    assert known is not None and known.deleted_at is None
    assert not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%FORGED7%'")
    assert not await town.count(
        "SELECT count(*) FROM memberships m JOIN actors a ON a.id = m.actor_id WHERE a.uri = ?",
        victim,
    )


async def test_inv_7_an_accept_is_of_a_request_that_we_sent(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    target, neighbour = servers.somebody("target", host), servers.somebody("neighbour", host)
    stranger = servers.somebody("stranger")
    followed = await town.site.federation.find_actor(target)  # type: ignore[union-attr]
    assert followed is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, followed.id)
    town.site.wake()
    server = servers.host(host)
    await servers.until(lambda: "Follow" in server.kinds())
    follow = next(arrival.body for arrival in server.arrived if arrival.body["type"] == "Follow")
    made_up = {"type": "Follow", "actor": town.person(town.anna), "object": stranger}
    for who, wrapped in (
        (neighbour, follow),  # by another actor than the followed one
        (neighbour, follow["id"]),
        (stranger, follow["id"]),
        (stranger, made_up),  # of a request that was never made
        (stranger, {**made_up, "id": follow["id"]}),
        (stranger, {**made_up, "actor": town.person(town.ben), "object": target}),
        (target, f"{town.origin}/ap/c/1"),
        (target, {**made_up, "object": target}),
    ):
        assert (await town.deliver(activity(who, "Accept", wrapped))).startswith("refused")
        assert (await town.deliver(activity(who, "Reject", wrapped))).startswith("refused")
    still = await follows.find(town.db, town.ben, followed.id)
    assert still is not None and still.state == "requested"
    assert not await town.count(
        "SELECT count(*) FROM follows f JOIN actors a ON a.id = f.followed_id WHERE a.uri IN (?, ?)",
        stranger,
        neighbour,
    )
    assert await town.deliver(activity(target, "Accept", follow["id"])) == "done: follow accepted"


async def test_inv_7_an_undo_is_of_ones_own_act(town: LocalHub, servers: ScriptedStubs) -> None:
    host = servers.new_host()
    fan, neighbour = servers.somebody("fan", host), servers.somebody("neighbour", host)
    mallory = servers.somebody()
    topic = await town.write_topic(town.group, "Undo me not")
    like = activity(fan, "Like", town.object_uri(topic))
    follow = activity(fan, "Follow", town.group_uri(town.group))
    assert await town.deliver(like) == "done: like"
    assert await town.deliver(follow) == "done: membership active"
    for who in (neighbour, mallory):
        for mine in (like, follow):
            for wrapped in (mine, mine["id"], {**mine, "actor": who}, {**mine, "actor": [who]}):
                await town.deliver(activity(who, "Undo", wrapped))
    thing = await threads.thing(town.db, topic)
    assert thing is not None and thing.like_count == 1
    assert await town.count(
        "SELECT count(*) FROM memberships m JOIN actors a ON a.id = m.actor_id"
        " WHERE a.uri = ? AND m.state = 'active'",
        fan,
    )
    assert await town.deliver(activity(fan, "Undo", like["id"])) == "done: like withdrawn"


async def test_inv_8_a_linked_data_signature_grants_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """What comes with one is neither believed nor lost: it is asked of its origin, which has never heard of it."""
    forwarder, author = servers.somebody("forwarder"), servers.somebody("author")
    note = {**servers.note(author, **to_group(town)), "id": f"{author}/notes/never"}
    act = create(note)
    act["signature"] = {
        "type": "RsaSignature2017",
        "creator": f"{author}#main-key",
        "created": "2026-11-21T10:00:00Z",
        "signatureValue": "AAAA",
    }
    assert await town.post(act, key_id=f"{forwarder}#main-key") == 202
    await town.quiet()
    assert servers.fetched(note["id"]) == 1
    assert await stored(town, note["id"]) is None
    # Of what has no object to ask for there is nobody to ask.
    like = activity(author, "Like", town.object_uri(town.topic), signature=act["signature"])
    assert await town.post(like, key_id=f"{forwarder}#main-key") == 401


async def test_inv_9_nobody_takes_another_servers_ids_first(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory, victim = servers.somebody(), servers.somebody("victim")
    real = create(servers.note(victim, **to_group(town)))
    stolen = {**activity(mallory, "Like", town.object_uri(town.topic)), "id": real["id"]}
    assert await town.post(stolen) == 400
    assert await town.post({**stolen, "id": town.object_uri(1)}) == 400
    assert await town.deliver(real) == "done: stored"


async def test_inv_9_an_activity_takes_effect_once(town: LocalHub, servers: ScriptedStubs) -> None:
    author = servers.somebody("author")
    reply = create(servers.note(author, inReplyTo=town.object_uri(town.topic)))
    before = await threads.thing(town.db, town.topic)
    assert await town.deliver(reply) == "done: stored"
    for inbox in (None, f"{town.group_uri(town.group)}/inbox", f"{town.person(town.anna)}/inbox"):
        assert await town.post(reply, inbox=inbox) == 202
    await asyncio.gather(*(town.post(reply) for _ in range(5)))
    # The same words in another wrapper are still the same words.
    again = await town.deliver(create(reply["object"]))
    assert again.startswith("done")
    await town.quiet()
    after = await threads.thing(town.db, town.topic)
    assert before is not None and after is not None
    assert after.reply_count == before.reply_count + 1


async def test_inv_9_an_activity_that_takes_longer_than_its_lease_takes_effect_once(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker takes the lane over while the first one still waits for a slow server."""
    monkeypatch.setattr(intake, "LEASE_MS", 100)
    author = servers.somebody("author")
    slow = f"{author}/slow"
    note = servers.note(author, number=1, **to_group(town))
    asked = 0

    async def wait(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.6)
        return web.Response(text=json.dumps({**note, "id": slow}), content_type=ACTIVITY)

    servers.script(slow, wait)
    report = activity(author, "Flag", [town.object_uri(town.topic)], content="slow")
    slow_one = activity(author, "Create", slow)
    assert await town.post(slow_one) == 202
    assert await town.post(report) == 202
    await asyncio.sleep(0.3)
    town.site.federation._intake.wake()  # type: ignore[union-attr]
    assert await town.verdict(slow_one) == "done: stored"
    assert await town.verdict(report) == "done: report filed"
    uri = report["id"]
    assert await town.count("SELECT attempts FROM inbox WHERE uri = ?", slow_one["id"]) == 1
    assert await town.count("SELECT attempts FROM inbox WHERE uri = ?", uri) == 1
    assert await town.count("SELECT count(*) FROM journal j JOIN objects o ON o.id = j.object_id"
                            " WHERE o.uri = ? AND j.event = 'topic_created'", slow) == 1  # fmt: skip


@pytest.mark.parametrize(
    "disguise",
    [
        "{scheme}://user@{rest}",
        "{scheme}://{host}\\@evil.test/users/mallory",
        "{scheme}://{rest}\t",
        " {scheme}://{rest}",
        "ftp://{rest}",
        "{scheme}://{host}%2eevil/users/mallory",
        "{scheme}:/{rest}",
        "//{rest}",
        "{scheme}://[::1]{rest}",
    ],
)
async def test_inv_10_an_origin_in_disguise_is_none(
    town: LocalHub, servers: ScriptedStubs, disguise: str
) -> None:
    mallory = servers.somebody()
    scheme, _, rest = mallory.partition("://")
    odd = disguise.format(scheme=scheme, rest=rest, host=rest.partition("/")[0])
    like = activity(mallory, "Like", town.object_uri(town.topic))
    assert await town.post({**like, "actor": odd}, key_id=f"{mallory}#main-key") in (400, 401)
    assert await town.post({**like, "id": odd}) == 400


async def test_inv_10_upper_case_and_default_ports_are_the_same_origin(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    note = servers.note(author, **to_group(town))
    act = create(note)
    act["id"] = act["id"].replace("http://h", "HTTP://H")
    assert await town.post(act) == 202


# Parsing


async def test_inv_11_a_poisoned_activity_does_not_stop_the_next(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    topic = await town.write_topic(town.group, "After the poison")
    poison: tuple[Any, ...] = (
        {"id": []},
        [[]],
        {"type": {}},
        1,
        "",
        None,
        {"object": {"object": {}}},
    )
    for thing in poison:
        assert await town.post(activity(mallory, "Announce", thing)) in (202, 400)
    assert await town.deliver(activity(mallory, "Like", town.object_uri(topic))) == "done: like"


async def test_inv_12_a_number_is_never_an_id(town: LocalHub, servers: ScriptedStubs) -> None:
    """Ids of ours are numbers and ids of others are URLs; neither becomes the other (NodeBB, 2026)."""
    mallory = servers.somebody()
    local = town.topic
    # As numbers our ids are beyond what I-JSON allows; as anything else they are no URLs.
    assert await town.post(activity(mallory, "Like", local)) == 400
    for odd in (str(local), float(local), 1, [1], {"id": 1}, {"id": str(local)}, True):
        verdict = await town.deliver(activity(mallory, "Like", odd))
        assert verdict.startswith(("refused", "done: ignored")), odd
        verdict = await town.deliver(activity(mallory, "Follow", odd))
        assert verdict.startswith("refused"), odd
    for path in (
        f"/ap/o/0{local}",
        f"/ap/o/{local}.0",
        f"/ap/o/{local}/",
        f"/ap/o/-{local}",
        "/ap/o/1e3",
    ):
        verdict = await town.deliver(activity(mallory, "Like", town.origin + path))
        assert verdict.startswith("done: ignored"), path
    known = await threads.thing(town.db, local)
    assert known is not None and known.like_count == 0


@pytest.mark.parametrize(
    "fault",
    [
        b'"x": 1, "x": 2',
        b'"x": NaN',
        b'"x": 1e400',
        b'"x": 9007199254740993',
        b'"x": "\\u0000"',
        b'"x": "\\ud800"',
        b'"\\u0074ype": "Delete"',
        b'"x": ' + b"[" * 40 + b"]" * 40,
        b'"x": "\xff"',
    ],
)
async def test_inv_13_what_is_no_i_json_is_refused(
    town: LocalHub, servers: ScriptedStubs, fault: bytes
) -> None:
    mallory = servers.somebody()
    like = json.dumps(activity(mallory, "Like", town.object_uri(town.topic))).encode()
    assert await town.post(like[:-1] + b", " + fault + b"}", signer=mallory) == 400
    assert await town.post(like.decode().encode("utf-16"), signer=mallory) == 400
    assert await town.post(b"\xef\xbb\xbf" + like, signer=mallory) == 400


async def test_inv_13_documents_that_we_fetch_obey_the_same_rules(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    note = servers.note(author, **to_group(town))

    async def doubled(request: web.Request) -> web.Response:
        text = json.dumps(note)[:-1] + f', "attributedTo": "{author}"}}'
        return web.Response(text=text, content_type=ACTIVITY)

    servers.script(note["id"], doubled)
    assert (await town.deliver(activity(author, "Create", note["id"]))).startswith("refused")


async def test_inv_14_no_context_is_ever_fetched(town: LocalHub, servers: ScriptedStubs) -> None:
    contexts = servers.host(servers.new_host("contexts"))
    author = servers.somebody("author")
    remapped = [
        AS,
        f"{contexts.origin}/context",
        {"Note": "as:Person", "@vocab": f"{contexts.origin}/#"},
    ]
    note = servers.note(author, **to_group(town)) | {"@context": remapped}
    servers.host(author.split("/")[2].partition(":")[0]).actors["author"]["@context"] = remapped
    assert await town.deliver(create(note) | {"@context": remapped}) == "done: stored"
    assert contexts.fetched == [] and contexts.arrived == []


# Relations and visibility


async def test_inv_15_a_follow_is_active_only_after_the_answer(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    target = servers.somebody("target")
    followed = await town.site.federation.find_actor(target)  # type: ignore[union-attr]
    assert followed is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, followed.id)
    for_followers = servers.note(
        target, to=[f"{target}/followers"], cc=[], content="<p>EARLY15</p>"
    )
    await town.deliver(create(for_followers, to=[f"{target}/followers"]))
    cookie = await town.cookie()
    _, page = await town.get("/", cookie)
    assert "EARLY15" not in page
    state = await follows.find(town.db, town.anna, followed.id)
    assert state is not None and state.state == "requested"


async def test_inv_15_a_group_that_asks_first_has_no_uninvited_members(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    guarded = await town.make_group(f"guarded{next(_numbers)}", approval=True)
    mallory = servers.somebody()
    follow = activity(mallory, "Follow", town.group_uri(guarded))
    assert await town.deliver(follow) == "done: membership requested"
    # Answering one's own request, in the group's name or one's own, changes nothing.
    assert (await town.deliver(activity(mallory, "Accept", follow))).startswith("refused")
    topic = await town.write_topic(guarded, "For members of this group")
    await town.deliver(create(servers.note(mallory, inReplyTo=town.object_uri(topic))))
    assert not await town.count("SELECT count(*) FROM objects WHERE parent_id = ?", topic)
    await town.quiet()
    assert not servers.host(mallory.split("/")[2].partition(":")[0]).kinds()


@pytest.mark.parametrize(
    ("to", "cc"),
    [
        ([], []),
        (["{group}"], []),
        (["{author}/followers"], ["{group}"]),
        (["nonsense"], ["{group}"]),
    ],
)
async def test_inv_16_what_was_not_said_in_public_does_not_become_public(
    town: LocalHub, servers: ScriptedStubs, to: list[str], cc: list[str]
) -> None:
    author = servers.somebody("author")
    fill = {"group": town.group_uri(town.group), "author": author}
    note = servers.note(author, **to_group(town), content="<p>HUSH16</p>")
    note |= {"to": [t.format(**fill) for t in to], "cc": [c.format(**fill) for c in cc]}
    await town.deliver(create(note, to=note["to"], cc=note["cc"]))
    assert await stored(town, note["id"]) is None
    # A reply in the thread stays what it was, and goes no further.
    reply = {**note, "id": f"{author}/notes/r", "inReplyTo": town.object_uri(town.topic)}
    await town.deliver(create(reply, to=note["to"], cc=note["cc"]))
    await town.quiet()
    _, page = await town.get(f"/g/gardening/t/{town.topic}")
    assert "HUSH16" not in page
    _, replies = await servers.get(
        f"{town.object_uri(town.topic)}/replies", signer=servers.somebody()
    )
    assert reply["id"] not in json.dumps(replies)
    assert not await town.count("SELECT count(*) FROM activities WHERE body LIKE '%HUSH16%'")


async def test_inv_16_an_update_can_narrow_and_never_widen(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    await anna_follows(town, author)
    narrow = servers.note(
        author, number=1, to=[f"{author}/followers"], cc=[], content="<p>for some</p>"
    )
    assert await town.deliver(create(narrow, to=narrow["to"])) == "done: stored"
    wide = {**narrow, "to": [PUBLIC], "updated": "2026-11-21T10:00:00Z"}
    assert await town.deliver(activity(author, "Update", wide)) == "done: refreshed"
    known = await stored(town, narrow["id"])
    assert known is not None and known.visibility == "followers"
    topic = servers.note(author, number=2, **to_group(town))
    assert await town.deliver(create(topic)) == "done: stored"
    withdrawn = {**topic, "to": [author], "cc": [], "updated": "2026-11-21T10:00:00Z"}
    assert await town.deliver(activity(author, "Update", withdrawn)) == "done: edited"
    known = await stored(town, topic["id"])
    assert known is not None and known.visibility == "direct"
    assert (await town.get(f"/o/{known.id}"))[0] == 404


async def test_inv_17_blind_copies_are_not_repeated(town: LocalHub, servers: ScriptedStubs) -> None:
    member = servers.somebody("member", software="lemmy")
    assert await town.deliver(activity(member, "Follow", town.group_uri(town.group)))
    author = servers.somebody("author")
    note = servers.note(
        author, **to_group(town), bto=["https://blind.test/u"], bcc=["https://blind.test/u"]
    )
    act = create(note, bcc=["https://blind.test/u"], bto="https://blind.test/u")
    assert await town.deliver(act) == "done: stored"
    server = servers.host(member.split("/")[2].partition(":")[0])
    await servers.until(
        lambda: any(note["id"] in json.dumps(arrival.body) for arrival in server.arrived)
    )
    assert "blind.test" not in json.dumps([arrival.body for arrival in server.arrived])


async def test_inv_17_a_private_group_sends_nothing_anywhere(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    await town.deliver(activity(mallory, "Follow", town.group_uri(town.secret)))
    topic = await town.write_topic(town.secret, "MARKERSECRET again")
    await reply_of_anna(town, topic, "MARKERSECRET reply")
    await town.quiet()
    arrived = [arrival.body for host in servers.hosts.values() for arrival in host.arrived]
    assert "MARKERSECRET" not in json.dumps(arrived)
    assert not any(town.group_uri(town.secret) in json.dumps(body) for body in arrived)


async def test_inv_18_who_follows_is_told_as_a_number_at_most(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    fan, reader = servers.somebody("fan"), servers.somebody("reader")
    assert await town.deliver(activity(fan, "Follow", town.group_uri(town.group)))
    assert await town.deliver(activity(fan, "Follow", town.person(town.anna)))
    for owner in (town.group_uri(town.group), town.person(town.anna)):
        for name in ("followers", "following"):
            status, document = await servers.get(f"{owner}/{name}?page=1", signer=reader)
            assert status == 200 and fan not in json.dumps(document)
            assert "items" not in document and "orderedItems" not in document
    status, document = await servers.get(f"{town.group_uri(town.secret)}/followers", signer=reader)
    assert (status, document) == (404, {"error": "There is nothing here."})


async def test_inv_19_a_move_needs_the_new_account_to_agree(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    old, new = servers.somebody("old"), servers.somebody("new")
    await anna_follows(town, old)
    move = activity(old, "Move", old, target=new)
    assert await town.deliver(move) == "refused: no-alias"
    assert (
        await town.deliver(activity(old, "Move", old, target=town.person(town.ben)))
    ).startswith("refused")
    assert (await town.deliver(activity(new, "Move", old, target=new))).startswith("refused")
    # A redirect to somebody who agrees is not agreement of the one that is named.
    agreeing = servers.somebody("agreeing", alsoKnownAs=[old])
    hop = f"{servers.host(servers.new_host('evil')).origin}/users/hop"
    servers.script(hop, moved_to(agreeing))
    assert (await town.deliver(activity(old, "Move", old, target=hop))).startswith("refused")


async def test_inv_19_a_move_is_followed_once_in_a_while(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    old = servers.somebody("old")
    await anna_follows(town, old)
    first = servers.somebody("first", alsoKnownAs=[old])
    second = servers.somebody("second", alsoKnownAs=[old])
    assert (
        await town.deliver(activity(old, "Move", old, target=first)) == "done: moved: 1 followers"
    )
    assert await town.deliver(activity(old, "Move", old, target=second)) == "refused: moved-lately"
    moved = await town.site.federation.find_actor(first)  # type: ignore[union-attr]
    assert moved is not None
    follow = await follows.find(town.db, town.anna, moved.id)
    # The new side has not accepted yet: nothing of theirs is ours to read (INV-15).
    assert follow is not None and follow.state == "requested"


async def test_inv_20_nothing_is_smuggled_into_a_private_group(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    secret, topic = town.group_uri(town.secret), town.object_uri(town.secret_topic)
    before = await town.fingerprint()
    for number, fields in enumerate(
        (
            {"inReplyTo": topic},
            to_group(town, town.secret),
            {"to": [secret, PUBLIC]},
            {"audience": secret},
            {"context": f"{town.origin}/ap/x/{town.secret_topic}"},
            {"inReplyTo": topic, **to_group(town, town.secret)},
            {"inReplyTo": topic, "audience": town.group_uri(town.group)},
        )
    ):
        note = servers.note(mallory, number=number, **fields)
        await town.deliver(create(note))
        assert await stored(town, note["id"]) is None, fields
    for attempt in (
        activity(mallory, "Follow", secret),
        activity(mallory, "Like", topic),
        activity(mallory, "Announce", topic),
        activity(mallory, "Delete", topic),
        activity(mallory, "Undo", {"type": "Follow", "actor": mallory, "object": secret}),
        activity(mallory, "Lock", topic),
        activity(mallory, "Add", topic, target=f"{secret}/featured"),
    ):
        await town.deliver(attempt)
    after = await town.fingerprint()
    assert after[0] == before[0] and after[3:8] == before[3:8]
    thing = await threads.thing(town.db, town.secret_topic)
    assert thing is not None and (thing.reply_count, thing.like_count, thing.share_count) == (
        0,
        0,
        0,
    )


async def test_inv_20_a_private_group_answers_like_one_that_does_not_exist(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    ghost, secret = town.group_uri(town.secret + 1), town.group_uri(town.secret)
    answers: dict[str, list[Any]] = {ghost: [], secret: []}
    for group in (ghost, secret):
        for path in ("", "/outbox", "/followers", "/following", "/featured", "/moderators"):
            answers[group].append(await servers.get(group + path, signer=mallory))
            answers[group].append(await servers.get(group + path))
        answers[group].append(
            await town.post(activity(mallory, "Follow", group), inbox=f"{group}/inbox")
        )
        answers[group].append(await town.post(activity(mallory, "Follow", group)))
        answers[group].append(
            await town.post(
                activity(mallory, "Follow", group), inbox=f"{group}/inbox", change=_other_body
            )
        )
    assert answers[ghost] == answers[secret]
    for known, unknown in ((town.secret_topic, town.secret_topic + 1),):
        for path in ("", "/replies", "/likes", "/shares"):
            assert await servers.get(
                town.object_uri(known) + path, signer=mallory
            ) == await servers.get(town.object_uri(unknown) + path, signer=mallory)
        assert await servers.get(
            f"{town.origin}/ap/x/{known}", signer=mallory
        ) == await servers.get(f"{town.origin}/ap/x/{unknown}", signer=mallory)
    for activity_id in [
        row["id"]
        for row in await town.db.all(
            "SELECT id FROM activities WHERE object_id = ?", town.secret_topic
        )
    ]:
        status, _ = await servers.get(f"{town.origin}/ap/c/{activity_id}", signer=mallory)
        assert status == 404
    name = town.origin.split("://")[1]
    hidden = await servers.get(f"{town.origin}/.well-known/webfinger?resource=acct:cellar@{name}")
    nobody = await servers.get(f"{town.origin}/.well-known/webfinger?resource=acct:nobody@{name}")
    assert hidden == nobody


async def test_inv_21_a_right_is_of_the_group_and_of_the_moment(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """A remote moderator of one group is nobody in another, and nobody after the demotion."""
    from fedcomm.hub import groups

    name = f"mods{next(_numbers)}"
    own = await town.make_group(name)
    helper = servers.somebody("helper")
    assert (
        await town.deliver(activity(helper, "Follow", town.group_uri(own)))
        == "done: membership active"
    )
    helper_id = await town.count("SELECT id FROM actors WHERE uri = ?", helper)
    async with town.db.transaction() as tx:
        await groups.add_member(tx, own, town.anna, helper_id, "moderator")
    here, there = await town.write_topic(own, "Here"), town.topic
    assert await town.deliver(activity(helper, "Lock", town.object_uri(here))) == "done: locked"
    assert (await town.deliver(activity(helper, "Lock", town.object_uri(there)))).startswith(
        "refused"
    )
    assert (await town.deliver(activity(helper, "Delete", town.object_uri(there)))).startswith(
        "refused"
    )
    featured = f"{town.group_uri(own)}/featured"
    pin = activity(helper, "Add", town.object_uri(there), target=featured)
    assert (await town.deliver(pin)).startswith("refused")
    async with town.db.transaction() as tx:
        await groups.add_member(tx, own, town.anna, helper_id, "member")
    unlock = activity(
        helper, "Undo", {"type": "Lock", "actor": helper, "object": town.object_uri(here)}
    )
    assert (await town.deliver(unlock)).startswith("refused")


# Network


def test_inv_22_one_module_makes_requests() -> None:
    """No other module of the two packages imports a client or opens a session of its own."""
    forbidden = {
        "requests",
        "httpx",
        "urllib3",
        "urllib.request",
        "http.client",
        "pycurl",
        "socket",
    }
    allowed = {"activitypub/client.py", "activitypub/network.py"}
    # Names of machines, free ports, and the look at our own server's socket.
    names_only = {
        "fedcomm/federation/lanes.py",
        "fedcomm/demo/ports.py",
        "fedcomm/selfcheck.py",
    }
    for path in sorted([*ROOT.glob("activitypub/**/*.py"), *ROOT.glob("fedcomm/**/*.py")]):
        relative = path.relative_to(ROOT).as_posix()
        if relative in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported = {node.module or ""}
            else:
                imported = set()
            found = imported & forbidden
            if relative in names_only or relative.startswith("fedcomm/cli/"):
                found -= {"socket"}
            assert not found, f"{relative} imports {found}"
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("ClientSession", "TCPConnector"), relative


@pytest_asyncio.fixture(loop_scope="module")
async def fortress(
    tmp_path: Path, migrated_sqlite: Path, servers: ScriptedStubs
) -> AsyncIterator[LocalHub]:
    """A hub that may reach one name of this machine, and no other address of it."""
    made = SQLiteDatabases(tmp_path, migrated_sqlite)
    settings: dict[str, dict[str, Any]] = {
        "federation": {"private_addresses": ["127.0.0.2/32"], "redirects": 2},
        "development": {"resolve": {"*.test": "127.0.0.2", "*.inside": "127.0.0.1"}},
    }
    async with local_hub(tmp_path, made.migrated(), servers, settings) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="module")
async def second_door(servers: ScriptedStubs) -> AsyncIterator[None]:
    """The other servers answer at 127.0.0.2 as well."""
    assert servers._runner is not None
    site = web.TCPSite(servers._runner, "127.0.0.2", servers.port)
    await site.start()
    yield
    await site.stop()


async def test_inv_23_no_redirect_leads_to_a_private_address(
    fortress: LocalHub, second_door: None, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    follow = activity(author, "Follow", fortress.group_uri(fortress.group))
    assert await fortress.deliver(follow) == "done: membership active"
    port = servers.port
    hosts = (f"x.inside:{port}", f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")
    for number, inside in enumerate((*hosts, f"[::ffff:127.0.0.1]:{port}", "169.254.169.254")):
        target = f"http://{inside}/users/admin"
        servers.host("x.inside")
        servers.host("localhost")
        hop = servers.script(f"{author}/hop{number}", moved_to(target))
        # As an object, as an actor whose key is wanted, as what a reply answers.
        verdict = await fortress.deliver(activity(author, "Create", hop))
        assert verdict.startswith("refused"), inside
        stranger = servers.script(f"{author}/stranger{number}", moved_to(target))
        assert await fortress.post(activity(stranger, "Like", "http://x.test/1")) == 401
        assert await fortress.post(activity(target, "Like", "http://x.test/1")) in (400, 401)
        reply = servers.note(author, number=number, inReplyTo=target)
        await fortress.deliver(create(reply))
    assert servers.hosts["x.inside"].fetched == [] == servers.hosts["localhost"].fetched


async def test_inv_23_a_profile_cannot_point_our_deliveries_inward(
    fortress: LocalHub, second_door: None, servers: ScriptedStubs
) -> None:
    port = servers.port
    for inbox in (
        f"http://x.inside:{port}/inbox",
        f"{fortress.origin}/ap/inbox",
        "http://127.0.0.1/inbox",
    ):
        liar = servers.somebody("liar", inbox=inbox)
        follow = activity(liar, "Follow", fortress.group_uri(fortress.group))
        assert await fortress.post(follow) == 401, inbox
        shared = servers.somebody("shared", endpoints={"sharedInbox": inbox})
        follow = activity(shared, "Follow", fortress.group_uri(fortress.group))
        assert await fortress.deliver(follow) == "done: membership active"
        row = await fortress.db.one("SELECT shared_inbox FROM actors WHERE uri = ?", shared)
        assert row is not None and row["shared_inbox"] is None
    await fortress.write_topic(fortress.group, "To everybody")
    await fortress.quiet()
    assert servers.host("x.inside").arrived == []


def test_inv_23_we_never_call_ourselves() -> None:
    """A sub-domain may name its parent's inbox as its shared one; the parent may be this hub."""
    policy = NetworkPolicy(own_origin="https://hub.example")
    for url in ("https://hub.example/ap/inbox", "https://HUB.example:443", "https://hub.example?x"):
        with pytest.raises(UrlRefused) as refused:
            url_allowed(url, policy)
        assert refused.value.reason == "own"
    assert url_allowed("https://hub.example.org/inbox", policy)
    assert url_allowed("https://www.hub.example/inbox", policy)


async def test_inv_24_one_activity_causes_few_fetches(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """A thousand ancestors, each on a host of its own with an author of its own."""
    names = [servers.new_host("chain") for _ in range(60)]
    authors = [servers.actor("author", name) for name in names]
    for number, author in enumerate(authors):
        above = f"{authors[(number + 1) % len(authors)]}/notes/1"
        servers.note(author, number=1, inReplyTo=above)
    child = servers.note(servers.somebody("child"), inReplyTo=f"{authors[0]}/notes/1")
    start = time.monotonic()
    await town.deliver(create(child))
    assert time.monotonic() - start < 10
    fetches = sum(len(servers.hosts[name].fetched) for name in names)
    assert 0 < fetches <= 30


async def test_inv_24_a_chain_that_bites_its_tail_ends(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    own = servers.note(author, number=1, inReplyTo=f"{author}/notes/1")
    two = servers.note(author, number=2, inReplyTo=f"{author}/notes/3")
    servers.note(author, number=3, inReplyTo=f"{author}/notes/2")
    for note in (own, two):
        assert (await town.deliver(create(note))).startswith("done: ignored")
    assert len(servers.host(author.split("/")[2].partition(":")[0]).fetched) <= 35


async def test_inv_24_an_answer_is_bounded_in_size_and_time(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": ACTIVITY})
        await answer.prepare(request)
        try:
            for _ in range(100):
                await answer.write(b" " * 65_536)
        except ConnectionError:
            pass
        return answer

    huge = servers.script(f"{author}/huge", endless)
    verdict = await town.deliver(activity(author, "Create", huge))
    assert verdict.startswith(("refused", "failed")), verdict


async def test_inv_24_a_slow_server_does_not_hold_a_worker_for_long(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fetch is within its own limit; together they may not exceed the one of the activity."""
    monkeypatch.setattr(intake, "ACTIVITY_SECONDS", 0.5)
    author = servers.somebody("author")
    for number in range(40):
        note = servers.note(author, number=number, inReplyTo=f"{author}/notes/{number + 1}")

        async def dripping(request: web.Request, note: Activity = note) -> web.Response:
            await asyncio.sleep(0.2)
            return web.Response(text=json.dumps(note), content_type=ACTIVITY)

        servers.script(note["id"], dripping)
    slow = create(servers.note(author, number="first", inReplyTo=f"{author}/notes/0"))
    assert await town.post(slow) == 202
    like = activity(author, "Like", town.object_uri(town.topic))
    start = time.monotonic()
    assert await town.deliver(like) == "done: like"
    assert time.monotonic() - start < 3
    assert (await town.verdict(slow)).startswith("failed")


async def test_inv_25_a_key_that_cannot_be_fetched_is_not_asked_for_again(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.host(servers.new_host())
    nobody = f"{host.origin}/users/nobody"
    for _ in range(10):
        assert await town.post(activity(nobody, "Like", town.object_uri(town.topic))) == 401
    assert servers.fetched(nobody) == 1


async def test_inv_25_inventing_keys_is_no_way_to_make_us_flood_somebody(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    victim = servers.host(servers.new_host("victim"))
    statuses = await asyncio.gather(
        *(
            town.post(activity(f"{victim.origin}/users/n{n}", "Like", town.object_uri(town.topic)))
            for n in range(120)
        )
    )
    assert set(statuses) <= {401, 503}
    assert len(victim.fetched) <= 40


async def test_inv_25_a_wrong_signature_causes_one_refetch_at_most(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    like = activity(somebody, "Follow", town.group_uri(town.group))
    assert await town.deliver(like) == "done: membership active"
    await town.db.append(
        "UPDATE actor_keys SET fetched_at = 1 WHERE uri = ?", (f"{somebody}#main-key",)
    )
    town.site.federation._directory._keys.clear()  # type: ignore[union-attr]
    fetched = servers.fetched(somebody)
    for _ in range(10):
        assert await town.post(like, change=_other_body) == 401
    assert servers.fetched(somebody) - fetched <= 1


async def test_one_host_cannot_fill_the_queue_of_all(
    tmp_path: Path,
    migrated_sqlite: Path,
    servers: ScriptedStubs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reception, "BUSY_LOOK_S", 0.0)
    made = SQLiteDatabases(tmp_path, migrated_sqlite)
    settings: dict[str, dict[str, Any]] = {
        "inbox": {"per_host_queued": 20},
        "server": {"workers": False},
    }
    async with local_hub(tmp_path, made.migrated(), servers, settings) as hub:
        flood, honest = servers.somebody("flood"), servers.somebody("honest")
        statuses = [
            await hub.post(activity(flood, "Like", hub.object_uri(hub.topic))) for _ in range(60)
        ]
        assert statuses[0] == 202 and statuses[-1] == 429
        assert await hub.post(activity(honest, "Like", hub.object_uri(hub.topic))) == 202


async def test_what_a_deleted_actor_had_queued_is_dropped(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    gone = servers.somebody("gone")
    like = activity(gone, "Like", town.object_uri(town.topic))
    assert await town.deliver(like) == "done: like"
    delete, late = (
        activity(gone, "Delete", gone),
        activity(gone, "Follow", town.group_uri(town.group)),
    )
    await asyncio.gather(town.post(delete), asyncio.sleep(0))
    status = await town.post(late)
    assert (await town.verdict(delete)).startswith("done: actor deleted")
    if status == 202:
        # Known again because its server still serves it: then it is a new start, not a revival.
        assert (await town.verdict(late)).startswith(("refused", "done"))


async def test_what_its_server_deleted_is_not_brought_back_by_an_announce(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, booster = servers.somebody("author"), servers.somebody("booster")
    await anna_follows(town, booster)
    note = servers.note(author)
    assert (
        await town.deliver(activity(author, "Delete", note["id"])) == "done: remembered as deleted"
    )
    await town.deliver(activity(booster, "Announce", note["id"]))
    assert await stored(town, note["id"]) is None
