"""A private group with members on other servers (federation.md §4.10): who learns of it, who is let in, what leaves to
whom, and what is over when somebody is no longer in it."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from activitypub import cavage
from fedcomm.federation.synchronisation import HEADER, digest, read
from fedcomm.hub import circles, group_hosts, groups, media, policy_changes, reactions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.policies import Entry
from tests.federation.acts import unaddressed as activity
from tests.federation.inprocess import LocalHub
from tests.federation.stub import ACTIVITY, PUBLIC, Arrived, StubHost, kind_of, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)

JSON = dict[str, Any]


@dataclass
class Circle:
    """A reserved group of anna's, and people of three kinds of servers who were let in."""

    hub: LocalHub
    group_id: int
    uri: str
    lemmy: str
    mastodon: str
    gotosocial: str
    outsider: str
    topics: dict[str, int] = field(default_factory=dict)

    def host_of(self, who: str) -> StubHost:
        return self.hub.stubs.hosts[who.split("/")[2].partition(":")[0]]

    def said_to(self, who: str, text: str) -> list[Arrived]:
        """What arrived at somebody's server that holds these words."""
        return [one for one in self.host_of(who).arrived if text in json.dumps(one.body)]

    @property
    def members(self) -> tuple[str, ...]:
        return (self.lemmy, self.mastodon, self.gotosocial)

    async def topic(self, title: str, text: str = "Words.") -> int:
        made = await self.hub.write_topic(self.group_id, title, text)
        self.topics[title] = made
        await self.hub.quiet()
        return made

    async def actor_id(self, who: str) -> int:
        return int(await self.hub.db.value("SELECT id FROM actors WHERE uri = ?", who))


async def asks(hub: LocalHub, who: str, group_uri: str) -> str:
    """A request to join; what became of it."""
    return await hub.deliver(activity(who, "Follow", group_uri, to=[group_uri]))


async def let_in(hub: LocalHub, group_id: int, who: str) -> None:
    person = int(await hub.db.value("SELECT id FROM actors WHERE uri = ?", who))
    async with hub.db.transaction() as tx:
        await groups.add_member(tx, group_id, hub.anna, person)
    hub.site.wake()
    await hub.quiet()


async def newcomer(hub: LocalHub, name: str, software: str, **more: Any) -> str:
    home = hub.stubs.new_host(software)
    hub.stubs.hosts[home].software = software
    return hub.stubs.somebody(name, home, **more)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def circle(town: LocalHub) -> Circle:
    group_id = await town.make_group("cantina", mode="reserved", description="For the few.")
    made = Circle(
        town,
        group_id,
        town.group_uri(group_id),
        await newcomer(town, "lea", "lemmy"),
        await newcomer(town, "mia", "mastodon"),
        await newcomer(town, "gus", "gotosocial"),
        await newcomer(town, "otto", "mastodon"),
    )
    for who in made.members:
        assert await asks(town, who, made.uri) == "done: membership requested"
        await let_in(town, group_id, who)
    return made


def addressees(document: JSON) -> list[str]:
    """Everybody whom an activity and what it wraps is addressed to."""
    found: list[str] = []
    while isinstance(document, dict) and document:
        found += [*document.get("to", []), *document.get("cc", [])]
        document = document.get("object", {})
    return found


# Asking to join


async def test_inv_15_who_asks_waits_and_has_nothing_until_a_moderator_lets_them_in(
    circle: Circle,
) -> None:
    hub = circle.hub
    carl = await newcomer(hub, "carl", "lemmy")
    assert await asks(hub, carl, circle.uri) == "done: membership requested"
    topic = await circle.topic("Zuppa")
    assert not circle.said_to(carl, "Zuppa")
    assert circle.host_of(carl).kinds() == []
    address = hub.object_uri(topic)
    assert (await hub.stubs.get(address, signer=carl))[0] == 404
    assert (await hub.stubs.get(f"{circle.uri}/outbox", signer=carl))[0] == 404
    await let_in(hub, circle.group_id, carl)
    [accept] = circle.host_of(carl).arrived
    assert accept.body["type"] == "Accept" and accept.body["actor"] == circle.uri
    assert accept.body["object"]["actor"] == carl and accept.body["to"] == [carl]
    assert (await hub.stubs.get(address, signer=carl))[0] == 200


