"""`fedcomm canary`: says how the canary does, and fails while the alarm is on."""

from __future__ import annotations

import asyncio
import json

from fedcomm.config import load
from fedcomm.hub import canary
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub


def write(hub: Hub, *, missed: bool) -> None:
    """One cycle that ended."""

    async def work() -> None:
        db = await open_database(load(hub.config, {}).database.url)
        try:
            async with db.transaction() as tx:
                number = await canary.begin(tx)
                if missed:
                    await canary.miss(tx, number, "the Follow was not delivered: answered 502")
                else:
                    await canary.arrive(tx, number, "asked")
                    await canary.arrive(tx, number, "answered")
        finally:
            await db.close()

    asyncio.run(work())


def test_the_canary_is_asked_and_its_silence_is_an_exit_code(hub: Hub) -> None:
    assert "switched off" in hub.refusal("canary")
    hub.config.write_text(hub.config.read_text() + "\n[canary]\nenabled = true\n")
    assert hub.json("canary") == {"missed": 0, "last": None, "last_arrived": None}
    write(hub, missed=False)
    assert hub.json("canary")["last"]["state"] == "arrived"
    assert "came round" in hub.run("canary")
    write(hub, missed=True)
    silent = hub.invoke("canary", "--json")
    assert silent.exit_code == 1
    assert json.loads(silent.stdout)["missed"] == 1
    assert "answered 502" in hub.invoke("canary").stdout
