"""`fedcomm policy …`: who may federate with this hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli import policy_lists
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
from fedcomm.cli.policy_printing import (
    LEVELS,
    entry_facts,
    print_change,
    print_impact,
)

if TYPE_CHECKING:
    from fedcomm.hub.impact import Impact

AUDIENCES: Final = ("off", "members", "public")
MODES: Final = ("open", "cautious", "allow-list")
DAY_MS: Final = 86_400_000

_reason = click.option("--reason", required=True, help="Why; kept in the audit log.")
_level = click.option("--level", type=click.Choice(LEVELS), required=True)


@click.group(cls=Nouns)
def policy() -> None:
    """Who may federate: levels for servers, lists, the mode; preview, undo.

    An entry covers a domain and its subdomains; the longest match wins. Levels: none, queue (what
    it sends waits for a decision), limit (seen by its followers here only), suspend.
    """


@policy.command("list")
@click.option("--containing", default="", help="Domains that hold this text.")
@with_config
@with_json
def list_all(containing: str, as_json: bool) -> None:
    """List the entries, the mode and the servers that wait for a decision."""
    facts = run(_list(containing))
    if as_json:
        print_json(facts)
        return
    click.echo(f"Mode: {facts['mode']}")
    if facts["waiting"]:
        click.echo(
            f"Waiting for a decision: {', '.join(each['host'] for each in facts['waiting'])}"
        )
    click.echo()
    print_table(
        ("DOMAIN", "LEVEL", "REJECTS", "UNTIL", "PUBLIC COMMENT"),
        [
            (
                each["domain"],
                each["level"],
                " ".join(
                    name
                    for name, key in (("media", "reject_media"), ("reports", "reject_reports"))
                    if each[key]
                )
                or "-",
                each["expires_at"] or "-",
                each["public_comment"],
            )
            for each in facts["entries"]
        ],
        empty="There are no entries.",
    )


async def _list(containing: str) -> dict[str, Any]:
    from fedcomm.hub import policies

    async with hub() as site:
        mode, _since = await policies.stored_mode(site.db)
        found = await policies.entries(site.db, containing=containing, limit=100_000)
        return {
            "mode": mode,
            "waiting": [
                {
                    "host": host.name,
                    "software": host.software,
                    "since": moment(host.first_seen_at),
                    "activities": host.waiting,
                }
                for host in await policies.undecided(site.db)
            ],
            "entries": [entry_facts(entry) for entry in found],
        }


@policy.command("preview")
@click.argument("domain")
@_level
@click.option("--reject-media", is_flag=True, help="Keep no pictures of theirs.")
@click.option("--reject-reports", is_flag=True, help="Take no reports of theirs.")
@with_config
@with_json
def preview(
    domain: str, level: str, reject_media: bool, reject_reports: bool, as_json: bool
) -> None:
    """Show whom and what a level for DOMAIN would touch; nothing is changed."""
    print_impact(run(_preview(domain, level, reject_media, reject_reports)), as_json)


async def _preview(domain: str, level: str, media: bool, reports: bool) -> Impact:
    from fedcomm.hub import impact, policies

    name = policies.normal_domain(domain)
    async with hub() as site:
        entry = policies.Entry(name, level, media, reports)  # type: ignore[arg-type]  # by click
        return await impact.of_entries(site.db, {name: entry})


@policy.command("set")
@click.argument("domain")
@_level
@click.option("--reject-media", is_flag=True, help="Keep no pictures of theirs.")
@click.option("--reject-reports", is_flag=True, help="Take no reports of theirs.")
@click.option("--public-comment", default="", help="For everybody.")
@click.option("--private-comment", default="", help="For administrators.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="It ends by itself.")
@_reason
@with_config
@with_json
def set_level(
    domain: str,
    level: str,
    reject_media: bool,
    reject_reports: bool,
    public_comment: str,
    private_comment: str,
    days: float | None,
    reason: str,
    as_json: bool,
) -> None:
    """Set what holds for DOMAIN and its subdomains. `preview` shows first what that touches."""
    change = run(
        _set(
            domain,
            level,
            (reject_media, reject_reports),
            (public_comment, private_comment),
            days,
            reason,
        )
    )
    print_change(change, as_json)


async def _set(
    domain: str,
    level: str,
    flags: tuple[bool, bool],
    comments: tuple[str, str],
    days: float | None,
    reason: str,
) -> int | None:
    from fedcomm.hub import policies, policy_changes
    from fedcomm.store.ids import now_ms

    name = policies.normal_domain(domain)
    async with hub() as site:
        if name in (site.host, site.host.partition(":")[0]):
            raise Refused(f"{name} is this hub itself.")
        public, private = (each.strip()[: policies.COMMENT_CHARACTERS] for each in comments)
        entry = policies.Entry(
            name,
            level,  # type: ignore[arg-type]  # checked by click
            *flags,
            public_comment=public,
            private_comment=private,
            expires_at=now_ms() + int(days * DAY_MS) if days is not None else None,
        )
        async with site.db.transaction() as tx:
            return await policy_changes.apply(tx, {name: entry}, by=None, kind="set", reason=reason)


@policy.command("publish")
@click.argument("audience", required=False, type=click.Choice(AUDIENCES))
@click.option("--obfuscate", metavar="DOMAIN", help="Leave letters out of this entry.")
@click.option("--reveal", metavar="DOMAIN", help="Show this entry whole.")
@with_config
@with_json
def publish(audience: str | None, obfuscate: str | None, reveal: str | None, as_json: bool) -> None:
    """Show or decide who may see the list of limited and suspended servers."""
    facts = run(_publish(audience, obfuscate, reveal))
    if as_json:
        print_json(facts)
        return
    click.echo(f"The list is shown to: {facts['audience']}")
    print_table(
        ("DOMAIN", "LEVEL", "COMMENT"),
        [(each["domain"], each["level"], each["comment"]) for each in facts["blocks"]],
        empty="It is empty.",
    )


async def _publish(
    audience: str | None, obfuscate: str | None, reveal: str | None
) -> dict[str, Any]:
    from fedcomm.hub import published_blocks

    async with hub() as site:
        async with site.db.transaction() as tx:
            if audience is not None:
                await published_blocks.set_audience(tx, audience, by=None)
            for domain, on in ((obfuscate, True), (reveal, False)):
                if domain and not await published_blocks.set_obfuscated(tx, domain, on=on):
                    raise Refused(f"there is no entry for {domain}.")
        return {
            "audience": await published_blocks.audience(site.db),
            "blocks": [
                {"domain": block.domain, "level": block.level, "comment": block.comment}
                for block in await published_blocks.published(site.db)
            ],
        }


@policy.command("remove")
@click.argument("domain")
@_reason
@with_config
@with_json
def remove(domain: str, reason: str, as_json: bool) -> None:
    """Remove the entry of DOMAIN."""
    print_change(run(_remove(domain, reason)), as_json)


async def _remove(domain: str, reason: str) -> int | None:
    from fedcomm.hub import policies, policy_changes

    name = policies.normal_domain(domain)
    async with hub() as site:
        if await policies.find(site.db, name) is None:
            raise Refused(f"there is no entry for {name}.")
        async with site.db.transaction() as tx:
            return await policy_changes.apply(
                tx, {name: None}, by=None, kind="removed", reason=reason
            )


@policy.command("undo")
@click.argument("change", type=int, required=False)
@_reason
@with_config
@with_json
def undo(change: int | None, reason: str, as_json: bool) -> None:
    """Undo CHANGE (see `history`), or the last one: entries, mode and relations as before."""
    number, left = run(_undo(change, reason))
    if as_json:
        print_json({"undone": str(number), "left": left})
        return
    click.echo(f"Change {number} is undone.")
    if left:
        click.echo(f"Changed again since, and left as they are: {', '.join(left)}")


async def _undo(number: int | None, reason: str) -> tuple[int, list[str]]:
    from fedcomm.hub import policy_changes

    async with hub() as site:
        if number is None:
            last = await policy_changes.latest_undoable(site.db)
            if last is None:
                raise Refused("there is no change to undo.")
            number = last.id
        async with site.db.transaction() as tx:
            return number, await policy_changes.undo(tx, number, by=None, reason=reason)


@policy.command("history")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@with_config
@with_json
def history(limit: int, as_json: bool) -> None:
    """List the changes that were made: when, what, why."""
    found = run(_history(limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ("CHANGE", "AT", "WHAT", "DOMAINS", "UNDONE", "WHY"),
        [
            (
                each["id"],
                each["at"],
                each["kind"],
                ", ".join(each["domains"]) + (" …" if each["total"] > len(each["domains"]) else ""),
                each["undone_at"] or "-",
                each["reason"],
            )
            for each in found
        ],
        empty="Nothing was changed yet.",
    )


async def _history(limit: int) -> list[dict[str, Any]]:
    from fedcomm.hub import policy_changes

    async with hub() as site:
        return [
            {
                "id": str(each.id),
                "at": moment(each.at),
                "by": str(each.actor_id) if each.actor_id is not None else None,
                "kind": each.kind,
                "domains": list(each.domains),
                "total": each.total,
                "reason": each.reason,
                "undone_at": moment(each.undone_at),
            }
            for each in await policy_changes.history(site.db, limit=limit)
        ]


@policy.command("mode")
@click.argument("mode", type=click.Choice(MODES), required=False)
@click.option("--reason", help="Why; kept in the audit log. Needed to change the mode.")
@click.option("--preview", "only_preview", is_flag=True, help="Show what it would touch.")
@with_config
@with_json
def set_mode(mode: str | None, reason: str | None, only_preview: bool, as_json: bool) -> None:
    """Show or change what holds for servers without an entry.

    open: nothing. cautious: servers first heard of from now on wait for a decision. allow-list:
    only servers with an entry are exchanged anything with.
    """
    if mode is None:
        facts = run(_list(""))
        print_json({"mode": facts["mode"]}) if as_json else click.echo(facts["mode"])
    elif only_preview:
        print_impact(run(_preview_mode(mode)), as_json)
    elif not reason:
        raise Refused("say why, with --reason.")
    else:
        print_change(run(_set_mode(mode, reason)), as_json)


async def _preview_mode(mode: str) -> Impact:
    from fedcomm.hub import impact

    async with hub() as site:
        return await impact.of_mode(site.db, mode)  # type: ignore[arg-type]  # checked by click


async def _set_mode(mode: str, reason: str) -> int | None:
    from fedcomm.hub import policy_changes

    async with hub() as site, site.db.transaction() as tx:
        return await policy_changes.set_mode(
            tx,
            mode,  # type: ignore[arg-type]  # checked by click
            by=None,
            reason=reason,
        )


for _command in policy_lists.COMMANDS:
    policy.add_command(_command)
