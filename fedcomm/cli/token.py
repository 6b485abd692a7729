"""`fedcomm token …`: tokens for programs."""

from __future__ import annotations

from typing import Final

import click

from fedcomm.cli.console import (
    Nouns,
    active_member,
    hub,
    print_answer,
    run,
    with_config,
    with_json,
)

SCOPES: Final = ("read", "write")


@click.group(cls=Nouns)
def token() -> None:
    """Tokens with which a program acts for a member."""


@token.command("create")
@click.option("--member", "member_name", required=True, metavar="NAME", help="Whom it acts for.")
@click.option("--token", "value", help="The token itself, instead of a random one.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What it may do; repeat for both.  [default: read write]",
)
@click.option("--name", "label", default="command line", show_default=True, help="What it is for.")
@with_config
@with_json
def create(
    member_name: str, value: str | None, scopes: tuple[str, ...], label: str, as_json: bool
) -> None:
    """Create a token and print it; the hub keeps only its hash."""
    wanted = list(dict.fromkeys(scopes or SCOPES))
    made = run(_create(member_name, value, wanted, label))
    print_answer(
        {"token": made, "member": member_name, "scopes": wanted, "name": label},
        made,
        as_json=as_json,
    )


async def _create(member_name: str, value: str | None, scopes: list[str], label: str) -> str:
    from fedcomm.hub import sessions

    async with hub() as site:
        owner = await active_member(site.db, member_name)
        async with site.db.transaction() as tx:
            return await sessions.create_token(tx, owner.id, name=label, scopes=scopes, value=value)
