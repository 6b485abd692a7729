"""`fedcomm init`: found a hub - configuration, key, database, first administrator."""

from __future__ import annotations

import asyncio
import os
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from fedcomm import config as configuration
from fedcomm.cli.console import Refused, password_from_stdin, print_json, run, with_json
from fedcomm.config import Config
from fedcomm.literals import Invalid, normalize_origin, to_toml

PASSWORD_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105
"""Letters and digits that nobody mistakes for one another: 31 of them, 4.95 bits each."""

PASSWORD_GROUPS: Final = 4
"""Groups of four: 79 bits."""

TEMPLATE: Final = """\
# The configuration of this hub, written by `fedcomm init`. It holds what you had to decide; every
# other option, with its default and its reason, stands in config.example.toml and in the
# documentation. After a change: `fedcomm config check`, then restart the server.

[instance]
# The public address. It is part of every id that other servers keep: it can never change.
origin = {origin}
name = {name}
# One or two sentences about it, as plain text.
description = {description}
# The language that members mostly write in, and the language of the pages: "en" or "it".
language = {language}
default_locale = {locale}
# Shown publicly, so that visitors and other administrators can write to you.
contact_email = {email}

[server]
# Behind a reverse proxy keep the loopback address and believe what the proxy says about visitors.
host = {host}
port = {port}
trusted_proxies = {proxies}

[database]
{database}

[media]
# Uploaded pictures; belongs into the backup together with the database.
folder = "media"

[secrets]
# Keep a copy of this file in a safe place, apart from the backups: without it the hub is mute.
key_file = "fedcomm.key"
"""


@dataclass(frozen=True, slots=True)
class Founding:
    """What somebody decides when they found a hub. `extra`: further tables of the configuration,
    as TOML. `database`: a URL, or None for SQLite beside the configuration (or the environment's)."""

    origin: str
    name: str
    admin: str
    email: str | None
    password: str
    language: str = "en"
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    description: str = ""
    extra: str = ""


