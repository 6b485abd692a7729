from __future__ import annotations

import statistics
import time

import argon2
import pytest

from fedcomm.hub import members, passwords, sessions
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms
from tests.hub.test_threads import columns_of_text
from tests.hub.world import World

PASSWORD = "correct horse battery"
DAY_MS = 86_400_000


@pytest.fixture
async def anna(world: World) -> int:
    password_hash = await passwords.hash_password(PASSWORD)
    return await world.member("anna", email="anna@hub.test", password_hash=password_hash)


async def whose(world: World, session: str) -> int | None:
    found = await sessions.member_of_session(world.db, session)
    return found.id if found else None


@pytest.mark.parametrize(
    "name", ["anna", "Anna", "@anna", " anna ", "anna@hub.test", "ANNA@hub.test"]
)
async def test_the_right_name_or_address_and_password_open_a_session(
    world: World, anna: int, name: str
) -> None:
    session = await sessions.log_in(world.db, name, PASSWORD)
    assert await whose(world, session) == anna
    assert await world.db.value("SELECT seen_at FROM members WHERE actor_id = ?", anna)


async def test_inv_36_whatever_was_wrong_the_answer_is_the_same(world: World, anna: int) -> None:
    await world.member("berta", password_hash=await passwords.hash_password(PASSWORD))
    berta = await members.member_by_name(world.db, "berta")
    assert berta is not None
    await world.do(members.suspend_member, berta.id, suspended=True)
    await world.member("carla")
    await world.remote("dora")
    answers = set()
    for name, password in (
        ("anna", "wrong"),
        ("anna", ""),
        ("anna", "\0"),
        ("berta", PASSWORD),
        ("carla", PASSWORD),
        ("carla", ""),
        ("dora", PASSWORD),
        ("nobody", PASSWORD),
        ("", ""),
        ("anna\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
    ):
        with pytest.raises(HubError) as caught:
            await sessions.log_in(world.db, name, password)
        answers.add((type(caught.value), caught.value.message))
    assert answers == {(HubError, "Name or password is wrong.")}
    assert await world.rows("SELECT 1 FROM sessions") == []


def test_inv_36_the_hash_of_nobody_costs_what_a_real_one_does() -> None:
    stored = argon2.extract_parameters(passwords._hash(PASSWORD))
    dummy = argon2.extract_parameters(passwords._DUMMY)
    assert (dummy.time_cost, dummy.memory_cost, dummy.parallelism, dummy.hash_len) == (
        stored.time_cost,
        stored.memory_cost,
        stored.parallelism,
        stored.hash_len,
    )
    assert dummy.type == stored.type
    hasher = argon2.PasswordHasher()
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        hasher.verify(passwords._DUMMY, PASSWORD)


async def test_inv_36_the_time_tells_nothing_either(world: World, anna: int) -> None:
    async def seconds(name: str) -> float:
        start = time.process_time()
        with pytest.raises(HubError):
            await sessions.log_in(world.db, name, "wrong")
        return time.process_time() - start

    await seconds("anna")
    known, unknown = [], []
    for _ in range(7):
        known.append(await seconds("anna"))
        unknown.append(await seconds("nobody"))
    ratio = statistics.median(known) / statistics.median(unknown)
    assert 0.5 < ratio < 2


async def test_inv_38_a_new_password_ends_every_other_session_and_token(
    world: World, anna: int
) -> None:
    here, there = [await sessions.log_in(world.db, "anna", PASSWORD) for _ in range(2)]
    token = await world.do(sessions.create_token, anna, name="app", scopes=["read"])
    await world.do(
        members.set_password,
        anna,
        await passwords.hash_password("another one"),
        keep_session=sessions.token_hash(here),
    )
    assert await whose(world, here) == anna
    assert await whose(world, there) is None
    assert await sessions.bearer(world.db, token) is None
    with pytest.raises(HubError):
        await sessions.log_in(world.db, "anna", PASSWORD)
    await sessions.log_in(world.db, "anna", "another one")
    await world.do(members.set_password, anna, await passwords.hash_password("a third one"))
    assert await whose(world, here) is None


async def stored_words(db: Database) -> str:
    """Everything that the database says, as one text."""
    found = []
    for table, column in await columns_of_text(db):
        for row in await db.all(f'SELECT CAST("{column}" AS TEXT) AS value FROM "{table}"'):
            found.append(str(row["value"]))
    return "\n".join(found)


async def test_inv_40_nothing_that_is_stored_opens_anything(world: World, anna: int) -> None:
    session = await sessions.log_in(world.db, "anna", PASSWORD)
    token = await world.do(sessions.create_token, anna, name="app", scopes=["read", "write"])
    text = await stored_words(world.db)
    for secret in (session, token, PASSWORD):
        assert secret not in text
    for row in await world.rows(
        "SELECT token_hash FROM sessions UNION ALL SELECT token_hash FROM tokens"
    ):
        assert row["token_hash"] in text
        assert await whose(world, row["token_hash"]) is None
        assert await sessions.bearer(world.db, row["token_hash"]) is None


async def test_a_session_ends_when_idle_and_when_old(world: World, anna: int) -> None:
    session = await sessions.log_in(world.db, "anna", PASSWORD)
    now = now_ms()
    for seen, created, alive in (
        (now - 13 * DAY_MS, now - 80 * DAY_MS, True),
        (now - 15 * DAY_MS, now - 16 * DAY_MS, False),
        (now, now - 91 * DAY_MS, False),
    ):
        await world.run("UPDATE sessions SET seen_at = ?, created_at = ?", seen, created)
        assert (await whose(world, session) is not None) == alive
    await world.run("UPDATE sessions SET seen_at = ?, created_at = ?", now, now)
    assert await sessions.member_of_session(world.db, session, idle_days=0.5) is not None
    assert await sessions.member_of_session(world.db, session, absolute_days=0) is None


async def test_the_last_use_is_written_once_a_minute(world: World, anna: int) -> None:
    session = await sessions.log_in(world.db, "anna", PASSWORD)

    async def seen() -> int:
        return int(await world.db.value("SELECT seen_at FROM sessions"))

    first = await seen()
    await whose(world, session)
    assert await seen() == first
    await world.run("UPDATE sessions SET seen_at = seen_at - 61000")
    await whose(world, session)
    assert await seen() >= first


async def test_logging_out_ends_this_session_only(world: World, anna: int) -> None:
    here, there = [await sessions.log_in(world.db, "anna", PASSWORD) for _ in range(2)]
    await world.do(sessions.log_out, here)
    assert [await whose(world, each) for each in (here, there)] == [None, anna]


async def test_a_member_sees_and_ends_their_own_sessions_only(world: World, anna: int) -> None:
    berta = await world.member("berta")
    mine, other = [await sessions.log_in(world.db, "anna", PASSWORD) for _ in range(2)]
    listed = await sessions.sessions_of(world.db, anna)
    assert len(listed) == 2
    reference = sessions.token_hash(other)[: sessions.REFERENCE_LENGTH]
    assert reference in {each.reference for each in listed}
    await world.do(sessions.end_session, berta, reference)
    await world.do(sessions.end_session, anna, "")
    await world.do(sessions.end_session, anna, "%" * sessions.REFERENCE_LENGTH)
    assert len(await sessions.sessions_of(world.db, anna)) == 2
    await world.do(sessions.end_session, anna, reference)
    assert [await whose(world, each) for each in (mine, other)] == [anna, None]


async def test_inv_37_a_token_can_do_what_its_scopes_say_and_no_more(
    world: World, anna: int
) -> None:
    token = await world.do(sessions.create_token, anna, name="app", scopes=["read"])
    bearer = await sessions.bearer(world.db, token)
    assert bearer is not None
    assert (bearer.member.id, bearer.scopes) == (anna, frozenset({"read"}))
    await world.run("UPDATE tokens SET scopes = 'read * admin write:everything'")
    bearer = await sessions.bearer(world.db, token)
    assert bearer is not None and bearer.scopes == frozenset({"read"})
    for scopes in ([], ["*"], ["admin"], ["read", "all"], ["read write"]):
        with pytest.raises(Invalid):
            await world.do(sessions.create_token, anna, name="app", scopes=scopes)
    await world.run("UPDATE tokens SET expires_at = ?", now_ms() - 1)
    assert await sessions.bearer(world.db, token) is None


async def test_a_chosen_token_is_not_too_short(world: World, anna: int) -> None:
    with pytest.raises(Invalid):
        await world.do(sessions.create_token, anna, name="app", scopes=["read"], value="x" * 15)
    value = "chosen by a script"
    made = await world.do(sessions.create_token, anna, name="app", scopes=["read"], value=value)
    assert made == value
    assert await sessions.bearer(world.db, value) is not None


@pytest.mark.parametrize("password", ["short", "x" * 129, "password", "PASSWORD", "anna.rossi"])
def test_a_password_that_anybody_would_try_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as caught:
        members.password_acceptable(password, "anna.rossi", None)
    assert caught.value.field == "password"


async def test_a_password_is_the_same_however_its_accents_were_typed() -> None:
    stored = await passwords.hash_password("perch\u00e9 no?")
    assert await passwords.verify_password(stored, "perche\u0301 no?")
    assert not await passwords.verify_password(stored, "perche no?")
    assert not await passwords.verify_password(None, "perche no?")
    assert not await passwords.verify_password("no hash", "perche no?")
