"""`fedcomm sweep …`: remove everything that somebody or a server did within some time, and undo that."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import (
    Nouns,
    administrator,
    hub,
    moment,
    print_facts,
    print_json,
    print_table,
    run,
    with_administrator,
    with_config,
    with_json,
    with_yes,
)

if TYPE_CHECKING:
    from fedcomm.hub.sweeps import Preview, Scope, Sweep
    from fedcomm.site import Site

_since = click.option(
    "--since",
    required=True,
    metavar="TIME",
    help="From when on: 30m, 2h, 7d ago, a date in UTC, or all.",
)
_until = click.option("--until", metavar="TIME", help="Until when.  [default: now]")
_subdomains = click.option(
    "--subdomains", is_flag=True, help="Every server of the domain, not this one alone."
)


@click.group(cls=Nouns)
def sweep() -> None:
    """Remove everything of somebody or of a server within some time; undo it for a week."""


@sweep.command("preview")
@click.argument("target")
@_since
@_until
@_subdomains
@with_config
@with_json
def preview(target: str, since: str, until: str | None, subdomains: bool, as_json: bool) -> None:
    """Show what a sweep of TARGET (name@server, a member, a server) would take; nothing is changed."""
    print_facts(run(_preview(target, since, until, subdomains)), as_json=as_json)


async def _preview(target: str, since: str, until: str | None, subdomains: bool) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    async with hub() as site:
        scope = await _scope(site, target, since, until, subdomains)
        return await _found(site, scope, await sweeps.preview(site.db, scope))


@sweep.command("run")
@click.argument("target")
@_since
@_until
@_subdomains
@click.option("--reason", required=True, help="Why; it is kept with the sweep.")
@with_administrator
@with_yes
@with_config
@with_json
def run_sweep(
    target: str,
    since: str,
    until: str | None,
    subdomains: bool,
    reason: str,
    by: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Take everything of TARGET from view and ask for it back. A server that runs goes on with it if this stops."""
    if not yes:
        print_facts(run(_preview(target, since, until, subdomains)))
        click.confirm("Remove all of this?", abort=True, err=True)
    facts = run(_begin(target, since, until, subdomains, reason, by))
    print_facts(facts, as_json=as_json)


async def _begin(
    target: str, since: str, until: str | None, subdomains: bool, reason: str, by: str | None
) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    async with hub() as site:
        scope = await _scope(site, target, since, until, subdomains)
        found = await sweeps.preview(site.db, scope)
        async with site.db.transaction() as tx:
            sweep_id = await sweeps.begin(
                tx, scope, reason=reason, by=await administrator(site, by), total=found.total
            )
        return await _carry_out(site, sweep_id)


@sweep.command("resume")
@click.argument("number", type=int)
@with_config
@with_json
def resume(number: int, as_json: bool) -> None:
    """Go on with sweep NUMBER, where a command was stopped and no server runs."""
    print_facts(run(_resume(number)), as_json=as_json)


async def _resume(number: int) -> dict[str, Any]:
    async with hub() as site:
        return await _carry_out(site, number)


@sweep.command("undo")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it is kept with the sweep.")
@with_administrator
@with_config
@with_json
def undo(number: int, reason: str, by: str | None, as_json: bool) -> None:
    """Bring back everything that sweep NUMBER took, exactly as it was."""
    print_facts(run(_undo(number, reason, by)), as_json=as_json)


async def _undo(number: int, reason: str, by: str | None) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    async with hub() as site:
        person = await administrator(site, by)
        async with site.db.transaction() as tx:
            await sweeps.undo(tx, number, by=person, reason=reason)
        return await _carry_out(site, number)


@sweep.command("list")
@with_config
@with_json
def list_all(as_json: bool) -> None:
    """List the sweeps, the newest first."""
    found = run(_list())
    if as_json:
        print_json(found)
        return
    print_table(
        ("NUMBER", "TARGET", "SINCE", "STATE", "TAKEN", "CAN BE UNDONE UNTIL"),
        [
            (
                *(each["sweep"], each["target"], each["since"], each["state"]),
                f"{each['done']} of {each['total']}" if each["total"] else each["done"],
                each["purge_at"] or "-",
            )
            for each in found
        ],
        empty="There were no sweeps.",
    )


async def _list() -> list[dict[str, Any]]:
    from fedcomm.hub import sweeps

    async with hub() as site:
        return [await _facts(site, each) for each in await sweeps.sweeps(site.db, limit=1000)]


@sweep.command("show")
@click.argument("number", type=int)
@with_config
@with_json
def show(number: int, as_json: bool) -> None:
    """Show sweep NUMBER: how far it is, and once it is purged what went."""
    print_facts(run(_show(number)), as_json=as_json)


async def _show(number: int) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    async with hub() as site:
        return await _facts(site, await sweeps.sweep(site.db, number))


# --- What the commands share ---


async def _scope(site: Site, target: str, since: str, until: str | None, subdomains: bool) -> Scope:
    from fedcomm.hub import sweeps
    from fedcomm.store.ids import now_ms

    now = now_ms()
    kind, subject = await sweeps.target(site.db, target, with_subdomains=subdomains)
    return sweeps.Scope(
        kind,
        subject,
        sweeps.moment(since, now),
        sweeps.moment(until, now) if until is not None else now,
    )


async def _carry_out(site: Site, sweep_id: int) -> dict[str, Any]:
    """Do the work here and now, with a bar for people."""
    from fedcomm.hub import sweeping, sweeps

    known = await sweeps.sweep(site.db, sweep_id)
    bar = click.progressbar(
        length=max(known.total, 1),
        label=f"Sweep {sweep_id}",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    )
    with bar:
        shown = 0

        def told(now: Sweep) -> None:
            nonlocal shown
            bar.update(now.done - shown)
            shown = now.done

        done = await sweeping.advance(site.db, sweep_id, folder=site.media_folder, told=told)
    return await _facts(site, done)


async def _facts(site: Site, known: Sweep) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    return {
        "sweep": str(known.id),
        "target": await sweeps.name_of(site.db, known.scope),
        "cause": known.cause,
        "since": moment(known.scope.since) if known.scope.since else "all",
        "until": moment(known.scope.until),
        "state": known.state,
        "total": known.total,
        "done": known.done,
        "reason": known.reason,
        "undo_reason": known.undo_reason,
        "begun_at": moment(known.created_at),
        "finished_at": moment(known.finished_at),
        "purge_at": moment(known.purge_at) if known.can_be_undone else None,
        "certificate": json.loads(known.certificate or "null") if known.state == "purged" else None,
    }


async def _found(site: Site, scope: Scope, found: Preview) -> dict[str, Any]:
    from fedcomm.hub import sweeps

    return {
        "target": await sweeps.name_of(site.db, scope),
        "since": moment(scope.since) if scope.since else "all",
        "until": moment(scope.until),
        "people": list(found.people),
        "people_total": found.people_total,
        "groups": [f"{title}: {number}" for title, number in found.groups],
        "topics": found.topics,
        "replies": found.replies,
        "posts": found.posts,
        "pictures": found.pictures,
        "answers_of_others_below": found.answers,
        "reactions": found.reactions,
        "votes": found.votes,
        "participations": found.participations,
        "notifications": found.notifications,
        "reports": found.reports,
        "follows": found.follows,
        "memberships": found.memberships,
        "waiting": found.waiting,
        "servers_asked_back": found.servers,
        "total": found.total,
    }