async def test_the_group_says_that_it_approves_its_followers(circle: Circle) -> None:
    status, document = await circle.hub.stubs.get(circle.uri)
    assert status == 200
    assert document["manuallyApprovesFollowers"] is True and document["discoverable"] is False
    asked = f"/.well-known/webfinger?resource=acct:cantina@{circle.hub.site.host}"
    status, _ = await circle.hub.stubs.get(circle.hub.origin + asked, accept="*/*")
    assert status == 200


async def test_a_refused_request_and_a_removed_member_are_told_by_reject(circle: Circle) -> None:
    hub = circle.hub
    dan = await newcomer(hub, "dan", "mastodon")
    await asks(hub, dan, circle.uri)
    person = await circle.actor_id(dan)
    for _ in range(2):
        async with hub.db.transaction() as tx:
            await groups.refuse(tx, circle.group_id, hub.anna, person)
        hub.site.wake()
        await hub.quiet()
        if circle.host_of(dan).kinds() == ["Reject"]:
            await asks(hub, dan, circle.uri)
            await let_in(hub, circle.group_id, dan)
    assert circle.host_of(dan).kinds() == ["Reject", "Accept", "Reject"]
    assert circle.host_of(dan).arrived[-1].body["object"]["actor"] == dan
    topic = await circle.topic("Dopo Dan")
    assert not circle.said_to(dan, "Dopo Dan")
    assert (await hub.stubs.get(hub.object_uri(topic), signer=dan))[0] == 404


async def test_only_who_asked_is_let_in_from_elsewhere(circle: Circle) -> None:
    hub = circle.hub
    assert hub.site.federation is not None
    found = await hub.site.federation.find_actor(circle.outsider)
    assert found is not None
    async with hub.db.transaction() as tx:
        with pytest.raises(NotAllowed):
            await groups.add_member(tx, circle.group_id, hub.anna, found.id)


# What leaves, and to whom


async def test_inv_17_a_topic_goes_once_to_each_server_of_a_member_and_to_no_other(
    circle: Circle,
) -> None:
    hub = circle.hub
    second = hub.stubs.actor("lia", circle.host_of(circle.lemmy).name, software="lemmy")
    await asks(hub, second, circle.uri)
    await let_in(hub, circle.group_id, second)
    fan = await newcomer(hub, "fan", "mastodon")
    await hub.deliver(activity(fan, "Follow", hub.person(hub.anna)))
    await circle.topic("Ribollita", f"With beans, says @fan@{circle.host_of(fan).name} #beans")
    for who in circle.members:
        assert len(circle.said_to(who, "Ribollita")) == 1, who
    assert not circle.said_to(circle.outsider, "Ribollita")
    assert not circle.said_to(fan, "Ribollita"), "not to followers of its author"


async def test_inv_18_nothing_of_it_is_addressed_to_the_public_or_carries_a_proof(
    circle: Circle,
) -> None:
    topic = await circle.topic("Panzanella")
    hub = circle.hub
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(
            tx, Draft("Panzanella answer"), is_topic=False, author_id=hub.anna
        )
        reply = await threads.create_reply(tx, hub.anna, topic, content)
    hub.site.wake()
    await hub.quiet()
    async with hub.db.transaction() as tx:
        await threads.edit(tx, hub.anna, reply, content)
    hub.site.wake()
    await hub.quiet()
    async with hub.db.transaction() as tx:
        await reactions.add(tx, hub.anna, topic, "like")
        await threads.set_pinned(tx, hub.anna, topic, pinned=True)
        await threads.set_locked(tx, hub.anna, topic, locked=True)
        await threads.delete(tx, hub.anna, reply)
        await groups.edit_group(
            tx,
            circle.group_id,
            hub.anna,
            title="Cantina",
            description="For the few.",
            approval=True,
            announce_replies=False,
            local_origin=hub.origin,
        )
    hub.site.wake()
    await hub.quiet()
    seen = set()
    for who in circle.members:
        for one in circle.host_of(who).arrived:
            seen.add(kind_of(one.body))
            text = json.dumps(one.body)
            assert PUBLIC not in addressees(one.body), one.body
            assert '"proof"' not in text and '"signature"' not in text, one.body
            assert '"bto"' not in text and '"bcc"' not in text
    assert {"Announce/Create", "Announce/Like", "Announce/Add", "Announce/Lock"} <= seen
    assert {"Create", "Announce/Update", "Announce/Delete", "Update"} <= seen
    lemmy = circle.said_to(circle.lemmy, "Panzanella")[0].body
    followers = f"{circle.uri}/followers"
    assert lemmy["to"] == [circle.uri, followers] and lemmy["cc"] == []
    assert lemmy["object"]["object"]["to"] == [circle.uri, followers]


