"""A member of ours in a private community of another server, as Lemmy 1.0 speaks of it (federation.md §4.10)."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from fedcomm.hub import follows, reactions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.visibility import ANONYMOUS, can_read, member
from tests.federation.acts import unaddressed as activity
from tests.federation.inprocess import LocalHub
from tests.federation.stub import StubHost

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)

JSON = dict[str, Any]


@dataclass
class Community:
    """A private community on a server that looks like Lemmy 1.0, with lea in it."""

    hub: LocalHub
    uri: str
    id: int
    lea: str
    home: StubHost

    @property
    def to(self) -> list[str]:
        return [self.uri, f"{self.uri}/followers"]

    def page(self, name: str, **more: Any) -> JSON:
        return self.hub.stubs.note(
            self.lea,
            number=next(_numbers),
            type="Page",
            name=name,
            to=self.to,
            cc=[],
            audience=self.uri,
            **more,
        )

    async def announce(self, thing: JSON, kind: str = "Create") -> str:
        inner = activity(self.lea, kind, thing, to=self.to, cc=[], audience=self.uri)
        del inner["@context"]
        return await self.hub.deliver(
            activity(self.uri, "Announce", inner, to=self.to, cc=[f"{self.uri}/followers"])
        )

    async def joins(self, member_id: int) -> None:
        async with self.hub.db.transaction() as tx:
            await follows.request(tx, member_id, self.id)
        self.hub.site.wake()
        await self.hub.quiet()

    async def accepts(self, member_id: int) -> None:
        follow = next(
            one.body
            for one in reversed(self.home.arrived)
            if one.body["type"] == "Follow" and one.body["actor"] == self.hub.person(member_id)
        )
        assert follow["to"] == [self.uri], "Lemmy wants exactly the community"
        assert await self.hub.deliver(activity(self.uri, "Accept", follow)) == (
            "done: follow accepted"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def community(town: LocalHub) -> Community:
    name = town.stubs.new_host("lemmy")
    home = town.stubs.hosts[name]
    home.software = "lemmy"
    uri = town.stubs.actor(
        "cellar", name, kind="Group", manuallyApprovesFollowers=True, discoverable=False
    )
    lea = town.stubs.actor("lea", name)
    assert town.site.federation is not None
    found = await town.site.federation.find_actor(uri)
    assert found is not None and found.locked
    return Community(town, uri, found.id, lea, home)


async def test_inv_15_nothing_of_it_is_kept_before_the_accept_and_only_followers_read_after_it(
    community: Community,
) -> None:
    hub = community.hub
    await community.joins(hub.ben)
    follow = await follows.find(hub.db, hub.ben, community.id)
    assert follow is not None and follow.state == "requested"
    early = community.page("Early")
    assert "ignored" in await community.announce(early)
    assert await threads.thing_by_uri(hub.db, early["id"]) is None
    await community.accepts(hub.ben)
    page = community.page("Barolo", content="<p>qzbarolo in the cellar.</p>")
    assert await community.announce(page) == "done: shared"
    kept = await threads.thing_by_uri(hub.db, page["id"])
    assert kept is not None and kept.visibility == "members" and kept.community_id == community.id
    assert await can_read(hub.db, member(hub.ben), kept.id)
    assert not await can_read(hub.db, member(hub.anna), kept.id)
    assert not await can_read(hub.db, ANONYMOUS, kept.id)
    for path in (f"/o/{kept.id}", "/search?q=qzbarolo", "/"):
        assert "in the cellar" not in (await hub.get(path))[1]
        assert "in the cellar" not in (await hub.get(path, await hub.cookie()))[1]


async def test_an_outsiders_announcement_puts_nothing_before_the_communitys_members(
    community: Community,
) -> None:
    """INV-6, INV-7: who is not the community shares nothing in its name, though ben follows them."""
    hub = community.hub
    mallory = hub.stubs.somebody("mallory", kind="Group", manuallyApprovesFollowers=True)
    assert hub.site.federation is not None
    found = await hub.site.federation.find_actor(mallory)
    assert found is not None
    async with hub.db.transaction() as tx:
        await follows.request(tx, hub.ben, found.id)
        await follows.accept(tx, hub.ben, found.id)
    page = community.page("Stolen")
    wrapped = activity(community.lea, "Create", page, to=community.to)
    verdict = await hub.deliver(activity(mallory, "Announce", wrapped, to=[f"{mallory}/followers"]))
    assert "refused" in verdict
    assert await threads.thing_by_uri(hub.db, page["id"]) is None


async def test_a_members_answer_and_like_go_to_the_community_alone_and_are_served_to_its_own(
    community: Community,
) -> None:
    hub = community.hub
    if (await follows.find(hub.db, hub.ben, community.id)) is None:
        await community.joins(hub.ben)
        await community.accepts(hub.ben)
    fan = hub.stubs.somebody("fan")
    await hub.deliver(activity(fan, "Follow", hub.person(hub.ben)))
    page = community.page("Nebbiolo")
    await community.announce(page)
    kept = await threads.thing_by_uri(hub.db, page["id"])
    assert kept is not None
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(tx, Draft("qzanswer"), is_topic=False, author_id=hub.ben)
        answer = await threads.create_reply(tx, hub.ben, kept.id, content)
        await reactions.add(tx, hub.ben, kept.id, "like")
    hub.site.wake()
    await hub.quiet()
    sent = {
        one.body["type"]: one.body
        for one in community.home.arrived
        if one.body["type"] in ("Create", "Like")
    }
    note = sent["Create"]["object"]
    assert note["to"] == community.to and note["audience"] == community.uri
    assert sent["Like"]["to"] == [community.uri] and sent["Like"]["audience"] == community.uri
    assert "proof" not in json.dumps(sent)
    fans = hub.stubs.hosts[fan.split("/")[2].partition(":")[0]]
    assert "Create" not in fans.kinds()
    # Whoever has a member in it, as the community says, may fetch the answer.
    address = hub.object_uri(answer)
    assert (await hub.stubs.get(address, signer=community.lea))[0] == 200
    neighbour = hub.stubs.somebody("neighbour")
    asked: list[str] = []

    async def says(request: web.Request) -> web.Response:
        about = request.query["is_follower"]
        asked.append(about)
        assert "Signature" in request.headers
        return web.Response(status=200 if about == neighbour else 404)

    for who in (neighbour, fan):
        from urllib.parse import quote

        url = f"{community.uri}/followers?is_follower={quote(who, safe='')}"
        hub.stubs.scripts[url] = says
        hub.stubs.scripts[f"{community.uri}/followers?is_follower={who}"] = says
    assert (await hub.stubs.get(address, signer=neighbour))[0] == 200
    assert (await hub.stubs.get(address, signer=neighbour))[0] == 200
    assert (await hub.stubs.get(address, signer=fan))[0] == 404
    assert (await hub.stubs.get(address))[0] == 404
    assert sorted(asked) == sorted([neighbour, fan]), "asked once for each server"


async def test_inv_15_a_member_whom_the_community_removes_reads_it_no_more(
    community: Community,
) -> None:
    hub = community.hub
    page = community.page("Dolcetto")
    await community.announce(page)
    kept = await threads.thing_by_uri(hub.db, page["id"])
    assert kept is not None and await can_read(hub.db, member(hub.ben), kept.id)
    follow = {"type": "Follow", "actor": hub.person(hub.ben), "object": community.uri}
    await hub.deliver(activity(community.uri, "Reject", follow))
    assert not await can_read(hub.db, member(hub.ben), kept.id)
    late = community.page("Late")
    assert "ignored" in await community.announce(late)
