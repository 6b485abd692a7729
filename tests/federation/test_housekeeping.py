"""The hourly round of the spoke: what fails in it is left for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedcomm.federation import housekeeping
from fedcomm.hub import domains
from fedcomm.store.database import Database
from tests.databases import hub_config


class Asked:
    """A directory that notes whom it asks."""

    def __init__(self) -> None:
        self.hosts: list[int] = []

    async def probe(self, host_id: int) -> bool:
        self.hosts.append(host_id)
        return True


async def test_inv_47_one_part_of_the_round_that_fails_does_not_hold_up_the_rest(
    db: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO hosts (id, name, first_seen_at, dead_at) VALUES (5, 'far.test', 1, 1)"
        )
        await tx.execute("INSERT INTO tombstones (uri_hash, created_at) VALUES ('old', 1)")

    async def fail(*args: Any) -> int:
        raise RuntimeError("it cannot be done")

    monkeypatch.setattr(domains, "fill", fail)
    monkeypatch.setattr(housekeeping, "forget_emoji", fail)
    directory = Asked()
    await housekeeping.round_of(hub_config(database_url, tmp_path), db, directory)  # type: ignore[arg-type]
    assert directory.hosts == [5]
    assert await db.value("SELECT dead_at FROM hosts WHERE id = 5") is None
    assert await db.value("SELECT count(*) FROM tombstones") == 0
