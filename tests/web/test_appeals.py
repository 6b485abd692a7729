"""Suspended members read why, and appeal; nothing else opens to them."""

from __future__ import annotations

from fedcomm.hub import moderation, statements
from tests.web.world import PASSWORD, World


async def suspend(world: World, name: str = "elsa") -> int:
    async with world.site.db.transaction() as tx:
        return await moderation.suspend(
            tx, world.people["anna"], world.people[name], moderation.Grounds("Too much noise.")
        )


async def test_a_suspended_member_reads_why_and_appeals_once(world: World) -> None:
    decision = await suspend(world)
    browser = world.stranger()
    page = await browser.get("/appeal")
    assert page.status == 200 and "Too much noise." not in page.text
    entered = await browser.post(
        "/appeal", {"action": "enter", "name": "elsa", "password": PASSWORD}
    )
    assert entered.status == 303
    page = await browser.get("/appeal")
    assert "Too much noise." in page.text
    fields = {"action": "appeal", "statement": str(decision)}
    empty = await browser.post("/appeal", {**fields, "appeal": " "})
    assert empty.status == 422 and "field-error" in empty.text
    sent = await browser.post("/appeal", {**fields, "appeal": "It was music."})
    assert sent.status == 303
    known = await statements.statement(world.site.db, decision)
    assert known is not None and known.appeal == "It was music."
    page = await browser.get("/appeal")
    assert "It was music." in page.text and "<textarea" not in page.text
    again = await browser.post("/appeal", {**fields, "appeal": "Again."})
    assert again.status == 403


async def test_inv_21_the_session_for_an_appeal_opens_nothing_else(world: World) -> None:
    await suspend(world)
    browser = world.stranger()
    await browser.post("/appeal", {"action": "enter", "name": "elsa", "password": PASSWORD})
    for path in ("/settings", "/notifications", "/following"):
        assert (await browser.get(path)).location.startswith("/login")
    assert (await browser.get("/g/workshop")).status == 404
    assert (await browser.post(f"/o/{world.topics['garden']}/like", {})).status == 403
    left = await browser.post("/appeal", {"action": "leave"})
    assert left.status == 303
    assert "Too much noise." not in (await browser.get("/appeal")).text


async def test_inv_36_who_is_not_suspended_gets_the_same_answer_as_a_wrong_password(
    world: World,
) -> None:
    await suspend(world)
    answers = set()
    for name, password in (("dario", PASSWORD), ("elsa", "wrong"), ("nobody", PASSWORD)):
        page = await world.stranger().post(
            "/appeal", {"action": "enter", "name": name, "password": password}
        )
        answers.add((page.status, page.text.replace(f'value="{name}"', "")))
    assert len(answers) == 1 and answers.pop()[0] == 401


async def test_nobody_appeals_for_somebody_else(world: World) -> None:
    await suspend(world)
    other = await suspend(world, "dario")
    browser = world.stranger()
    await browser.post("/appeal", {"action": "enter", "name": "elsa", "password": PASSWORD})
    sent = await browser.post(
        "/appeal", {"action": "appeal", "statement": str(other), "appeal": "Me too."}
    )
    assert sent.status == 404


async def test_who_is_let_back_in_logs_in_as_ever(world: World) -> None:
    await suspend(world)
    browser = world.stranger()
    await browser.post("/appeal", {"action": "enter", "name": "elsa", "password": PASSWORD})
    async with world.site.db.transaction() as tx:
        await moderation.unsuspend(tx, world.people["anna"], world.people["elsa"])
    assert "elsa is suspended" not in (await browser.get("/appeal")).text
    assert (await browser.get("/settings")).location.startswith("/login")
