"""What a hostile server tries with quotes, proofs, events, and with what waits for a moderator."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from activitypub.vocabulary import MENTION_LIMIT
from fedcomm.hub import (
    events,
    follows,
    groups,
    holding,
    members,
    participation,
    policy_changes,
    quotes,
    threads,
)
from fedcomm.hub.policies import Entry
from tests.federation.acts import activity
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC
from tests.federation.test_backfill import arrive, paged, rest, until
from tests.federation.test_events import remote_event
from tests.federation.test_forwarding import proven, prover, verdict_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Document = dict[str, Any]
SPAM = "Register today at the best exchange of them all and get one hundred coins as a gift"
_numbers = itertools.count(1)


def spam(servers: ScriptedStubs, author: str, number: int, **more: Any) -> Document:
    words = f"{SPAM} storm{number} and storm{number} again for storm{number} friends"
    return servers.note(author, number=f"s{next(_numbers)}", content=f"<p>{words}</p>", **more)


async def stored(town: LocalHub, note: Document) -> threads.Thing | None:
    return await threads.thing_by_uri(town.db, note["id"])


async def seen_here(town: LocalHub, servers: ScriptedStubs, number: int) -> None:
    """Enough people have said it that the next one's would wait."""
    for _ in range(3):
        note = spam(
            servers, servers.somebody("first"), number, inReplyTo=town.object_uri(town.topic)
        )
        await town.deliver(activity(note["attributedTo"], "Create", note))


async def followed_by_anna(town: LocalHub, who: str) -> int:
    found = await town.site.federation.find_actor(who)  # type: ignore[union-attr]
    assert found is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, found.id)
        await follows.accept(tx, town.anna, found.id)
    town.site.wake()
    return found.id


async def suspend(town: LocalHub, host: str) -> None:
    async with town.db.transaction() as tx:
        entry = Entry(host, "suspend")
        await policy_changes.apply(tx, {host: entry}, by=None, kind="set", reason="Because.")
    town.site.federation.policies_changed()  # type: ignore[union-attr]


def authority(uri: str) -> str:
    return uri.split("/")[2]


# Doors past the moderators


