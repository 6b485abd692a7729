"""`fedcomm backup …`: the whole hub in one file; `fedcomm restore`: and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    config_path,
    hub,
    print_facts,
    run,
    settings,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.backups import Contents
    from fedcomm.config import Config
    from fedcomm.portability.tars import Told

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group(cls=Nouns)
def backup() -> None:
    """Put the whole hub into one file while it serves, and try whether such a file is good."""


@backup.command("make")
@_file
@click.option(
    "--with-key",
    is_flag=True,
    help="Put the key file in as well. Whoever has the backup can then speak for the hub.",
)
@with_config
@with_json
def make(file: Path, with_key: bool, as_json: bool) -> None:
    """Write a backup to FILE: database, media and configuration. Serving goes on."""
    from fedcomm import backups

    config = settings()
    with _bar("Backup", _size(config)) as told:
        contents = backups.make(config, file, source=config_path(), with_key=with_key, told=told)
    _print(contents, as_json, {"file": str(file)})
    if not with_key and not as_json:
        click.echo(
            f"Keep a copy of {config.secrets.key_file} apart from it: without the key the backup cannot "
            "be used.",
            err=True,
        )


@backup.command("check")
@_file
@with_config
@with_json
def check(file: Path, as_json: bool) -> None:
    """Restore FILE into a folder that is thrown away, and look at it. The live hub is not touched."""
    from fedcomm import backups

    config = settings()
    if not file.exists():
        raise Refused(f"there is no file {file}.")
    with _bar("Check", file.stat().st_size) as told:
        drill = backups.drill(file, key_file=config.secrets.key_file, told=told)
    facts = {
        "rows": drill.counts,
        "missing_files": list(drill.missing),
        "key_fits": drill.key_fits,
    }
    _print(drill.contents, as_json, facts)
    if drill.missing or drill.key_fits is False:
        raise Refused("this backup is not complete.")


@click.command()
@_file
@with_config
@with_json
def restore(file: Path, as_json: bool) -> None:
    """Put the backup FILE where the configuration says, and forget again what was erased since it was made.

    Nothing is overwritten: there must be no database and no media yet.
    """
    from fedcomm import backups
    from fedcomm.store import schema

    config = settings()
    if not file.exists():
        raise Refused(f"there is no file {file}.")
    with _bar("Restore", file.stat().st_size) as told:
        contents = backups.restore(config, file, told=told)
    schema.migrate(config.database.url)
    facts = run(_replay())
    _print(contents, as_json, facts)


async def _replay() -> dict[str, Any]:
    """Before anybody is served; `serve` would do the same, or refuse for the same reason."""
    from fedcomm import erasures

    async with hub() as site:
        pending = len(await site.erasure_journal.pending(site.db))
        await erasures.replay(site)
        return {"erasures_replayed": pending}


def _print(contents: Contents, as_json: bool, more: dict[str, Any]) -> None:
    facts = {
        "made_at": contents.made_at,
        "origin": contents.origin,
        "version": contents.version,
        "schema": contents.schema,
        "engine": contents.engine,
        "files": len(contents.files),
        "bytes": contents.size,
        "with_key": contents.has_key,
        **more,
    }
    print_facts(facts, as_json=as_json)


def _size(config: Config) -> int:
    total = 0
    if config.database.file is not None and config.database.file.exists():
        total += 2 * config.database.file.stat().st_size
    if config.media.folder.is_dir():
        total += sum(
            path.stat().st_size for path in config.media.folder.rglob("*") if path.is_file()
        )
    return total


@contextmanager
def _bar(label: str, length: int) -> Iterator[Told]:
    bar = click.progressbar(
        length=max(length, 1), label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
    )
    with bar:
        yield lambda _name, count: bar.update(count)
