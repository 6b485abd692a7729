"""`fedcomm media …`: files that were purged and must not come back."""

from __future__ import annotations

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    hub,
    moment,
    print_answer,
    print_list,
    run,
    with_config,
    with_json,
)


@click.group(cls=Nouns)
def media() -> None:
    """Files that are never taken again."""


@media.command("block")
@click.argument("name", metavar="FILE")
@click.option("--reason", default="", help="Why; only administrators read it.")
@with_config
@with_json
def block(name: str, reason: str, as_json: bool) -> None:
    """Never take the upload again that is served as /media/FILE, nor pictures that look the same."""
    added = run(_block(name.rpartition("/")[2], reason))
    print_answer(
        {"file": name, "blocked": bool(added)},
        "It is not taken again." if added else "It was on the list already.",
        as_json=as_json,
    )


async def _block(name: str, reason: str) -> int:
    from fedcomm.hub import purged

    async with hub() as site, site.db.transaction() as tx:
        media_id = await tx.value(
            "SELECT id FROM media WHERE (file = ? OR thumbnail = ?) AND sha256 IS NOT NULL",
            name,
            name,
        )
        if media_id is None:
            raise Refused(f"there is no upload that is served as /media/{name}.")
        return await purged.block(tx, [media_id], by=None, reason=reason)


@media.command("blocked")
@with_config
@with_json
def blocked(as_json: bool) -> None:
    """List the files that are not taken, by the SHA-256 of what was uploaded."""
    columns = {"SHA256": "sha256", "SINCE": "since", "REASON": "reason"}
    print_list(run(_blocked()), columns, empty="Every file is taken.", as_json=as_json)


async def _blocked() -> list[dict[str, object]]:
    from fedcomm.hub import purged

    async with hub() as site:
        return [
            {"sha256": one.sha256, "since": moment(one.created_at), "reason": one.reason}
            for one in await purged.blocked(site.db)
        ]


@media.command("unblock")
@click.argument("sha256")
@with_config
@with_json
def unblock(sha256: str, as_json: bool) -> None:
    """Take a file again."""
    run(_unblock(sha256))
    print_answer({"sha256": sha256, "blocked": False}, "It is taken again.", as_json=as_json)


async def _unblock(sha256: str) -> None:
    from fedcomm.hub import purged

    async with hub() as site, site.db.transaction() as tx:
        await purged.unblock(tx, sha256, by=None)
