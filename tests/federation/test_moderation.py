"""Moderation of groups over the wire: bans, moderators, removal and restoration, reports both ways (§4.8, §4.9)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio

from activitypub.vocabulary import AS_PUBLIC
from fedcomm.hub import (
    actors,
    bans,
    groups,
    members,
    moderation,
    removal,
    reports,
    statements,
    threads,
)
from tests.federation.inprocess import LocalHub, ScriptedStubs

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = moderation.Grounds("It advertises.")


class Peer:
    """Somebody of another server who follows the group of the hub, and a second person beside them."""

    def __init__(self, town: LocalHub, servers: ScriptedStubs, software: str) -> None:
        self.town = town
        self.host = servers.new_host(software)
        self.server = servers.host(self.host)
        self.server.software = software
        self.fan = servers.actor("fan", self.host, software=software)
        self.other = servers.actor("other", self.host, software=software)
        self.servers = servers
        self._count = 0

    def activity(self, kind: str, actor: str, content: Any, **more: Any) -> dict[str, Any]:
        self._count += 1
        return {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{actor}/acts/{kind}{self._count}",
            "type": kind,
            "actor": actor,
            "object": content,
        } | more

    async def join(self, actor: str | None = None, group: int | None = None) -> None:
        who = actor or self.fan
        uri = self.town.group_uri(group or self.town.group)
        assert await self.town.deliver(self.activity("Follow", who, uri)) == (
            "done: membership active"
        )

    async def id_of(self, uri: str) -> int:
        found = await actors.actor_by_uri(self.town.db, uri)
        assert found is not None
        return found.id

    async def write(self, actor: str, group: int, title: str = "Hello") -> int:
        """A topic of `actor` in the group, as Lemmy sends it; its id here."""
        self._count += 1
        page = self.servers.note(
            actor,
            number=f"w{self._count}",
            type="Page",
            name=title,
            to=[self.town.group_uri(group), AS_PUBLIC],
            audience=self.town.group_uri(group),
        )
        create = self.activity(
            "Create", actor, page, to=page["to"], audience=self.town.group_uri(group)
        )
        await self.town.deliver(create)
        found = await threads.thing_by_uri(self.town.db, page["id"])
        return found.id if found is not None else 0

    def got(self, *path: str) -> list[dict[str, Any]]:
        """What arrived whose type, and the types of what it wraps, are `path`."""
        found = []
        for arrival in self.server.arrived:
            body: Any = arrival.body
            for kind in path:
                if not isinstance(body, dict) or body.get("type") != kind:
                    break
                body = body.get("object")
            else:
                found.append(arrival.body)
        return found

    async def until(self, *path: str) -> dict[str, Any]:
        await self.servers.until(lambda: self.got(*path), why=f"{self.server.software}: {path}")
        return self.got(*path)[-1]

    async def until_repeated(self, activity: dict[str, Any]) -> None:
        """Wait until the group has repeated an activity value-identical."""
        await self.servers.until(
            lambda: any(each["object"] == activity for each in self.got("Announce")),
            why=f"repeats {activity['type']}",
        )


@pytest_asyncio.fixture(loop_scope="module")
async def lemmy(town: LocalHub, servers: ScriptedStubs) -> Peer:
    peer = Peer(town, servers, "lemmy")
    await peer.join()
    return peer


@pytest_asyncio.fixture(loop_scope="module")
async def mastodon(town: LocalHub, servers: ScriptedStubs) -> Peer:
    peer = Peer(town, servers, "mastodon")
    await peer.join()
    return peer


async def make_moderator(town: LocalHub, peer: Peer, uri: str) -> int:
    person = await peer.id_of(uri)
    async with town.db.transaction() as tx:
        await groups.add_member(tx, town.group, town.anna, person, "moderator")
    town.site.wake()
    return person


# Bans


async def test_a_ban_goes_out_wrapped_and_never_bare(
    town: LocalHub, lemmy: Peer, mastodon: Peer
) -> None:
    for peer in (lemmy, mastodon):
        await peer.join(peer.other)
    await town.quiet()
    for peer in (lemmy, mastodon):
        person = await peer.id_of(peer.other)
        async with town.db.transaction() as tx:
            await moderation.ban(tx, town.group, town.anna, person, WHY, days=7, remove_posts=True)
        town.site.wake()
        block = (await lemmy.until("Announce", "Block"))["object"]
        assert block["actor"] == town.person(town.anna)
        assert block["target"] == block["audience"] == town.group_uri(town.group)
        assert block["summary"] == "It advertises." and block["endTime"].endswith("Z")
        assert block["object"] == peer.other and block["to"] == [AS_PUBLIC]
        await peer.until("Reject", "Follow")
        lemmy.server.arrived.clear()
        async with town.db.transaction() as tx:
            await moderation.unban(tx, town.group, town.anna, person)
        town.site.wake()
        undo = (await lemmy.until("Announce", "Undo", "Block"))["object"]
        assert undo["object"]["object"] == peer.other
    await town.quiet()
    assert mastodon.got("Block") == [] == mastodon.got("Announce", "Block")
    assert mastodon.got("Undo", "Block") == [] == lemmy.got("Block")


async def test_what_was_decided_is_told_to_servers_in_the_group_and_to_no_other(
    town: LocalHub, servers: ScriptedStubs, lemmy: Peer
) -> None:
    await lemmy.join(lemmy.other)
    person = await lemmy.id_of(lemmy.other)
    async with town.db.transaction() as tx:
        await moderation.ban(tx, town.group, town.anna, person, WHY)
    town.site.wake()
    announce = await lemmy.until("Announce", "Block")
    stranger = servers.somebody()
    for uri in (announce["id"], announce["object"]["id"]):
        assert (await servers.get(uri, signer=lemmy.fan))[0] == 200
        assert (await servers.get(uri, signer=stranger))[0] in (401, 403, 404)
        assert (await servers.get(uri))[0] in (401, 403, 404)


async def test_who_is_banned_is_refused_in_the_group(town: LocalHub, lemmy: Peer) -> None:
    topic = await lemmy.write(lemmy.other, town.group)
    person = await lemmy.id_of(lemmy.other)
    async with town.db.transaction() as tx:
        await moderation.ban(tx, town.group, town.anna, person, WHY)
    assert await lemmy.write(lemmy.other, town.group) == 0
    for kind in ("Like", "Dislike"):
        like = lemmy.activity(kind, lemmy.other, town.object_uri(town.topic))
        assert (await town.deliver(like)).startswith("refused")
    follow = lemmy.activity("Follow", lemmy.other, town.group_uri(town.group))
    assert (await town.deliver(follow)).startswith("refused")
    assert (await threads.thing(town.db, topic)).withheld is None  # type: ignore[union-attr]


async def test_inv_6_a_listed_remote_moderator_bans_and_lifts_and_nobody_else(
    town: LocalHub, servers: ScriptedStubs, lemmy: Peer, mastodon: Peer
) -> None:
    villain = Peer(town, servers, "lemmy")
    await villain.join()
    topic = await villain.write(villain.fan, town.group)
    person = await villain.id_of(villain.fan)
    fields = {
        "target": town.group_uri(town.group),
        "summary": "Spam",
        "endTime": "2099-01-01T00:00:00Z",
        "removeData": True,
    }
    bare = lemmy.activity("Block", lemmy.fan, villain.fan, **fields)
    assert (await town.deliver(bare)).startswith("refused")
    assert await bans.ban(town.db, town.group, person) is None
    await make_moderator(town, lemmy, lemmy.fan)
    block = lemmy.activity("Block", lemmy.fan, villain.fan, **fields)
    assert await town.deliver(block) == "done: banned from the group"
    ban = await bans.ban(town.db, town.group, person)
    assert ban is not None and ban.reason == "Spam" and ban.until == 4_070_908_800_000
    assert (await threads.thing(town.db, topic)).withheld == "removed"  # type: ignore[union-attr]
    await lemmy.until_repeated(block)
    undo = lemmy.activity("Undo", lemmy.fan, block)
    assert await town.deliver(undo) == "done: ban lifted"
    await lemmy.until_repeated(undo)
    assert mastodon.got("Announce", "Block") == []


async def test_a_block_between_two_people_is_still_one(town: LocalHub, mastodon: Peer) -> None:
    block = mastodon.activity("Block", mastodon.fan, town.person(town.anna))
    assert await town.deliver(block) == "done: blocked: follows ended"


# Moderators


async def test_moderators_made_and_unmade_are_announced(
    town: LocalHub, lemmy: Peer, mastodon: Peer
) -> None:
    async with town.db.transaction() as tx:
        await groups.add_member(tx, town.group, town.anna, town.ben, "moderator")
    town.site.wake()
    add = (await lemmy.until("Announce", "Add"))["object"]
    assert add["object"] == town.person(town.ben) and add["actor"] == town.person(town.anna)
    assert add["target"] == f"{town.group_uri(town.group)}/moderators"
    async with town.db.transaction() as tx:
        await groups.add_member(tx, town.group, town.anna, town.ben, "member")
    town.site.wake()
    assert (await lemmy.until("Announce", "Remove"))["object"]["object"] == town.person(town.ben)
    await town.quiet()
    assert mastodon.got("Announce", "Add") == []


async def test_inv_6_only_the_owner_makes_moderators_over_the_wire(
    town: LocalHub, lemmy: Peer
) -> None:
    await lemmy.join(lemmy.other)
    helper = await make_moderator(town, lemmy, lemmy.fan)
    other = await lemmy.id_of(lemmy.other)
    target = f"{town.group_uri(town.group)}/moderators"
    for kind, whom in (("Add", lemmy.other), ("Remove", lemmy.fan), ("Remove", lemmy.other)):
        asked = lemmy.activity(kind, lemmy.fan, whom, target=target)
        assert "Only the owner" in await town.deliver(asked)
    place = await groups.membership(town.db, town.group, other)
    assert place is not None and place.role == "member"
    async with town.db.transaction() as tx:
        # An owner elsewhere cannot come about here, but the right is asked for, not the server.
        await tx.execute(
            "UPDATE memberships SET role = 'owner' WHERE group_id = ? AND actor_id = ?",
            town.group,
            helper,
        )
    asked = lemmy.activity("Add", lemmy.fan, lemmy.other, target=target)
    assert await town.deliver(asked) == "done: moderator added"
    asked = lemmy.activity("Remove", lemmy.fan, lemmy.other, target=target)
    assert await town.deliver(asked) == "done: moderator removed"


async def test_a_group_of_ours_is_not_edited_from_elsewhere(town: LocalHub, lemmy: Peer) -> None:
    await make_moderator(town, lemmy, lemmy.fan)
    document = {"id": town.group_uri(town.group), "type": "Group", "name": "Mine"}
    update = lemmy.activity("Update", lemmy.fan, document)
    assert await town.deliver(update) == "refused: group-is-edited-here"


# Removal and restoration


async def test_a_removal_carries_the_reason_and_a_restoration_undoes_it(
    town: LocalHub, lemmy: Peer, mastodon: Peer
) -> None:
    topic = await lemmy.write(lemmy.fan, town.group, "To be removed")
    uri = (await threads.thing(town.db, topic)).uri  # type: ignore[union-attr]
    await mastodon.servers.until(
        lambda: [a for a in mastodon.got("Announce") if a["object"] == uri]
    )
    await town.quiet()
    (first,) = [a for a in mastodon.got("Announce") if a["object"] == uri]
    async with town.db.transaction() as tx:
        await moderation.take_down(tx, town.anna, topic, "remove", WHY)
    town.site.wake()
    delete = (await lemmy.until("Announce", "Delete"))["object"]
    assert delete["summary"] == "It advertises." and delete["object"] == uri
    assert (await mastodon.until("Undo", "Announce"))["object"]["id"] == first["id"]
    await town.quiet()
    assert mastodon.got("Delete") == [], "it is not ours to delete there"
    async with town.db.transaction() as tx:
        await moderation.restore(tx, town.anna, topic, "A mistake.")
    town.site.wake()
    undo = (await lemmy.until("Announce", "Undo", "Delete"))["object"]
    assert undo["actor"] == undo["object"]["actor"] == town.person(town.anna)
    assert undo["object"]["object"] == uri
    await town.quiet()
    boosts = [a for a in mastodon.got("Announce") if a["object"] == uri]
    assert len(boosts) == 2 and boosts[0]["id"] != boosts[1]["id"]


async def test_p3_a_blocked_former_recipient_gets_the_delete_and_nothing_else(
    town: LocalHub, lemmy: Peer, mastodon: Peer
) -> None:
    topic = await town.write_topic(town.group, "Ours", "Words.")
    uri = town.object_uri(topic)
    await mastodon.servers.until(
        lambda: [a for a in mastodon.got("Announce") if a["object"] == uri]
    )
    await town.quiet()
    host = (await actors.actor_by_uri(town.db, mastodon.fan)).host_id  # type: ignore[union-attr]
    async with town.db.transaction() as tx:
        await tx.execute("UPDATE hosts SET policy = 'suspend' WHERE id = ?", host)
    mastodon.server.arrived.clear()
    async with town.db.transaction() as tx:
        boss = await members.create_member(tx, f"boss{topic % 1000}", role="administrator")
        await moderation.take_down(tx, boss, topic, "remove", WHY)
    town.site.wake()
    await mastodon.until("Delete")
    await lemmy.until("Announce", "Delete")
    await town.quiet()
    assert mastodon.server.kinds() == ["Delete"]
    status, _ = await town.get(f"/o/{topic}")
    assert status in (404, 410)


async def test_inv_6_a_listed_remote_moderator_removes_and_restores(
    town: LocalHub, servers: ScriptedStubs, lemmy: Peer
) -> None:
    topic = await town.write_topic(town.group, "Anna's", "MARKERKEPT")
    uri = town.object_uri(topic)
    outsider = Peer(town, servers, "lemmy")
    for who, peer in ((lemmy.fan, lemmy), (outsider.fan, outsider)):
        delete = peer.activity("Delete", who, uri, summary="Spam")
        assert (await town.deliver(delete)).startswith("refused")
    helper = await make_moderator(town, lemmy, lemmy.fan)
    delete = lemmy.activity("Delete", lemmy.fan, uri, summary="")
    assert await town.deliver(delete) == "done: removed"
    made = await statements.latest(town.db, topic, "remove")
    assert made is not None and made.decided_by == helper and made.reason, "a reason there must be"
    await lemmy.until_repeated(delete)
    thing = await threads.thing(town.db, topic)
    assert thing is not None and "MARKERKEPT" in thing.html and thing.withheld == "removed"
    undo = outsider.activity("Undo", outsider.fan, {**delete, "actor": outsider.fan})
    assert (await town.deliver(undo)).startswith("refused")
    undo = lemmy.activity("Undo", lemmy.fan, delete)
    assert await town.deliver(undo) == "done: restored"
    await lemmy.until_repeated(undo)
    assert (await town.get(f"/o/{topic}"))[0] == 200


async def test_an_authors_own_deletion_cannot_be_undone(town: LocalHub, lemmy: Peer) -> None:
    topic = await lemmy.write(lemmy.fan, town.group, "Mine")
    uri = (await threads.thing(town.db, topic)).uri  # type: ignore[union-attr]
    delete = lemmy.activity("Delete", lemmy.fan, uri)
    assert await town.deliver(delete) == "done: deleted"
    undo = lemmy.activity("Undo", lemmy.fan, delete)
    assert await town.deliver(undo) == "done: ignored: what was deleted is erased"


async def test_a_first_post_that_is_let_in_is_announced_then(
    town: LocalHub, servers: ScriptedStubs, lemmy: Peer
) -> None:
    group = await town.make_group(f"careful{lemmy.host.partition('.')[0]}")
    await lemmy.join(group=group)
    async with town.db.transaction() as tx:
        await tx.execute("UPDATE groups SET first_posts_wait = 1 WHERE actor_id = ?", group)
    newcomer = Peer(town, servers, "lemmy")
    topic = await newcomer.write(newcomer.fan, group, "First")
    await town.quiet()
    assert (await threads.thing(town.db, topic)).withheld == "waiting"  # type: ignore[union-attr]
    assert lemmy.got("Announce", "Create") == []
    async with town.db.transaction() as tx:
        await moderation.let_in(tx, town.anna, topic)
    town.site.wake()
    assert (await lemmy.until("Announce", "Create"))["object"]["object"]["name"] == "First"


# Reports


async def test_a_report_goes_out_as_each_peer_takes_it_and_only_with_consent(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    async def filed(peer: Peer, forward: reports.Forward, *, person: bool = False) -> str:
        topic = await peer.write(peer.fan, town.group)
        thing = await threads.thing(town.db, topic)
        assert thing is not None and thing.uri is not None
        peer.server.arrived.clear()
        async with town.db.transaction() as tx:
            await reports.file(
                tx,
                reporter_id=town.ben,
                people=[thing.author_id] if person else [],
                things=[] if person else [topic],
                reason="It advertises.",
                forward=forward,
            )
        town.site.wake()
        await town.quiet()
        return thing.uri

    for software, forward, sender, about in (
        ("mastodon", "", None, "both"),
        ("mastodon", "anonymous", "instance", "both"),
        ("mastodon", "named", "instance", "both"),
        ("unheard-of", "named", "instance", "both"),
        ("lemmy", "anonymous", None, "post"),
        ("lemmy", "named", "ben", "post"),
        ("piefed", "anonymous", "instance", "post"),
        ("piefed", "named", "ben", "post"),
    ):
        peer = Peer(town, servers, software)
        await peer.join()
        uri = await filed(peer, forward)  # type: ignore[arg-type]
        flags = peer.got("Flag")
        assert len(flags) == (1 if sender else 0), (software, forward)
        assert peer.got("Announce", "Flag") == []
        for flag in flags:
            expected = {"instance": f"{town.origin}/ap/instance", "ben": town.person(town.ben)}
            assert flag["actor"] == expected[sender or ""], (software, forward)
            assert flag["object"] == ([peer.fan, uri] if about == "both" else uri)
            assert flag["content"] == flag["summary"] == "It advertises."
            assert len(flag["to"]) == 1
            assert "ben" not in json.dumps(flag) or sender == "ben"
            assert "proof" not in flag and "signature" not in flag
    peer = Peer(town, servers, "mastodon")
    await peer.join()
    await filed(peer, "anonymous", person=True)
    assert peer.got("Flag")[0]["object"] == [peer.fan]


async def test_a_report_of_a_person_and_posts_waits_with_the_groups_moderators(
    town: LocalHub, mastodon: Peer
) -> None:
    topic = await town.write_topic(town.group, "Reported")
    flag = mastodon.activity(
        "Flag",
        mastodon.fan,
        [town.person(town.anna), town.object_uri(topic)],
    ) | {"content": "Rude"}
    assert await town.deliver(flag) == "done: report filed"
    found = await town.db.one("SELECT id, group_id FROM reports WHERE uri = ?", flag["id"])
    assert found is not None and found["group_id"] == town.group
    report = await reports.report(town.db, found["id"])
    assert report is not None and report.host and report.reason == "Rude"
    assert report.object_ids == [topic] and [p.id for p in report.people] == [town.anna]


async def test_nothing_is_taken_of_who_is_suspended_but_what_they_take_back(
    town: LocalHub, lemmy: Peer
) -> None:
    topic = await lemmy.write(lemmy.fan, town.group, "Before")
    uri = (await threads.thing(town.db, topic)).uri  # type: ignore[union-attr]
    person = await lemmy.id_of(lemmy.fan)
    async with town.db.transaction() as tx:
        await moderation.suspend(tx, town.anna, person, WHY)
    like = lemmy.activity("Like", lemmy.fan, town.object_uri(town.topic))
    assert await town.deliver(like) == "refused: suspended-actor"
    assert await lemmy.write(lemmy.fan, town.group) == 0
    assert await town.deliver(lemmy.activity("Delete", lemmy.fan, uri)) == "done: deleted"
    await asyncio.sleep(0)


async def test_who_got_the_authors_delete_gets_the_words_again_when_they_are_restored(
    town: LocalHub, mastodon: Peer
) -> None:
    """A follower of the author alone hears of no group, and knows nothing to undo."""
    admirer = Peer(town, mastodon.servers, "mastodon")
    follow = admirer.activity("Follow", admirer.fan, town.person(town.anna))
    assert await town.deliver(follow) == "done: follow active"
    topic = await town.write_topic(town.group, "Comes back", "MARKERBACK")
    uri = town.object_uri(topic)

    def creates() -> list[dict[str, Any]]:
        return [one for one in admirer.got("Create") if one["object"]["id"] == uri]

    await admirer.servers.until(creates, why="the topic")
    async with town.db.transaction() as tx:
        # A moderator may not judge themselves: as another one would.
        await removal.withhold(tx, town.anna, topic, "removed")
    town.site.wake()
    await admirer.until("Delete")
    async with town.db.transaction() as tx:
        await removal.restore(tx, town.anna, topic)
    town.site.wake()
    await admirer.servers.until(lambda: len(creates()) == 2, why="the words again")
    first, second = creates()
    assert first["id"] != second["id"] and "MARKERBACK" in second["object"]["content"]
    await town.quiet()
    assert len(creates()) == 2
