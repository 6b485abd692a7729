"""The hub moves to another machine and another engine: other servers notice nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import ENGINES, Databases
from tests.federation.hub import Hub, make_hub
from tests.federation.stub import fits_key, stubs


async def posted(hub: Hub, title: str) -> None:
    await hub.run("post", "gardening", "--as", "anna", "--title", title, "--text", "Words.")


@pytest.mark.parametrize("engine", [ENGINES[-1]])
async def test_a_moved_hub_keeps_actors_keys_and_followers(
    databases: Databases, tmp_path: Path
) -> None:
    """From SQLite to the other engine: the next activity is signed by the same key and needs no new follow."""
    old = await make_hub(tmp_path / "old")
    async with stubs() as servers:
        rita = servers.actor("rita", "h1.test")
        host = servers.hosts["h1.test"]
        await old.start()
        try:
            _, group = await servers.get(f"{old.origin}/g/gardening")
            follow = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{rita}/follows/1",
                "type": "Follow",
                "actor": rita,
                "object": group["id"],
            }
            assert await servers.post(f"{old.origin}/ap/inbox", follow) in (200, 202)
            await servers.until(lambda: "Accept" in host.kinds())
            await posted(old, "Before")
            await servers.until(lambda: any("Announce" in kind for kind in host.kinds()))
        finally:
            await old.stop()
        made = await old.run("export", "site", str(tmp_path / "hub.tar"), "--with-key")

        new = Hub(tmp_path / "new", old.origin, old.port, dict(old.settings))
        new.settings = {**old.settings, "database": {"url": databases.migrated()}}
        new.write()
        (new.folder / "fedcomm.key").unlink()
        came = await new.run("import", "site", str(tmp_path / "hub.tar"))
        assert came["root"] == made["root"]
        assert (new.folder / "fedcomm.key").read_bytes() == (
            old.folder / "fedcomm.key"
        ).read_bytes()

        host.arrived.clear()
        await new.start()
        try:
            _, again = await servers.get(f"{new.origin}/g/gardening")
            assert (again["id"], again["inbox"]) == (group["id"], group["inbox"])
            assert again["publicKey"] == group["publicKey"]
            await posted(new, "After")
            await servers.until(lambda: any("Announce" in kind for kind in host.kinds()))
            arrived = next(one for one in host.arrived if one.body["type"] == "Announce")
            assert arrived.body["actor"] == group["id"]
            url = f"{host.origin}{arrived.path}"
            pem = group["publicKey"]["publicKeyPem"]
            assert fits_key(arrived, url, arrived.raw, pem)
            # Nothing of before is sent a second time, and nobody had to follow anew.
            assert not [one for one in host.arrived if "Before" in str(one.body)]
            assert "Follow" not in host.kinds()
            # And what the follower says is taken in as before.
            undo = {**follow, "id": f"{rita}/undo/1", "type": "Undo", "object": follow}
            assert await servers.post(f"{new.origin}/ap/inbox", undo) in (200, 202)
        finally:
            await new.stop()
