"""`fedcomm emoji …`: custom emoji of this hub, and those that came from other servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fedcomm.cli.console import (
    Command,
    Nouns,
    Refused,
    hub,
    print_answer,
    print_json,
    print_table,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.emoji import Emoji
    from fedcomm.store.database import Reader


@click.group(cls=Nouns)
def emoji() -> None:
    """Custom emoji: `:shortcode:` in texts and names."""


def with_host(command: Command) -> Command:
    """Adds `--host HOST`: an emoji of another server instead of ours."""
    return click.option("--host", metavar="HOST", help="An emoji of this other server.")(command)


@emoji.command("add")
@click.argument("shortcode")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--category", default="", help="Under what it is listed.")
@with_config
@with_json
def add(shortcode: str, file: Path, category: str, as_json: bool) -> None:
    """Add FILE (JPEG, PNG, GIF or WebP, up to 256 KiB) as :SHORTCODE:."""
    from fedcomm.hub.images import EMOJI

    if file.stat().st_size > EMOJI.bytes:
        raise Refused(f"{file} is larger than {EMOJI.bytes // 1024} KiB.")
    _print(run(_add(shortcode, file.read_bytes(), category)), as_json)


async def _add(shortcode: str, data: bytes, category: str) -> Emoji:
    from fedcomm.hub import emoji as domain

    async with hub() as site:
        return await domain.add(
            site.db, shortcode, data, folder=site.media_folder, category=category
        )


@emoji.command("list")
@click.option("--foreign", is_flag=True, help="Those of other servers, the last noted first.")
@click.option("--limit", default=200, show_default=True, help="At most so many of other servers.")
@with_config
@with_json
def list_emoji(foreign: bool, limit: int, as_json: bool) -> None:
    """List the emoji of this hub, by category."""
    found = run(_list(foreign, limit))
    if as_json:
        print_json([_facts(one, host) for one, host in found])
        return
    print_table(
        ("shortcode", "category", "host", "bytes", "state"),
        [(f":{o.shortcode}:", o.category, host or "-", o.bytes, _state(o)) for o, host in found],
        empty="There are no emoji.",
    )


async def _list(foreign: bool, limit: int) -> list[tuple[Emoji, str | None]]:
    from fedcomm.hub import emoji as domain

    async with hub() as site:
        if foreign:
            return [*await domain.of_others(site.db, limit=limit)]
        return [(one, None) for one in await domain.own(site.db)]


@emoji.command("remove")
@click.argument("shortcode")
@with_host
@with_config
@with_json
def remove(shortcode: str, host: str | None, as_json: bool) -> None:
    """Remove an emoji with its picture; where it was used, its shortcode is shown."""
    gone = run(_remove(shortcode, host))
    print_answer(
        {"removed": gone.shortcode, "host": host}, f"Removed :{gone.shortcode}:.", as_json=as_json
    )


async def _remove(shortcode: str, host: str | None) -> Emoji:
    from fedcomm.hub import emoji as domain

    async with hub() as site:
        known = await _named(site.db, shortcode, host)
        async with site.db.transaction() as tx:
            files = await domain.remove(tx, known.id, by=None)
        domain.remove_files(site.media_folder, files)
        return known


@emoji.command("disable")
@click.argument("shortcode")
@with_host
@with_config
@with_json
def disable(shortcode: str, host: str | None, as_json: bool) -> None:
    """Show an emoji no longer; nothing that was written changes."""
    _print(run(_set_disabled(shortcode, host, disabled=True)), as_json)


@emoji.command("enable")
@click.argument("shortcode")
@with_host
@with_config
@with_json
def enable(shortcode: str, host: str | None, as_json: bool) -> None:
    """Show an emoji again."""
    _print(run(_set_disabled(shortcode, host, disabled=False)), as_json)


async def _set_disabled(shortcode: str, host: str | None, *, disabled: bool) -> Emoji:
    from fedcomm.hub import emoji as domain

    async with hub() as site:
        known = await _named(site.db, shortcode, host)
        async with site.db.transaction() as tx:
            await domain.set_disabled(tx, known.id, disabled=disabled, by=None)
        return await _named(site.db, shortcode, host)


async def _named(db: Reader, shortcode: str, host: str | None) -> Emoji:
    from fedcomm.hub import emoji as domain

    found = await domain.by_shortcode(db, shortcode.strip(":"), host)
    if found is None:
        where = f" of {host}" if host else ""
        raise Refused(f"there is no emoji {shortcode!r}{where}; `fedcomm emoji list` shows them.")
    return found


def _state(one: Emoji) -> str:
    if one.disabled_at is not None:
        return "disabled"
    return "shown" if one.file is not None else "without picture"


def _facts(one: Emoji, host: str | None = None) -> dict[str, object]:
    return {
        "shortcode": one.shortcode,
        "category": one.category,
        "host": host,
        "file": one.file,
        "bytes": one.bytes,
        "state": _state(one),
    }


def _print(one: Emoji, as_json: bool) -> None:
    print_answer(_facts(one), f":{one.shortcode}: is {_state(one)}.", as_json=as_json)
