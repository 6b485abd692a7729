"""Ids that are used again: what counts anew, and what nobody can play again (INV-9)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from activitypub import cavage
from activitypub.documents import read_activity
from fedcomm.federation import repeats
from fedcomm.hub import actors, follows, groups, threads
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY, AS, PUBLIC, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = dict[str, Any]


def activity(actor: str, kind: str, thing: Any, name: str, **more: Any) -> JSON:
    uri = f"{actor}#{name}"
    return {"@context": AS, "id": uri, "type": kind, "actor": actor, "object": thing} | more


async def likes(town: LocalHub, topic: int) -> int:
    thing = await threads.thing(town.db, topic)
    assert thing is not None
    return thing.like_count


async def replay(town: LocalHub, body: JSON, signed_at: int) -> None:
    """POST a request as it was signed some time ago."""
    data = json.dumps(body).encode()
    url = town.shared_inbox
    headers = cavage.sign(
        "POST", url, data, test_key(), f"{body['actor']}#main-key", date=signed_at
    ) | {"Content-Type": ACTIVITY}
    assert await town.post(data, headers=headers, signer=body["actor"]) == 202


async def test_inv_9_who_kept_a_request_cannot_play_it_again_after_its_undo(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    actor = servers.somebody("fan")
    topic = await town.write_topic(town.group, "Liked once")
    like = activity(actor, "Like", town.object_uri(topic), "like")
    undo = activity(actor, "Undo", like, "undo")
    assert await town.deliver(like) == "done: like"
    assert await town.deliver(undo) == "done: like withdrawn"
    await replay(town, like, int(time.time()) - 60)
    await town.quiet()
    assert await likes(town, topic) == 0
    # They themselves can: NodeBB gives every like of a post the same id.
    assert await town.deliver(like) == "done: like"
    assert await likes(town, topic) == 1


async def test_inv_9_a_repeat_of_what_was_not_taken_back_does_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    actor = servers.somebody("fan")
    topic = await town.write_topic(town.group, "Announced once")
    like = activity(actor, "Like", town.object_uri(topic), "like")
    assert await town.deliver(like) == "done: like"
    seen = await town.fingerprint()
    for _ in range(3):
        assert await town.post(like) == 202
    await town.quiet()
    assert await town.fingerprint() == seen


async def test_inv_9_nobody_frees_the_id_of_somebody_else(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    actor, neighbour = servers.somebody("fan", host), servers.somebody("neighbour", host)
    topic = await town.write_topic(town.group, "Not theirs to free")
    like = activity(actor, "Like", town.object_uri(topic), "like")
    assert await town.deliver(like) == "done: like"
    undo = activity(neighbour, "Undo", like["id"], "undo")
    await town.deliver(undo)
    state = await town.db.value("SELECT state FROM inbox WHERE uri = ?", like["id"])
    assert (state, await likes(town, topic)) == ("done", 1)


@pytest.mark.parametrize("kind", ["Create", "Flag"])
async def test_inv_9_what_has_an_effect_of_its_own_counts_once(
    town: LocalHub, servers: ScriptedStubs, kind: str
) -> None:
    author = servers.somebody("author")
    note = servers.note(author, to=[PUBLIC], cc=[town.group_uri(town.group)])
    content: Any = note if kind == "Create" else town.object_uri(town.topic)
    first = activity(author, kind, content, "act", content="one")
    assert (await town.deliver(first)).startswith("done")
    counted = await town.fingerprint()
    assert await town.post(first | {"content": "two"}) == 202
    assert await town.deliver(activity(author, "Undo", first, "undo"))
    before = (
        await town.count("SELECT count(*) FROM objects"),
        await town.count("SELECT count(*) FROM reports"),
    )
    assert await town.post(first) == 202
    await town.quiet()
    after = (
        await town.count("SELECT count(*) FROM objects"),
        await town.count("SELECT count(*) FROM reports"),
    )
    assert before == after and len(counted) == len(await town.fingerprint())


async def test_who_was_removed_can_ask_again_under_the_same_id(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """Misskey makes the id of a Follow of the two accounts."""
    actor = servers.somebody("fan")
    follow = activity(actor, "Follow", town.group_uri(town.group), "follow")
    assert await town.deliver(follow) == "done: membership active"
    known = await actors.actor_by_uri(town.db, actor)
    assert known is not None
    async with town.db.transaction() as tx:
        await groups.leave(tx, town.group, known.id)
    # It was received a while ago.
    await town.db.append(
        "UPDATE inbox SET received_at = received_at - 5000 WHERE uri = ?", (follow["id"],)
    )
    await town.deliver(follow)
    await town.quiet()
    place = await groups.membership(town.db, town.group, known.id)
    assert place is not None and place.state == "active"


async def test_only_the_actor_itself_says_something_again() -> None:
    like = read_activity(activity("https://a.test/u", "Like", "https://b.test/o", "l"))
    assert repeats.since_when(like, 1_000, by_actor=False) == (0, 0)
    assert repeats.since_when(like, 1_000, by_actor=True) == (1_000_999, 0)
    undo = read_activity(activity("https://a.test/u", "Undo", "https://a.test/u#l", "un"))
    assert repeats.taken_back(undo, 5, by_actor=False) is None
    assert repeats.taken_back(undo, 5, by_actor=True) == (5, "https://a.test/u#l", undo.actor)


async def test_inv_7_a_group_cannot_vote_for_others(town: LocalHub, servers: ScriptedStubs) -> None:
    """What it repeats about something of ours counts only as the voter's own server serves it."""
    group = servers.somebody("bees", kind="Group")
    voter = servers.somebody("voter")
    followed = await town.site.federation.find_actor(group)  # type: ignore[union-attr]
    assert followed is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, followed.id)
        await follows.accept(tx, town.anna, followed.id)
    topic = await town.write_topic(town.group, "Voted on")
    target = town.object_uri(topic)
    served = servers.publish(activity(voter, "Like", target, "x") | {"id": f"{voter}/likes/1"})
    other = servers.publish(
        activity(voter, "Like", town.object_uri(town.topic), "x") | {"id": f"{voter}/likes/2"}
    )
    for number, (uri, counted) in enumerate(
        ((f"{voter}/likes/none", 0), (other, 0), (served, 1), (served, 1))
    ):
        said = activity(voter, "Like", target, "x") | {"id": uri}
        await town.deliver(activity(group, "Announce", said, f"a{number}", to=[PUBLIC]))
        assert await likes(town, topic) == counted, uri
