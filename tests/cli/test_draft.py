"""`fedcomm draft`: listed, previewed without a trace, deleted."""

from __future__ import annotations

import asyncio
import json

from fedcomm.config import load
from fedcomm.hub import drafts, groups, members
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub


def save(hub: Hub, words: drafts.Words) -> str:
    """A draft of anna's for a topic in her group; its id."""

    async def work() -> int:
        db = await open_database(load(hub.config, {}).database.url)
        try:
            anna = await members.member_by_name(db, "anna")
            group = await groups.group_by_name(db, "garden")
            assert anna is not None
            assert group is not None
            async with db.transaction() as tx:
                return await drafts.save(tx, anna.id, words, group_id=group.id)
        finally:
            await db.close()

    return str(asyncio.run(work()))


def test_a_draft_is_listed_previewed_and_deleted(hub: Hub) -> None:
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    number = save(
        hub, drafts.Words(title="Soil", text="Clay, @ghost.", poll="A\nB", poll_minutes=60)
    )
    assert [one["title"] for one in hub.json("draft", "list", "anna")] == ["Soil"]
    seen = hub.json("draft", "preview", number)
    assert [one["peer"] for one in seen["likenesses"]] == ["Mastodon", "Lemmy", "NodeBB"]
    assert {"nobody", "mention_unknown"} <= {one["code"] for one in seen["remarks"]}
    create = json.loads(seen["documents"][0]["body"])
    assert create["type"] == "Create"
    assert create["object"]["type"] == "Question"
    assert create["object"]["id"].endswith(seen["object_id"])
    printed = hub.run("draft", "preview", number, "--bytes")
    assert "Nobody is known here as @ghost" in printed
    assert "Lemmy: Announce/activity/page" in printed
    assert hub.json("draft", "delete", number) == {"deleted": int(number)}
    assert hub.run("draft", "list", "anna") == "There are no drafts.\n"
    assert "there is no draft" in hub.refusal("draft", "preview", number)
