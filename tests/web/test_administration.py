"""What administrators see and do."""

from __future__ import annotations

from fedcomm.hub import actors
from fedcomm.store.ids import new_id, now_ms
from tests.web.world import World

PATHS = ("/admin", "/admin/health", "/admin/members", "/admin/rules")


async def test_only_administrators_enter(world: World) -> None:
    for path in PATHS:
        assert (await world.stranger().get(path)).status == 303
        for name in ("bruno", "chiara", "elsa"):
            browser = await world.browser(name)
            assert (await browser.get(path)).status == 403, (name, path)
        assert (await (await world.browser("anna")).get(path)).status == 200
    bruno = await world.browser("bruno")
    fields = {"name": "spy", "password": "a long password", "role": "administrator"}
    assert (await bruno.post("/admin/members", fields)).status == 403
    assert (await bruno.post("/admin/members/elsa/suspend", {"suspended": "1"})).status == 403
    assert (await world.stranger().post("/admin/members", fields)).status == 403


async def test_a_member_is_made_and_can_log_in(world: World) -> None:
    anna = await world.browser("anna")
    fields = {
        "name": "Fabio",
        "display_name": "Fabio",
        "email": "fabio@hub.test",
        "password": "a long password",
        "role": "member",
        "locale": "it",
    }
    sent = await anna.post("/admin/members", fields)
    assert sent.status == 303
    sent = await world.stranger().post("/login", {"name": "fabio", "password": "a long password"})
    assert sent.status == 303
    page = await anna.post("/admin/members", {**fields, "email": "other@hub.test"})
    assert page.status == 422 and "This name is taken." in page.text
    assert 'value="other@hub.test"' in page.text
    page = await anna.post("/admin/members", {**fields, "name": "gino", "password": "gino"})
    assert page.status == 422 and "8 to 128 characters" in page.text
    page = await anna.post("/admin/members", {**fields, "name": "gino", "role": "king"})
    assert page.status == 422


async def test_suspending_locks_out_and_reinstating_lets_in(world: World) -> None:
    anna, dario = await world.browser("anna"), await world.browser("dario")
    page = await anna.post("/admin/members/dario/suspend", {"suspended": "1"})
    assert page.status == 422 and "Nothing is decided without a reason." in page.text
    assert (await dario.get("/settings")).status == 200
    await anna.post("/admin/members/dario/suspend", {"suspended": "1", "reason": "Spam."})
    assert (await dario.get("/settings")).status == 303
    assert "Suspended" in (await anna.get("/admin/members")).text
    await anna.post("/admin/members/dario/suspend")
    assert (await world.stranger().get("/@dario")).status == 200
    page = await anna.post("/admin/members/anna/suspend", {"suspended": "1"})
    assert page.status == 422
    assert (await anna.get("/admin")).status == 200
    assert (await anna.post("/admin/members/nobody/suspend")).status == 404


async def test_the_page_of_health_says_how_other_servers_do_and_why(world: World) -> None:
    anna = await world.browser("anna")
    assert "Nothing waits for another server" in (await anna.get("/admin/health")).text
    assert "Nothing waits for you." in (await anna.get("/admin")).text
    async with world.site.db.transaction() as tx:
        activity = new_id()
        await tx.execute(
            "INSERT INTO activities (id, actor_id, type, body, created_at)"
            " VALUES (?, ?, 'Create', '{}', ?)",
            activity,
            world.people["anna"],
            now_ms(),
        )
        for name, state, error in (
            ("slow.example", "waiting", None),
            ("gone.example", "failed", "410 <b>Gone</b>"),
        ):
            host = await actors.ensure_host(tx, name)
            await tx.execute(
                "INSERT INTO deliveries (id, activity_id, host_id, inbox, state,"
                " created_at, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
                new_id(),
                activity,
                host,
                f"https://{name}/inbox",
                state,
                now_ms() - 7_200_000,
                error,
            )
    assert "1 delivery was given up" in (await anna.get("/admin")).text
    page = await anna.get("/admin/health")
    assert (
        "slow.example" in page.text
        and "1 delivery waits, the oldest since 2 hours ago" in page.text
    )
    assert "gone.example" in page.text and "410 &lt;b&gt;Gone&lt;/b&gt;" in page.text


async def test_reports_are_listed_with_their_subjects(world: World) -> None:
    async with world.site.db.transaction() as tx:
        host = await actors.ensure_host(tx, "social.example")
        report = new_id()
        await tx.execute(
            "INSERT INTO reports (id, uri, host_id, reason, state, created_at)"
            " VALUES (?, 'https://social.example/f', ?, 'Spam <b>', 'open', ?)",
            report,
            host,
            now_ms(),
        )
        for position, actor, thing in (
            (0, world.people["dario"], None),
            (1, None, world.topics["garden"]),
        ):
            await tx.execute(
                "INSERT INTO report_subjects (report_id, position, actor_id, object_id)"
                " VALUES (?, ?, ?, ?)",
                report,
                position,
                actor,
                thing,
            )
    anna = await world.browser("anna")
    assert "1 report to decide" in (await anna.get("/admin")).text
    page = await anna.get("/moderation")
    assert "Spam &lt;b&gt;" in page.text and "From social.example" in page.text
    assert 'href="/@dario"' in page.text and f'href="/o/{world.topics["garden"]}"' in page.text


async def test_the_navigation_says_where_one_is_and_shows_moderators_their_pages_alone(
    world: World,
) -> None:
    anna, bruno = await world.browser("anna"), await world.browser("bruno")
    for path in ("/admin/members", "/admin/policies/lists", "/moderation/held", "/admin/health"):
        page = await anna.get(path)
        assert f'<a href="{path}" aria-current="page">' in page.text, path
    page = await bruno.get("/moderation")
    assert 'href="/moderation/held"' in page.text
    assert "/admin" not in page.text
