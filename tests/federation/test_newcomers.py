"""New host names are counted by registrable domain (federation.md §8)."""

from __future__ import annotations

import pytest

from activitypub.failures import FetchError
from fedcomm.federation import newcomers
from fedcomm.federation.newcomers import Newcomers
from fedcomm.hub import actors
from fedcomm.store.database import Database


async def admitted(counter: Newcomers, *names: str) -> list[str]:
    found = []
    for name in names:
        try:
            await counter.admit(name)
        except FetchError:
            continue
        found.append(name)
    return found


async def test_so_many_new_names_of_a_domain_and_no_more(db: Database) -> None:
    counter = Newcomers(db, 3)
    names = [f"s{n}.evil.test" for n in range(5)]
    assert await admitted(counter, *names) == names[:3]
    # Who was let in comes again; the domain itself and other domains are none of its business.
    assert await admitted(counter, *names) == names[:3]
    others = ["evil.test", "s9.other.test", "evil.test:8443"]
    assert await admitted(counter, *others) == others


async def test_what_is_known_already_is_not_new_also_after_a_restart(db: Database) -> None:
    async with db.transaction() as tx:
        for n in range(3):
            await actors.ensure_host(tx, f"s{n}.evil.test")
        await tx.execute("UPDATE hosts SET first_seen_at = 1 WHERE name = 's0.evil.test'")
    known = ["s0.evil.test", "s1.evil.test", "s2.evil.test"]
    assert await admitted(Newcomers(db, 3), *known, "s3.evil.test", "s4.evil.test") == [
        *known,
        "s3.evil.test",
    ]


async def test_inv_45_the_count_is_over_after_an_hour_and_bounded(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Newcomers(db, 1)
    now = 1000.0
    monkeypatch.setattr(newcomers.time, "monotonic", lambda: now)
    assert await admitted(counter, "a.evil.test", "b.evil.test") == ["a.evil.test"]
    now += 3601
    assert await admitted(counter, "b.evil.test") == ["b.evil.test"]
    monkeypatch.setattr(newcomers, "REMEMBERED", 10)
    for n in range(50):
        await counter.admit(f"a.evil{n}.test")
    assert len(counter._new) <= 10


async def test_without_a_limit_nothing_is_asked(db: Database) -> None:
    names = [f"s{n}.evil.test" for n in range(50)]
    assert await admitted(Newcomers(db, 0), *names) == names


async def test_fetches_of_one_family_are_bounded_and_counted_back(db: Database) -> None:
    counter = Newcomers(db, 10)
    families = [counter.begin_fetch(f"s{n}.evil.test") for n in range(4)]
    with pytest.raises(FetchError):
        counter.begin_fetch("s9.evil.test")
    counter.begin_fetch("good.test")
    counter.end_fetch(families[0])
    counter.begin_fetch("s9.evil.test")
    for family in families:
        counter.end_fetch(family)
    counter.end_fetch("good.test")
    assert counter._fetching == {}
