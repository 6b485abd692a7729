"""`fedcomm policy import | export | subscribe | unsubscribe | drafts`: lists of policies of other servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import (
    Refused,
    hub,
    moment,
    print_answer,
    print_json,
    print_table,
    run,
    with_config,
    with_json,
)
from fedcomm.cli.policy_printing import (
    LEVELS,
    difference_facts,
    impact_facts,
    print_change,
    print_difference,
    print_impact,
)

if TYPE_CHECKING:
    from fedcomm.hub.blocklists import Difference
    from fedcomm.hub.impact import Impact
    from fedcomm.store.database import Reader

FORMATS: Final = ("csv", "lines", "allow-list")

_list_level = click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="suspend",
    show_default=True,
    help="For rows that name no severity.",
)


@click.command("import")
@click.argument("file", type=click.File("rb"))
@_list_level
@click.option("--keep-existing", is_flag=True, help="Add what is new, change nothing.")
@click.option("--dry-run", is_flag=True, help="Show the difference and stop.")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option("--reason", help="Why; kept in the audit log.  [default: the file's name]")
@with_config
@with_json
def import_list(
    file: Any,
    level: str,
    keep_existing: bool,
    dry_run: bool,
    yes: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Read a list (CSV of Mastodon, one domain a line), show what is new, apply it whole.

    FILE may be - for standard input. Rows that cannot be used are named with their line.
    """
    body = file.read()
    name = Path(str(getattr(file, "name", "-"))).name
    draft, found, touched = run(_draft(body, name, level, keep_existing))
    facts = difference_facts(found) | {"impact": impact_facts(touched)}
    if not as_json:
        print_difference(found)
        print_impact(touched, False)
    if dry_run or found.is_empty:
        run(_discard(draft))
        if as_json:
            print_json(facts | {"change": None})
        return
    if not yes and not (sys.stdin.isatty() and click.confirm("Apply this?")):
        run(_discard(draft))
        raise Refused("nothing was applied; --yes applies without asking.")
    change = run(_apply(draft, reason or f"Imported {name}", keep_existing))
    if as_json:
        print_json(facts | {"change": str(change) if change is not None else None})
    else:
        print_change(change, False)


async def _draft(
    body: bytes, name: str, level: str, keep_existing: bool
) -> tuple[int, Difference, Impact]:
    from fedcomm.hub import blocklists, impact, policy_drafts
    from fedcomm.store.ids import new_id

    async with hub() as site:
        async with site.db.transaction() as tx:
            draft_id = await policy_drafts.add(
                tx,
                body,
                source=f"{name} {new_id()}",
                level=level,  # type: ignore[arg-type]  # checked by click
                by=None,
            )
        found = await policy_drafts.difference(site.db, draft_id, own_host=site.host)
        wanted = blocklists.changes(found, keep_existing=keep_existing)
        return draft_id, found, await impact.of_entries(site.db, wanted)


async def _discard(draft_id: int) -> None:
    from fedcomm.hub import policy_drafts

    async with hub() as site, site.db.transaction() as tx:
        await policy_drafts.discard(tx, draft_id, by=None)


async def _apply(draft_id: int, reason: str, keep_existing: bool) -> int | None:
    from fedcomm.hub import policy_drafts

    async with hub() as site, site.db.transaction() as tx:
        return await policy_drafts.apply(
            tx,
            draft_id,
            by=None,
            reason=reason,
            own_host=site.host,
            keep_existing=keep_existing,
        )


@click.command("export")
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@with_config
def export(form: str) -> None:
    """Write the entries: Mastodon's CSV, suspended domains one a line, or those of level none."""
    click.echo(run(_export(form)), nl=False)


async def _export(form: str) -> str:
    from fedcomm.hub import blocklists, policies

    async with hub() as site:
        entries = list((await policies.all_entries(site.db)).values())
    if form == "csv":
        return blocklists.as_csv(entries)
    return blocklists.as_lines(entries) if form == "lines" else blocklists.as_allow_list(entries)


