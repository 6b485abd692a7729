"""`fedcomm migrate`: the schema from the command line."""

from __future__ import annotations

import sqlite3

from fedcomm.store.schema import HEAD
from tests.cli.conftest import Hub


def test_an_empty_database_is_brought_to_today(hub: Hub) -> None:
    (hub.folder / "fedcomm.db").unlink()
    assert hub.json("migrate") == {"before": "empty", "after": "current", "revision": HEAD}
    assert hub.json("member", "list") == []


def test_a_second_migration_does_nothing(hub: Hub) -> None:
    assert hub.json("migrate")["before"] == "current"
    assert "up to date" in hub.run("migrate")


def test_inv_48_a_newer_schema_is_refused_by_every_command(hub: Hub) -> None:
    with sqlite3.connect(hub.folder / "fedcomm.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "does not know" in hub.invoke("migrate").stderr
    assert "upgrade fedcomm" in hub.refusal("member", "list")
    assert "upgrade fedcomm" in hub.refusal("serve")
