"""`fedcomm migrate`: bring the database to the schema of this release."""

from __future__ import annotations

import click

from fedcomm.cli.console import print_json, run, settings, with_config, with_json


@click.command()
@with_config
@with_json
def migrate(as_json: bool) -> None:
    """Bring the database to the schema of this release.

    Stop the server and make a backup first: an older release refuses a migrated database.
    """
    from fedcomm.store import schema

    config = settings()
    before = run(_state(config.database.url))
    if before != "current":
        click.echo("Migrating the database …", err=True)
        schema.migrate(config.database.url)
    after = run(_state(config.database.url))
    if as_json:
        print_json({"before": before, "after": after, "revision": schema.HEAD})
    elif before == "current":
        click.echo(f"The database is up to date (revision {schema.HEAD}).")
    else:
        click.echo(f"The database is at revision {schema.HEAD} now.")


async def _state(url: str) -> str:
    from fedcomm.store.schema import open_database, schema_state

    db = await open_database(url, readers=1, pool_size=1, check=False)
    try:
        return await schema_state(db)
    finally:
        await db.close()
