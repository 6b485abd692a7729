"""`fedcomm audit`: who decided what in administration and moderation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import hub, moment, print_list, run, with_config, with_json

if TYPE_CHECKING:
    from fedcomm.hub.audit import Line

COLUMNS = {
    "WHEN": "at",
    "WHO": "by",
    "EVENT": "event",
    "ABOUT": "subject",
    "DETAIL": "detail",
}


@click.command()
@click.option("--event", help="This event only, such as decided_ban.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@with_config
@with_json
def audit(event: str | None, limit: int, as_json: bool) -> None:
    """Print the audit log, the newest first. It names people as long as they are there; numbers stay."""
    found = run(_lines(event, limit))
    shown = [
        each | {"detail": json.dumps(each["detail"], ensure_ascii=False) if each["detail"] else ""}
        for each in found
    ]
    print_list(found if as_json else shown, COLUMNS, empty="There is nothing yet.", as_json=as_json)


async def _lines(event: str | None, limit: int) -> list[dict[str, Any]]:
    from fedcomm.hub import actors
    from fedcomm.hub import audit as log

    async with hub() as site:
        lines = await log.lines(site.db, event=event, limit=limit)
        ids = {number for line in lines for number in (line.actor_id, line.subject_id) if number}
        names: dict[int, str] = {}
        for page in _pages(sorted(ids)):
            for number, actor in (await actors.actors(site.db, page)).items():
                if actor.name:
                    names[number] = f"!{actor.handle}" if actor.kind == "group" else actor.handle
        return [_facts(line, names) for line in lines]


def _pages(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + 500] for start in range(0, len(ids), 500)]


def _facts(line: Line, names: dict[int, str]) -> dict[str, Any]:
    def called(number: int) -> str:
        return names.get(number, str(number))

    return {
        "id": str(line.id),
        "at": moment(line.at),
        "by": called(line.actor_id) if line.actor_id is not None else "command line",
        "event": line.event,
        "subject": called(line.subject_id) if line.subject_id is not None else None,
        "detail": dict(line.detail),
    }
