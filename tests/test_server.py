from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from fedcomm import server
from fedcomm.federation.vault import VaultError, create_key_file
from tests.databases import hub_config


async def left_over(before: set[threading.Thread]) -> set[threading.Thread]:
    """The threads that are more than `before`, once those that are ending have ended."""
    for _ in range(40):
        if set(threading.enumerate()) <= before:
            break
        await asyncio.sleep(0.05)
    return set(threading.enumerate()) - before


async def test_a_start_that_fails_leaves_no_open_database_behind(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threads would keep `fedcomm serve` alive, silent, after the error was said."""
    config = hub_config(database_url, tmp_path)
    before = set(threading.enumerate())
    with pytest.raises(VaultError):
        await server.open_site(config)
    assert await left_over(before) == set()

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    create_key_file(config.secrets.key_file)
    monkeypatch.setattr(server, "FederationSpoke", broken)
    with pytest.raises(RuntimeError, match="broken"):
        await server.open_site(config)
    assert await left_over(before) == set()
