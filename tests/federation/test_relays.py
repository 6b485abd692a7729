"""Relays of both styles (FEP-ae0c): asked, accepted, refused, left; what they get and what they bring."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from fedcomm.federation import housekeeping
from fedcomm.hub import groups, reactions, relays, search, threads
from fedcomm.hub.errors import Invalid
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.store.ids import now_ms
from tests.databases import ENGINES
from tests.federation.acts import unaddressed as activity
from tests.federation.conftest import hub_of_module
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC, StubHost, kind_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)

JSON = dict[str, Any]

PER_HOUR = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def town(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    servers: ScriptedStubs,
) -> AsyncIterator[LocalHub]:
    settings: dict[str, dict[str, Any]] = {
        "relays": {"enabled": True, "per_hour": PER_HOUR, "keep_days": 1}
    }
    async with hub_of_module(request, tmp_path_factory.mktemp("hub"), servers, settings) as hub:
        async with hub.db.transaction() as tx:
            await groups.edit_group(
                tx,
                hub.group,
                hub.anna,
                title="Gardening",
                description="",
                approval=False,
                announce_replies=False,
                relayed=True,
                local_origin=hub.origin,
            )
        yield hub


def server_of(town: LocalHub, who: str) -> StubHost:
    return town.stubs.hosts[who.split("/")[2].partition(":")[0]]


async def added(town: LocalHub, style: relays.Style, **answer: Any) -> tuple[str, int]:
    """A new relay that was asked; (its actor, its number)."""
    actor = town.stubs.somebody("relay", town.stubs.new_host("relay"), kind="Application")
    address = actor if style == "litepub" else f"{server_of(town, actor).origin}/inbox"
    assert town.site.federation is not None
    number = await town.site.federation.add_relay(address, style, by=town.anna)
    await town.quiet()
    return actor, number


async def accepted(town: LocalHub, style: relays.Style) -> tuple[str, int]:
    actor, number = await added(town, style)
    [follow] = [one.body for one in server_of(town, actor).arrived if one.body["type"] == "Follow"]
    assert follow["actor"] == f"{town.origin}/ap/instance"
    assert follow["object"] == (actor if style == "litepub" else PUBLIC)
    verdict = await town.deliver(activity(actor, "Accept", follow))
    assert verdict == "done: relay accepted"
    return actor, number


async def left(town: LocalHub, number: int) -> None:
    async with town.db.transaction() as tx:
        await relays.remove(tx, number, by=town.anna)
    town.site.wake()
    await town.quiet()


@pytest.mark.parametrize("style", relays.STYLES)
async def test_a_relay_is_asked_answers_and_is_left(town: LocalHub, style: relays.Style) -> None:
    actor, number = await added(town, style)
    known = await relays.relay(town.db, number)
    assert known is not None and known.state == "requested"
    [follow] = [one.body for one in server_of(town, actor).arrived]
    stranger = town.stubs.somebody()
    assert "refused" in await town.deliver(activity(stranger, "Accept", follow))
    assert "refused" in await town.deliver(activity(actor, "Accept", f"{town.origin}/ap/c/42"))
    assert await town.deliver(activity(actor, "Reject", follow)) == "done: relay refused"
    assert await town.deliver(activity(actor, "Accept", follow["id"])) == "done: relay accepted"
    known = await relays.relay(town.db, number)
    assert known is not None and known.state == "active"
    await left(town, number)
    assert await relays.relay(town.db, number) is None
    undo = server_of(town, actor).arrived[-1].body
    assert undo["type"] == "Undo" and undo["object"]["id"] == follow["id"]


async def test_a_litepub_relay_follows_back_and_nobody_else_follows_the_instance(
    town: LocalHub,
) -> None:
    actor, number = await accepted(town, "litepub")
    instance = f"{town.origin}/ap/instance"
    assert await town.deliver(activity(actor, "Follow", instance)) == "done: relay follows"
    await town.quiet()
    accept = server_of(town, actor).arrived[-1].body
    assert accept["type"] == "Accept" and accept["object"]["object"] == instance
    stranger = town.stubs.somebody()
    assert "refused" in await town.deliver(activity(stranger, "Follow", instance))
    await left(town, number)


async def test_topics_go_to_relays_as_far_as_group_and_author_agree(town: LocalHub) -> None:
    light, first = await accepted(town, "litepub")
    whole, second = await accepted(town, "mastodon")
    closed = await town.make_group("quiet")

    def got(actor: str) -> list[JSON]:
        return [one.body for one in server_of(town, actor).arrived if one.body["type"] != "Follow"]

    topic = await town.write_topic(town.group, "Compost")
    await town.write_topic(closed, "Not for relays")
    await town.write_topic(town.secret, "MARKERSECRET")
    await town.quiet()
    async with town.db.transaction() as tx:
        await relays.set_refusal(tx, town.anna, refused=True)
    await town.quiet()
    await town.write_topic(town.group, "Not mine")
    await town.quiet()
    async with town.db.transaction() as tx:
        await relays.set_refusal(tx, town.anna, refused=False)
    [announce] = got(light)
    assert kind_of(announce) == "Announce/id" and announce["object"] == town.object_uri(topic)
    assert announce["actor"] == f"{town.origin}/ap/instance" and PUBLIC in announce["cc"]
    assert f"{light}/followers" in announce["to"] and announce["published"]
    [create] = got(whole)
    assert create["type"] == "Create" and create["object"]["id"] == town.object_uri(topic)
    assert "signature" not in create and create["proof"]["cryptosuite"] == "eddsa-jcs-2022"
    # A deletion follows what went out, also to relays.
    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    town.site.wake()
    await town.quiet()
    for actor in (light, whole):
        assert got(actor)[-1]["type"] in ("Delete", "Undo")
    await left(town, first)
    await left(town, second)


@pytest.mark.parametrize("style", relays.STYLES)
async def test_what_a_relay_brings_is_fetched_from_its_origin_and_found_by_search(
    town: LocalHub, style: relays.Style
) -> None:
    actor, number = await accepted(town, style)
    open_author = town.stubs.somebody("ida", indexable=True)
    shy_author = town.stubs.somebody("uma")
    word = f"qz{style}"

    async def brings(author: str, **more: Any) -> tuple[str, str]:
        tag = {"type": "Hashtag", "name": f"#{word}", "href": "https://x.test/"}
        note = town.stubs.note(
            author,
            number=next(_numbers),
            content=f"<p>Said {word} by its author.</p>",
            tag=[tag],
            **more,
        )
        forged = note | {"content": "<p>Forged on the way.</p>"}
        handed = (
            activity(actor, "Announce", note["id"], to=[f"{actor}/followers"])
            if style == "litepub"
            else activity(author, "Create", forged, to=[PUBLIC], signature={"type": "x"})
        )
        body_signer = {"signer": actor}
        status = await town.post(handed, **body_signer)
        assert status == 202
        await town.quiet()
        return note["id"], "done"

    uri, _ = await brings(open_author)
    thing = await threads.thing_by_uri(town.db, uri)
    assert thing is not None and "by its author" in thing.html and thing.kind == "post"
    assert thing.id in await search.find(town.db, ANONYMOUS, word)
    assert word in (await town.get(f"/tags/{word}"))[1]
    shy_uri, _ = await brings(shy_author)
    shy = await threads.thing_by_uri(town.db, shy_uri)
    assert shy is not None and shy.id not in await search.find(town.db, ANONYMOUS, word)
    assert "by its author" not in (await town.get("/", await town.cookie()))[1]
    for more in (
        {"to": [f"{open_author}/followers"], "cc": []},
        {"to": [], "cc": [PUBLIC]},
        {"inReplyTo": "http://nobody.test/1"},
    ):
        uri, _ = await brings(open_author, **more)
        assert await threads.thing_by_uri(town.db, uri) is None, more
    assert await town.count("SELECT count(*) FROM reactions WHERE object_id = ?", thing.id) == 0
    await left(town, number)
    uri, _ = await brings(open_author)
    assert await threads.thing_by_uri(town.db, uri) is None, "not a relay of ours any more"


async def test_inv_24_a_relay_brings_no_more_than_it_may_within_an_hour(town: LocalHub) -> None:
    actor, number = await accepted(town, "litepub")
    author = town.stubs.somebody("ivo", indexable=True)
    kept = 0
    for _ in range(PER_HOUR + 3):
        note = town.stubs.note(author, number=next(_numbers))
        verdict = await town.deliver(activity(actor, "Announce", note["id"]))
        kept += verdict == "done: brought by a relay"
    assert kept == PER_HOUR
    assert "enough" in verdict
    await left(town, number)


async def test_a_relay_brings_no_wave_of_abuse(town: LocalHub) -> None:
    actor, number = await accepted(town, "litepub")
    verdicts = []
    for count in range(5):
        note = town.stubs.note(
            town.stubs.somebody("seller"),
            number=next(_numbers),
            content=f"<p>Sale! Sale! Buy the very best watches of the whole town today{'!' * count}</p>",
        )
        verdicts.append(await town.deliver(activity(actor, "Announce", note["id"])))
        thing = await threads.thing_by_uri(town.db, note["id"])
        assert (thing is None) == (verdicts[-1] == "refused: looks-like-abuse")
    assert verdicts[0] == "done: brought by a relay"
    assert verdicts[-1] == "refused: looks-like-abuse"
    await left(town, number)


async def test_what_a_relay_brought_goes_after_a_while_unless_somebody_liked_it(
    town: LocalHub,
) -> None:
    actor, number = await accepted(town, "litepub")
    author = town.stubs.somebody("eno", indexable=True)
    ids = []
    for _ in range(2):
        note = town.stubs.note(author, number=next(_numbers), content="<p>qzfading</p>")
        await town.deliver(activity(actor, "Announce", note["id"]))
        thing = await threads.thing_by_uri(town.db, note["id"])
        assert thing is not None
        ids.append(thing.id)
    async with town.db.transaction() as tx:
        await reactions.add(tx, town.ben, ids[0], "like")
    await town.db.append(
        "UPDATE relayed_objects SET created_at = ?", (now_ms() - 2 * housekeeping.DAY_MS,)
    )
    await housekeeping.forget_relayed(town.site.config, town.db)
    liked, faded = [await threads.thing(town.db, each) for each in ids]
    assert liked is not None and liked.deleted_at is None
    assert faded is not None and faded.deleted_at is not None and faded.html == ""
    assert await town.count("SELECT count(*) FROM relayed_objects") == 0
    await left(town, number)


async def test_nonsense_is_no_relay(town: LocalHub) -> None:
    assert town.site.federation is not None
    for address, style in (
        ("", "litepub"),
        ("relay.example", "mastodon"),
        (f"{town.origin}/ap/inbox", "mastodon"),
        (f"http://{town.stubs.new_host()}:{town.stubs.port}/nobody", "litepub"),
    ):
        with pytest.raises(Invalid):
            await town.site.federation.add_relay(address, style, by=None)  # type: ignore[arg-type]


async def test_relays_are_off_unless_the_configuration_says_otherwise() -> None:
    from fedcomm.federation.relaying import RelayIntake
    from fedcomm.settings import Relays

    assert Relays().enabled is False
    intake = RelayIntake(None, None, None, None, per_hour=0, allow_http=True)  # type: ignore[arg-type]
    assert await intake.prepare(None) is None  # type: ignore[arg-type]
