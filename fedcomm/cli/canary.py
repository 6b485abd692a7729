"""`fedcomm canary`: whether the hub's own post comes round, for people and for monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import (
    Refused,
    duration,
    hub,
    moment,
    print_facts,
    print_json,
    run,
    settings,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.canary import Cycle


@click.command()
@with_config
@with_json
def canary(as_json: bool) -> None:
    """Whether the hub's own test post comes round; exit code 1 while the alarm is on."""
    if not settings().canary.enabled:
        raise Refused("the canary is switched off; set canary.enabled = true.")
    facts = run(_status())
    if as_json:
        print_json(facts)
    else:
        print_facts(
            {
                "missed in a row": str(facts["missed"]),
                "last": facts["last"]["started_at"] if facts["last"] else "none yet",
                "came round": facts["last_arrived"]["arrived_at"] if facts["last_arrived"] else "",
                "within": duration(facts["last_arrived"]["duration_ms"])
                if facts["last_arrived"]
                else "",
                "reason": facts["last"]["error"] if facts["last"] else "",
            }
        )
    if facts["missed"]:
        raise SystemExit(1)


async def _status() -> dict[str, Any]:
    from fedcomm.hub import canary as cycles

    async with hub() as site:
        found = await cycles.status(site.db)
        return {
            "missed": found.missed,
            "last": _facts(found.last),
            "last_arrived": _facts(found.last_arrived),
        }


def _facts(cycle: Cycle | None) -> dict[str, Any] | None:
    if cycle is None:
        return None
    return {
        "state": cycle.state,
        "started_at": moment(cycle.started_at),
        "arrived_at": moment(cycle.arrived_at),
        "duration_ms": cycle.duration_ms,
        "error": cycle.error,
    }
