"""The matrix of peers in FEDERATION.md: every cell of it is walked, in the peer's own bytes over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import SQLiteDatabases
from tests.federation.conftest import IMPATIENT
from tests.federation.dialects import matrix
from tests.federation.dialects.catalogue import DIALECTS
from tests.federation.dialects.dialect import Dialect
from tests.federation.dialects.outward import GIFTS, Gift, Round, Sent, check, forms_of
from tests.federation.dialects.rows import ROWS, WATCHER, Row
from tests.federation.dialects.scene import Scene
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub

module_loop = pytest.mark.asyncio(loop_scope="module")

CELLS = [
    pytest.param(dialect, row, id=f"{dialect.slug}-{row.name}".replace(" ", "_"))
    for dialect in DIALECTS
    for row in ROWS
    if row.name not in dialect.absent
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, servers: ScriptedStubs
) -> AsyncIterator[LocalHub]:
    """One hub for all cells, with a server that watches what its group repeats."""
    folder = tmp_path_factory.mktemp("matrix")
    made = SQLiteDatabases(folder, migrated_sqlite)
    async with local_hub(folder, made.migrated(), servers, IMPATIENT) as town:
        watcher = servers.actor("watcher", WATCHER, software="lemmy")
        follow = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{watcher}/follow",
            "type": "Follow",
            "actor": watcher,
            "object": town.group_uri(town.group),
        }
        assert await town.deliver(follow) == "done: membership active"
        yield town
    made.remove_all()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenes(hub: LocalHub, servers: ScriptedStubs) -> dict[str, Scene]:
    """Each peer's server, made when it is first wanted."""
    return {dialect.slug: Scene(hub, servers, dialect) for dialect in DIALECTS}


@module_loop
@pytest.mark.parametrize(("dialect", "row"), CELLS)
async def test_what_a_peer_does_has_its_effect_here(
    scenes: dict[str, Scene], dialect: type[Dialect], row: Row
) -> None:
    found = await row.walk(scenes[dialect.slug])
    flaw = dialect.flaws.get(row.name)
    assert found == (flaw[0] if flaw is not None else dialect.words.get(row.name, row.word))


# What peers get from us


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sent(hub: LocalHub, scenes: dict[str, Scene]) -> tuple[Sent, str]:
    """Everything told once, to all of them; and the group that tells it."""
    once = Round(hub, scenes)
    return await once.run(), hub.group_uri(once.group)


GIVEN = [
    pytest.param(dialect, gift, id=f"{dialect.slug}-{gift.name}".replace(" ", "_"))
    for dialect in DIALECTS
    for gift in GIFTS
]


@module_loop
@pytest.mark.parametrize(("dialect", "gift"), GIVEN)
async def test_a_peer_gets_what_happens_here_in_its_own_form(
    scenes: dict[str, Scene], sent: tuple[Sent, str], dialect: type[Dialect], gift: Gift
) -> None:
    told, group = sent
    bodies = told[gift.name][dialect.slug]
    assert forms_of(bodies) == tuple(sorted(gift.expected(dialect)))
    check(gift.name, scenes[dialect.slug], bodies, group)


# The document


def test_the_matrix_in_the_document_is_the_one_that_is_walked() -> None:
    text = matrix.DOCUMENT.read_text("utf-8")
    assert matrix.BEGIN in text and matrix.END in text
    anew = "write it anew with `python -m tests.federation.dialects.matrix`"
    assert text == matrix.with_matrix(text), anew


def test_every_cell_is_walked_or_has_its_reason() -> None:
    """No row is declared for a dialect that is not a row, and nothing is both absent and described."""
    names = {row.name for row in ROWS}
    for dialect in DIALECTS:
        assert set(dialect.absent) <= names, set(dialect.absent) - names
        assert all(reason.endswith(".") for reason in dialect.absent.values())
        told = {*dialect.words, *dialect.flaws}
        assert told <= names and not told & set(dialect.absent)
        assert set(dialect.gets) <= {gift.name for gift in GIFTS}
    walked = {(param.values[0], param.values[1]) for param in CELLS}
    assert walked == {
        (dialect, row) for dialect in DIALECTS for row in ROWS if row.name not in dialect.absent
    }