async def test_a_wave_does_not_come_in_as_requests_to_quote(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await seen_here(town, servers, 1)
    topic = town.object_uri(town.topic)
    note = spam(servers, servers.somebody("quoter"), 1, inReplyTo=topic, quote=topic)
    asked = activity(note["attributedTo"], "QuoteRequest", topic, instrument=note)
    assert (await town.deliver(asked)).startswith("suspect:")
    assert await stored(town, note) is None


async def test_a_wave_does_not_come_in_above_an_answer_to_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await seen_here(town, servers, 2)
    topic = town.object_uri(town.topic)
    above = spam(servers, servers.somebody("above"), 2, inReplyTo=topic)
    below = servers.note(
        servers.somebody("below"), number=next(_numbers), content="So true!", inReplyTo=above["id"]
    )
    act = activity(below["attributedTo"], "Create", below)
    assert (await town.deliver(act)).startswith("suspect:")
    assert await stored(town, above) is None
    # A moderator who lets the answer in lets in what it stands below.
    entry = next(
        one for one in await holding.entries(town.db, town.anna) if below["id"] in one.body
    )
    assert entry.author.uri == below["attributedTo"]
    async with town.db.transaction() as tx:
        await holding.release(tx, town.anna, entry.id)
    await town.site.federation.let_in()  # type: ignore[union-attr]
    await town.quiet()
    assert await stored(town, above) is not None
    assert await stored(town, below) is not None


async def test_a_wave_does_not_come_in_as_what_something_quotes(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await seen_here(town, servers, 3)
    topic = town.object_uri(town.topic)
    quoted = spam(servers, servers.somebody("quoted"), 3, inReplyTo=topic)
    note = servers.note(
        servers.somebody("quoting"),
        number=next(_numbers),
        content="Look at this.",
        inReplyTo=topic,
        quote=quoted["id"],
    )
    await town.deliver(activity(note["attributedTo"], "Create", note))
    known = await stored(town, quoted)
    assert known is None or known.group_id is None


async def test_a_wave_does_not_come_in_by_the_hand_of_an_accomplice(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await seen_here(town, servers, 4)
    topic = town.object_uri(town.topic)
    note = spam(servers, servers.somebody("distant"), 4, inReplyTo=topic)
    act = activity(note["attributedTo"], "Create", note)
    accomplice = servers.somebody("accomplice")
    verdict = await verdict_of(town, act, f"{accomplice}#main-key")
    assert verdict == "refused: looks-like-abuse"
    assert await stored(town, note) is None
    # From its author it waits, as ever.
    assert (await town.deliver(act | {"id": f"{act['id']}/own"})).startswith("suspect:")


async def test_a_wave_does_not_come_in_as_what_a_conversation_lists(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await seen_here(town, servers, 5)
    author = servers.somebody("lister")
    root = f"{author}/notes/root"
    listed = spam(servers, servers.somebody("listed"), 5, inReplyTo=root)
    honest = servers.note(
        servers.somebody("guest"), number=next(_numbers), content="Nice.", inReplyTo=root
    )
    context = paged(servers, f"{author}/context", [listed["id"], honest["id"]])
    thread = await arrive(town, servers, author, context=context)
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", honest["id"])
    await rest(town, thread)
    assert servers.fetched(listed["id"]) == 1
    assert await stored(town, listed) is None


async def test_a_message_is_for_as_many_people_as_one_may_mention(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    sender = servers.somebody("sender")
    await followed_by_anna(town, sender)
    async with town.db.transaction() as tx:
        people = [
            await members.create_member(tx, f"reader{number}")
            for number in range(MENTION_LIMIT + 1)
        ]
    note = servers.note(
        sender,
        number=next(_numbers),
        content="<p>To you all.</p>",
        to=[f"{town.origin}/ap/p/{person}" for person in people],
        cc=[],
    )
    assert await town.deliver(activity(sender, "Create", note, to=note["to"])) == "done: stored"
    known = await stored(town, note)
    assert known is not None and known.visibility == "direct"
    named = await town.count("SELECT count(*) FROM mentions WHERE object_id = ?", known.id)
    assert named == MENTION_LIMIT


# Consent


async def test_inv_6_consent_is_not_had_through_the_post_of_a_neighbour(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    bob, mallory = servers.somebody("bob", host), servers.somebody("mallory", host)
    topic = town.object_uri(town.topic)
    note = servers.note(bob, number=next(_numbers), content="Mine.", inReplyTo=topic)
    assert await town.deliver(activity(bob, "Create", note)) == "done: stored"
    forged = {**note, "attributedTo": mallory, "quote": topic}
    asked = activity(mallory, "QuoteRequest", topic, instrument=forged)
    assert "accepted" not in await town.deliver(asked)
    known = await stored(town, note)
    assert known is not None
    assert await quotes.of_object(town.db, known.id) is None


async def test_inv_6_a_neighbour_does_not_change_what_may_be_done_with_a_post(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    host = author.split("/")[2].partition(":")[0]
    neighbour = servers.actor("neighbour", host)
    note = servers.note(
        author,
        number=next(_numbers),
        content="<p>Quiet.</p>",
        inReplyTo=town.object_uri(town.topic),
    )
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    # The very words, so that nothing seems to be edited.
    theirs = note | {
        "attributedTo": neighbour,
        "interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC]}},
    }
    verdict = await town.deliver(activity(neighbour, "Update", theirs))
    assert verdict == "refused: not-the-author"
    known = await stored(town, note)
    assert known is not None and known.quote_policy is None


async def test_inv_20_an_edit_cannot_make_a_private_post_stand_in_a_public_one(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody()
    note = servers.note(
        author, number=next(_numbers), content="Mine.", inReplyTo=town.object_uri(town.topic)
    )
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    known = await stored(town, note)
    assert known is not None
    said = []
    for target in (town.object_uri(town.secret_topic), town.object_uri(1)):
        edited = {**note, "quote": target, "updated": f"2031-01-01T00:00:0{len(said)}Z"}
        said.append(await town.deliver(activity(author, "Update", edited)))
        assert await quotes.of_object(town.db, known.id) is None
    # What is there and what is not look the same.
    assert said == ["done: edited", "done: edited"]


# Suspended servers


async def test_inv_8_a_proof_does_not_carry_words_out_of_a_suspended_server(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    carol = prover(servers, "carol")
    group = servers.somebody("club", kind="Group")
    await followed_by_anna(town, group)

    def wrapped(act: Document) -> Document:
        return activity(group, "Announce", proven(act))

    first = servers.note(carol, number=next(_numbers), content="Before.")
    assert await town.deliver(wrapped(activity(carol, "Create", first))) == "done: shared"
    await suspend(town, authority(carol))
    second = servers.note(carol, number=next(_numbers), content="After.")
    assert (await town.deliver(wrapped(activity(carol, "Create", second)))).startswith("refused")
    assert await stored(town, second) is None
    edited = {**first, "content": "Edited.", "updated": "2031-01-01T00:00:00Z"}
    assert (await town.deliver(wrapped(activity(carol, "Update", edited)))).startswith("refused")
    kept = await stored(town, first)
    assert kept is not None and "Edited" not in kept.html


# Events


async def test_inv_6_a_neighbour_does_not_answer_for_who_organises_an_event(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    paula, mallory = servers.somebody("paula", host), servers.somebody("mallory", host)
    await followed_by_anna(town, paula)
    event = remote_event(servers, paula)
    assert await town.deliver(activity(paula, "Create", event)) == "done: stored"
    known = await stored(town, event)
    assert known is not None
    async with town.db.transaction() as tx:
        await participation.join(tx, town.ben, known.id)
    town.site.wake()
    server = servers.host(host)
    await servers.until(lambda: "Join" in server.kinds(), why="asked")
    join = next(one.body for one in server.arrived if one.body["type"] == "Join")
    for kind in ("Accept", "Reject"):
        said = await town.deliver(activity(mallory, kind, join))
        assert said == "refused: no-such-request"
    assert await town.deliver(activity(paula, "Accept", join)) == "done: comes"


async def test_inv_7_nobody_takes_back_what_somebody_else_joined(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    occasion = events.Occasion(2_000_000_000_000, zone="Europe/Rome", joining="free")
    event = await town.write_topic(town.group, "Feast", event=occasion)
    host = servers.new_host()
    guest, mallory = servers.somebody("guest", host), servers.somebody("mallory", host)
    join = activity(guest, "Join", town.object_uri(event))
    assert await town.deliver(join) == "done: comes: going"
    for forged in (
        activity(mallory, "Undo", {**join, "actor": mallory}),
        activity(mallory, "Undo", join["id"]),
        activity(mallory, "Leave", town.object_uri(event)),
    ):
        await town.deliver(forged)
    assert (await town.deliver(activity(mallory, "Undo", join))) == "refused: not-ones-own"
    found = await town.site.federation.find_actor(guest)  # type: ignore[union-attr]
    assert found is not None
    known = await participation.find(town.db, event, found.id)
    assert known is not None and known.state == "going"


async def test_inv_20_of_a_private_group_a_server_learns_nothing_by_asking(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """Whatever it sends about what is there and about what is not, both are answered alike."""
    stranger = servers.somebody("stranger")
    await town.post(
        activity(stranger, "Like", town.object_uri(1))
    )  # Its key is known from here on.
    host = servers.host(authority(stranger).partition(":")[0])
    for kind in ("Join", "QuoteRequest", "Leave", "Like", "Announce", "Lock", "PollVote"):
        said = []
        for thing in (town.secret_topic, town.secret_topic + 1):
            before = await town.fingerprint()
            target = town.object_uri(thing)
            act = activity(stranger, kind, target, instrument=f"{stranger}/n/1", name="x")
            said.append(await town.post(act))
            await town.quiet()
            after = await town.fingerprint()
            assert after[:9] == before[:9], kind
        assert said[0] == said[1], kind
    assert host.arrived == []
    async with town.db.transaction() as tx:
        assert await groups.membership(tx, town.secret, town.ben) is None