async def test_microblogs_hear_it_from_the_group_itself_which_their_people_follow(
    circle: Circle,
) -> None:
    hub = circle.hub
    topic = await circle.topic("Farinata", "Chick-peas & water.")
    for who in (circle.mastodon, circle.gotosocial):
        [create] = [one.body for one in circle.said_to(who, "Farinata")]
        note = create["object"]
        assert create["type"] == "Create" and create["actor"] == circle.uri
        assert note["attributedTo"] == circle.uri and note["type"] == "Note"
        assert note["to"] == [f"{circle.uri}/followers"] and note["tag"] == []
        assert "@anna@" in note["content"] and "<strong>Farinata</strong>" in note["content"]
        assert (await hub.stubs.get(note["id"], signer=who))[1]["content"] == note["content"]
        status, served = await hub.stubs.get(create["id"], signer=who)
        assert status == 200 and served["object"] == note
        for outside in (circle.outsider, None):
            assert (await hub.stubs.get(note["id"], signer=outside))[0] == 404
            assert (await hub.stubs.get(create["id"], signer=outside))[0] == 404
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(
            tx, Draft("Chick-peas, water, oil.", "Farinata 2"), is_topic=True, author_id=hub.anna
        )
        await threads.edit(tx, hub.anna, topic, content)
    hub.site.wake()
    await hub.quiet()
    updates = [one.body for one in circle.said_to(circle.mastodon, "Farinata 2")]
    assert {one["actor"] for one in updates if one["object"]["id"] == note["id"]} == {circle.uri}
    async with hub.db.transaction() as tx:
        await threads.delete(tx, hub.anna, topic)
    hub.site.wake()
    await hub.quiet()
    deleted = [
        one.body["object"]["id"]
        for one in circle.host_of(circle.mastodon).arrived
        if one.body["type"] == "Delete" and one.body["actor"] == circle.uri
    ]
    assert deleted[-1] == note["id"]
    assert (await hub.stubs.get(note["id"], signer=circle.mastodon))[0] == 404


async def test_a_deletion_goes_to_who_had_a_copy_though_they_left(circle: Circle) -> None:
    hub = circle.hub
    eva = await newcomer(hub, "eva", "lemmy")
    await asks(hub, eva, circle.uri)
    await let_in(hub, circle.group_id, eva)
    topic = await circle.topic("Castagnaccio")
    assert circle.said_to(eva, "Castagnaccio")
    follow = activity(eva, "Follow", circle.uri)
    assert await hub.deliver(activity(eva, "Undo", follow)) == "done: left the group"
    async with hub.db.transaction() as tx:
        await threads.delete(tx, hub.anna, topic)
    hub.site.wake()
    await hub.quiet()
    uri = hub.object_uri(topic)
    taken_back = [one.body for one in circle.host_of(eva).arrived if uri in json.dumps(one.body)]
    assert kind_of(taken_back[-1]) in ("Delete", "Announce/Delete")
    assert not any(PUBLIC in addressees(one) for one in taken_back)


