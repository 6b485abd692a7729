"""`fedcomm migrate`: bring the database to the schema of this release."""

from __future__ import annotations

import click

from fedcomm.cli.console import Refused, print_json, run, settings, with_config, with_json


@click.command()
@with_config
@with_json
def migrate(as_json: bool) -> None:
    """Bring the database to the schema of this release.

    All or nothing: when it fails, the database is what it was, and the release before serves on. A copy of a SQLite
    file is kept beside it for some days, as the way back. Stop the server first; on PostgreSQL make a backup too.
    """
    from fedcomm.store import schema

    config = settings()
    before = run(_state(config.database.url))
    if before != "current":
        click.echo("Migrating the database …", err=True)
        try:
            schema.migrate(config.database.url, told=_told)
        except _failures() as error:
            raise Refused(
                f"the database could not be migrated and is what it was: {error}".splitlines()[0]
            ) from error
    after = run(_state(config.database.url))
    if as_json:
        print_json({"before": before, "after": after, "revision": schema.HEAD})
    elif before == "current":
        click.echo(f"The database is up to date (revision {schema.HEAD}).")
    else:
        click.echo(f"The database is at revision {schema.HEAD} now.")


def _told(revision: str, words: str) -> None:
    click.echo(f"  {revision} {words}", err=True)


def _failures() -> tuple[type[Exception], ...]:
    """What can go wrong with the disk or the database."""
    import sqlite3

    import sqlalchemy.exc

    return OSError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError


async def _state(url: str) -> str:
    from fedcomm.store.schema import open_database, schema_state

    db = await open_database(url, readers=1, pool_size=1, check=False)
    try:
        return await schema_state(db)
    finally:
        await db.close()
