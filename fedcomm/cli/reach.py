"""`fedcomm reach …`: where words went, by member, by post, by server."""

from __future__ import annotations

from typing import Any

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    hub,
    moment,
    print_json,
    print_table,
    run,
    with_config,
    with_json,
)
from fedcomm.hub.errors import HubError


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
    found = run(_of_member(name, every_copy))
    if as_json:
        print_json(found)
        return
    head = (
        ("POST", "SERVER", "HOW", "FIRST", "LAST", "ASKED BACK", "ANSWER", "STATUS")
        if every_copy
        else ("SERVER", "COPIES", "HOW", "FIRST", "LAST", "ASKED BACK", "ACKNOWLEDGED")
    )
    print_table(
        head, [tuple(each.values()) for each in found], empty="No other server has anything."
    )


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
    _print_copies(run(_of_object(number)), as_json)


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
    found = run(_of_host(name, limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ("WHAT", "KIND", "OF", "HOW", "FIRST", "LAST", "ASKED BACK", "ANSWER", "STATUS"),
        [tuple(each.values()) for each in found],
        empty="This server has nothing of ours.",
    )


async def _of_host(name: str, limit: int) -> list[dict[str, Any]]:
    from fedcomm.hub import reach as ledger

    async with hub() as site:
        host_id = await site.db.value("SELECT id FROM hosts WHERE name = ?", name.lower())
        if host_id is None:
            raise HubError(f"There is no server called {name}.")
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


def _print_copies(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ("SERVER", "HOW", "FIRST", "LAST", "ASKED BACK", "ANSWER", "STATUS"),
        [tuple(each.values()) for each in found],
        empty="No other server has a copy.",
    )


def _copy(one: Any) -> dict[str, Any]:
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