async def test_files_of_the_group_stay_here_and_their_words_go(circle: Circle) -> None:
    hub = circle.hub
    image = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(image, "PNG")
    media_id = await media.upload(
        hub.db,
        hub.anna,
        image.getvalue(),
        folder=hub.site.media_folder,
        purpose="attachment",
        alt="A red square",
        limits=ATTACHMENT,
        daily_bytes=10**8,
    )
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(
            tx, Draft("Look.", "Quadro", media=(media_id,)), is_topic=True, author_id=hub.anna
        )
        await threads.create_topic(tx, hub.anna, circle.group_id, content)
    hub.site.wake()
    await hub.quiet()
    for who in circle.members:
        [one] = circle.said_to(who, "Quadro")
        assert "/media/" not in json.dumps(one.body) and "A red square" in json.dumps(one.body)


# What comes in


async def test_a_lemmy_member_writes_into_the_group_and_only_members_read_it(
    circle: Circle,
) -> None:
    hub = circle.hub
    followers = f"{circle.uri}/followers"
    page = hub.stubs.note(
        circle.lemmy,
        number=next(_numbers),
        type="Page",
        name="Minestrone",
        to=[circle.uri, followers],
        cc=[],
        audience=circle.uri,
        content="<p>Everything in one pot.</p>",
    )
    create = activity(circle.lemmy, "Create", page, to=[circle.uri, followers], audience=circle.uri)
    assert await hub.deliver(create, inbox=f"{circle.uri}/inbox") == "done: stored"
    topic = await threads.thing_by_uri(hub.db, page["id"])
    assert topic is not None and topic.group_id == circle.group_id
    assert topic.kind == "topic" and topic.visibility == "members"
    comment = hub.stubs.note(
        circle.lemmy,
        number=next(_numbers),
        to=[circle.uri, followers],
        cc=[hub.person(hub.anna)],
        audience=circle.uri,
        inReplyTo=page["id"],
        content="<p>Even fennel.</p>",
    )
    assert await hub.deliver(activity(circle.lemmy, "Create", comment)) == "done: stored"
    reply = await threads.thing_by_uri(hub.db, comment["id"])
    assert reply is not None and reply.visibility == "members" and reply.group_id == circle.group_id
    like = activity(circle.lemmy, "Like", page["id"], audience=circle.uri)
    assert await hub.deliver(like) == "done: like"
    await hub.quiet()
    # The group repeats it to its own, and tells the microblogs.
    told = circle.said_to(circle.mastodon, "Minestrone")
    assert [one.body["actor"] for one in told] == [circle.uri]
    assert "@lea@" in told[0].body["object"]["content"]
    assert not circle.said_to(circle.outsider, "Minestrone")
    assert "Minestrone" in (await hub.get("/g/cantina", await hub.cookie()))[1]
    assert "Minestrone" not in (await hub.get("/g/cantina"))[1]


async def test_inv_16_a_reply_from_mastodon_stays_in_the_group_however_it_is_addressed(
    circle: Circle,
) -> None:
    hub = circle.hub
    await circle.topic("Cacciucco")
    [told] = circle.said_to(circle.mastodon, "Cacciucco")
    mention = {"type": "Mention", "href": circle.uri, "name": "@cantina"}
    for number, (to, cc, visibility) in enumerate(
        (
            ([circle.uri], [], "members"),
            ([f"{circle.mastodon}/followers"], [circle.uri], "members"),
            ([PUBLIC], [circle.uri], "members"),
            ([hub.person(hub.anna)], [], "direct"),
        )
    ):
        note = hub.stubs.note(
            circle.mastodon,
            number=f"cacciucco{number}",
            inReplyTo=told.body["object"]["id"],
            to=to,
            cc=cc,
            tag=[mention] if number < 3 else [],
            content=f"<p>Fish {number}.</p>",
        )
        create = activity(circle.mastodon, "Create", note, to=to, cc=cc)
        assert await hub.deliver(create) == "done: stored"
        reply = await threads.thing_by_uri(hub.db, note["id"])
        assert reply is not None and reply.visibility == visibility, number
        assert reply.parent_id == circle.topics["Cacciucco"] and reply.group_id == circle.group_id
        edit = activity(circle.mastodon, "Update", note | {"content": f"<p>Fishes {number}</p>"})
        await hub.deliver(edit)
        edited = await threads.thing_by_uri(hub.db, note["id"])
        assert edited is not None and edited.visibility == visibility, number


