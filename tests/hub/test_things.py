"""Rows as values, by their place in what was selected."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fedcomm.hub import actors, things
from fedcomm.hub.actors import Actor
from fedcomm.hub.things import Thing
from fedcomm.store.database import Database, values


@pytest.mark.parametrize(("columns", "kind"), [(things.COLUMNS, Thing), (actors.COLUMNS, Actor)])
def test_what_is_selected_are_the_fields_in_their_order(columns: str, kind: type) -> None:
    names = [column.split(" AS ")[-1].split(".")[-1].strip() for column in columns.split(",")]
    assert names == [field.name for field in fields(kind)]


async def test_the_values_of_a_row_are_those_that_were_selected(db: Database) -> None:
    row = await db.one("SELECT 1 AS one, 'two' AS two, NULL AS three")
    assert row is not None
    assert values(row) == (1, "two", None)
