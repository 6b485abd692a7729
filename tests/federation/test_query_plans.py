"""What is tidied up every hour, and what is asked every second, goes by an index however much there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from fedcomm.config import Config
from fedcomm.federation import farewells, health, housekeeping, lanes, library, recipients
from fedcomm.hub import consents, erasure, holds, submissions
from fedcomm.store.database import Database
from fedcomm.store.ids import new_id
from tests.databases import hub_config
from tests.hub.test_query_plans import WALKS, Recorder, Statement, plan_of, tables_of

SMALL = frozenset({"settings", "cursors", "outbox_failures"})

FIGURES = ("SELECT count(*) - (SELECT count(*) FROM settings", "SELECT DISTINCT lease_owner")
"""Asked at a look at the figures, or once at a start."""

ONLY_OPEN = ("erasures_open", "consents_at_work")
"""Indexes that hold only what is at work, and may be walked through."""


class Recording(Recorder):
    """A recorder for the queues as well."""

    def queue_transaction(self):  # type: ignore[no-untyped-def]
        return self.transaction()


async def nothing_is_walked_through(db: Database, statements: Iterable[Statement]) -> None:
    walked = []
    for statement in statements:
        if statement.sql.startswith(FIGURES):
            continue
        tables = tables_of(statement.sql)
        for line in await plan_of(db, statement):
            match = WALKS[db.dialect].search(line)
            grows = match is not None and tables.get(match.group(1)) not in (None, *SMALL)
            if grows and not any(name in line for name in ONLY_OPEN):
                walked.append(f"{line}: {statement.sql}")
    assert not walked, "\n\n".join(walked)


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Config:
    return hub_config(database_url, tmp_path)


async def test_no_statement_of_the_housekeeping_walks_through_a_growing_table(
    db: Database, config: Config
) -> None:
    seen: dict[str, Statement] = {}
    recorder = Recording(db, seen)
    await housekeeping.tidy(config, recorder)  # type: ignore[arg-type]
    await health.ages(recorder)  # type: ignore[arg-type]
    await health.totals(recorder)  # type: ignore[arg-type]
    for queue in ("inbox", "delivery", "backfill"):
        await lanes.due(recorder, queue)  # type: ignore[arg-type]
        await lanes.claim(recorder, queue, limit=5, lease_ms=1)  # type: ignore[arg-type]
        await lanes.after_step(recorder, queue, lease_ms=1)  # type: ignore[arg-type]
        await lanes.drop(recorder, queue, {1})  # type: ignore[arg-type]
    await recorder.one(library.MET, "https://a.test/1", "0" * 64, "https://a.test/1")
    async with recorder.transaction() as tx:
        digest = submissions.digest_of(submissions.new_token(), 1, ["words"])
        await submissions.earlier(tx, digest)
        await submissions.note(tx, digest, new_id())
        await submissions.tidy(tx)
    assert len(seen) > 20
    await nothing_is_walked_through(db, seen.values())


async def test_no_statement_about_an_erasure_that_goes_on_walks_through_a_growing_table(
    db: Database,
) -> None:
    seen: dict[str, Statement] = {}
    recorder = Recording(db, seen)
    case = erasure.Case(
        *(1, "member", 2, None, True, "", "tell", 0, 0, 0, 0, 1, 1, 1, None),
        certificate=None,
    )
    kinds: tuple[erasure.Kind, ...] = ("member", "group", "remote", "host")
    for kind in kinds:
        await farewells.is_over(recorder, replace(case, kind=kind), horizon_ms=1)  # type: ignore[arg-type]
    await farewells.ask_again(recorder, horizon_ms=1)  # type: ignore[arg-type]
    await erasure.open_cases(recorder)  # type: ignore[arg-type]
    await consents.withdrawing(recorder)  # type: ignore[arg-type]
    await holds.kept(recorder)  # type: ignore[arg-type]
    assert len(seen) > 8
    await nothing_is_walked_through(db, seen.values())


async def test_who_has_a_copy_is_asked_at_once_however_many_servers_and_people_there_are(
    db: Database,
) -> None:
    ids = [new_id() for _ in range(40)]
    async with db.transaction() as tx:
        for at, host_id in enumerate(ids):
            name, policy = f"h{at}.test", "suspend" if at == 0 else "none"
            await tx.execute(
                "INSERT INTO hosts (id, name, first_seen_at, policy) VALUES (?, ?, 1, ?)",
                *(host_id, name, policy),
            )
            await tx.many(
                "INSERT INTO actors (id, kind, host_id, uri, name, inbox, shared_inbox, deleted_at,"
                " created_at, updated_at) VALUES (?, 'person', ?, ?, ?, ?, ?, ?, 1, 1)",
                [
                    (
                        new_id(),
                        host_id,
                        f"https://{name}/{who}",
                        who,
                        f"https://{name}/{who}/in",
                        *rest,
                    )
                    for who, *rest in (
                        ("gone", f"https://{name}/gone", 1),
                        ("first", None, None),
                        ("second", f"https://{name}/inbox", None),
                        ("third", f"https://{name}/other", None),
                    )
                ],
            )
            await tx.execute(
                "INSERT INTO reach (subject_id, host_id, how, first_at, last_at)"
                " VALUES (7, ?, 1, 1, 1)",
                host_id,
            )
    asked: dict[str, Statement] = {}
    recorder = Recorder(db, asked)
    found = await recipients.reached(recorder, 7)  # type: ignore[arg-type]
    assert len(asked) == 1
    assert [inbox.host_id for inbox in found] == sorted(ids)
    assert {inbox.url.rpartition("/")[2] for inbox in found} == {"inbox"}
    assert [inbox.host_id for inbox in found if not inbox.is_welcome] == ids[:1]
    assert await recipients.of_hosts(recorder, [*ids, 5]) == found  # type: ignore[arg-type]
    for statement in asked.values():
        plan = await plan_of(db, statement)
        assert not [line for line in plan if WALKS[db.dialect].search(line)], plan
        # Nobody looks through all people of a server.
        assert sum("actors_by_host" in line for line in plan) == 2, plan
