"""People over the wire: profile fields, locked members, moving in and out, blocks and mutes."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from fedcomm.federation import belonging
from fedcomm.hub import actors, avoidance, follows, members, moving, profiles, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import NotAllowed
from tests.federation.inprocess import LocalHub
from tests.federation.stub import AS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def newcomer(town: LocalHub, name: str) -> int:
    async with town.db.transaction() as tx:
        return await members.create_member(tx, name)


async def known(town: LocalHub, uri: str) -> actors.Actor:
    assert town.site.federation is not None
    found = await town.site.federation.find_actor(uri)
    assert found is not None
    return found


def follow(town: LocalHub, follower: str, member_id: int, number: int = 1) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{follower}/follow/{number}",
        "type": "Follow",
        "actor": follower,
        "object": town.person(member_id),
    }


async def test_fields_and_aliases_stand_in_the_profile(town: LocalHub) -> None:
    carla = await newcomer(town, "carla")
    other = town.stubs.somebody()
    async with town.db.transaction() as tx:
        fields = [
            profiles.field_of("Site", "https://carla.example/?a=1&b=2"),
            profiles.field_of("<b>Job</b>", "<script>x</script>"),
            profiles.field_of("", "left out"),
        ]
        await members.edit_profile(
            tx,
            carla,
            display_name="Carla",
            summary="",
            locale="en",
            local_origin=town.origin,
            locked=True,
            fields=fields,
        )
        await profiles.add_alias(tx, carla, other)
    status, document = await town.stubs.get(town.person(carla), signer=other)
    assert status == 200
    assert document["manuallyApprovesFollowers"] is True and document["alsoKnownAs"] == [other]
    site, job = document["attachment"]
    assert site["type"] == "PropertyValue" and 'rel="me ' in site["value"]
    assert 'href="https://carla.example/?a=1&amp;b=2"' in site["value"]
    assert job["value"] == "&lt;script&gt;x&lt;/script&gt;"
    assert job["name"] == "<b>Job</b>", "a name is plain text"


async def test_a_locked_member_lets_followers_in(town: LocalHub) -> None:
    dora = await newcomer(town, "dora")
    await town.db.append("UPDATE actors SET locked = 1 WHERE id = ?", (dora,))
    follower = town.stubs.somebody()
    assert await town.deliver(follow(town, follower, dora)) == "done: follow requested"
    host = town.stubs.hosts[follower.split("/")[2].partition(":")[0]]
    await town.quiet()
    assert "Accept" not in host.kinds()
    waiting = (await known(town, follower)).id
    async with town.db.transaction() as tx:
        await follows.accept(tx, waiting, dora)
    town.site.wake()
    await town.stubs.until(lambda: "Accept" in host.kinds(), why="accepted")


async def test_who_moves_away_takes_the_followers_along_and_writes_no_more(
    town: LocalHub,
) -> None:
    emma = await newcomer(town, "emma")
    follower = town.stubs.somebody()
    await town.deliver(follow(town, follower, emma))
    target = town.stubs.somebody("emma2")
    assert town.site.federation is not None
    own = await actors.actor(town.db, emma)
    assert own is not None
    assert not await town.site.federation.is_alias(target, own), "nobody moves to a stranger"
    named = town.stubs.somebody("emma3", alsoKnownAs=[town.person(emma)])
    assert await town.site.federation.is_alias(named, own)
    new = await known(town, named)
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, emma)
        await moving.move_out(tx, emma, new.id)
    town.site.wake()
    host = town.stubs.hosts[follower.split("/")[2].partition(":")[0]]
    await town.stubs.until(lambda: "Move" in host.kinds(), why="moved")
    [move] = [one.body for one in host.arrived if one.body["type"] == "Move"]
    assert move["actor"] == move["object"] == town.person(emma) and move["target"] == named
    _, document = await town.stubs.get(town.person(emma), signer=follower)
    assert document["movedTo"] == named
    assert await follows.find(town.db, town.ben, new.id) is not None
    assert await follows.find(town.db, town.ben, emma) is None
    async with town.db.transaction() as tx:
        content = await town.site.compose(tx, Draft("More", "T"), is_topic=True, author_id=emma)
        with pytest.raises(NotAllowed):
            await threads.create_topic(tx, emma, town.group, content)
        with pytest.raises(NotAllowed):
            await threads.create_reply(tx, emma, town.topic, content)
        with pytest.raises(NotAllowed):
            await moving.move_out(tx, emma, new.id)


async def test_inv_19_a_move_to_a_member_counts_only_when_the_member_names_the_old_account(
    town: LocalHub,
) -> None:
    fina = await newcomer(town, "fina")
    old = town.stubs.somebody("fina")
    old_id = (await known(town, old)).id
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, old_id)
        await follows.accept(tx, town.ben, old_id)
    move = {
        "@context": AS, "id": f"{old}/move/1", "type": "Move", "actor": old, "object": old,
        "target": town.person(fina),
    }  # fmt: skip
    assert await town.deliver(move) == "refused: no-alias"
    assert await follows.find(town.db, town.ben, old_id) is not None
    async with town.db.transaction() as tx:
        await profiles.add_alias(tx, fina, old)
    assert await town.deliver(move | {"id": f"{old}/move/2"}) == "done: moved: 1 followers"
    assert await follows.find(town.db, town.ben, old_id) is None
    assert await follows.find(town.db, town.ben, fina) is not None


async def test_a_mute_never_leaves_and_a_block_only_when_the_member_says_so(
    town: LocalHub,
) -> None:
    gina = await newcomer(town, "gina")
    quiet, silent, loud = (town.stubs.somebody(name) for name in ("quiet", "silent", "loud"))
    people = {uri: await known(town, uri) for uri in (quiet, silent, loud)}
    hosts = {uri: town.stubs.hosts[people[uri].host.partition(":")[0]] for uri in people}  # type: ignore[union-attr]
    async with town.db.transaction() as tx:
        await avoidance.avoid(tx, gina, people[quiet].id, "mute")
        await avoidance.avoid(tx, gina, people[silent].id, "block")
        await avoidance.avoid(tx, gina, people[loud].id, "block", announce=True)
    town.site.wake()
    await town.stubs.until(lambda: "Block" in hosts[loud].kinds(), why="told")
    [block] = [one for one in hosts[loud].arrived if one.body["type"] == "Block"]
    assert block.path.endswith("/users/loud/inbox")
    assert block.body["actor"] == town.person(gina) and block.body["object"] == loud
    assert await town.deliver(follow(town, silent, gina)) == "refused: There is no such person."
    async with town.db.transaction() as tx:
        for person in people.values():
            await avoidance.meet_again(tx, gina, person.id)
    town.site.wake()
    await town.stubs.until(lambda: "Undo/Block" in hosts[loud].kinds(), why="undone")
    await town.quiet()
    assert not hosts[quiet].arrived and not hosts[silent].arrived


async def test_fields_of_people_elsewhere_are_clean_and_marked_only_when_their_page_links_back(
    town: LocalHub,
) -> None:
    host = town.stubs.new_host()
    origin = town.stubs.host(host).origin
    attachment = [
        {"type": "PropertyValue", "name": "Site", "value": f'<a href="{origin}/mine">mine</a>'},
        {"type": "PropertyValue", "name": "Other", "value": f'<a href="{origin}/theirs">x</a>'},
        {"type": "PropertyValue", "name": "<b>Job</b>", "value": "<script>x</script>Baker"},
        {"type": "Note", "name": "no", "value": "field"},
    ]
    old = f"{origin}/users/before"
    person = town.stubs.actor("linda", host, attachment=attachment, alsoKnownAs=[old])
    page = {"mine": f'<p><a rel="nofollow me" href="{origin}/@linda/">me</a>', "theirs": "<p>"}

    def html(text: str) -> Any:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=text, content_type="text/html")

        return answer

    for name, text in page.items():
        town.stubs.script(f"{origin}/{name}", html(text))
    found = await known(town, person)
    fields = await profiles.fields_of(town.db, found.id)
    assert [field.name for field in fields] == ["Site", "Other", "<b>Job</b>"]
    assert "script" not in fields[2].html and "Baker" in fields[2].html
    assert await profiles.aliases_of(town.db, found.id) == [old]
    spoke = town.site.federation
    assert spoke is not None

    async def look() -> None:
        for _round in range(3):
            await belonging.check(town.db, spoke._client, spoke._at, allow_http=True)

    await look()
    assert not town.stubs.fetched(f"{origin}/mine"), "nobody here follows them"
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, found.id)
        await follows.accept(tx, town.ben, found.id)
    await look()
    fields = await profiles.fields_of(town.db, found.id)
    assert [field.verified_at is not None for field in fields] == [True, False, False]
    assert town.stubs.fetched(f"{origin}/mine") == town.stubs.fetched(f"{origin}/theirs") == 1
    status, text = await town.get(f"/@linda@{found.host}", headers=await town.cookie())
    assert status == 200 and text.count("This page links back") == 1 and old in text
    assert "&lt;b&gt;Job" in text and "<b>Job" not in text
    # A mark stays with its link when the profile is refreshed, and goes with it.
    await spoke._directory.actor(person, refresh=True)
    assert (await profiles.fields_of(town.db, found.id))[0].verified_at is not None
    attachment[0]["value"] = f'<a href="{origin}/elsewhere">mine</a>'
    await spoke._directory.actor(person, refresh=True)
    assert (await profiles.fields_of(town.db, found.id))[0].verified_at is None


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ('<link rel="me" href="https://hub.example/@anna">', True),
        ("<a rel=me href=https://hub.example/@anna/>", True),
        ('<a rel="home" href="https://hub.example/@anna">', False),
        ('<a rel="me" href="https://hub.example/@annamaria">', False),
        ('<!-- <a rel="me" href="https://hub.example/@anna"> -->', False),
        ("<a" * 10_000, False),
        ("<![ spoiled", False),
        ('<a rel="me" href="https://hub.example/@anna"><![spoiled [x]]>', True),
    ],
)
async def test_only_a_link_that_says_me_links_back(page: str, back: bool) -> None:
    assert belonging.links_back(page, {"https://hub.example/@anna"}) is back
