"""`fedcomm queue …`: what waits to be delivered and to be processed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from fedcomm.cli.console import (
    Refused,
    duration,
    hub,
    print_answer,
    print_json,
    print_table,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.federation.health import HostHealth
    from fedcomm.federation.spoke import FederationSpoke
    from fedcomm.site import Site


@click.group()
def queue() -> None:
    """Deliveries to other servers, and what they sent: status, flush, retry."""


@queue.command()
@click.option("--host", help="This server only.")
@with_config
@with_json
def status(host: str | None, as_json: bool) -> None:
    """Show what waits, for which servers, since when and why."""
    totals, hosts = run(_status(host))
    if as_json:
        print_json({"totals": totals, "hosts": [asdict(each) for each in hosts]})
        return
    for name, number in totals.items():
        click.echo(f"{name.replace('_', ' ').capitalize()}: {number}")
    click.echo()
    print_table(
        ("SERVER", "STATE", "WAITING", "GIVEN UP", "OLDEST", "FAILURES", "NEXT TRY", "WHY"),
        [
            (
                each.host,
                each.state,
                each.waiting,
                each.failed,
                duration(each.oldest_ms_ago),
                each.failures,
                duration(each.next_try_in_ms),
                each.error or "",
            )
            for each in hosts
        ],
        empty="Nothing waits for any server, and nothing was given up.",
    )


async def _status(host: str | None) -> tuple[dict[str, int], list[HostHealth]]:
    async with hub(federated=True) as site:
        federation = _federation(site)
        hosts = await federation.health()
        if host is not None:
            hosts = [each for each in hosts if each.host == host.lower()]
        return await federation.totals(), hosts


@queue.command()
@click.option("--host", help="This server only.")
@with_config
@with_json
def flush(host: str | None, as_json: bool) -> None:
    """Try everything that waits now, instead of at its next time."""
    number = run(_flush(host))
    print_answer(
        {"flushed": number},
        f"Due now: {number} queues; the running server takes them up within seconds.",
        as_json=as_json,
    )


async def _flush(host: str | None) -> int:
    async with hub(federated=True) as site:
        return await _federation(site).flush(host.lower() if host else None)


@queue.command()
@click.option("--host", help="This server only.")
@with_config
@with_json
def retry(host: str | None, as_json: bool) -> None:
    """Put what was given up or set aside back into the queue."""
    number = run(_retry(host))
    print_answer(
        {"retried": number}, f"Put back into the queue: {number} deliveries.", as_json=as_json
    )


async def _retry(host: str | None) -> int:
    async with hub(federated=True) as site:
        return await _federation(site).retry(host.lower() if host else None)


def _federation(site: Site) -> FederationSpoke:
    if site.federation is None:
        raise Refused("federation is switched off (federation.enabled), so there are no queues.")
    return site.federation
