"""`fedcomm reach …`: where words went, by member, by post, by server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    hub,
    moment,
    print_list,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.reach import Copy

COPY: Final = {
    "SERVER": "server",
    "HOW": "how",
    "FIRST": "first_at",
    "LAST": "last_at",
    "ASKED BACK": "asked_back_at",
    "ANSWER": "answer",
    "STATUS": "status",
}
HOLDER: Final = {
    "SERVER": "server",
    "COPIES": "copies",
    "HOW": "how",
    "FIRST": "first_at",
    "LAST": "last_at",
    "ASKED BACK": "asked_back",
    "ACKNOWLEDGED": "acknowledged",
}
"""Titles of tables, with what stands below them."""


@click.group(cls=Nouns)
def reach() -> None:
    """Where words went: which server got what, when, and what it answered when asked back."""


@reach.command("member")
@click.argument("name")
@click.option(
    "--every-copy", is_flag=True, help="Every copy of every post, not a line for each server."
)
@with_config
@with_json
def of_member(name: str, every_copy: bool, as_json: bool) -> None:
    """List the servers that have something of NAME: a member, or somebody@server."""
    columns = {"POST": "post", **COPY} if every_copy else HOLDER
    found = run(_of_member(name, every_copy))
    print_list(found, columns, empty="No other server has anything.", as_json=as_json)


async def _of_member(name: str, every_copy: bool) -> list[dict[str, Any]]:
    from fedcomm.hub import reach as ledger
    from fedcomm.hub import subjects

    async with hub() as site:
        subject = await subjects.find(site.db, name)
        if subject.kind not in ("member", "remote"):
            raise Refused(f"{name} is no person.")
        if every_copy:
            return [
                {"post": str(piece.id) if piece else "profile", **_copy(copy)}
                async for piece, copy in ledger.whole_ledger(site.db, subject.id)
            ]
        return [
            {
                "server": one.host,
                "copies": one.copies,
                "how": _how(one.delivered, one.fetched),
                "first_at": moment(one.first_at),
                "last_at": moment(one.last_at),
                "asked_back": one.asked,
                "acknowledged": one.acknowledged,
            }
            for one in await ledger.holders_of(site.db, subject.id)
        ]


@reach.command("object")
@click.argument("number", type=int)
@with_config
@with_json
def of_object(number: int, as_json: bool) -> None:
    """List the servers that have a copy of post NUMBER."""
    found = run(_of_object(number))
    print_list(found, COPY, empty="No other server has a copy.", as_json=as_json)


async def _of_object(number: int) -> list[dict[str, Any]]:
    from fedcomm.hub import reach as ledger
    from fedcomm.hub import subjects

    async with hub() as site:
        subject = await subjects.find(site.db, f"#{number}")
        found: list[dict[str, Any]] = []
        after = 0
        while page := await ledger.copies_of(site.db, subject.id, after=after):
            found += [_copy(one) for one in page]
            after = page[-1].host_id
        return found


@reach.command("host")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
@with_config
@with_json
def of_host(name: str, limit: int, as_json: bool) -> None:
    """List what the server NAME got of ours, the newest first."""
    columns = {"WHAT": "what", "KIND": "kind", "OF": "of", **COPY}
    del columns["SERVER"]
    found = run(_of_host(name, limit))
    print_list(found, columns, empty="This server has nothing of ours.", as_json=as_json)


async def _of_host(name: str, limit: int) -> list[dict[str, Any]]:
    from fedcomm.hub import reach as ledger

    async with hub() as site:
        host_id = await site.db.value("SELECT id FROM hosts WHERE name = ?", name.lower())
        if host_id is None:
            raise Refused(f"there is no server called {name}.")
        found = await ledger.held_by(site.db, int(host_id), limit=limit)
        return [
            {
                "what": str(one.subject_id),
                "kind": one.kind,
                "of": one.author,
                **{key: value for key, value in _copy(one.copy).items() if key != "server"},
            }
            for one in found
        ]


def _copy(one: Copy) -> dict[str, Any]:
    return {
        "server": one.host,
        "how": _how(one.delivered, one.fetched),
        "first_at": moment(one.first_at),
        "last_at": moment(one.last_at),
        "asked_back_at": moment(one.recalled_at),
        "answer": one.answer,
        "status": one.status,
    }


def _how(delivered: bool, fetched: bool) -> str:
    return "+".join(word for said, word in ((delivered, "delivered"), (fetched, "fetched")) if said)