async def test_inv_20_who_is_not_in_it_neither_writes_nor_likes_though_their_server_has_a_copy(
    circle: Circle,
) -> None:
    hub = circle.hub
    topic = await circle.topic("Pappa")
    neighbour = hub.stubs.actor("nina", circle.host_of(circle.mastodon).name, software="mastodon")
    # The server may have the copy, whoever of it signs (federation.md §3.6).
    assert (await hub.stubs.get(hub.object_uri(topic), signer=neighbour))[0] == 200
    note = hub.stubs.note(
        neighbour, inReplyTo=hub.object_uri(topic), to=[circle.uri], cc=[], number="pappa"
    )
    verdict = await hub.deliver(activity(neighbour, "Create", note, to=[circle.uri]))
    assert "refused" in verdict
    assert "refused" in await hub.deliver(activity(neighbour, "Like", hub.object_uri(topic)))
    fresh = hub.stubs.note(neighbour, to=[circle.uri], cc=[], number="own", name="Mine")
    assert "stored" not in await hub.deliver(activity(neighbour, "Create", fresh, to=[circle.uri]))
    assert await hub.count("SELECT count(*) FROM objects WHERE author_id = (SELECT id FROM actors"
                           " WHERE uri = ?)", neighbour) == 0  # fmt: skip


# Fetching


@pytest.mark.parametrize("path", ["", "/replies", "/likes", "/shares"])
async def test_inv_20_objects_are_served_to_servers_of_members_only(
    circle: Circle, path: str
) -> None:
    hub = circle.hub
    topic = circle.topics.get("Trippa") or await circle.topic("Trippa")
    address = hub.object_uri(topic) + path
    instance = hub.stubs.actor("instance", circle.host_of(circle.lemmy).name, kind="Application")
    for signer in (circle.lemmy, instance):
        status, _ = await hub.stubs.get(address, signer=signer)
        assert status == 200
    for signer in (None, circle.outsider):
        status, answer = await hub.stubs.get(address, signer=signer)
        assert status == 404 and "Trippa" not in json.dumps(answer)


async def test_inv_18_lists_of_the_group_are_for_its_own_and_followers_are_a_number(
    circle: Circle,
) -> None:
    hub = circle.hub
    await circle.topic("Lista")
    for name in ("outbox", "outbox?page=true", "moderators", "featured", "following"):
        for signer in (None, circle.outsider):
            assert (await hub.stubs.get(f"{circle.uri}/{name}", signer=signer))[0] == 404, name
        assert (await hub.stubs.get(f"{circle.uri}/{name}", signer=circle.lemmy))[0] == 200
    _, outbox = await hub.stubs.get(f"{circle.uri}/outbox", signer=circle.lemmy)
    assert "Lista" in json.dumps(outbox) and PUBLIC not in json.dumps(outbox["orderedItems"])
    for signer in (None, circle.outsider, circle.lemmy):
        status, followers = await hub.stubs.get(f"{circle.uri}/followers", signer=signer)
        assert status == 200 and set(followers) == {"@context", "id", "type", "totalItems"}


async def test_lemmys_question_whether_a_server_has_a_member_is_answered_to_members_only(
    circle: Circle,
) -> None:
    hub = circle.hub
    base = f"{circle.uri}/followers?is_follower="

    async def ask(about: str, signer: str | None) -> int:
        return (await hub.stubs.get(base + about, signer=signer))[0]

    assert await ask(circle.mastodon, circle.lemmy) == 200
    assert await ask(circle.outsider, circle.lemmy) == 404
    for signer in (None, circle.outsider):
        assert await ask(circle.mastodon, signer) == 404
    open_group = f"{hub.group_uri(hub.group)}/followers?is_follower={circle.lemmy}"
    assert (await hub.stubs.get(open_group, signer=circle.lemmy))[0] == 400


