"""`fedcomm relay …`: servers that hand public posts on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import (
    Refused,
    hub,
    print_answer,
    print_list,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.relays import Relay, Style

STYLES: Final = ("litepub", "mastodon")


@click.group()
def relay() -> None:
    """Relays, which hand public posts on between servers: add, list, remove. Off unless relays.enabled."""


@relay.command()
@click.argument("address")
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default="litepub",
    show_default=True,
    help="litepub: ADDRESS is that of the relay's actor. mastodon: that of its inbox.",
)
@with_config
@with_json
def add(address: str, style: Style, as_json: bool) -> None:
    """Ask the relay at ADDRESS to take this hub in."""
    facts = run(_add(address, style))
    print_answer(
        facts,
        f"Asked {facts['address']}; it is used once it has accepted (fedcomm relay list).",
        as_json=as_json,
    )


async def _add(address: str, style: Style) -> dict[str, Any]:
    from fedcomm.hub import relays

    async with hub(federated=True) as site:
        if site.federation is None:
            raise Refused("federation is switched off.")
        number = await site.federation.add_relay(address, style, by=None)
        found = await relays.relay(site.db, number)
        assert found is not None
        return _facts(found)


@relay.command("list")
@with_config
@with_json
def list_relays(as_json: bool) -> None:
    """List the relays and whether they have accepted."""
    columns = {
        "ADDRESS": "address",
        "STYLE": "style",
        "STATE": "state",
        "BROUGHT IN A DAY": "brought",
    }
    print_list(run(_list()), columns, empty="There are no relays.", as_json=as_json)


async def _list() -> list[dict[str, Any]]:
    from fedcomm.hub import relays

    async with hub() as site:
        found = await relays.relays(site.db)
        brought = await relays.brought_by(site.db, [each.id for each in found])
        return [_facts(each) | {"brought": brought[each.id]} for each in found]


@relay.command()
@click.argument("address")
@with_config
@with_json
def remove(address: str, as_json: bool) -> None:
    """Leave the relay at ADDRESS."""
    facts = run(_remove(address))
    print_answer(
        facts, f"Left {facts['address']}. What it brought goes after its time.", as_json=as_json
    )


async def _remove(address: str) -> dict[str, Any]:
    from fedcomm.hub import relays

    async with hub() as site, site.db.transaction() as tx:
        found = await relays.by_address(tx, address)
        if found is None or found.state == "ended":
            raise Refused(f"{address} is no relay of this hub.")
        await relays.remove(tx, found.id, by=None)
        return _facts(found)


def _facts(found: Relay) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "address": found.address,
        "style": found.style,
        "state": found.state,
        "host": found.host,
    }
