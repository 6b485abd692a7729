"""What looks like a wave waits for a moderator, and nothing of it is lost."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from fedcomm.federation.pressure import Pressure
from fedcomm.hub import holding, threads
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)
SPAM = "Register today at the best exchange of them all and get one hundred coins as a gift"


def wave_of(number: int) -> str:
    """The words of one wave: every test has its own."""
    return f"{SPAM} wave{number} and wave{number} again for wave{number} friends"


def create(note: dict[str, Any], kind: str = "Create") -> dict[str, Any]:
    author = note["attributedTo"]
    return {
        "@context": AS,
        "id": f"{author}/activities/{next(_numbers)}",
        "type": kind,
        "actor": author,
        "object": note,
        "to": note["to"],
        "cc": note.get("cc", []),
    }


def answer(town: LocalHub, servers: ScriptedStubs, author: str, text: str, **more: Any) -> Any:
    uri = town.group_uri(town.group)
    return servers.note(
        author, number=next(_numbers), content=f"<p>{text}</p>", to=[PUBLIC], cc=[uri],
        inReplyTo=town.object_uri(town.topic), **more,
    )  # fmt: skip


async def wave(
    town: LocalHub, servers: ScriptedStubs, number: int, people: int = 4
) -> list[tuple[dict[str, Any], str]]:
    """Several people of several new servers say nearly the same; each note, and what became of it."""
    found = []
    for _ in range(people):
        note = answer(town, servers, servers.somebody("spammer"), wave_of(number))
        found.append((note, await town.deliver(create(note))))
    return found


async def held_ids(town: LocalHub) -> list[int]:
    return [entry.id for entry in await holding.entries(town.db, town.anna)]


async def stored(town: LocalHub, note: dict[str, Any]) -> threads.Thing | None:
    return await threads.thing_by_uri(town.db, note["id"])


async def test_the_first_of_a_wave_come_in_and_the_rest_waits_with_its_reasons(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    said = await wave(town, servers, 1)
    states = [verdict.partition(":")[0] for _, verdict in said]
    assert states == ["done", "done", "suspect", "suspect"]
    assert "same_text" in said[2][1]
    entries = await holding.entries(town.db, town.anna)
    assert len(entries) >= 2
    entry = entries[0]
    assert {"same_text", "new_host", "first_contact"} <= set(entry.reasons)
    assert entry.score >= 7
    assert entry.group_name == "gardening"
    told = await town.count(
        "SELECT count(*) FROM notifications WHERE member_id = ? AND kind = 'held'", town.anna
    )
    assert told == 1  # However many there are.


async def test_a_wave_of_one_server_that_comes_at_once_waits_as_well(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is looked at before the ones before it are written; so is what is said of those that wait."""
    host = servers.new_host()
    people = [servers.somebody(f"spammer{number}", host) for number in range(8)]
    notes = [answer(town, servers, person, wave_of(101)) for person in people]
    last = notes[-1]
    below = answer(town, servers, people[0], "Quite so.") | {"inReplyTo": last["id"]}
    acts = [create(note) for note in notes]
    edited = {**last, "content": "<p>Harmless now</p>", "updated": "2031-01-01T00:00:00Z"}
    acts += [create(edited, "Update"), create(below)]
    acts.append({**create(last, "Like"), "actor": people[0], "object": last["id"]})
    acts.append({**create(last), "id": f"{people[-1]}/once-more", "object": edited})
    with monkeypatch.context() as busy:
        busy.setattr(Pressure, "hands", lambda self, hands: 0)
        for act in acts:
            assert await town.post(act) == 202
    verdicts = [(await town.verdict(act)).partition(":")[0] for act in acts]
    # The first two, if nobody has said so before; other words under the same id come in by no other door.
    assert verdicts[2:10] == ["suspect"] * 8
    assert await stored(town, last) is None and await stored(town, below) is None
    assert not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%Harmless now%'")


