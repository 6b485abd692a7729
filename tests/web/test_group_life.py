"""Moving and closing a group on its page: who may, and what has to be written first."""

from __future__ import annotations

from fedcomm.hub import erasure, groups
from tests.web.world import PASSWORD, World

CLOSE = {"reason": "Done.", "close_confirm": "garden", "password": PASSWORD}


async def test_the_owner_and_administrators_find_the_page_and_others_do_not(world: World) -> None:
    for name, status in (("bruno", 200), ("anna", 200), ("chiara", 403)):
        page = await (await world.browser(name)).get("/g/garden/life")
        assert page.status == status, name
    # An administrator closes, but does not move what is not theirs.
    page = await (await world.browser("anna")).get("/g/garden/life")
    assert 'value="move"' not in page.text and "close_confirm" in page.text
    assert (await world.stranger().get("/g/garden/life")).location.startswith("/login")


async def test_closing_wants_the_name_the_password_and_a_reason(world: World) -> None:
    bruno = await world.browser("bruno")
    for field, value in (("reason", " "), ("close_confirm", "x"), ("password", "wrong")):
        page = await bruno.post("/g/garden/life/close", {**CLOSE, field: value})
        assert page.status == 422 and f'id="{field}-error"' in page.text
    refused = await (await world.browser("chiara")).post("/g/garden/life/close", CLOSE)
    assert refused.status == 403
    closed = await bruno.post("/g/garden/life/close", CLOSE)
    assert closed.status == 303 and closed.location.startswith("/groups")
    assert await groups.group(world.site.db, world.groups["garden"]) is None
    case = await erasure.case_of(world.site.db, world.groups["garden"])
    assert case is not None and case.kind == "group" and case.reason == "Done."
    # Written down outside of the database before it was said (INV-51).
    assert str(world.groups["garden"]) in world.site.erasure_journal.path.read_text()
    assert (await world.stranger().get("/g/garden")).status == 404
    assert (await world.stranger().get("/groups")).text.count("The garden") == 0


async def test_a_move_wants_a_group_elsewhere_that_names_this_one(world: World) -> None:
    bruno = await world.browser("bruno")
    fields = {"action": "move", "target": "@rosa@social.example", "confirm": "garden"}
    page = await bruno.post("/g/garden/life/move", {**fields, "confirm": "x"})
    assert page.status == 422 and 'id="confirm-error"' in page.text
    page = await bruno.post("/g/garden/life/move", fields)
    assert page.status == 422 and 'id="target-error"' in page.text
    group = await groups.group(world.site.db, world.groups["garden"])
    assert group is not None and group.moved_to is None


async def test_a_group_that_has_moved_says_where_and_can_be_taken_back(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE actors SET moved_to_uri = 'https://new.example/c/garden' WHERE id = ?",
            world.groups["garden"],
        )
    page = await world.stranger().get("/g/garden")
    assert "This group has moved:" in page.text and "https://new.example/c/garden" in page.text
    chiara = await world.browser("chiara")
    refused = await chiara.post("/g/garden/new", {"title": "T", "text": "x"})
    assert refused.status == 403 and "has moved" in refused.text
    bruno = await world.browser("bruno")
    assert (await bruno.post("/g/garden/life/move", {"action": "return"})).status == 303
    assert (await chiara.post("/g/garden/new", {"title": "T", "text": "x"})).status == 303
