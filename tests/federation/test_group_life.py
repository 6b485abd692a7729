"""Groups to the end, over the wire: moves both ways, closing ours, and the end of one elsewhere (§6.2, §6.5)."""

from __future__ import annotations

from typing import Any

import pytest

from fedcomm.hub import (
    actors,
    closing,
    follows,
    groups,
    members,
    moving,
    notifications,
    profiles,
    threads,
)
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, StubHost

pytestmark = pytest.mark.asyncio(loop_scope="module")


def activity(kind: str, actor: str, thing: Any, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{actor}/{kind.lower()}/{number}",
        "type": kind,
        "actor": actor,
        "object": thing,
        **more,
    }


def host_of(servers: ScriptedStubs, uri: str) -> StubHost:
    return servers.host(uri.split("/")[2].partition(":")[0])


async def known(town: LocalHub, uri: str) -> actors.Actor:
    assert town.site.federation is not None
    found = await town.site.federation.find_actor(uri)
    assert found is not None
    return found


async def with_fan(town: LocalHub, servers: ScriptedStubs, group: int) -> tuple[str, StubHost]:
    """A member of the group on a server of their own."""
    fan = servers.somebody("fan")
    assert (
        await town.deliver(activity("Follow", fan, town.group_uri(group)))
        == "done: membership active"
    )
    return fan, host_of(servers, fan)


