from __future__ import annotations

import pytest

from fedcomm.hub import actors, members, sessions
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.passwords import hash_password
from tests.databases import ORIGIN
from tests.hub.world import World


async def test_a_new_member_is_found_by_id_and_by_name_in_any_case(world: World) -> None:
    anna = await world.member("anna", display_name="Anna", email=" Anna@Hub.Test ", locale="it")
    member = await members.member(world.db, anna)
    assert member is not None
    assert (member.name, member.display_name, member.email) == ("anna", "Anna", "anna@hub.test")
    assert (member.role, member.state, member.locale) == ("member", "active", "it")
    for name in ("anna", "Anna", "@anna", "@ANNA"):
        assert await members.member_by_name(world.db, name) == member
    assert await members.member_by_name(world.db, "nobody") is None
    assert await members.member_by_name(world.db, "anna\0") is None
    assert await members.member(world.db, 12345) is None
    assert await world.events() == ["member_created"]


@pytest.mark.parametrize(
    "name", ["a", "x" * 31, "Anna", "an na", "an-na", "anna.b", "ànna", "", "a\0b", "admin", "api"]
)
async def test_a_name_that_peers_would_refuse_or_that_we_need_is_refused(
    world: World, name: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await world.member(name)
    assert caught.value.field == "name"
    assert await world.events() == []


async def test_members_and_groups_share_one_namespace(world: World) -> None:
    anna = await world.member("anna")
    await world.group("ambiente", anna)
    for taken in ("anna", "ambiente"):
        with pytest.raises(Invalid, match="taken"):
            await world.member(taken)
        with pytest.raises(Invalid, match="taken"):
            await world.group(taken, anna)


async def test_inv_50_the_handle_of_somebody_gone_is_not_given_again(world: World) -> None:
    anna = await world.member("anna")
    await world.run("UPDATE actors SET deleted_at = 1, name = '' WHERE id = ?", anna)
    assert await members.member_by_name(world.db, "anna") is None
    assert await actors.local_actor(world.db, "anna") is None
    with pytest.raises(Invalid, match="taken"):
        await world.member("anna")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"role": "king"}, "role"),
        ({"locale": "xx"}, "locale"),
        ({"email": "no address"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "@hub.test"}, "email"),
        ({"email": "a b@hub.test"}, "email"),
        ({"email": "a\0@hub.test"}, "email"),
        ({"email": "a" * 250 + "@hub.test"}, "email"),
    ],
)
async def test_what_is_odd_about_an_account_is_named(
    world: World, facts: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await world.member("anna", **facts)
    assert caught.value.field == field


async def test_an_address_belongs_to_one_account_in_any_case(world: World) -> None:
    await world.member("anna", email="anna@hub.test")
    with pytest.raises(Invalid) as caught:
        await world.member("berta", email="ANNA@hub.test")
    assert caught.value.field == "email"
    await world.member("carla")
    await world.member("dora")


async def test_members_are_listed_in_pages(world: World) -> None:
    made = [await world.member(f"member{number}") for number in range(5)]
    seen: list[int] = []
    while page := await members.list_members(world.db, after=seen[-1] if seen else 0, limit=2):
        seen += [member.id for member in page]
    assert seen == sorted(made)


async def test_a_profile_is_rendered_clean_and_keeps_its_picture(world: World) -> None:
    anna = await world.member("anna")
    picture, _ = await world.picture(anna, purpose="avatar")
    edit = {"locale": "it", "local_origin": ORIGIN}
    await world.do(
        members.edit_profile,
        anna,
        display_name="Anna \u202eevil\0",
        summary="*Ciao* <script>alert(1)</script>",
        avatar_id=picture,
        **edit,  # type: ignore[arg-type]
    )
    await world.do(
        members.edit_profile,
        anna,
        display_name="Anna",
        summary="**Ciao**",
        **edit,  # type: ignore[arg-type]
    )
    actor = await world.actor(anna)
    assert actor.avatar_id == picture
    assert "<strong>Ciao</strong>" in actor.summary_html
    assert actor.summary_source == "**Ciao**"
    assert await world.events() == ["member_created", "member_edited", "member_edited"]


@pytest.mark.parametrize(
    ("change", "field"), [({"summary": "x" * 5001}, "summary"), ({"locale": "xx"}, "locale")]
)
async def test_a_profile_has_limits(world: World, change: dict[str, str], field: str) -> None:
    anna = await world.member("anna")
    values = {"display_name": "Anna", "summary": "x" * 5000, "locale": "en", **change}
    with pytest.raises(Invalid) as caught:
        await world.do(members.edit_profile, anna, local_origin=ORIGIN, **values)  # type: ignore[arg-type]
    assert caught.value.field == field


async def test_inv_21_a_suspended_member_loses_sessions_and_tokens_at_once(world: World) -> None:
    anna = await world.member("anna", password_hash=await hash_password("correct horse"))
    session = await sessions.log_in(world.db, "anna", "correct horse")
    token = await world.do(sessions.create_token, anna, name="app", scopes=["read"])
    await world.do(members.suspend_member, anna, suspended=True)
    assert await sessions.member_of_session(world.db, session) is None
    assert await sessions.bearer(world.db, token) is None
    assert (await world.actor(anna)).suspended_at is not None
    await world.do(members.suspend_member, anna, suspended=False)
    assert await sessions.member_of_session(world.db, session) is None
    assert (await world.actor(anna)).suspended_at is None
    with pytest.raises(NotFound):
        await world.do(members.suspend_member, 99, suspended=True)


async def test_a_remote_actor_is_refreshed_under_the_same_id(world: World) -> None:
    first = await world.remote("bob", "far.test")
    again = await world.remote(
        "bob", "far.test", display_name="Robert", keys=(("https://far.test/new", "rsa", "PEM"),)
    )
    assert first == again
    actor = await actors.actor_by_uri(world.db, "https://far.test/users/bob")
    assert actor is not None
    assert (actor.display_name, actor.handle) == ("Robert", "bob@far.test")
    assert await actors.remote_actor(world.db, "BOB", "Far.Test") == actor
    assert await actors.remote_actor(world.db, "bob", "other.test") is None
    assert await actors.local_actor(world.db, "bob") is None
    keys = await world.rows("SELECT uri FROM actor_keys")
    assert [key["uri"] for key in keys] == ["https://far.test/new"]


async def test_inv_3_a_key_stays_with_the_actor_who_showed_it_first(world: World) -> None:
    bob = await world.remote("bob", keys=(("https://far.test/key", "rsa", "PEM of bob"),))
    await world.remote("eve", "evil.test", keys=(("https://far.test/key", "rsa", "PEM of eve"),))
    keys = await world.rows("SELECT actor_id, public_key FROM actor_keys")
    assert [(key["actor_id"], key["public_key"]) for key in keys] == [(bob, "PEM of bob")]


async def test_a_remote_actor_that_is_gone_leaves_no_name(world: World) -> None:
    bob = await world.remote("bob", summary_html="<p>I am Bob</p>")
    await world.do(actors.forget_remote, bob)
    row = await world.db.one("SELECT * FROM actors WHERE id = ?", bob)
    assert row is not None and row["deleted_at"] is not None
    assert (row["name"], row["display_name"], row["summary_html"], row["url"]) == ("", "", "", None)
    assert await actors.remote_actor(world.db, "bob", "far.test") is None
    assert await world.rows("SELECT 1 FROM actor_keys") == []
