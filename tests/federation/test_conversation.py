"""The main job, between two real hubs over HTTP: follow, topic, reply, edit, like, delete."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.federation.hub import Hub, running_hub


async def _title_at(hub: Hub, title: str, seconds: float) -> None:
    await hub.until("SELECT 1 FROM objects WHERE title = ?", title, seconds=seconds)


async def test_a_topic_travels_and_its_answer_comes_back(tmp_path: Path) -> None:
    """Acceptance 1: within 5 s of posting it stands elsewhere; reply, edit, like and deletion travel."""
    async with (
        running_hub(tmp_path / "hub") as hub,
        running_hub(tmp_path / "elsewhere", members=("carla",), groups={}) as elsewhere,
    ):
        await elsewhere.run("follow", f"@gardening@{hub.host}", "--as", "carla")
        await elsewhere.until("SELECT 1 FROM follows WHERE state = 'active'")

        topic = await hub.run(
            "post",
            "gardening",
            "--as",
            "anna",
            "--title",
            "Which soil?",
            "--text",
            "Clay, north side.",
        )
        await _title_at(elsewhere, "Which soil?", 5)

        reply = await elsewhere.run(
            "reply", topic["uri"], "--as", "carla", "--text", "Add compost."
        )
        await hub.until(
            "SELECT 1 FROM objects WHERE uri = ? AND parent_id = ?", reply["uri"], int(topic["id"])
        )
        status, page = await hub.get(topic["url"])
        while status in (301, 302):
            status, page = await hub.get(f"{topic['url']}/which-soil")
        assert status == 200
        assert "Add compost." in page

        await elsewhere.run("like", topic["uri"], "--as", "carla")
        await hub.until("SELECT like_count FROM objects WHERE id = ?", int(topic["id"]), wanted=1)

        await hub.run(
            *("edit", topic["url"], "--as", "anna", "--title", "Which soil now?"),
            *("--text", "Clay, north side, with sand."),
        )
        await _title_at(elsewhere, "Which soil now?", 10)

        await hub.run("delete", topic["url"], "--as", "anna")
        await elsewhere.until(
            "SELECT 1 FROM objects WHERE uri = ? AND deleted_at IS NOT NULL AND title = ''",
            topic["uri"],
        )
        await asyncio.sleep(0)
        assert not elsewhere.sql("SELECT 1 FROM objects WHERE html LIKE '%north side%'")
