"""The erasure journal: a restored database forgets again, and a journal with holes is refused (INV-51)."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from fedcomm import erasures
from fedcomm.erasure_journal import ErasureJournal, JournalLost, Line, Position
from fedcomm.hub import erasure, members, removal, threads
from fedcomm.server import build_app
from fedcomm.site import Site
from tests.databases import make_site
from tests.hub.world import World

MARK = "zqjournalzq"


async def written(site: Site) -> list[Line]:
    await site.erasure_journal.catch_up(site.db)
    return list(site.erasure_journal.lines())


async def test_every_erasure_is_one_line_without_a_word(site: Site) -> None:
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member(MARK, display_name=MARK)
    group = await world.group("garden", boss)
    from fedcomm.hub import groups

    await world.do(groups.join, group, anna)
    topic = await world.topic(anna, group, MARK, title=MARK)
    other = await world.topic(boss, group)
    await world.do(threads.delete, anna, topic)
    await world.do(removal.withhold, boss, other, "removed")
    await world.do(removal.restore, boss, other)
    await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    lines = await written(site)
    assert [(line.what, line.id) for line in lines] == [
        ("object", topic),
        ("removed", other),
        ("restored", other),
        ("member", anna),
    ]
    text = site.erasure_journal.path.read_text()
    assert MARK not in text
    assert site.erasure_journal.path.stat().st_mode & 0o077 == 0
    # Nothing new, nothing written.
    assert await site.erasure_journal.catch_up(site.db) == 0
    assert site.erasure_journal.path.read_text() == text
    assert list(await site.erasure_journal.pending(site.db)) == []


@pytest.fixture
async def told(site: Site) -> list[Line]:
    """Five deletions in the journal of `site`."""
    world = World(site)
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    for _ in range(5):
        await world.do(threads.delete, anna, await world.topic(anna, group))
    return await written(site)


async def test_lines_that_are_missing_or_changed_are_refused(site: Site, told: list[Line]) -> None:
    path = site.erasure_journal.path
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    spoiled = {
        "the last line is gone": "".join(lines[:-1]),
        "a line in the middle is gone": "".join([*lines[:2], *lines[3:]]),
        "two lines are swapped": "".join([lines[1], lines[0], *lines[2:]]),
        "an id is another one": whole.replace(str(told[2].id), str(told[2].id + 1)),
        "it is empty": "",
        "it is something else": "hello\n",
    }
    for why, text in spoiled.items():
        path.write_text(text)
        refused = False
        try:
            await ErasureJournal(path).pending(site.db)
        except JournalLost:
            refused = True
        assert refused, why
    path.unlink()
    with pytest.raises(JournalLost, match="begin-journal"):
        await ErasureJournal(path).pending(site.db)
    path.write_text(whole)
    assert list(await ErasureJournal(path).pending(site.db)) == []


async def test_the_journal_of_another_hub_is_refused(site: Site, told: list[Line]) -> None:
    path = site.erasure_journal.path
    chain, text = Position().chain, ""
    for n in range(1, 8):
        line = Line.after(chain, n, 1, "object", n)
        chain, text = line.chain, text + line.written()
    path.write_text(text)
    with pytest.raises(JournalLost, match="not the one"):
        await ErasureJournal(path).pending(site.db)


async def test_what_was_read_is_not_read_for_each_new_line_though_processes_take_turns(
    site: Site, told: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    really = Line.after

    def after(*args: Any) -> Line:
        read.append(args[1])
        return really(*args)

    monkeypatch.setattr(Line, "after", after)
    one, other = (
        ErasureJournal(site.erasure_journal.path),
        ErasureJournal(site.erasure_journal.path),
    )
    last = await one.position(site.db)
    for number, journal in enumerate((one, other, one, other)):
        last = journal._append(last, [(1, "object", number)])
    # Each reads the five lines once, what the other has written since, and its own.
    assert read == [*range(1, 6), 6, *range(1, 7), 7, 7, 8, 8, 9]
    assert last.n == 9 and len(list(one.lines())) == 9


async def test_a_line_that_a_crash_cut_off_does_no_harm(site: Site, told: list[Line]) -> None:
    path = site.erasure_journal.path
    with path.open("a") as file:
        file.write('{"n": 6, "at": 17')
    assert list(await ErasureJournal(path).pending(site.db)) == []
    world = World(site)
    anna = await world.db.value("SELECT actor_id FROM members")
    group = await world.db.value("SELECT actor_id FROM groups")
    gone = await world.topic(anna, group)
    await world.do(threads.delete, anna, gone)
    journal = ErasureJournal(path)
    await journal.catch_up(site.db)
    assert [line.id for line in journal.lines()][-1] == gone
    assert list(await journal.pending(site.db)) == []


async def test_a_crash_between_file_and_database_repeats_a_line_and_nothing_else(
    site: Site, told: list[Line]
) -> None:
    world = World(site)
    await world.run("UPDATE cursors SET seq = 0 WHERE consumer = 'erasure-journal'")
    before = await world.db.value("SELECT count(*) FROM objects WHERE deleted_at IS NOT NULL")
    await site.erasure_journal.catch_up(site.db)
    assert [line.id for line in site.erasure_journal.lines()] == [line.id for line in told] * 2
    assert await erasures.replay(site) is None
    assert before == await world.db.value(
        "SELECT count(*) FROM objects WHERE deleted_at IS NOT NULL"
    )


async def test_inv_51_a_restored_database_forgets_again_before_it_serves(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    shutil.copy(migrated_sqlite, path)
    site = await make_site(f"sqlite:///{path}", tmp_path)
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member(MARK, email=f"{MARK}@example.org")
    group = await world.group("garden", boss)
    from fedcomm.hub import groups

    await world.do(groups.join, group, anna)
    single = await world.topic(boss, group, f"{MARK}single")
    taken = await world.topic(boss, group, "To be removed.")
    hers = await world.topic(anna, group, f"{MARK}hers", title=MARK)
    backup = tmp_path / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)

    await world.do(threads.delete, boss, single)
    await world.do(removal.withhold, boss, taken, "removed")
    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    for _ in range(200):
        case = await erasure.case(site.db, case_id)
        assert case is not None
        if (await erasures.proceed(site, case)).state == "done":
            break
    await site.erasure_journal.catch_up(site.db)
    await site.db.close()

    for leftover in tmp_path.glob("hub.db*"):
        leftover.unlink()
    shutil.copy(backup, path)
    assert MARK.encode() in path.read_bytes()

    restored = await make_site(f"sqlite:///{path}", tmp_path)
    pending = await restored.erasure_journal.pending(restored.db)
    assert [line.what for line in pending] == ["object", "removed", "member"]
    await erasures.replay(restored)
    again = World(restored)
    assert (await threads.thing(again.db, single)).deleted_at is not None  # type: ignore[union-attr]
    assert (await threads.thing(again.db, hers)).deleted_at is not None  # type: ignore[union-attr]
    assert (await threads.thing(again.db, taken)).withheld == "removed"  # type: ignore[union-attr]
    assert await members.member_by_name(again.db, MARK) is None
    (case,) = await erasure.open_cases(restored.db)
    for _ in range(200):
        case = await erasures.proceed(restored, case)
        if case.state == "done":
            break
    assert case.state == "done"
    await restored.db.close()
    for file in tmp_path.glob("hub.db*"):
        assert MARK.encode() not in file.read_bytes(), file.name


async def test_inv_51_nothing_listens_before_the_replay_is_done(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    shutil.copy(migrated_sqlite, path)
    site = await make_site(f"sqlite:///{path}", tmp_path)
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member("anna")
    topic = await world.topic(boss, await world.group("garden", boss), f"{MARK} words")
    backup = tmp_path / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    await world.do(threads.delete, boss, topic)
    await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    await site.erasure_journal.catch_up(site.db)
    await site.db.close()
    for leftover in tmp_path.glob("hub.db*"):
        leftover.unlink()
    shutil.copy(backup, path)

    # Setting up comes before listening: until it returns nobody can connect.
    restored = await make_site(f"sqlite:///{path}", tmp_path)
    runner = web.AppRunner(build_app(restored), access_log=None)
    await runner.setup()
    try:
        assert list(await restored.erasure_journal.pending(restored.db)) == []
        assert (await threads.thing(restored.db, topic)).deleted_at is not None  # type: ignore[union-attr]
        assert await members.member_by_name(restored.db, "anna") is None
    finally:
        await runner.cleanup()

    # Without the journal nothing is set up at all.
    site.erasure_journal.path.unlink()
    refused = await make_site(f"sqlite:///{path}", tmp_path)
    runner = web.AppRunner(build_app(refused), access_log=None)
    with pytest.raises(JournalLost):
        await runner.setup()
    await refused.db.close()


@given(
    st.lists(st.tuples(st.sampled_from(["object", "member", "host"]), st.integers(1, 1 << 62))),
    st.integers(0, 200),
    st.integers(0, 255),
)
def test_no_changed_byte_goes_unnoticed(
    what: list[tuple[str, int]], position: int, byte: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = ErasureJournal(Path(folder) / "journal")
        end = journal._append(Position(), [(7, kind, number) for kind, number in what])  # type: ignore[misc]
        lines = list(journal.lines())
        assert [(line.what, line.id) for line in lines] == what
        assert end.n == len(what)
        data = bytearray(journal.path.read_bytes())
        if not data:
            return
        place = position % len(data)
        if data[place] == byte:
            return
        data[place] = byte
        journal.path.write_bytes(bytes(data))
        try:
            found = list(journal.lines())
        except (JournalLost, UnicodeDecodeError):
            return
        # What is still read is the beginning of the truth: JSON may be written in more than one way.
        assert [(one.n, one.what, one.id, one.chain) for one in found] == [
            (one.n, one.what, one.id, one.chain) for one in lines[: len(found)]
        ]