@click.command()
@click.option("--domain", metavar="HOST", help="The public host name, as in hub.example.")
@click.option("--name", required=True, help="The name of the community.")
@click.option("--admin", required=True, metavar="NAME", help="The first administrator's name.")
@click.option("--email", required=True, help="The administrator's and the contact address.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    show_default=True,
    help="Where everything is written; made if absent.",
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The configuration file to write, instead of fedcomm.toml in the folder.",
)
@click.option(
    "--origin",
    metavar="URL",
    help="For development: the whole address, as in http://localhost:8080.",
)
@click.option("--database", metavar="URL", help="postgresql://… instead of an SQLite file.")
@click.option(
    "--language",
    type=click.Choice(["en", "it"]),
    default="en",
    show_default=True,
    help="The language of the community and of its pages.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="The port to listen on.  [default: the origin's on localhost, else 8080]",
)
@click.option(
    "--password-stdin", is_flag=True, help="Read the administrator's password from standard input."
)
@with_json
def init(
    domain: str | None,
    name: str,
    admin: str,
    email: str,
    folder: Path,
    file: Path | None,
    origin: str | None,
    database: str | None,
    language: str,
    port: int | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Found a hub: write its configuration and key, make its database and first administrator.

    Nothing that exists is overwritten. The administrator's password is printed once.
    """
    if (domain is None) == (origin is None):
        raise click.UsageError("Give either --domain or --origin.")
    address = _origin(f"https://{domain}" if origin is None else origin)
    given = password_from_stdin() if password_stdin else None
    path = folder / "fedcomm.toml" if file is None else file
    founding = Founding(
        address,
        name,
        admin,
        email,
        given or new_password(),
        language=language,
        database=database,
        port=port or _port_of(address),
    )
    config = found_hub(path, founding, os.environ)

    facts = {
        "origin": address,
        "config": str(path),
        "key_file": str(config.secrets.key_file),
        "database": "postgresql" if config.database.file is None else str(config.database.file),
        "admin": admin,
    }
    if as_json:
        print_json(facts if given else {**facts, "password": founding.password})
        return
    click.echo(f"The hub {address} is founded.")
    click.echo(f"  Configuration   {path}")
    click.echo(f"  Key             {facts['key_file']}  (keep a copy of it apart from the backups)")
    click.echo(f"  Administrator   {admin}")
    if not given:
        click.echo(f"  Password        {founding.password}  (shown this once)")
    here = "" if path == Path("fedcomm.toml") else f" --config {path}"
    click.echo(f"Start it with: fedcomm serve{here}")


def found_hub(path: Path, founding: Founding, environ: Mapping[str, str]) -> Config:
    """Write the configuration to `path`, the key and the database beside it; the configuration.

    Nothing that exists is overwritten, and when it fails nothing new stays behind. Blocks. Raises
    Refused, HubError, DatabaseError.
    """
    from fedcomm.hub.members import password_acceptable

    password_acceptable(founding.password, founding.admin, founding.email)
    if path.exists():
        raise Refused(f"{path} exists already; nothing is overwritten.")
    made: list[Path] = []
    try:
        _make_folder(path.parent, made)
        _write_private(path, _configuration(founding, environ), made)
        config = _load(path, environ)
        _found(config, founding, made)
    except BaseException:
        _remove(made)
        raise
    return config


def new_password() -> str:
    """A random password that can be read out over the telephone."""
    return "-".join(
        "".join(secrets.choice(PASSWORD_LETTERS) for _ in range(4)) for _ in range(PASSWORD_GROUPS)
    )


def _found(config: Config, founding: Founding, made: list[Path]) -> None:
    from fedcomm.federation.vault import create_key_file
    from fedcomm.store.schema import migrate

    database = config.database.file
    for file in (config.secrets.key_file, database):
        if file is not None and file.exists():
            raise Refused(f"{file} exists already; nothing is overwritten.")
    if database is None:
        run(_require_empty(config.database.url))
    create_key_file(config.secrets.key_file)
    made.append(config.secrets.key_file)
    _make_folder(config.media.folder, made)
    if database is not None:
        # Made by us, so that SQLite gives its companions the same narrow mode.
        _write_private(database, "", made)
    migrate(config.database.url)
    run(_create_administrator(config, founding))


async def _require_empty(url: str) -> None:
    from fedcomm.store.schema import open_database, schema_state

    db = await open_database(url, pool_size=1, check=False)
    try:
        state = await schema_state(db)
        # A schema without members is what an `init` that failed half-way leaves in PostgreSQL.
        if state != "empty" and (
            state != "current" or await db.value("SELECT 1 FROM members LIMIT 1")
        ):
            raise Refused("the database holds a hub already; nothing is overwritten.")
    finally:
        await db.close()


async def _create_administrator(config: Config, founding: Founding) -> None:
    from fedcomm.hub import members
    from fedcomm.hub.passwords import hash_password
    from fedcomm.store.schema import open_database

    db = await open_database(config.database.url, readers=1, pool_size=2)
    try:
        hashed = await hash_password(founding.password)
        async with db.transaction() as tx:
            await members.create_member(
                tx,
                founding.admin,
                email=founding.email,
                password_hash=hashed,
                role="administrator",
                locale=config.instance.default_locale,
            )
    finally:
        await asyncio.shield(db.close())


def _origin(text: str) -> str:
    try:
        return normalize_origin(text)
    except Invalid as error:
        raise click.UsageError(f"The address must be {error}.") from error


def _port_of(origin: str) -> int:
    from urllib.parse import urlsplit

    parts = urlsplit(origin)
    return parts.port or 8080 if parts.scheme == "http" else 8080


def _configuration(founding: Founding, environ: Mapping[str, str]) -> str:
    if founding.database is not None:
        database = f"url = {to_toml(founding.database)}"
    elif "FEDCOMM_DATABASE_URL" in environ:
        database = "# The address comes from the variable FEDCOMM_DATABASE_URL."
    else:
        database = (
            "# A file beside this one; postgresql://USER:PASSWORD@HOST/NAME is the other way."
        )
        database += '\nurl = "sqlite:///fedcomm.db"'
    behind_proxy = founding.origin.startswith("https://")
    text = TEMPLATE.format(
        origin=to_toml(founding.origin),
        name=to_toml(founding.name),
        description=to_toml(founding.description),
        language=to_toml(founding.language),
        locale=to_toml(founding.language),
        email=to_toml(founding.email or ""),
        host=to_toml(founding.host),
        port=to_toml(founding.port),
        proxies=to_toml(("127.0.0.1", "::1") if behind_proxy else ()),
        database=database,
    )
    text += f"\n{founding.extra}" if founding.extra else ""
    tomllib.loads(text)
    return text


def _load(path: Path, environ: Mapping[str, str]) -> Config:
    try:
        return configuration.load(path, environ)
    except configuration.ConfigError as error:
        raise Refused(f"the configuration cannot be used:\n{error}") from error


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make the folder, and those above it, readable by owner and group; what is new goes to `made`."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o750)
        made.append(missing)


def _write_private(path: Path, text: str, made: list[Path]) -> None:
    """Write a new file that only its owner may read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    made.append(path)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _remove(made: list[Path]) -> None:
    """Take back what was made, the newest first; a folder only if nothing else is in it."""
    for path in reversed(made):
        with suppress(OSError):
            if path.is_dir():
                path.rmdir()
                continue
            for companion in ("", "-wal", "-shm"):
                path.with_name(path.name + companion).unlink(missing_ok=True)
