"""The canary: a hidden post goes out and comes round over the hub's public address, or somebody is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from activitypub.network import NetworkPolicy, UrlRefused, url_allowed
from fedcomm.federation import canary as canary_module
from fedcomm.federation.canary import Canary
from fedcomm.hub import canary, instance
from fedcomm.hub.canary import Status
from fedcomm.store.ids import new_id, now_ms
from tests.databases import ENGINES
from tests.federation.conftest import hub_of_module
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SINGING: dict[str, dict[str, Any]] = {
    # The loop is far too slow to disturb: the tests start each cycle themselves.
    "canary": {"enabled": True, "interval_minutes": 1440, "deadline_seconds": 10},
    "inbox": {"attempts": 3, "retry_seconds": [0.1, 0.2]},
    "delivery": {"retry_minutes": [0.002]},
    "metrics": {"token": "figures-please"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def aviary(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    servers: ScriptedStubs,
) -> AsyncIterator[LocalHub]:
    """A running hub with a canary, on each engine in turn."""
    folder = tmp_path_factory.mktemp("aviary")
    async with hub_of_module(request, folder, servers, SINGING) as hub:
        await first_cycle(hub)
        yield hub


async def first_cycle(hub: LocalHub) -> None:
    """The one that the start of the hub begins."""
    for _ in range(600):
        if (await canary.status(hub.db)).last is not None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the first cycle never ended")


def bird(hub: LocalHub) -> Canary:
    assert hub.site.federation is not None
    return hub.site.federation.canary


async def due(hub: LocalHub) -> None:
    """Make it time for the next cycle."""
    async with hub.db.transaction() as tx:
        await tx.execute("UPDATE canary_cycles SET started_at = started_at - 172800000")


async def sing(hub: LocalHub) -> str | None:
    await due(hub)
    return await bird(hub).cycle()


async def test_the_song_comes_round_over_the_public_address(aviary: LocalHub) -> None:
    assert await sing(aviary) == "arrived"
    last = (await canary.status(aviary.db)).last
    assert last is not None
    assert last.followed_at is not None
    assert last.arrived_at is not None
    assert last.duration_ms is not None
    assert 0 < last.duration_ms < 10_000
    host = await instance.setting(aviary.db, "canary_host")
    rows = await aviary.db.all(
        "SELECT verdict, signer_uri FROM inbox WHERE host_id = ? ORDER BY id DESC LIMIT 2",
        int(host or 0),
    )
    assert [row["verdict"] for row in rows] == ["canary: answered", "canary: asked"]
    assert {row["signer_uri"].rsplit("/", 1)[1] for row in rows} == {"group", "follower"}


async def everything_public(hub: LocalHub) -> list[tuple[str, int, str]]:
    """What strangers and an administrator see on the pages that list, count or look up."""
    cookie = await hub.cookie()
    seen = []
    host = hub.origin.split("://")[1]
    for path in (
        *("/", "/about", "/groups", "/feed.atom", "/search?q=canary", "/search?q=tweet"),
        *("/@follower", "/@canary", "/g/group", "/nodeinfo/2.0", "/nodeinfo/2.1", "/g/gardening"),
        *(f"/.well-known/webfinger?resource=acct:{name}@{host}" for name in ("group", "follower")),
        f"/.well-known/webfinger?resource={hub.origin}/ap/canary/group",
        *("/admin/members", "/admin/policies", "/notifications", "/following", "/moderation"),
    ):
        for headers in ({}, cookie):
            status, text = await hub.get(path, headers)
            seen.append((path, status, text))
    return seen


async def test_nothing_of_the_canary_shows_anywhere(aviary: LocalHub) -> None:
    before = await everything_public(aviary)
    figures = await instance.usage(aviary.db)
    assert aviary.site.federation is not None
    totals = await aviary.site.federation.totals()
    assert await sing(aviary) == "arrived"
    for (path, status, text), old in zip(await everything_public(aviary), before, strict=True):
        assert (path, status) == old[:2]
        assert "/ap/canary" not in text, path
        assert "Tweet" not in text, path
        if "webfinger" in path or path in ("/@follower", "/@canary", "/g/group"):
            assert status == 404, path
        if "nodeinfo" in path or path in ("/groups", "/about", "/feed.atom"):
            assert text == old[2], path
    assert await instance.usage(aviary.db) == figures
    assert await aviary.site.federation.totals() == totals
    assert await aviary.site.federation.health() == []


async def test_its_documents_are_there_for_the_canary_alone(aviary: LocalHub) -> None:
    stranger = aviary.stubs.somebody("curious")
    number = (await canary.status(aviary.db)).last
    assert number is not None
    ids = [await instance.setting(aviary.db, canary.ACTOR_OF[one]) for one in ("group", "follower")]
    for path in (
        *("/ap/canary/group", "/ap/canary/follower", f"/ap/canary/{number.id}", "/ap/canary/x"),
        *(f"/ap/p/{one}" for one in ids),
        *(f"/ap/g/{one}/outbox" for one in ids),
        f"/ap/c/{number.id}",
    ):
        for signer in (None, stranger):
            status, body = await aviary.stubs.get(aviary.origin + path, signer=signer)
            assert status == 404 or (signer is None and status == 401), (path, signer, body)
            assert "publicKey" not in str(body)


async def test_inv_2_nobody_else_can_sing(aviary: LocalHub) -> None:
    mallory = aviary.stubs.somebody("cuckoo")
    group = f"{aviary.origin}/ap/canary/group"
    before = await aviary.fingerprint()
    for actor, key_id in ((group, f"{group}#main-key"), (group, f"{mallory}#main-key")):
        forged = {
            "@context": AS,
            "id": f"{aviary.origin}/ap/c/{new_id()}",
            "type": "Follow",
            "actor": actor,
            "object": f"{aviary.origin}/ap/canary/follower",
        }
        assert await aviary.post(json.dumps(forged).encode(), key_id=key_id) == 401
    assert await aviary.fingerprint() == before


async def test_inv_23_the_exception_for_our_own_address_is_a_few_paths_and_no_more() -> None:
    open_ = NetworkPolicy(own_origin="https://hub.example", own_paths=("/ap/inbox", "/ap/canary/"))
    for path in ("/ap/inbox", "/ap/canary/group", "/ap/canary/123"):
        assert url_allowed(f"https://hub.example{path}", open_).endswith(path)
        with pytest.raises(UrlRefused, match="own"):
            url_allowed(
                f"https://hub.example{path}", NetworkPolicy(own_origin="https://hub.example")
            )
    for path in (
        *("/", "/admin", "/ap/inbox/", "/ap/inbox?x=1", "/ap/canary", "/ap/canary/../p/1"),
        *("/ap/canary/%2e%2e/p/1", "/ap/canary/group?x", "/ap/p/1", "/AP/inbox", "/metrics"),
    ):
        with pytest.raises(UrlRefused, match="own"):
            url_allowed(f"https://hub.example{path}", open_)


async def test_a_missed_cycle_raises_the_alarm_once_and_a_song_ends_it(
    aviary: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Status] = []

    async def tell(status: Status) -> None:
        told.append(status)

    singer = bird(aviary)
    assert aviary.site.federation is not None
    reception = aviary.site.federation._serving._reception
    monkeypatch.setattr(singer, "on_change", tell)
    monkeypatch.setattr(singer, "_settings", replace(singer._settings, deadline_seconds=0.5))
    with monkeypatch.context() as broken:
        # Whatever stands before the hub does not let the inbox through.
        broken.setattr(reception, "canary", None)
        assert await sing(aviary) == "missed"
        assert await sing(aviary) == "missed"
        assert [status.missed for status in told] == [1]
        assert told[0].last is not None
        assert "the Follow was not delivered: answered 401" in told[0].last.error
        _, admin = await aviary.get("/admin", await aviary.cookie())
        assert "2 times in a row" in admin
        assert "answered 401" in admin
        assert "fedcomm_canary_missed 2" in await figures_of(aviary)
    monkeypatch.setattr(singer, "_settings", replace(singer._settings, deadline_seconds=10.0))
    assert await sing(aviary) == "arrived"
    assert [status.missed for status in told] == [1, 0]
    assert "fedcomm_canary_missed 0" in await figures_of(aviary)
    assert "fedcomm_canary_cycle_seconds" in await figures_of(aviary)
    _, admin = await aviary.get("/admin", await aviary.cookie())
    assert "in a row" not in admin
    _, health = await aviary.get("/admin/health", await aviary.cookie())
    assert "The last post came round" in health


async def figures_of(hub: LocalHub) -> str:
    status, text = await hub.get("/metrics", {"Authorization": "Bearer figures-please"})
    assert status == 200
    return text


async def test_a_list_that_names_us_does_not_silence_the_canary(aviary: LocalHub) -> None:
    async with aviary.db.transaction() as tx:
        await tx.execute(
            "UPDATE hosts SET policy = 'suspend' WHERE name = ?", aviary.origin.split("://")[1]
        )
    assert await sing(aviary) == "arrived"


async def test_another_process_that_is_at_it_is_left_alone(aviary: LocalHub) -> None:
    await due(aviary)
    async with aviary.db.transaction() as tx:
        number = await canary.begin(tx)
    assert await bird(aviary).cycle() is None
    async with aviary.db.transaction() as tx:
        await tx.execute("DELETE FROM canary_cycles WHERE id = ?", number)
    assert await bird(aviary).cycle() == "arrived"
    assert await bird(aviary).cycle() is None, "it is too early"


async def test_a_cycle_that_a_restart_or_a_jump_of_the_clock_broke_off_is_no_alarm(
    aviary: LocalHub,
) -> None:
    async with aviary.db.transaction() as tx:
        number = await canary.begin(tx)
    assert await sing(aviary) == "arrived", "the clock jumped forward, or nobody was there"
    broken = await canary.cycle(aviary.db, number)
    assert broken is not None
    assert broken.state == "abandoned"
    async with aviary.db.transaction() as tx:
        await tx.execute(
            "UPDATE canary_cycles SET started_at = ? WHERE state = 'arrived'",
            now_ms() + 86_400_000,
        )
    assert await bird(aviary).cycle() == "arrived", "the clock was set back"
    assert not (await canary.status(aviary.db)).is_alarming


async def test_a_machine_that_slept_is_no_alarm(
    aviary: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_module, "STALLED_S", -1.0)
    singer = bird(aviary)
    with monkeypatch.context() as broken:
        broken.setattr(singer, "concerns", lambda uri: False)
        assert await sing(aviary) == "abandoned"
    assert not (await canary.status(aviary.db)).is_alarming


async def test_cycles_leave_nothing_that_grows(aviary: LocalHub) -> None:
    host = int(await instance.setting(aviary.db, "canary_host") or 0)
    month = canary.KEPT_MS + 1
    async with aviary.db.transaction() as tx:
        await tx.execute("UPDATE inbox SET id = id - ? WHERE host_id = ?", month << 22, host)
        await tx.execute(
            "UPDATE activities SET id = id - ? WHERE actor_id IN"
            " (SELECT id FROM actors WHERE kind = 'canary')",
            month << 22,
        )
        await tx.execute("UPDATE canary_cycles SET started_at = started_at - ?", month)
    assert await bird(aviary).cycle() == "arrived"
    assert await aviary.count("SELECT count(*) FROM inbox WHERE host_id = ?", host) == 2
    assert await aviary.count("SELECT count(*) FROM canary_cycles") == 1
    assert await aviary.count("SELECT count(*) FROM deliveries WHERE host_id = ?", host) == 0
    assert (
        await aviary.count(
            "SELECT count(*) FROM activities WHERE actor_id IN"
            " (SELECT id FROM actors WHERE kind = 'canary')"
        )
        == 2
    )


async def test_the_metrics_are_there_for_the_token_only(aviary: LocalHub) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "figures-please"}):
        assert (await aviary.get("/metrics", headers))[0] == 404
    text = await figures_of(aviary)
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ", "fedcomm_")), line
    assert "fedcomm_deliveries_waiting 0" in text


async def test_without_a_canary_nothing_of_it_is_there(town: LocalHub) -> None:
    assert await instance.setting(town.db, "canary_group") is None
    assert (await town.get("/ap/canary/group"))[0] == 404
    assert (await town.get("/metrics"))[0] == 404
    assert "Canary" not in (await town.get("/admin", await town.cookie()))[1]
