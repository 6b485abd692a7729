"""`fedcomm serve`: run the hub."""

from __future__ import annotations

import mimetypes
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from fedcomm.cli.console import Refused, config_path, run, settings, with_config

if TYPE_CHECKING:
    from fedcomm.config import Config


@click.command()
@click.option("--host", help="The address to listen on, instead of server.host.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port, instead of server.port; 0: any free."
)
@click.option(
    "--processes", type=click.IntRange(1, 64), help="Web processes, instead of server.processes."
)
@click.option("--migrate", is_flag=True, help="Bring the database up to date first.")
@with_config
def serve(host: str | None, port: int | None, processes: int | None, migrate: bool) -> None:
    """Run the hub until SIGTERM or Ctrl-C; work in hand is finished first.

    A second signal stops at once. Nothing that was acknowledged is lost either way.
    """
    config = settings()
    server = config.server
    server = replace(
        server,
        host=server.host if host is None else host,
        port=server.port if port is None else port,
        unix_socket=None if host or port is not None else server.unix_socket,
        processes=server.processes if processes is None else processes,
    )
    config = replace(config, server=server)
    from fedcomm.store import soundness

    file = config.database.file
    left_open = file is not None and soundness.was_left_open(file)
    if migrate:
        _migrate()
    run(_require_readiness(config))

    # aiohttp reads the machine's table of file types when it is imported: half a megabyte that nothing here asks for.
    mimetypes.knownfiles.clear()
    from fedcomm.cli import listening

    sys.exit(listening.serve(config, left_open=left_open))


def _migrate() -> None:
    # In a process of its own: the migration's libraries would stay in the server's memory.
    path = config_path()
    named = () if path is None else ("--config", str(path))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "fedcomm.cli", "migrate", *named], env=os.environ, check=False
    )
    if done.returncode:
        raise Refused("the database could not be migrated.")


async def _require_readiness(config: Config) -> None:
    """Raises SchemaMismatch or JournalLost with what to do."""
    from fedcomm.erasure_journal import ErasureJournal
    from fedcomm.store.schema import open_database

    if config.database.file is not None and not config.database.file.exists():
        raise Refused(
            f"there is no database at {config.database.file}: run `fedcomm migrate` "
            "(or `fedcomm init` for a new hub)."
        )
    db = await open_database(config.database.url, readers=1, pool_size=1)
    try:
        await ErasureJournal(config.erasure.journal).pending(db)
    finally:
        await db.close()
