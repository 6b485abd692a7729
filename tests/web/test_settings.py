"""Settings: profile, password, sessions."""

from __future__ import annotations

import re

from fedcomm.hub import sessions
from tests.web.world import PASSWORD, World, picture_bytes, upload_form


async def test_the_profile_is_changed_with_its_picture(world: World) -> None:
    chiara = await world.browser("chiara")
    sent = await chiara.post(
        "/settings/profile",
        upload_form(
            {
                "display_name": "Chiara R.",
                "summary": "I grow **beans**",
                "locale": "it",
                "avatar_alt": "A green square",
            },
            avatar=picture_bytes(),
        ),
    )
    assert sent.status == 303
    page = await world.stranger().get("/@chiara")
    assert "Chiara R." in page.text and "<strong>beans</strong>" in page.text
    assert 'alt="A green square"' in page.text
    assert len(list(world.site.media_folder.iterdir())) == 4
    await chiara.post(
        "/settings/profile",
        upload_form(
            {"display_name": "C", "summary": "", "locale": "it"}, avatar=picture_bytes("red")
        ),
    )
    assert len(list(world.site.media_folder.iterdir())) == 4, "the old picture is gone"


async def test_the_description_of_a_picture_changes_alone(world: World) -> None:
    chiara = await world.browser("chiara")
    fields = {"display_name": "C", "summary": "", "locale": "en"}
    await chiara.post("/settings/profile", upload_form(fields, avatar=picture_bytes()))
    await chiara.post("/settings/profile", {**fields, "avatar_alt": "A square"})
    assert 'value="A square"' in (await chiara.get("/settings")).text


async def test_a_faulty_profile_comes_back_as_typed(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.post(
        "/settings/profile", {"display_name": "Kept", "summary": "x" * 5001, "locale": "en"}
    )
    assert page.status == 422
    assert 'value="Kept"' in page.text and "The description is too long." in page.text


async def test_inv_38_a_new_password_ends_every_other_session_and_token(world: World) -> None:
    here, elsewhere = await world.browser("chiara"), await world.browser("chiara")
    async with world.site.db.transaction() as tx:
        token = await sessions.create_token(tx, world.people["chiara"], name="app", scopes=["read"])
    before = here.cookies["__Host-session"]
    sent = await here.post(
        "/settings/password",
        {"current": PASSWORD, "new": "another long phrase", "again": "another long phrase"},
    )
    assert sent.location == "/settings?said=password"
    assert here.cookies["__Host-session"] != before
    assert (await here.get("/settings")).status == 200
    assert (await elsewhere.get("/settings")).status == 303
    assert await sessions.member_of_session(world.site.db, before) is None
    assert await sessions.bearer(world.site.db, token) is None
    sent = await world.stranger().post("/login", {"name": "chiara", "password": PASSWORD})
    assert sent.status == 401


async def test_a_password_is_not_changed_by_who_does_not_know_it(world: World) -> None:
    chiara = await world.browser("chiara")
    for fields, words in (
        (
            {"current": "wrong", "new": "another phrase", "again": "another phrase"},
            "not your password",
        ),
        (
            {"current": PASSWORD, "new": "another phrase", "again": "an other phrase"},
            "not the same",
        ),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "8 to 128 characters"),
        ({"current": PASSWORD, "new": "password", "again": "password"}, "too easy to guess"),
    ):
        page = await chiara.post("/settings/password", fields)
        assert page.status == 422 and words in page.text
    assert (
        await world.stranger().post("/login", {"name": "chiara", "password": PASSWORD})
    ).status == 303


async def test_a_member_ends_one_of_their_sessions_and_nobody_elses(world: World) -> None:
    here, elsewhere = await world.browser("chiara"), await world.browser("chiara")
    dario = await world.browser("dario")
    page = await here.get("/settings")
    [reference] = re.findall(r'name="session" value="([0-9a-f]+)"', page.text)
    assert sessions.token_hash(elsewhere.cookies["__Host-session"]).startswith(reference)
    await dario.post("/settings/sessions", {"session": reference})
    await here.post("/settings/sessions", {"session": ""})
    assert (await elsewhere.get("/settings")).status == 200
    await here.post("/settings/sessions", {"session": reference})
    assert (await elsewhere.get("/settings")).status == 303
    assert (await here.get("/settings")).status == 200


async def test_a_member_ends_all_other_sessions_at_once(world: World) -> None:
    here, elsewhere = await world.browser("chiara"), await world.browser("chiara")
    dario = await world.browser("dario")
    answer = await here.post("/settings/sessions", {"session": "others"})
    assert answer.location == "/settings?said=sessions"
    assert (await elsewhere.get("/settings")).status == 303
    page = await here.get("/settings")
    assert page.status == 200 and "End all others" not in page.text
    assert (await dario.get("/settings")).status == 200


async def test_many_sessions_are_folded_away(world: World) -> None:
    for _time in range(7):
        browser = await world.browser("chiara")
    page = await browser.get("/settings")
    assert "Show all of them" in page.text
    assert page.text.count("<details") == page.text.count("</details>")
