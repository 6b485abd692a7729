"""Groups: their pages, their rules, who belongs to them."""

from __future__ import annotations

import re

from fedcomm.hub import groups
from fedcomm.hub.composition import Draft
from tests.web.world import MARKER, World, picture_bytes, upload_form


async def test_a_group_lists_its_topics_page_by_page(world: World) -> None:
    for number in range(25):
        await world.topic("garden", "dario", Draft("Text", title=f"Topic {number:02}"))
    stranger = world.stranger()
    path = "/g/garden"
    seen: list[str] = []
    for _page in range(4):
        page = await stranger.get(path)
        seen += re.findall(r"Topic (\d\d)</a>", page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        if not following:
            break
        path = following[1]
    assert seen == [f"{number:02}" for number in reversed(range(25))]


async def test_nonsense_in_the_paging_shows_the_first_page(world: World) -> None:
    for value in ("", "x", "1-", "-1", "9" * 40 + "-1", "1-99999999999999999999", "%00"):
        assert (await world.stranger().get(f"/g/garden?before={value}")).status == 200


async def test_a_public_group_says_how_to_find_it_from_elsewhere(world: World) -> None:
    page = await world.stranger().get("/g/garden")
    assert "@garden@hub.test" in page.text
    assert 'type="application/atom+xml"' in page.text
    assert re.search(
        r'<link rel="alternate" type="application/activity\+json" href="https://hub', page.text
    )
    assert 'rel="alternate"; type="application/activity+json"' in page.headers["Link"]
    assert '<meta property="og:title" content="The garden">' in page.text
    assert '<link rel="canonical" href="https://hub.test/g/garden">' in page.text


async def test_joining_and_leaving_an_open_group(world: World) -> None:
    elsa = await world.browser("elsa")
    assert "Join" in (await elsa.get("/g/garden")).text
    sent = await elsa.post("/g/garden/membership", {"action": "join"})
    page = await elsa.get(sent.location)
    assert "You are a member of this group now." in page.text
    assert "New topic" in page.text
    await elsa.post("/g/garden/membership", {"action": "leave"})
    assert "New topic" not in (await elsa.get("/g/garden")).text


async def test_where_moderators_decide_a_request_waits_for_them(world: World) -> None:
    bruno, elsa = await world.browser("bruno"), await world.browser("elsa")
    sent = await bruno.post(
        "/g/garden/manage", {"title": "The garden", "description": "", "approval": "1"}
    )
    assert sent.status == 303
    await elsa.post("/g/garden/membership", {"action": "join"})
    assert "You asked to join." in (await elsa.get("/g/garden")).text
    page = await bruno.get("/g/garden/manage")
    assert "They want to join" in page.text
    await bruno.post(
        "/g/garden/members", {"action": "approve", "person": str(world.people["elsa"])}
    )
    assert "New topic" in (await elsa.get("/g/garden")).text


async def test_the_owner_cannot_leave(world: World) -> None:
    bruno = await world.browser("bruno")
    page = await bruno.post("/g/garden/membership", {"action": "leave"})
    assert page.status == 403
    assert "The owner of a group cannot leave it." in page.text


async def test_staff_found_groups_and_members_do_not(world: World) -> None:
    dario = await world.browser("dario")
    assert (await dario.get("/groups/new")).status == 403
    assert (await dario.post("/groups/new", {"name": "mine", "title": "Mine"})).status == 403
    anna = await world.browser("anna")
    page = await anna.post(
        "/groups/new", {"name": "Kitchen", "title": "", "description": "Words", "mode": "local"}
    )
    assert page.status == 422
    assert "A group needs a title." in page.text and "Words" in page.text
    sent = await anna.post(
        "/groups/new",
        {"name": "Kitchen", "title": "The kitchen", "mode": "local", "language": "it"},
    )
    assert sent.location == "/g/kitchen?said=created"
    assert (await world.stranger().get("/g/kitchen")).status == 404


async def test_a_taken_or_odd_name_is_refused_with_words(world: World) -> None:
    anna = await world.browser("anna")
    for name, words in (
        ("garden", "This name is taken."),
        ("chiara", "This name is taken."),
        ("admin", "This name is reserved."),
        ("no way", "A name has 2 to 30 characters"),
    ):
        page = await anna.post("/groups/new", {"name": name, "title": "T", "mode": "federated"})
        assert page.status == 422 and words in page.text
    page = await anna.post("/groups/new", {"name": "fine", "title": "T", "mode": "secret"})
    assert page.status == 422


async def test_moderators_change_texts_and_pictures(world: World) -> None:
    bruno = await world.browser("bruno")
    sent = await bruno.post(
        "/g/garden/manage",
        upload_form(
            {"title": "Garden!", "description": "New **words**", "avatar_alt": "A leaf"},
            avatar=picture_bytes(),
            header=picture_bytes(size=(300, 100)),
        ),
    )
    assert sent.status == 303
    page = await world.stranger().get("/g/garden")
    assert "Garden!" in page.text and "<strong>words</strong>" in page.text
    assert re.search(
        r'class="portrait square large" src="/media/\w+\.webp" alt="A leaf"', page.text
    )
    assert 'class="cover"' in page.text


async def test_a_fault_in_the_texts_shows_them_again(world: World) -> None:
    bruno = await world.browser("bruno")
    page = await bruno.post("/g/garden/manage", {"title": "", "description": "Kept words"})
    assert page.status == 422
    assert "Kept words" in page.text and "A group needs a title." in page.text


async def test_only_moderators_manage_and_only_the_owner_appoints(world: World) -> None:
    for name in ("chiara", "dario", "elsa", "anna"):
        browser = await world.browser(name)
        assert (await browser.get("/g/garden/manage")).status == 403
        assert (await browser.post("/g/garden/manage", {"title": "Mine"})).status == 403
        assert (
            await browser.post("/g/garden/members", {"action": "add", "name": "elsa"})
        ).status == 403
    bruno, chiara = await world.browser("bruno"), await world.browser("chiara")
    person = {"person": str(world.people["chiara"])}
    await bruno.post("/g/garden/members", {"action": "promote", **person})
    assert (await chiara.get("/g/garden/manage")).status == 200
    refused = await chiara.post(
        "/g/garden/members", {"action": "promote", "person": str(world.people["dario"])}
    )
    assert refused.status == 403
    await bruno.post("/g/garden/members", {"action": "demote", **person})
    assert (await chiara.get("/g/garden/manage")).status == 403


async def test_members_are_added_by_name_and_removed(world: World) -> None:
    bruno, elsa = await world.browser("bruno"), await world.browser("elsa")
    board = f"/g/{MARKER}board"
    page = await bruno.post(f"{board}/members", {"action": "add", "name": "nobody"})
    assert page.status == 422 and "There is no member with this name." in page.text
    await bruno.post(f"{board}/members", {"action": "add", "name": "@elsa"})
    assert (await elsa.get(board)).status == 200
    await bruno.post(f"{board}/members", {"action": "remove", "person": str(world.people["elsa"])})
    assert (await elsa.get(board)).status == 404


async def test_an_unknown_action_or_person_is_refused(world: World) -> None:
    bruno = await world.browser("bruno")
    assert (await bruno.post("/g/garden/members", {"action": "crown"})).status == 400
    assert (await bruno.post("/g/garden/members", {"action": "approve"})).status == 400
    assert (
        await bruno.post("/g/garden/members", {"action": "approve", "person": "12345"})
    ).status == 404


async def test_where_only_moderators_open_topics_members_answer(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await groups.edit_group(
            tx,
            world.groups["garden"],
            world.people["bruno"],
            title="The garden",
            description="",
            approval=False,
            announce_replies=False,
            topics_by="moderators",
            local_origin=world.site.origin,
        )
    dario = await world.browser("dario")
    assert "New topic" not in (await dario.get("/g/garden")).text
    assert (await dario.get("/g/garden/new")).status == 403
    assert (await dario.post(f"/o/{world.topics['garden']}/reply", {"text": "Yes"})).status == 303
    about = await world.stranger().get("/g/garden/about")
    assert "Only moderators open topics; members answer." in about.text


async def test_a_group_with_members_on_other_servers_has_a_door_for_those_who_may_ask(
    world: World,
) -> None:
    anna = await world.browser("anna")
    form = {"title": "Cantina", "name": "cantina", "description": "For the few.", "language": "en"}
    sent = await anna.post("/groups/new", form | {"mode": "reserved"})
    assert sent.status == 303
    written = await anna.post(
        "/g/cantina/new", {"title": f"Wine {MARKER}", "text": f"Red {MARKER}", "language": "en"}
    )
    assert written.status == 303
    assert "does not leave" not in (await anna.get("/g/cantina/new")).text
    elsa, stranger = await world.browser("elsa"), world.stranger()
    for visitor in (elsa, stranger):
        page = await visitor.get("/g/cantina")
        assert page.status == 200 and "For the few." in page.text and MARKER not in page.text
        assert 'name="robots" content="noindex"' in page.text
        assert (await visitor.get("/g/cantina/about")).status == 404
        assert (await visitor.get("/g/cantina/feed.atom")).status == 404
    assert "cantina" in (await elsa.get("/groups")).text
    assert "cantina" not in (await stranger.get("/groups")).text
    sent = await elsa.post("/g/cantina/membership", {"action": "join"})
    assert "A moderator will answer" in (await elsa.get(sent.location)).text
    assert MARKER not in (await elsa.get("/g/cantina")).text
    async with world.site.db.transaction() as tx:
        found = await groups.group_by_name(tx, "cantina")
        assert found is not None
        anna_id = (await groups.moderators(tx, found.id))[0].id
        [(person, _role)] = await groups.list_memberships(tx, found.id, "requested")
        await groups.add_member(tx, found.id, anna_id, person.id)
    assert MARKER in (await elsa.get("/g/cantina")).text
    about = (await elsa.get("/g/cantina/about")).text
    assert "Nobody of another server is in it at present" in about


async def test_a_moderator_names_the_servers_that_may_ask(world: World) -> None:
    anna = await world.browser("anna")
    form = {"title": "Cantina", "name": "cantina", "description": "", "language": "en"}
    await anna.post("/groups/new", form | {"mode": "reserved"})
    refused = await anna.post("/g/cantina/askers", {"askers": "lemmy.example\nnonsense"})
    assert refused.status == 422 and "not the name of a server" in refused.text
    sent = await anna.post("/g/cantina/askers", {"askers": "lemmy.example\n Other.example"})
    assert "lemmy.example\nother.example" in (await anna.get(sent.location)).text
    assert (await world.stranger().get("/g/cantina")).status == 404
    elsa = await world.browser("elsa")
    assert (await elsa.get("/g/cantina")).status == 200, "members of this site may always ask"
    assert (await elsa.post("/g/cantina/askers", {"askers": ""})).status == 404
