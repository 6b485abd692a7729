"""Reports, decisions, statements, appeals and bans, in pages."""

from __future__ import annotations

from fedcomm.hub import bans, notifications, reports, rules, statements, threads
from fedcomm.hub.composition import Content
from fedcomm.hub.sanitizer import clean_remote
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.web.world import World


async def reported(world: World) -> int:
    """Dario reports Chiara's topic in the garden; the report's id."""
    dario = await world.browser("dario")
    path = f"/o/{world.topics['garden']}/report"
    page = await dario.get(path)
    assert "Report this post" in page.text and "May we tell" not in page.text
    page = await dario.post(path, {"reason": " "})
    assert page.status == 422 and "Write what is wrong with it." in page.text
    sent = await dario.post(path, {"reason": "It is <wrong>."})
    assert sent.status == 303 and "said=reported" in sent.location
    (report,) = await reports.queue(world.site.db, world.people["bruno"], "open")
    return report.id


async def test_a_report_goes_through_its_life(world: World) -> None:
    number = await reported(world)
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    for outsider in (chiara, dario):
        assert (await outsider.get("/moderation")).status == 404
        assert (await outsider.get(f"/moderation/{number}")).status == 404
        assert (await outsider.post(f"/moderation/{number}", {"do": "take"})).status == 404
    assert (await world.stranger().get("/moderation")).status == 303
    bruno = await world.browser("bruno")
    assert "It is &lt;wrong&gt;." in (await bruno.get("/moderation")).text
    await bruno.post(f"/moderation/{number}", {"do": "take"})
    await bruno.post(f"/moderation/{number}", {"do": "note", "note": "Look at <this>."})
    page = await bruno.get(f"/moderation/{number}")
    assert "@bruno looks after it." in page.text and "Look at &lt;this&gt;." in page.text
    assert "Sow <em>early</em>" in page.text, "who judges sees what they judge"
    decision = {"do": "decide", "action": "remove", "reason": ""}
    page = await bruno.post(f"/moderation/{number}", decision)
    assert page.status == 422 and "Nothing is decided without a reason." in page.text
    sent = await bruno.post(f"/moderation/{number}", {**decision, "reason": "Off <topic>."})
    assert sent.location == f"/moderation/{number}?said=decided"
    assert (await world.stranger().follow(world.thread("garden"))).status == 404
    assert "Sow" in (await bruno.get(f"/moderation/{number}")).text
    assert f"/moderation/{number}" in (await bruno.get("/moderation?state=decided")).text


async def test_the_person_concerned_reads_why_and_appeals_and_somebody_else_answers(
    world: World,
) -> None:
    anna = await world.browser("anna")
    page = await anna.post("/admin/rules", {"rules": "Be kind.\nStay on topic."})
    assert page.status == 303
    assert "Stay on topic." in (await world.stranger().get("/about")).text
    number = await reported(world)
    bruno, chiara = await world.browser("bruno"), await world.browser("chiara")
    decision = {"do": "decide", "action": "remove", "reason": "Off <topic>.", "rule": "2"}
    assert (await bruno.post(f"/moderation/{number}", {**decision, "rule": "9"})).status == 422
    await bruno.post(f"/moderation/{number}", decision)
    await anna.post("/admin/rules", {"rules": "Be kind."})
    (made,) = await statements.about(world.site.db, world.people["chiara"])
    path = f"/statements/{made.id}"
    assert f'href="{path}"' in (await chiara.get("/notifications")).text
    page = await chiara.get(path)
    assert "Off &lt;topic&gt;." in page.text and "a moderator of the group" in page.text
    assert "Rule 2 of version 1:" in page.text and "Stay on topic." in page.text
    assert "Bruno" not in page.text and "@bruno" not in page.text, "the role, not the person"
    assert "Sow <em>early</em>" in page.text
    dario = await world.browser("dario")
    for method in ("get", "post"):
        for suffix in ("", "/appeal", "/answer") if method == "post" else ("",):
            answer = await getattr(dario, method)(f"{path}{suffix}")
            assert answer.status == (405 if (method, suffix) == ("post", "") else 404)
    assert (await chiara.post(f"{path}/appeal", {"appeal": ""})).status == 422
    await chiara.post(f"{path}/appeal", {"appeal": "It is <on> topic."})
    assert "It is &lt;on&gt; topic." in (await anna.get("/moderation")).text
    answer = {"outcome": "reversed", "reason": "It is."}
    assert (await bruno.post(f"{path}/answer", answer)).status == 403
    assert (await anna.post(f"{path}/answer", {**answer, "reason": ""})).status == 422
    assert (await anna.post(f"{path}/answer", answer)).status == 303
    assert (await world.stranger().follow(world.thread("garden"))).status == 200
    assert "The decision is taken back." in (await chiara.get(path)).text


