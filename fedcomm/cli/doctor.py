"""`fedcomm doctor`: look for what is wrong and say what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import click

from activitypub.failures import FetchError
from fedcomm import config as configuration
from fedcomm.cli.console import (
    config_path,
    print_json,
    printable,
    run,
    sentence_of,
    with_config,
    with_json,
)
from fedcomm.selfcheck import NotAHub, health_status

if TYPE_CHECKING:
    from fedcomm.config import Config

Level = Literal["ok", "note", "warning", "problem"]

SIGNS: Final[dict[Level, str]] = {"ok": "ok", "note": "--", "warning": "!", "problem": "!!"}

FREE_BYTES_PROBLEM: Final = 100 * 1024 * 1024
"""Less free disk space than this, and the next upload or checkpoint may fail."""

FREE_BYTES_WARNING: Final = 1024 * 1024 * 1024

HTTP_SECONDS: Final = 5.0
"""How long an answer of our own server may take."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: `text` says what is so, `advice` what to do (empty when all is well)."""

    check: str
    level: Level
    text: str
    advice: str = ""


@click.command()
@click.option(
    "--online", is_flag=True, help="Also ask for a member through the public address (WebFinger)."
)
@with_config
@with_json
@click.pass_context
def doctor(ctx: click.Context, online: bool, as_json: bool) -> None:
    """Look for what is wrong, and say what to do.  Exit code 1 when something is wrong."""
    findings = []
    for finding in examine(online=online):
        findings.append(finding)
        if not as_json:
            click.echo(f"{SIGNS[finding.level]:<3} {finding.check}: {printable(finding.text)}")
            if finding.advice:
                click.echo(f"      {finding.advice}")
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print_json({"healthy": not problems, "findings": [asdict(each) for each in findings]})
    elif problems:
        click.echo(f"\nWrong: {problems}.")
    else:
        click.echo("\nNothing is wrong.")
    ctx.exit(1 if problems else 0)


def examine(*, online: bool) -> Iterator[Finding]:
    """All findings, as they come."""
    try:
        config = configuration.load(config_path(), os.environ)
    except configuration.ConfigError as error:
        for problem in error.problems:
            yield Finding("configuration", "problem", str(problem), "Mend it and start again.")
        return
    yield from _configuration(config)
    yield interpreter(sysconfig.get_config_vars(), sys.base_prefix)
    yield from _key_file(config)
    yield from run(_database(config))
    yield from _media(config)
    yield from _disk(config)
    running = _server(config)
    yield running
    if online:
        yield from _webfinger(config)


def _configuration(config: Config) -> Iterator[Finding]:
    path = config_path()
    name = "configuration"
    if path is not None and config.database.file is None and _readable_by_others(path):
        yield Finding(
            name,
            "warning",
            f"others can read {path}, which may hold the database's password",
            f"chmod 600 {path}",
        )
    else:
        yield Finding(name, "ok", f"{config.instance.origin} ({path or 'from the environment'})")
    if config.is_development:
        yield Finding(
            name,
            "warning",
            "development switches are on (http, development.allow_http or development.resolve)",
            "Fine on your own computer; a public server needs an https origin and none of them.",
        )
    if config.federation.private_addresses:
        yield Finding(
            name,
            "warning",
            "private networks are reachable (federation.private_addresses)",
            "Whoever can make the hub fetch an address reaches them: take them away if you can.",
        )


def interpreter(variables: Mapping[str, object], prefix: str) -> Finding:
    """Whether the running Python was compiled with profile-guided optimisation.

    `variables` are those of `sysconfig`, `prefix` where it is installed. Distributions have ways of their own to
    optimise theirs, so that what they install (below `/usr`) is not judged by its arguments.
    """
    arguments = str(variables.get("CONFIG_ARGS") or "")
    flags = " ".join(str(variables.get(name) or "") for name in ("CFLAGS", "PY_CFLAGS_NODIST"))
    optimised = "--enable-optimizations" in arguments or "-fprofile-use" in flags
    version = f"{platform.python_implementation()} {platform.python_version()}"
    if not arguments or optimised or prefix == "/usr":
        return Finding("Python", "ok", version)
    return Finding(
        "Python",
        "warning",
        f"{version} in {prefix} was compiled without --enable-optimizations, which makes the hub's work"
        " cost a fifth more processor time",
        "Install fedcomm with your distribution's python3, or compile that one again with it.",
    )


def _key_file(config: Config) -> Iterator[Finding]:
    from fedcomm.federation.vault import Vault, VaultError

    path = config.secrets.key_file
    try:
        Vault.load(path)
    except VaultError as error:
        yield Finding(
            "key file",
            "problem",
            str(error),
            "Put your copy back; without it the hub can sign nothing. Do not make a new one for a "
            "hub that has followers elsewhere.",
        )
        return
    if _readable_by_others(path):
        yield Finding("key file", "problem", f"others can read {path}", f"chmod 600 {path}")
    else:
        yield Finding("key file", "ok", str(path))


UNREADABLE = "its schema cannot be read"
"""SQLite quotes what it found where the schema should be, and that is no text."""