async def test_inv_19_a_group_of_ours_moves_and_its_members_are_sent_along(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    group = await town.make_group("movers")
    topic = await town.write_topic(group, "Before")
    fan, server = await with_fan(town, servers, group)
    async with town.db.transaction() as tx:
        await groups.join(tx, group, town.ben)
    new = servers.actor("movers", servers.new_host(), kind="Group")
    own = await actors.actor(town.db, group)
    assert own is not None and town.site.federation is not None
    # The page asks before: only a place that names this group today is moved to.
    assert not await town.site.federation.is_alias(new, own)
    new_host = host_of(servers, new)
    new_host.actors["movers"]["alsoKnownAs"] = [town.group_uri(group)]
    assert await town.site.federation.is_alias(new, own)
    target = await known(town, new)
    person = await known(town, servers.somebody())
    for by, to in ((town.ben, target.id), (town.anna, person.id), (town.anna, group)):
        with pytest.raises(HubError):
            async with town.db.transaction() as tx:
                await moving.move_group_out(tx, group, by, to)
    async with town.db.transaction() as tx:
        assert await moving.move_group_out(tx, group, town.anna, target.id) == 2
    town.site.wake()
    told = await notifications.list_notifications(town.db, town.ben)
    assert told[0].kind == "group_moved" and told[0].group_name == "movers"
    await servers.until(lambda: "Move" in server.kinds(), why="told")
    [move] = [one.body for one in server.arrived if one.body["type"] == "Move"]
    assert move["actor"] == move["object"] == town.group_uri(group) and move["target"] == new
    assert server.kinds().index("Update") < server.kinds().index("Move")
    _, document = await servers.get(town.group_uri(group), signer=fan)
    assert document["movedTo"] == new
    await servers.until(lambda: new_host.kinds().count("Follow") == 2, why="members ask")
    assert {one.body["actor"] for one in new_host.arrived} == {
        town.person(town.anna),
        town.person(town.ben),
    }
    # Nobody writes or joins here any more, and what was written stays.
    note = servers.note(fan, inReplyTo=town.object_uri(topic))
    assert "has moved" in await town.deliver(activity("Create", fan, note))
    late = activity("Follow", servers.somebody(), town.group_uri(group))
    assert "has moved" in await town.deliver(late)
    assert await threads.thing(town.db, topic) is not None
    async with town.db.transaction() as tx:
        await moving.take_group_back(tx, group, town.anna)
    async with town.db.transaction() as tx:
        with pytest.raises(NotAllowed, match="once a week"):
            await moving.move_group_out(tx, group, town.anna, target.id)


async def test_only_a_group_that_everybody_can_see_moves(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    target = await known(town, servers.somebody("g", kind="Group"))
    async with town.db.transaction() as tx:
        with pytest.raises(NotAllowed, match="everybody can see"):
            await moving.move_group_out(tx, town.secret, town.anna, target.id)


async def followed_by_ben(town: LocalHub, uri: str) -> int:
    found = await known(town, uri)
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, found.id)
        await follows.accept(tx, town.ben, found.id)
    return found.id


async def test_inv_19_a_group_elsewhere_moves_and_memberships_are_carried(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    old = servers.actor("old", servers.new_host(), kind="Group")
    old_id = await followed_by_ben(town, old)
    new_name = servers.new_host()
    new = servers.actor("new", new_name, kind="Group")
    move = activity("Move", old, old, target=new)
    assert await town.deliver(move) == "refused: no-alias"
    person = servers.somebody("p", alsoKnownAs=[old])
    assert await town.deliver(activity("Move", old, old, 2, target=person)) == "refused: bad-move"
    servers.host(new_name).actors["new"]["alsoKnownAs"] = [old]
    assert await town.deliver(activity("Move", old, old, 3, target=new)) == (
        "done: moved: 1 followers"
    )
    assert await follows.find(town.db, town.ben, old_id) is None
    found = await follows.find(town.db, town.ben, (await known(town, new)).id)
    assert found is not None and found.state == "requested"
    again = activity("Move", old, old, 4, target=new)
    assert await town.deliver(again) == "refused: moved-lately"


async def test_inv_19_a_group_elsewhere_becomes_one_of_ours(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    old = servers.actor("settlers", servers.new_host(), kind="Group")
    old_id = await followed_by_ben(town, old)
    group = await town.make_group("settlers")
    move = activity("Move", old, old, target=town.group_uri(group))
    assert await town.deliver(move) == "refused: no-alias"
    async with town.db.transaction() as tx:
        with pytest.raises(NotAllowed):
            await moving.name_former_group(tx, group, town.ben, old)
        await moving.name_former_group(tx, group, town.anna, old)
    _, document = await servers.get(town.group_uri(group), signer=servers.somebody())
    assert document["alsoKnownAs"] == [old]
    assert await town.deliver(move | {"id": f"{old}/move/2"}) == "done: moved: 1 members"
    place = await groups.membership(town.db, group, town.ben)
    assert place is not None and place.state == "active"
    assert await follows.find(town.db, town.ben, old_id) is None
    async with town.db.transaction() as tx:
        await moving.name_former_group(tx, group, town.anna, old, removed=True)
    assert await profiles.aliases_of(town.db, group) == []


async def test_a_closed_group_is_gone_everywhere_and_its_name_with_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    group = await town.make_group("closers")
    fan, server = await with_fan(town, servers, group)
    topic = await town.write_topic(group, "MARKERTOPIC", "MARKERWORDS")
    await servers.until(lambda: any("Announce" in kind for kind in server.kinds()), why="a topic")
    async with town.db.transaction() as tx:
        carla = await members.create_member(tx, "outsider")
    for by, reason, error in (
        (town.ben, "Why not.", NotAllowed),
        (carla, "Why not.", NotAllowed),
        (town.anna, " ", Invalid),
    ):
        with pytest.raises(error):
            async with town.db.transaction() as tx:
                await closing.close(tx, group, by, reason)
    async with town.db.transaction() as tx:
        await closing.close(tx, group, town.anna, "It has done its work.")
    town.site.wake()
    status, _ = await town.get("/g/closers")
    assert status in (404, 410)
    uri = town.group_uri(group)
    await servers.until(
        lambda: any(
            one.body["type"] == "Delete" and one.body["object"] == uri for one in server.arrived
        ),
        seconds=30,
        why="the group's own Delete",
    )
    status, document = await servers.get(uri, signer=fan)
    assert status == 410 or (document["suspended"] is True and "name" not in document)
    status, _ = await servers.get(town.object_uri(topic), signer=fan)
    assert status == 404
    gone = await threads.thing(town.db, topic)
    assert gone is not None and gone.deleted_at is not None and gone.title == ""
    with pytest.raises(HubError):
        await town.make_group("closers")


async def test_a_deleted_group_elsewhere_takes_memberships_along_and_leaves_what_others_wrote(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host("lemmy")
    group = servers.actor("community", host, kind="Group")
    author = servers.actor("author", host)
    group_id = await followed_by_ben(town, group)
    page = servers.note(author, type="Page", name="Stays", audience=group, cc=[group])
    announce = activity("Announce", group, activity("Create", author, page))
    assert await town.deliver(announce) == "done: shared"
    kept = await threads.thing_by_uri(town.db, page["id"])
    assert kept is not None
    assert (
        await town.deliver(activity("Delete", group, group)) == "done: actor deleted with 0 objects"
    )
    assert await follows.find(town.db, town.ben, group_id) is None
    still = await threads.thing_by_uri(town.db, page["id"])
    assert still is not None and still.deleted_at is None
    gone = await actors.actor(town.db, group_id)
    assert gone is not None and gone.deleted_at is not None and gone.name == ""
