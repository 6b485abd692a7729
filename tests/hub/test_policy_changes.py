"""Deciding about servers: with a reason, in the audit log, undone to the letter, over at its time."""

from __future__ import annotations

from pathlib import Path

import pytest

import fedcomm
from fedcomm.hub import audit, policies, policy_changes
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.policies import Entry
from fedcomm.store.ids import now_ms
from tests.hub.village import WHY, Village, decide, relations
from tests.hub.world import World


async def test_nothing_is_decided_without_a_reason(world: World) -> None:
    for reason in ("", "  \n"):
        with pytest.raises(Invalid):
            await world.do(
                policy_changes.apply,
                {"far.test": Entry("far.test", "suspend")},
                by=None,
                kind="set",
                reason=reason,
            )
        with pytest.raises(Invalid):
            await world.do(policy_changes.set_mode, "cautious", by=None, reason=reason)
    assert await policies.count(world.db) == 0
    assert await audit.lines(world.db) == []


async def test_who_when_what_and_why_stand_in_the_audit_log(world: World) -> None:
    anna = await world.member("anna")
    change = await world.do(
        policy_changes.apply,
        {"far.test": Entry("far.test", "suspend")},
        by=anna,
        kind="set",
        reason=WHY,
    )
    assert change is not None
    await world.do(policy_changes.set_mode, "cautious", by=anna, reason="A wave.")
    await world.do(policy_changes.undo, change, by=None, reason="Resolved.")
    undone, mode, made = await audit.lines(world.db)
    assert (made.event, made.actor_id, made.subject_id) == ("policy_set", anna, change)
    assert made.detail == {"domains": [["far.test", None, "suspend"]], "reason": WHY, "total": 1}
    assert abs(made.at - now_ms()) < 60_000
    assert (mode.event, mode.detail["after"]) == ("policy_mode", "cautious")
    assert (undone.event, undone.actor_id) == ("policy_undone", None)
    assert undone.detail["undoes"] == str(change)


def test_no_code_changes_or_removes_a_line_of_the_audit_log() -> None:
    """Only the organization's own period takes lines, and erasure the details of the erased."""
    for path in Path(fedcomm.__file__).parent.rglob("*.py"):
        if path.name == "retention.py":
            continue
        text = path.read_text("utf-8").upper()
        assert "UPDATE AUDIT" not in text, path
        assert "DELETE FROM AUDIT" not in text, path


async def test_setting_what_holds_already_is_no_change(world: World) -> None:
    await decide(world, "limit", public_comment="Be kind.")
    entry = Entry("far.test", "limit", public_comment="Be kind.")
    assert (
        await world.do(
            policy_changes.apply, {"far.test": entry}, by=None, kind="set", reason="Again."
        )
        is None
    )
    assert len(await policy_changes.history(world.db)) == 1


async def test_what_was_changed_again_since_is_not_undone(world: World) -> None:
    first = await decide(world, "limit")
    await decide(world, "suspend")
    with pytest.raises(NotAllowed):
        await world.do(policy_changes.undo, first, by=None, reason="Too late.")
    found = await policies.find(world.db, "far.test")
    assert found is not None and found.level == "suspend"
    with pytest.raises(NotFound):
        await world.do(policy_changes.undo, 1, by=None, reason="No such change.")


async def test_an_undone_change_is_not_undone_twice(world: World) -> None:
    change = await decide(world, "limit")
    await world.do(policy_changes.undo, change, by=None, reason="Once.")
    with pytest.raises(NotFound):
        await world.do(policy_changes.undo, change, by=None, reason="Twice.")


async def test_a_removal_is_undone_to_the_letter(world: World) -> None:
    anna = await world.member("anna")
    await decide(
        world,
        "limit",
        reject_media=True,
        public_comment="Pictures without words.",
        private_comment="Ask again in May.",
        expires_at=now_ms() + 60_000,
        source="https://list.test/",
    )
    before = await policies.find(world.db, "far.test")
    change = await world.do(
        policy_changes.apply, {"far.test": None}, by=anna, kind="removed", reason="Better now."
    )
    assert await policies.find(world.db, "far.test") is None
    assert change is not None
    await world.do(policy_changes.undo, change, by=anna, reason="Not at all.")
    assert await policies.find(world.db, "far.test") == before


async def test_a_trial_block_ends_by_itself(village: Village) -> None:
    world = village.world
    before = await relations(world)
    await decide(world, "suspend", expires_at=now_ms() + 3_600_000)
    assert await world.do(policy_changes.expire) == []
    await world.run("UPDATE host_policies SET expires_at = ?", now_ms() - 1)
    assert await world.do(policy_changes.expire) == ["far.test"]
    assert await relations(world) == before
    assert (await audit.lines(world.db))[0].event == "policy_expired"