async def test_fep_8fcf_each_server_can_compare_whom_the_group_counts_there(
    circle: Circle,
) -> None:
    hub = circle.hub
    await circle.topic("Conti")
    for who in (circle.mastodon, circle.lemmy):
        [one] = circle.said_to(who, "Conti")
        offer = read(one.headers[HEADER])
        assert offer is not None and offer.collection_id == f"{circle.uri}/followers"
        status, listed = await hub.stubs.get(offer.url, signer=who)
        assert status == 200 and digest(listed["orderedItems"]) == offer.digest
        assert who in listed["orderedItems"]
        home = circle.host_of(who).origin
        assert all(uri.startswith(home) for uri in listed["orderedItems"])
        assert (await hub.stubs.get(offer.url, signer=circle.outsider))[0] == 404
        assert (await hub.stubs.get(offer.url))[0] == 404


# Losing it


async def test_inv_21_what_waits_for_a_server_is_dropped_when_its_last_member_goes(
    circle: Circle,
) -> None:
    hub = circle.hub
    pia = await newcomer(hub, "pia", "mastodon")
    await asks(hub, pia, circle.uri)
    await let_in(hub, circle.group_id, pia)
    home = circle.host_of(pia)
    home.status = 503
    await hub.write_topic(circle.group_id, "Schiacciata")
    await hub.stubs.until(lambda: circle.said_to(pia, "Schiacciata"), why="tried")
    person = await circle.actor_id(pia)
    async with hub.db.transaction() as tx:
        await groups.refuse(tx, circle.group_id, hub.anna, person)
    home.status = 202
    before = len(circle.said_to(pia, "Schiacciata"))
    assert hub.site.federation is not None
    hub.site.wake()
    deadline = asyncio.get_running_loop().time() + 10
    while await hub.count("SELECT count(*) FROM deliveries d JOIN hosts h ON h.id = d.host_id"
                          " WHERE h.name LIKE ?", f"{home.name}%"):  # fmt: skip
        await hub.site.federation.flush(None)
        await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() < deadline
    assert len(circle.said_to(pia, "Schiacciata")) == before
    assert home.kinds()[-1] == "Reject"


async def test_inv_21_a_server_that_is_suspended_has_access_no_more(circle: Circle) -> None:
    hub = circle.hub
    vera = await newcomer(hub, "vera", "lemmy")
    await asks(hub, vera, circle.uri)
    await let_in(hub, circle.group_id, vera)
    topic = await circle.topic("Focaccia")
    address = hub.object_uri(topic)
    assert (await hub.stubs.get(address, signer=vera))[0] == 200
    name = circle.host_of(vera).origin.split("://", 1)[1]
    async with hub.db.transaction() as tx:
        change = await policy_changes.apply(
            tx, {name: Entry(name, "suspend")}, by=hub.anna, kind="set", reason="Test."
        )
    assert change is not None
    assert hub.site.federation is not None
    hub.site.federation.policies_changed()
    assert (await hub.stubs.get(address, signer=vera))[0] == 403
    await circle.topic("Dopo Vera")
    assert not circle.said_to(vera, "Dopo Vera")
    assert name not in [home.host for home in await group_hosts.homes(hub.db, circle.group_id)]
    async with hub.db.transaction() as tx:
        await policy_changes.undo(tx, change, by=hub.anna, reason="Test over.")
    hub.site.federation.policies_changed()
    assert (await hub.stubs.get(address, signer=vera))[0] == 200


# A list of servers that may ask


@dataclass
class Chosen:
    """A reserved group that people of one server only may ask to join."""

    hub: LocalHub
    group_id: int
    uri: str
    friend: str
    stranger: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chosen(town: LocalHub) -> Chosen:
    group_id = await town.make_group("qzloft", mode="reserved", description="qzmarker words")
    friend = await newcomer(town, "fede", "lemmy")
    stranger = await newcomer(town, "stra", "lemmy")
    home = friend.split("/")[2]
    async with town.db.transaction() as tx:
        assert await circles.set_askers(tx, group_id, town.anna, [home, " "]) == 0
        content = await town.site.compose(
            tx, Draft("qzmarker text #qzmarkertag", "qzmarker"), is_topic=True, author_id=town.anna
        )
        await threads.create_topic(tx, town.anna, group_id, content)
    town.site.wake()
    await town.quiet()
    return Chosen(town, group_id, town.group_uri(group_id), friend, stranger)