async def test_a_moderator_restores_with_a_reason(world: World) -> None:
    topic = world.topics["garden"]
    bruno, dario = await world.browser("bruno"), await world.browser("dario")
    await bruno.post(f"/o/{topic}/delete", {"reason": "Off topic.", "action": "hide"})
    assert (await dario.follow(f"/o/{topic}")).status == 404
    assert (await dario.post(f"/o/{topic}/restore", {"reason": "Please."})).status == 404
    assert (await bruno.post(f"/o/{topic}/restore", {"reason": "On topic."})).status == 303
    assert (await dario.follow(f"/o/{topic}")).status == 200


async def test_a_person_is_reported_and_their_server_told_only_if_one_agrees(
    world: World,
) -> None:
    chiara = await world.browser("chiara")
    assert f"/report/{world.remote_id}" in (await chiara.get("/@rosa@social.example")).text
    path = f"/report/{world.remote_id}"
    page = await chiara.get(path)
    assert "May we tell social.example, where it was written?" in page.text
    assert (await chiara.post(path, {"reason": "x", "forward": "loudly"})).status == 400
    sent = await chiara.post(path, {"reason": "Spam.", "forward": "named"})
    assert sent.location == "/@rosa@social.example?said=reported"
    (report,) = await reports.queue(world.site.db, world.people["anna"], "open")
    assert report.forward == "named" and report.people[0].id == world.remote_id
    assert (await world.stranger().get(path)).status == 303


async def test_bans_are_made_and_lifted_where_the_group_is_managed(world: World) -> None:
    bruno, chiara = await world.browser("bruno"), await world.browser("chiara")
    path = "/g/garden/members"
    ban = {"action": "ban", "handle": "@chiara", "reason": "Spam.", "days": "3"}
    assert (await chiara.post(path, ban)).status == 403
    assert (await bruno.post(path, {**ban, "reason": ""})).status == 422
    assert (await bruno.post(path, {**ban, "handle": "nobody@nowhere.example"})).status == 422
    assert (await bruno.post(path, {**ban, "days": "many"})).status == 422
    sent = await bruno.post(path, ban)
    assert sent.location == "/g/garden/manage?said=banned"
    found = await bans.ban(world.site.db, world.groups["garden"], world.people["chiara"])
    assert found is not None and found.until is not None
    assert "Spam." in (await bruno.get("/g/garden/manage")).text
    assert (await chiara.post("/g/garden/membership", {"action": "join"})).status == 403
    await bruno.post(path, {"action": "unban", "person": str(world.people["chiara"])})
    assert await bans.ban(world.site.db, world.groups["garden"], world.people["chiara"]) is None
    await bruno.post(path, {**ban, "handle": "rosa@social.example", "days": ""})
    found = await bans.ban(world.site.db, world.groups["garden"], world.remote_id)
    assert found is not None and found.until is None


