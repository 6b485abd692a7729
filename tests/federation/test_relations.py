"""INV-15 to INV-21 of the security reference, end to end: relations need two, and what is private stays so."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from fedcomm.hub import follows, threads
from fedcomm.hub.composition import Draft
from tests.federation.acts import activity, anna_follows, create, other_body, stored, to_group
from tests.federation.inprocess import LocalHub, ScriptedStubs, moved_to
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


async def reply_of_anna(town: LocalHub, parent: int, text: str) -> int:
    async with town.db.transaction() as tx:
        content = await town.site.compose(tx, Draft(text), is_topic=False, author_id=town.anna)
        return await threads.create_reply(tx, town.anna, parent, content)


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
                activity(mallory, "Follow", group), inbox=f"{group}/inbox", change=other_body
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
