"""INV-1 to INV-10 of the security reference, end to end: the other server holds valid keys for its own origin and
tries everything else."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from activitypub import cavage
from activitypub.keys import generate_rsa
from fedcomm.federation import intake
from fedcomm.hub import follows, threads
from tests.federation.acts import activity, anna_follows, create, other_body, stored, to_group
from tests.federation.inprocess import LocalHub, ScriptedStubs, moved_to
from tests.federation.stub import ACTIVITY, AS, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


def _without(name: str) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        headers.pop(name)
        return headers, body

    return change


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
        other_body,
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
