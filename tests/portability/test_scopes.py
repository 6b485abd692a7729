"""What belongs to a person and to a group: everything of theirs, nothing private of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fedcomm.hub import avoidance, groups, reactions, reports, threads
from fedcomm.hub.register import REGISTER
from fedcomm.portability.scopes import (
    RULES,
    NotTheirs,
    Scope,
    Theirs,
    files,
    named_in,
    parts,
    people,
    rows_of,
)
from tests.hub.test_erasure import Schema, schema  # noqa: F401
from tests.hub.world import World, words


@pytest.fixture
def world(site: Any) -> World:
    return World(site)


async def collected(world: World, scope: Scope, subject_id: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    names: set[int] = set()
    for part in await parts(world.db, scope):
        found[part.name] = []
        async for record in rows_of(world.db, part, subject_id, world.db.dialect):
            found[part.name].append(dict(zip(part.table.names, record, strict=True)))
            names |= named_in(part, record)
    found["people"] = [{"id": row[2], "name": row[4]} async for row in people(world.db, names)]
    return found


async def direct(world: World, author: int, parent: int, text: str, reader: int) -> int:
    content = words(text, mentions=(reader,))
    return await world.do(threads.create_reply, author, parent, content, visibility="direct")


@pytest.mark.parametrize("scope", ["person", "group"])
async def test_every_table_has_a_rule_or_a_reason_and_every_rule_reads(
    world: World,
    schema: Schema,  # noqa: F811
    scope: Scope,
) -> None:
    rules = RULES[scope]
    assert set(rules) == set(REGISTER)
    for name, rule in rules.items():
        if isinstance(rule, NotTheirs):
            assert len(rule.why) > 10, name
        else:
            columns = {column for column, _, _ in schema.columns(name)}
            assert rule.without <= columns, name
            assert set(rule.names) <= columns - rule.without, name
    assert await collected(world, scope, 1) is not None
    assert await files(world.db, scope, 1) == []


def test_columns_that_name_a_person_are_theirs_or_the_table_is_left_out_for_a_reason() -> None:
    for name, table in REGISTER.items():
        rule = RULES["person"][name]
        if table.retention == "account" and table.people:
            assert isinstance(rule, Theirs), f"{name} belongs to accounts"


async def test_inv_53_a_members_rows_hold_all_of_theirs_and_nothing_private_of_others(
    world: World,
) -> None:
    anna = await world.member("anna", email="anna@mail.test", password_hash="SECRETHASH")
    bruno = await world.member("bruno", email="bruno@mail.test")
    rita = await world.remote("rita")
    garden = await world.group("garden", bruno)
    await world.do(groups.join, garden, anna)
    topic = await world.topic(anna, garden, "Hers in the garden.", title="Hers")
    await world.topic(bruno, garden, "His own thoughts.", title="His")
    answer = await world.reply(bruno, topic, "His answer to all.")
    secret = await direct(world, bruno, topic, "For Anna alone.", anna)
    await direct(world, bruno, topic, "For Rita alone.", rita)
    await world.do(reactions.add, anna, answer, "like")
    await world.do(reactions.add, bruno, topic, "like")
    await world.do(avoidance.avoid, anna, rita, "mute")
    await world.do(avoidance.avoid, bruno, anna, "mute")
    await world.do(reports.file, reporter_id=bruno, people=(anna,), reason="Bruno reports Anna.")

    found = await collected(world, "person", anna)
    texts = json.dumps(found, default=str)
    assert {row["id"] for row in found["objects"]} == {topic, secret}
    for present in ("Hers in the garden.", "For Anna alone.", "anna@mail.test"):
        assert present in texts
    for absent in (
        "His own thoughts",
        "His answer",
        "For Rita",
        "bruno@mail",
        "SECRETHASH",
        "reports Anna",
    ):
        assert absent not in texts
    assert [row["object_id"] for row in found["reactions"]] == [answer]
    assert [(row["member_id"], row["actor_id"]) for row in found["avoided_actors"]] == [
        (anna, rita)
    ]
    assert {row["name"] for row in found["people"]} >= {"anna", "bruno", "garden", "rita"}


async def test_a_groups_rows_hold_what_was_said_to_all_of_it_and_nobodys_account(
    world: World,
) -> None:
    anna = await world.member("anna", email="anna@mail.test")
    bruno = await world.member("bruno")
    garden = await world.group("garden", anna)
    attic = await world.group("attic", anna)
    await world.do(groups.join, garden, bruno)
    topic = await world.topic(bruno, garden, "Said in the garden.", title="A topic")
    reply = await world.reply(anna, topic, "Said to all.")
    secret = await direct(world, anna, topic, "For Bruno alone.", bruno)
    elsewhere = await world.topic(anna, attic, "Said in the attic.", title="Another")
    found = await collected(world, "group", garden)
    texts = json.dumps(found, default=str)
    assert {row["id"] for row in found["objects"]} == {topic, reply}
    assert secret not in {topic, reply} and elsewhere not in {topic, reply}
    assert {row["actor_id"] for row in found["memberships"]} == {anna, bruno}
    assert {row["name"] for row in found["people"]} == {"anna", "bruno"}
    for absent in ("anna@mail.test", "alone", "attic"):
        assert absent not in texts


async def test_a_remote_persons_rows_are_those_of_their_own(world: World) -> None:
    anna = await world.member("anna")
    rita = await world.remote("rita")
    garden = await world.group("garden", anna)
    topic = await world.topic(anna, garden, "Hers.", title="A topic")
    reply = await world.do(
        threads.create_reply,
        rita,
        topic,
        words("From far."),
        provenance=await world.provenance(rita),
    )
    found = await collected(world, "person", rita)
    assert [row["id"] for row in found["objects"]] == [reply]
    assert found["members"] == []