async def test_what_is_let_in_is_processed_as_if_it_had_just_come(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    note, verdict = (await wave(town, servers, 2, 3))[-1]
    assert verdict.startswith("suspect")
    edited = {**note, "content": "<p>Edited meanwhile</p>", "updated": "2031-01-01T00:00:00Z"}
    update = create(edited, "Update")
    assert (await town.deliver(update)).startswith("suspect")
    held = (await held_ids(town))[0]
    async with town.db.transaction() as tx:
        assert await holding.release(tx, town.anna, held) == 2
    await town.site.federation.let_in()  # type: ignore[union-attr]
    await town.quiet()
    thing = await stored(town, note)
    assert thing is not None
    assert (thing.topic_id, "Edited meanwhile" in thing.html) == (town.topic, True)


async def test_what_is_refused_goes_with_its_words(town: LocalHub, servers: ScriptedStubs) -> None:
    note, _ = (await wave(town, servers, 3, 3))[-1]
    (held, *_others) = await held_ids(town)
    async with town.db.transaction() as tx:
        assert await holding.refuse(tx, town.anna, held, "Spam.") == 1
    row = await town.db.one("SELECT state, body FROM inbox WHERE id = ?", held)
    assert row is not None
    assert (row["state"], row["body"]) == ("refused", None)
    assert await stored(town, note) is None
    assert held not in await held_ids(town)


async def test_what_its_author_deletes_waits_no_more(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    note, _ = (await wave(town, servers, 4, 3))[-1]
    held = (await held_ids(town))[0]
    await town.deliver(create({**note, "type": "Tombstone"}, "Delete") | {"object": note["id"]})
    assert held not in await held_ids(town)
    assert await stored(town, note) is None


async def test_what_is_held_comes_in_by_no_other_door(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    note, _ = (await wave(town, servers, 5, 3))[-1]
    servers.publish(note)
    assert await town.site.federation.find_object(note["id"]) is None  # type: ignore[union-attr]
    assert await stored(town, note) is None


async def test_all_of_a_person_or_of_a_server_are_decided_at_once(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await wave(town, servers, 6, 2)
    host = servers.new_host()
    for name in ("one", "two"):
        author = servers.somebody(name, host)
        for _ in range(2):
            note = answer(town, servers, author, wave_of(6))
            assert (await town.deliver(create(note))).startswith("suspect")
    (held, *_others) = await held_ids(town)
    async with town.db.transaction() as tx:
        assert await holding.refuse(tx, town.anna, held, "Spam.", "person") == 2
    (held, *_others) = await held_ids(town)
    async with town.db.transaction() as tx:
        assert await holding.refuse(tx, town.anna, held, "Spam.", "host") == 2


async def test_an_honest_newcomer_comes_in_and_a_new_account_that_mentions_strangers_waits(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    today = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    newcomer = servers.somebody("newcomer", published=today)
    note = answer(town, servers, newcomer, "I am new here and have clay as well.")
    assert await town.deliver(create(note)) == "done: stored"
    tags = [{"type": "Mention", "href": town.person(town.ben), "name": "@ben@localhost"}]
    loud = servers.somebody("loud", published=today)
    note = servers.note(
        loud, number=next(_numbers), to=[PUBLIC], cc=[town.person(town.ben)], tag=tags
    )
    assert (await town.deliver(create(note))).startswith("suspect: new_account new_host")
    assert (
        await town.count(
            "SELECT count(*) FROM notifications WHERE member_id = ? AND kind = 'mention'", town.ben
        )
        == 0
    )


async def test_of_one_server_so_much_is_held_and_the_rest_waits_outside(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "PER_HOST", 1)
    await wave(town, servers, 7, 2)
    host = servers.new_host()
    first, second = (
        answer(town, servers, servers.somebody(name, host), wave_of(7)) for name in ("a", "b")
    )
    assert (await town.deliver(create(first))).startswith("suspect")
    later = create(second)
    assert await town.post(later) == 202
    for _ in range(500):
        row = await town.db.one("SELECT state, verdict, body FROM inbox WHERE uri = ?", later["id"])
        if row is not None and row["verdict"]:
            break
    assert row is not None
    assert (row["state"], row["body"] is not None) == ("waiting", True)
    async with town.db.transaction() as tx:
        await tx.execute("DELETE FROM inbox WHERE uri = ?", later["id"])


async def test_only_who_judges_there_sees_and_decides(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    await wave(town, servers, 8, 3)
    (held, *_others) = await held_ids(town)
    assert await holding.entries(town.db, town.ben) == []
    assert await holding.count(town.db, town.ben) == 0
    assert await holding.count(town.db, town.anna) > 0
    with pytest.raises(Exception, match="not there any more"):
        async with town.db.transaction() as tx:
            await holding.release(tx, town.ben, held)