async def _database(config: Config) -> list[Finding]:
    from fedcomm.store.database import DatabaseError
    from fedcomm.store.schema import open_database, schema_state

    name = "database"
    file = config.database.file
    if file is not None and not file.exists():
        return [Finding(name, "problem", f"{file} does not exist", "fedcomm migrate")]
    try:
        db = await open_database(config.database.url, readers=1, pool_size=1, check=False)
    except (DatabaseError, OSError) as error:
        return [
            Finding(name, "problem", sentence_of(error), "Is it running, and is the URL right?")
        ]
    except UnicodeDecodeError:
        return [_damaged(UNREADABLE)]
    except Exception as error:
        return [Finding(name, "problem", sentence_of(error), "Look at database.url.")]
    try:
        state = await schema_state(db)
        advice = {
            "empty": "fedcomm migrate (or fedcomm init for a new hub)",
            "older": "Make a backup, then: fedcomm migrate",
            "newer": "Install the release of fedcomm that wrote it, or a later one.",
        }
        if state != "current":
            return [Finding(name, "problem", f"its schema is {state}", advice[state])]
        if db.dialect == "sqlite":
            answer = await db.value("PRAGMA quick_check")
            if answer != "ok":
                return [_damaged(answer)]
        findings = [
            Finding(
                name,
                "ok",
                "the schema is current"
                + (" and the file is sound" if db.dialect == "sqlite" else ""),
            )
        ]
        administrators = await db.value(
            "SELECT count(*) FROM members WHERE role = 'administrator' AND state = 'active'"
        )
        if not administrators:
            findings.append(
                Finding(
                    "members",
                    "problem",
                    "there is no active administrator",
                    "fedcomm member create NAME --role administrator",
                )
            )
        return findings
    except UnicodeDecodeError:
        return [_damaged(UNREADABLE)]
    finally:
        await db.close()


def _damaged(how: str) -> Finding:
    return Finding(
        "database",
        "problem",
        f"the file is damaged: {how}",
        "Stop the server, keep a copy of the file, restore the last backup.",
    )


def _media(config: Config) -> Iterator[Finding]:
    folder = config.media.folder
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            "media folder",
            "problem",
            f"{folder} cannot be written to: {error.strerror}",
            "Give the folder to the user that runs the server.",
        )
    else:
        yield Finding("media folder", "ok", str(folder))


def _disk(config: Config) -> Iterator[Finding]:
    places = {config.media.folder}
    if config.database.file is not None:
        places.add(config.database.file.parent)
    seen: set[int] = set()
    for place in sorted(places):
        if not place.exists() or place.stat().st_dev in seen:
            continue
        seen.add(place.stat().st_dev)
        free = shutil.disk_usage(place).free
        text = f"{free / 1024**3:.1f} GiB free at {place}"
        if free < FREE_BYTES_PROBLEM:
            yield Finding("disk space", "problem", text, "Make room: the hub cannot write soon.")
        elif free < FREE_BYTES_WARNING:
            yield Finding("disk space", "warning", text, "Make room before it gets tight.")
        else:
            yield Finding("disk space", "ok", text)


def _server(config: Config) -> Finding:
    """Whether the server answers where it listens."""
    name = "server"
    where = config.server.unix_socket or f"{config.server.host}:{config.server.port}"
    try:
        status = _ask_health(config)
    except (ConnectionRefusedError, FileNotFoundError):
        return Finding(name, "note", f"it does not run (nothing listens at {where})")
    except (OSError, NotAHub) as error:
        return Finding(
            name,
            "problem",
            f"what listens at {where} does not answer as a hub: {error}",
            "Is another program there? Look at the server's log.",
        )
    if status != 200:
        return Finding(
            name,
            "problem",
            f"it runs at {where}, but says that it is not well ({status})",
            "Look at its log.",
        )
    return Finding(name, "ok", f"it runs and answers at {where}")


def _ask_health(config: Config) -> int:
    server = config.server
    return health_status(
        server.host,
        server.port,
        name=config.host,
        unix_socket=server.unix_socket,
        tls=server.tls_certificate is not None,
        seconds=HTTP_SECONDS,
    )


def _webfinger(config: Config) -> Iterator[Finding]:
    """Whether others find a member through the public address."""
    name = "public address"
    member = run(_first_member(config))
    if member is None:
        yield Finding(name, "note", "there is no member to look for")
        return
    resource = quote(f"acct:{member}@{config.host}", safe="")
    url = f"{config.instance.origin}/.well-known/webfinger?resource={resource}"
    advice = "Do DNS, certificate and reverse proxy lead to this server, with the path unchanged?"
    try:
        document = run(_fetched(config, url))
    except FetchError as error:
        yield Finding(name, "problem", f"{url} cannot be fetched: {error}", advice)
        return
    if document.get("subject") != f"acct:{member}@{config.host}":
        yield Finding(name, "problem", f"{url} answers for somebody else", advice)
    else:
        yield Finding(name, "ok", f"others find members at {config.instance.origin}")


async def _fetched(config: Config, url: str) -> dict[str, Any]:
    """A document of our own, as another server would fetch it: through the public address."""
    from activitypub.client import Client
    from fedcomm.federation.spoke import network_policy, user_agent

    policy = replace(network_policy(config), own_origin=None)
    async with Client(policy, user_agent(config)) as client:
        return await client.get_json(url)


async def _first_member(config: Config) -> str | None:
    from fedcomm.hub import members
    from fedcomm.store.database import DatabaseError
    from fedcomm.store.schema import open_database

    try:
        db = await open_database(config.database.url, readers=1, pool_size=1)
    except DatabaseError:
        return None
    try:
        found = await members.list_members(db, limit=1)
        return found[0].name if found else None
    finally:
        await db.close()


def _readable_by_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXO | stat.S_IRWXG))
