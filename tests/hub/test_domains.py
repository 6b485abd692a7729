"""Registrable domains."""

from __future__ import annotations

import pytest

from fedcomm.hub import actors, domains
from fedcomm.store.database import Database


@pytest.mark.parametrize(
    ("authority", "family"),
    [
        ("a.b.shop.co.uk", "shop.co.uk"),
        ("shop.co.uk:8443", "shop.co.uk"),
        ("blog.github.io", "blog.github.io"),
        ("deep.blog.github.io", "blog.github.io"),
        ("s1.evil.test", "evil.test"),
        ("co.uk", "co.uk"),
        ("localhost:8000", "localhost:8000"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("[2001:db8::1]:8000", "[2001:db8::1]:8000"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_family_is_what_one_person_can_buy(authority: str, family: str) -> None:
    assert domains.family(authority) == family


async def test_a_host_has_its_family_and_older_rows_are_filled(db: Database) -> None:
    async with db.transaction() as tx:
        new = await actors.ensure_host(tx, "s1.evil.test")
        old = await actors.ensure_host(tx, "s2.evil.test")
        await tx.execute("UPDATE hosts SET family = NULL WHERE id = ?", old)
    assert await domains.fill(db) == 1
    rows = await db.all("SELECT id FROM hosts WHERE family = 'evil.test' ORDER BY id")
    assert [row["id"] for row in rows] == sorted([new, old])
    assert await domains.fill(db) == 0
