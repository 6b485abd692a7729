"""The dry run says, byte for byte, what is sent afterwards; to whom, what it looks like there, and what to mend."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from fedcomm.hub import media, previews, reservations, threads
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Draft
from fedcomm.hub.events import Occasion
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.previews import Preview, Proposal, Remark
from fedcomm.hub.reservations import Reservation
from fedcomm.store.ids import now_ms
from tests.federation.acts import anna_follows, create, stored
from tests.federation.inprocess import LocalHub
from tests.federation.stub import AS, PUBLIC, StubHost
from tests.web.world import picture_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("mastodon", "lemmy", "nodebb")


async def follow(town: LocalHub, host: str, software: str, target: str, name: str = "ida") -> str:
    """Somebody on a new server of this kind follows the target; their id."""
    fan = town.stubs.actor(name, host)
    town.stubs.hosts[host].software = software
    await town.deliver(
        {
            "@context": AS,
            "id": f"{fan}/follows/{now_ms()}",
            "type": "Follow",
            "actor": fan,
            "object": target,
        }
    )
    return fan


async def audience(town: LocalHub, name: str) -> tuple[int, dict[str, StubHost]]:
    """A new group with one follower on a server of each kind; its id and the servers by kind."""
    group = await town.make_group(name)
    servers: dict[str, StubHost] = {}
    for software in KINDS:
        host = town.stubs.new_host(software)
        await follow(town, host, software, town.group_uri(group))
        servers[software] = town.stubs.hosts[host]
    await town.quiet()
    for server in servers.values():
        server.arrived.clear()
    return group, servers


async def composed(
    town: LocalHub, draft: Draft, *, group: int | None = None, parent: int | None = None
) -> Proposal:
    content = await town.site.compose(town.db, draft, is_topic=parent is None, author_id=town.anna)
    return Proposal(town.anna, content, draft.source, group, parent)


async def look(town: LocalHub, proposal: Proposal, held: Reservation | None = None) -> Preview:
    assert town.site.federation is not None
    return await town.site.federation.preview(proposal, held or reservations.reserve())


async def post(town: LocalHub, proposal: Proposal, held: Reservation) -> int:
    """Post what was previewed, and wait until it is out."""
    async with town.db.transaction() as tx:
        if proposal.parent_id is not None:
            made = await threads.create_reply(
                tx, proposal.author_id, proposal.parent_id, proposal.content, reserved=held
            )
        else:
            made = await threads.create_topic(
                tx, proposal.author_id, proposal.group_id or 0, proposal.content, reserved=held
            )
    town.site.wake()
    await town.quiet()
    return made


def bodies(seen: Preview, peer: str) -> list[bytes]:
    return [letter.body for letter in seen.letters if peer in letter.peers]


def codes(remarks: tuple[Remark, ...]) -> set[str]:
    return {remark.code for remark in remarks}


async def picture(town: LocalHub, alt: str = "A red square") -> int:
    return await media.upload(
        town.db,
        town.anna,
        picture_bytes(),
        folder=town.site.media_folder,
        purpose="attachment",
        alt=alt,
        limits=ATTACHMENT,
        daily_bytes=10_000_000,
    )


async def assert_arrives_as_previewed(
    town: LocalHub, proposal: Proposal, servers: dict[str, StubHost], *, to: tuple[str, ...] = KINDS
) -> Preview:
    """Preview, post, and compare what each server got with what was shown for it."""
    seen = await look(town, proposal)
    object_id = await post(town, proposal, seen.reservation)
    assert object_id == seen.reservation.object_id
    names = {"mastodon": "Mastodon", "lemmy": "Lemmy", "nodebb": "NodeBB"}
    for software, server in servers.items():
        arrived = [arrival.raw for arrival in server.arrived]
        # Of its letters, those for the group's followers: nobody there follows the author.
        for body in arrived:
            assert body in bodies(seen, names[software]), (software, json.loads(body)["type"])
        assert bool(arrived) == (software in to), (software, server.kinds())
        server.arrived.clear()
    return seen


async def test_a_topic_with_a_picture_arrives_to_the_byte_as_it_was_previewed(
    town: LocalHub,
) -> None:
    group, servers = await audience(town, "previewed")
    draft = Draft("Clay, *north* side. #soil", "Which soil?", media=(await picture(town),))
    seen = await assert_arrives_as_previewed(
        town, await composed(town, draft, group=group), servers
    )
    assert [letter.kind for letter in seen.letters] == [
        "Create",
        "Announce/activity",
        "Announce/id",
    ]
    assert (seen.servers, seen.people) == (3, 3)
    assert {kind.software: kind.servers for kind in seen.by_software} == dict.fromkeys(KINDS, 1)


async def test_what_is_fetched_by_its_id_is_what_was_previewed(town: LocalHub) -> None:
    group, servers = await audience(town, "fetched")
    proposal = await composed(town, Draft("Words.", "Fetch me"), group=group)
    seen = await look(town, proposal)
    object_id = await post(town, proposal, seen.reservation)
    server = servers["mastodon"]
    status, document = await town.stubs.get(
        town.object_uri(object_id), signer=server.actors["ida"]["id"]
    )
    assert status == 200
    assert seen.document is not None
    assert document == json.loads(seen.document)


async def test_a_poll_arrives_as_previewed_in_the_form_that_suits_each_server(
    town: LocalHub,
) -> None:
    group, servers = await audience(town, "polled")
    poll = Ballot(("Clay", "Sand", "Peat", "Loam", "Chalk"), False, now_ms() + 86_400_000)
    proposal = await composed(town, Draft("Choose.", "Which?", poll=poll), group=group)
    seen = await assert_arrives_as_previewed(town, proposal, servers)
    drawn = {likeness.peer: likeness for likeness in seen.likenesses}
    assert len(drawn["Mastodon"].options) == 5
    assert "options_many" in codes(drawn["Mastodon"].remarks)
    assert drawn["Lemmy"].options == ()
    assert "Chalk" in drawn["Lemmy"].body
    assert "no_polls" in codes(drawn["Lemmy"].remarks)
    assert "options_many" not in codes(drawn["NodeBB"].remarks)


async def test_a_reply_arrives_as_previewed_where_threads_are_built(town: LocalHub) -> None:
    group, servers = await audience(town, "answered")
    topic = await town.write_topic(group, "A topic", "To be answered.")
    await town.quiet()
    for server in servers.values():
        server.arrived.clear()
    proposal = await composed(town, Draft("Add compost."), parent=topic)
    seen = await assert_arrives_as_previewed(town, proposal, servers, to=("lemmy", "nodebb"))
    drawn = {likeness.peer: likeness for likeness in seen.likenesses}
    assert "thread_only" in codes(drawn["Mastodon"].remarks)
    assert "compost" in drawn["Lemmy"].body
    assert (seen.servers, seen.people) == (2, 2)


async def test_a_follower_of_the_author_gets_the_create_that_was_previewed(
    town: LocalHub,
) -> None:
    group, servers = await audience(town, "mentioning")
    host = town.stubs.new_host("masto")
    fan = await follow(town, host, "mastodon", town.person(town.anna), "uma")
    await town.quiet()
    server = town.stubs.hosts[host]
    server.arrived.clear()
    proposal = await composed(town, Draft("Hello.", "To my followers"), group=group)
    seen = await look(town, proposal)
    await post(town, proposal, seen.reservation)
    assert [arrival.raw for arrival in server.arrived] == [seen.letters[0].body], fan
    assert seen.letters[0].kind == "Create"
    assert seen.letters[0].servers == 1
    assert (seen.servers, seen.people) == (4, 4)
    assert "followers_of_author" in codes(seen.remarks)
    assert servers["lemmy"].arrived


async def test_looking_twice_shows_the_same_bytes_and_leaves_no_trace(town: LocalHub) -> None:
    group, _servers = await audience(town, "twice")
    proposal = await composed(town, Draft("Text.", "Twice"), group=group)
    before = await town.fingerprint()
    hosts = await town.count("SELECT count(*) FROM hosts")
    first = await look(town, proposal)
    second = await look(town, proposal, first.reservation)
    assert first == second
    assert await town.fingerprint() == before
    assert await town.count("SELECT count(*) FROM hosts") == hosts
    assert await town.count("SELECT count(*) FROM reservations") == 0


async def test_the_numbers_do_not_depend_on_who_happens_to_follow(town: LocalHub) -> None:
    """Without anybody of one kind an activity is never made; the others keep their numbers all the same."""
    group = await town.make_group("lonely")
    host = town.stubs.new_host("masto")
    await follow(town, host, "mastodon", town.group_uri(group))
    await town.quiet()
    town.stubs.hosts[host].arrived.clear()
    poll = Ballot(("Yes", "No"), False, now_ms() + 86_400_000)
    proposal = await composed(town, Draft("Well?", "A poll", poll=poll), group=group)
    seen = await look(town, proposal)
    await post(town, proposal, seen.reservation)
    arrived = [arrival.raw for arrival in town.stubs.hosts[host].arrived]
    assert len(arrived) == 2
    assert set(arrived) == {
        letter.body for letter in seen.letters if letter.kind in ("Create", "Announce/id")
    }


async def test_mastodon_shows_title_beginning_and_link_of_a_topic(town: LocalHub) -> None:
    group, _servers = await audience(town, "drawn")
    proposal = await composed(town, Draft("Long words. " * 80, "A title"), group=group)
    seen = await look(town, proposal)
    mastodon, lemmy, nodebb = seen.likenesses
    assert (mastodon.title, lemmy.title, nodebb.title) == ("A title",) * 3
    assert len(mastodon.body) < 600 < len(lemmy.body)
    assert mastodon.link.endswith(f"/t/{seen.reservation.object_id}")
    assert {"link_only", "summary_cut"} <= codes(mastodon.remarks)
    assert not {"link_only", "summary_cut"} & codes(lemmy.remarks)
    assert "Announce/id" in mastodon.kinds
    assert "Announce/activity" in lemmy.kinds


async def test_warnings_say_what_to_mend(town: LocalHub) -> None:
    group, _servers = await audience(town, "warned")
    files = tuple([await picture(town, alt="") for _ in range(5)])
    draft = Draft("Hello @nobody and @ghost@nowhere.test", "T" * 200, media=files)
    seen = await look(town, await composed(town, draft, group=group))
    texts = [remark.text for remark in seen.remarks]
    assert codes(seen.remarks) - {"followers_of_author"} == {"no_alt", "mention_unknown"}
    assert any("5 of the files" in text for text in texts)
    assert any("@ghost@nowhere.test" in text for text in texts)
    mastodon, lemmy, _nodebb = seen.likenesses
    assert "pictures_cut" in codes(mastodon.remarks)
    assert len(mastodon.files) == 4
    assert lemmy.link == lemmy.files[0].url
    bare = replace(await composed(town, Draft("", "Only a title", media=files[:1]), group=group))
    shown = (await look(town, bare)).likenesses[0]
    assert "no_summary" in codes(shown.remarks)


async def test_servers_that_get_nothing_or_late_are_named(town: LocalHub) -> None:
    group, servers = await audience(town, "policed")
    names = {kind: server.origin.split("://")[1] for kind, server in servers.items()}
    async with town.db.transaction() as tx:
        for kind, change in (
            ("mastodon", "policy = 'suspend'"),
            ("lemmy", "policy = 'limit'"),
            ("nodebb", "dead_at = 1"),
        ):
            assert await tx.execute(f"UPDATE hosts SET {change} WHERE name = ?", names[kind])
    seen = await look(town, await composed(town, Draft("Words.", "To few"), group=group))
    said = {remark.code: remark.values.get("names") for remark in seen.remarks}
    said.pop("followers_of_author", None)
    assert said == {
        "hosts_suspended": names["mastodon"],
        "hosts_limited": names["lemmy"],
        "hosts_dead": names["nodebb"],
    }
    reached = {host.host for host in seen.hosts}
    assert reached & set(names.values()) == {names["lemmy"]}


async def test_a_private_group_sends_nothing_and_says_so(town: LocalHub) -> None:
    fan = town.stubs.somebody("vera")
    await follow(town, fan.split("/")[2].partition(":")[0], "stub", town.person(town.anna), "vera")
    name = fan.split("/")[2]
    draft = Draft(f"Hello @vera@{name}", "Among us")
    seen = await look(town, await composed(town, draft, group=town.secret))
    assert seen.letters == ()
    assert seen.document is None
    assert seen.servers == 0
    assert codes(seen.remarks) == {"stays_here", "mention_stays"}
    assert seen.likenesses == ()


async def test_an_old_reservation_is_not_used(town: LocalHub) -> None:
    now = now_ms()
    held = Reservation(1, now - reservations.HELD_MS + 1000)
    assert held.is_held(now)
    assert not held.is_held(now + 2000)
    assert not replace(held, at=now + 60_000).is_held(now), "the clock was set back"


async def test_every_remark_has_a_text_with_its_values(town: LocalHub) -> None:
    values: dict[str, Any] = dict.fromkeys(("count", "limit", "name", "names"), "x")
    for code in previews.REMARKS:
        assert Remark(code, values).text


async def test_a_quote_of_somebody_who_is_asked_first_arrives_as_previewed(town: LocalHub) -> None:
    group, servers = await audience(town, "quoting")
    uma = town.stubs.somebody("uma")
    policy = {"canQuote": {"automaticApproval": [PUBLIC]}}
    note = town.stubs.note(uma, interactionPolicy=policy)
    await anna_follows(town, uma)
    await town.deliver(create(note))
    quoted = await stored(town, note["id"])
    assert quoted is not None
    draft = Draft("Look at this.", "A quote", quote=quoted.id)
    seen = await assert_arrives_as_previewed(
        town, await composed(town, draft, group=group), servers
    )
    assert "quote_without_consent" in codes(seen.remarks)
    assert seen.document is not None
    assert json.loads(seen.document)["quote"] == note["id"]


async def test_an_event_arrives_as_previewed(town: LocalHub) -> None:
    group, servers = await audience(town, "invited")
    starts = now_ms() // 60_000 * 60_000 + 86_400_000
    occasion = Occasion(starts_at=starts, zone="Europe/Rome", place="The shed")
    proposal = await composed(
        town, Draft("Bring gloves.", "Digging", event=occasion, language="en"), group=group
    )
    seen = await assert_arrives_as_previewed(town, proposal, servers)
    assert seen.likenesses[0].title == "Digging"