async def test_inv_20_servers_that_may_not_ask_get_what_an_unknown_group_gets(
    chosen: Chosen,
) -> None:
    hub = chosen.hub
    host = hub.site.host
    unknown = hub.group_uri(4_242_424_242)
    paths = ("", "/outbox", "/followers", "/following", "/featured", "/moderators")

    async def fetched(url: str, signer: str | None, accept: str = ACTIVITY) -> tuple[int, str]:
        headers = {"Accept": accept}
        if signer is not None:
            headers |= cavage.sign("GET", url, None, test_key(), f"{signer}#main-key")
        session = hub.stubs._session
        assert session is not None
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
            return answer.status, re.sub(r"\d{6,}|qz\w+", "X", text)

    webfinger = f"{hub.origin}/.well-known/webfinger?resource="
    for signer in (None, chosen.stranger):
        for path in paths:
            assert await fetched(chosen.uri + path, signer) == await fetched(unknown + path, signer)
        for there, never in (
            (f"{webfinger}acct:qzloft@{host}", f"{webfinger}acct:qzvoid@{host}"),
            (f"{webfinger}{chosen.uri}", f"{webfinger}{unknown}"),
            (f"{hub.origin}/g/qzloft", f"{hub.origin}/g/qzvoid"),
            (f"{hub.origin}/@qzloft", f"{hub.origin}/@qzvoid"),
        ):
            assert await fetched(there, signer) == await fetched(never, signer)
            assert (await fetched(there, None, "text/html"))[0] == (
                await fetched(never, None, "text/html")
            )[0]
    for page in ("/groups", "/", "/search?q=qzmarker", "/tags/qzmarkertag", "/feed.atom"):
        assert "qzloft" not in (await hub.get(page))[1], page
    # Who may ask learns that it is there, and no more; by WebFinger too, when it signs.
    assert (await fetched(chosen.uri, chosen.friend))[0] == 200
    assert (await fetched(f"{webfinger}acct:qzloft@{host}", chosen.friend))[0] == 200
    assert (await fetched(f"{chosen.uri}/outbox", chosen.friend))[0] == 404


async def test_inv_20_the_inbox_of_the_group_is_there_for_those_who_may_ask(
    chosen: Chosen,
) -> None:
    hub = chosen.hub
    follow = activity(chosen.stranger, "Follow", chosen.uri)
    assert await hub.post(follow, inbox=f"{chosen.uri}/inbox") == 404
    # By the shared inbox it is taken, and nothing comes of it.
    assert "refused" in await hub.deliver(follow)
    await hub.quiet()
    host = hub.stubs.hosts[chosen.stranger.split("/")[2].partition(":")[0]]
    assert host.arrived == []
    assert await asks(hub, chosen.friend, chosen.uri) == "done: membership requested"


async def test_who_is_not_on_the_list_any_more_is_turned_away(chosen: Chosen) -> None:
    hub = chosen.hub
    await asks(hub, chosen.friend, chosen.uri)
    await let_in(hub, chosen.group_id, chosen.friend)
    other = chosen.stranger.split("/")[2]
    async with hub.db.transaction() as tx:
        assert await circles.set_askers(tx, chosen.group_id, hub.anna, [other]) == 1
        assert await circles.askers(tx, chosen.group_id) == [other]
        with pytest.raises(Invalid):
            await circles.set_askers(tx, chosen.group_id, hub.anna, ["not a host"])
        with pytest.raises(NotAllowed):
            await circles.set_askers(tx, chosen.group_id, hub.ben, [])
    hub.site.wake()
    await hub.quiet()
    host = hub.stubs.hosts[chosen.friend.split("/")[2].partition(":")[0]]
    assert host.kinds()[-1] == "Reject"
    assert (await hub.stubs.get(chosen.uri, signer=chosen.friend))[0] == 404
    assert await asks(hub, chosen.stranger, chosen.uri) == "done: membership requested"
