"""`fedcomm held …`: what waits for a moderator because it looks like abuse."""

from __future__ import annotations

from typing import Any, Final

import click

from fedcomm.cli.console import (
    Nouns,
    active_member,
    hub,
    moment,
    print_answer,
    print_list,
    run,
    with_config,
    with_json,
)

REACHES: Final = ("this", "person", "host")

_as = click.option("--as", "by", metavar="MEMBER", required=True, help="The moderator who decides.")
_reach = click.option(
    "--reach",
    type=click.Choice(REACHES),
    default="this",
    show_default=True,
    help="This alone, or all that waits of its author or server.",
)


@click.group(cls=Nouns)
def held() -> None:
    """What is held back because it looks like abuse: list it, let it in, refuse it."""


@held.command("list")
@_as
@with_config
@with_json
def list_all(by: str, as_json: bool) -> None:
    """List what this moderator may decide about, the newest first, with the reasons."""
    columns = {
        "NUMBER": "held",
        "AUTHOR": "author",
        "GROUP": "group",
        "SCORE": "score",
        "REASONS": "reasons",
    }
    print_list(run(_list(by)), columns, empty="Nothing is held back.", as_json=as_json)


async def _list(by: str) -> list[dict[str, Any]]:
    from fedcomm.hub import holding

    async with hub() as site:
        person = await active_member(site.db, by)
        return [
            {
                "held": str(entry.id),
                "author": entry.author.handle,
                "group": entry.group_name,
                "score": entry.score,
                "reasons": ", ".join(entry.reasons),
                "held_at": moment(entry.held_at),
            }
            for entry in await holding.entries(site.db, person.id, limit=1000)
        ]


@held.command("let-in")
@click.argument("number", type=int)
@_as
@_reach
@with_config
@with_json
def let_in(number: int, by: str, reach: str, as_json: bool) -> None:
    """Let NUMBER in: a running server processes it as if it had just come."""
    _print("let in", run(_decide(number, by, reach, None)), as_json)


@held.command("refuse")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it is kept in the log.")
@_as
@_reach
@with_config
@with_json
def refuse(number: int, reason: str, by: str, reach: str, as_json: bool) -> None:
    """Refuse NUMBER: its words go at once."""
    _print("refused", run(_decide(number, by, reach, reason)), as_json)


async def _decide(number: int, by: str, reach: str, reason: str | None) -> int:
    from fedcomm.hub import holding

    async with hub() as site:
        person = await active_member(site.db, by)
        async with site.db.transaction() as tx:
            if reason is None:
                return await holding.release(tx, person.id, number, reach)  # type: ignore[arg-type]
            return await holding.refuse(tx, person.id, number, reason, reach)  # type: ignore[arg-type]


def _print(done: str, number: int, as_json: bool) -> None:
    print_answer({done.replace(" ", "_"): number}, f"{number} {done}.", as_json=as_json)