async def test_first_posts_wait_on_the_page_of_the_group(world: World) -> None:
    db = world.site.db
    bruno, chiara = await world.browser("bruno"), await world.browser("chiara")
    form = {"title": "The garden", "topics_by": "members", "topics_per_hour": "x"}
    assert (await bruno.post("/g/garden/manage", form)).status == 422
    form |= {"topics_per_hour": "5", "first_posts_wait": "1", "topics_by": "everyone"}
    assert (await bruno.post("/g/garden/manage", form)).status == 303
    assert "wait for a moderator" in (await world.stranger().get("/g/garden/about")).text
    made = []
    async with db.transaction() as tx:
        host = int(await tx.value("SELECT host_id FROM actors WHERE id = ?", world.remote_id))
        for number in (2, 3):
            html = clean_remote(f"<p>Waiting {number}</p>", local_origin=ORIGIN)
            made.append(
                await threads.create_topic(
                    tx,
                    world.remote_id,
                    world.groups["garden"],
                    Content(title=f"W{number}", source="", html=html, plain=f"Waiting {number}"),
                    provenance=threads.Provenance(
                        f"https://social.example/notes/{number}", host, "Note", None, now_ms()
                    ),
                )
            )
    page = await bruno.get("/g/garden/manage")
    assert "Waiting 2" in page.text and "Waiting 3" in page.text
    assert "Waiting 2" not in (await chiara.get("/g/garden")).text
    turn_away = {"post": str(made[1]), "action": "turn_away"}
    assert (await chiara.post("/g/garden/waiting", turn_away)).status == 403
    assert (await bruno.post("/g/garden/waiting", turn_away)).status == 422
    assert (await bruno.post("/g/garden/waiting", {**turn_away, "reason": "No."})).status == 303
    let_in = {"post": str(made[0]), "action": "let_in"}
    assert (await bruno.post("/g/garden/waiting", let_in)).status == 303
    assert "W2" in (await chiara.get("/g/garden")).text
    other = {"post": str(world.topics["workshop"]), "action": "let_in"}
    assert (await bruno.post("/g/garden/waiting", other)).status == 404


async def test_rules_are_written_by_administrators_in_versions(world: World) -> None:
    anna, bruno = await world.browser("anna"), await world.browser("bruno")
    assert (await bruno.get("/admin/rules")).status == 403
    assert (await bruno.post("/admin/rules", {"rules": "Mine."})).status == 403
    assert (await anna.post("/admin/rules", {"rules": " \n"})).status == 422
    await anna.post("/admin/rules", {"rules": "Be <kind>."})
    assert "Be &lt;kind&gt;." in (await world.stranger().get("/about")).text
    current = await rules.current(world.site.db)
    assert current is not None and current.version == 1


async def test_a_report_is_a_notification_for_who_judges(world: World) -> None:
    number = await reported(world)
    lines = await notifications.list_notifications(world.site.db, world.people["bruno"])
    assert any(line.kind == "report" and line.matter_id == number for line in lines)
    page = await (await world.browser("bruno")).get("/notifications")
    assert f'href="/moderation/{number}"' in page.text


async def test_whose_posts_wait_is_told_so_and_shown_once_let_in(world: World) -> None:
    bruno, chiara = await world.browser("bruno"), await world.browser("chiara")
    path = "/g/garden/members"
    restrict = {"action": "restrict", "handle": "@chiara", "reason": "Too <much>.", "days": "3"}
    assert (await chiara.post(path, restrict)).status == 403
    assert (await bruno.post(path, {**restrict, "reason": ""})).status == 422
    assert (await bruno.post(path, restrict)).status == 303
    manage = await bruno.get("/g/garden/manage")
    assert "Their posts wait" in manage.text and "Too &lt;much&gt;." in manage.text
    (made,) = await statements.about(world.site.db, world.people["chiara"])
    shown = await chiara.get(f"/statements/{made.id}")
    assert "Restricted: what they write waits" in shown.text
    assert "Lift the restriction" not in shown.text
    answered = await chiara.post(f"/o/{world.topics['garden']}/reply", {"text": "MARKERWAITS"})
    assert answered.status == 303 and answered.location.endswith("said=waits")
    assert "MARKERWAITS" not in (await bruno.follow(world.thread("garden"))).text
    assert "MARKERWAITS" in (await bruno.get("/g/garden/manage")).text
    lift = {"outcome": "lifted"}
    assert (await chiara.post(f"/statements/{made.id}/answer", lift)).status == 404
    assert "Lift the restriction" in (await bruno.get(f"/statements/{made.id}")).text
    assert (await bruno.post(f"/statements/{made.id}/answer", lift)).status == 303
    await chiara.post(f"/o/{world.topics['garden']}/reply", {"text": "MARKERSHOWN"})
    assert "MARKERSHOWN" in (await bruno.follow(world.thread("garden"))).text