@click.command("subscribe")
@click.argument("url")
@_list_level
@with_config
@with_json
def subscribe(url: str, level: str, as_json: bool) -> None:
    """Fetch the list at URL now and daily. What is new becomes a draft and waits for you."""
    error, found = run(_subscribe(url, level))
    if as_json:
        print_json({"error": error, **(difference_facts(found) if found else {})})
    elif error:
        click.echo(f"Subscribed, but the list could not be fetched: {error}")
    elif found is not None:
        print_difference(found)


async def _subscribe(url: str, level: str) -> tuple[str | None, Difference | None]:
    from fedcomm.hub import policy_drafts

    async with hub(federated=True) as site:
        if site.federation is None:
            raise Refused("federation is switched off (federation.enabled).")
        async with site.db.transaction() as tx:
            number = await policy_drafts.subscribe(
                tx,
                url,
                level=level,  # type: ignore[arg-type]  # checked by click
                by=None,
            )
        found = await site.federation.fetch_list(number)
        return (await policy_drafts.subscription(site.db, number)).error, found


@click.command("unsubscribe")
@click.argument("url")
@with_config
@with_json
def unsubscribe(url: str, as_json: bool) -> None:
    """Fetch the list at URL no longer; entries that came from it stay."""
    run(_unsubscribe(url))
    print_answer(
        {"url": url, "subscribed": False},
        "Unsubscribed; entries that came from it stay.",
        as_json=as_json,
    )


async def _unsubscribe(url: str) -> None:
    from fedcomm.hub import policy_drafts

    async with hub() as site, site.db.transaction() as tx:
        for each in await policy_drafts.subscriptions(tx):
            if each.url == url:
                await policy_drafts.unsubscribe(tx, each.id, by=None)
                return
        raise Refused("there is no such subscription; `fedcomm policy drafts` shows them.")


@click.command("drafts")
@click.argument("draft", type=int, required=False)
@click.option("--apply", "applied", is_flag=True, help="Apply the draft whole.")
@click.option("--keep-existing", is_flag=True, help="Add what is new, change nothing.")
@click.option("--discard", is_flag=True, help="Throw the draft away.")
@click.option("--reason", help="Why; needed with --apply.")
@with_config
@with_json
def drafts(
    draft: int | None,
    applied: bool,
    keep_existing: bool,
    discard: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """List lists that wait and subscriptions; or show, apply or discard DRAFT."""
    if draft is None:
        _print_drafts(run(_drafts()), as_json)
        return
    if applied and not reason:
        raise Refused("say why, with --reason.")
    if discard:
        run(_discard(draft))
        print_json({"discarded": str(draft)}) if as_json else click.echo("Discarded.")
    elif applied:
        print_change(run(_apply(draft, reason or "", keep_existing)), as_json)
    else:
        found = run(_difference(draft))
        print_json(difference_facts(found)) if as_json else print_difference(found)


async def _difference(draft_id: int) -> Difference:
    from fedcomm.hub import policy_drafts

    async with hub() as site:
        return await policy_drafts.difference(site.db, draft_id, own_host=site.host)


async def _drafts() -> dict[str, list[dict[str, Any]]]:
    from fedcomm.hub import policy_drafts

    async with hub() as site:
        return {
            "drafts": [
                {"id": str(each.id), "source": each.source, "at": moment(each.created_at)}
                for each in await policy_drafts.drafts(site.db)
            ],
            "subscriptions": await _subscriptions(site.db),
        }


async def _subscriptions(db: Reader) -> list[dict[str, Any]]:
    from fedcomm.hub import policy_drafts

    return [
        {
            "url": each.url,
            "level": each.level,
            "fetched_at": moment(each.fetched_at),
            "error": each.error,
        }
        for each in await policy_drafts.subscriptions(db)
    ]


def _print_drafts(facts: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print_table(
        ("DRAFT", "AT", "SOURCE"),
        [(each["id"], each["at"], each["source"]) for each in facts["drafts"]],
        empty="No list waits to be applied.",
    )
    click.echo()
    print_table(
        ("SUBSCRIPTION", "LEVEL", "FETCHED", "ERROR"),
        [
            (each["url"], each["level"], each["fetched_at"] or "-", each["error"] or "-")
            for each in facts["subscriptions"]
        ],
        empty="There are no subscriptions.",
    )


COMMANDS: Final = (import_list, export, subscribe, unsubscribe, drafts)
