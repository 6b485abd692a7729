"""What every command shares: the configuration, the open hub, printing, and refusing in one
sentence.

Only click and plain modules are imported here, so that `fedcomm --help` and `fedcomm serve` start
fast; each command imports what it needs when it runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from fedcomm import config as configuration

if TYPE_CHECKING:
    from fedcomm.config import Config
    from fedcomm.hub.actors import Actor
    from fedcomm.hub.groups import Group
    from fedcomm.hub.members import Member
    from fedcomm.site import Site
    from fedcomm.store.database import Reader

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

JSON_INDENT: Final = 2


class Refused(click.ClickException):
    """The command cannot be done; `message` is one sentence for the operator. Exit code 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence on standard error."""
        click.echo(f"fedcomm: {self.format_message()}", err=True, file=file)


class Nouns(click.Group):
    """A group of commands whose failures are sentences, never tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it raises becomes `Refused`, unless `--debug` was given."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            # click knows what to do; a reader that went away (`| head`) is no failure.
            raise
        except Exception as error:
            if ctx.find_root().params.get("debug"):
                raise
            raise Refused(sentence_of(error)) from error


def sentence_of(error: Exception) -> str:
    """What the operator reads about `error`."""
    if type(error).__module__.startswith(("fedcomm.", "activitypub.")):
        # Errors of ours are written for people.
        return str(error)
    if isinstance(error, TimeoutError):
        return "it took too long; nobody answered in time."
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    if type(error).__module__.split(".")[0] in ("asyncpg", "sqlite3"):
        return f"the database refused: {str(error).splitlines()[0]}"
    return f"this went wrong: {type(error).__name__}: {error} (`fedcomm --debug` shows where)"


def with_config(command: Command) -> Command:
    """Adds `--config`, which may also stand before the command; it is read by `settings`."""

    def keep(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.find_root().obj = value

    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        expose_value=False,
        callback=keep,
        help="The configuration file. Without it: FEDCOMM_CONFIG, ./fedcomm.toml, "
        "/etc/fedcomm/fedcomm.toml.",
    )(command)


def with_json(command: Command) -> Command:
    """Adds `--json`, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        command
    )


def with_yes(command: Command) -> Command:
    """Adds `--yes`, for what is asked about first."""
    return click.option("--yes", is_flag=True, help="Do not ask first.")(command)


def with_administrator(command: Command) -> Command:
    """Adds `--as`, passed on as `by`, for `administrator`."""
    return click.option(
        *("--as", "by"),
        metavar="MEMBER",
        help="The administrator who decides.  [default: the first one]",
    )(command)


def config_path() -> Path | None:
    """The configuration file that the command uses, or None when variables alone must do."""
    named = click.get_current_context().find_root().obj
    return configuration.find(named, os.environ)


def settings() -> Config:
    """The configuration that the command was given. Raises Refused with every problem found."""
    try:
        return configuration.load(config_path(), os.environ)
    except configuration.ConfigError as error:
        raise Refused(f"the configuration cannot be used:\n{error}") from error


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the command's coroutine."""
    return asyncio.run(work)


@asynccontextmanager
async def hub(*, federated: bool = False) -> AsyncIterator[Site]:
    """The hub that the configuration names, open for one command.

    With `federated` its ActivityPub spoke is there too (it needs the key file); workers never run.
    """
    config = settings()
    _log(config)
    warn_about_other_owner(config)
    if federated:
        from fedcomm.server import close_site, open_site

        site = await open_site(config)
        try:
            yield site
        finally:
            await close_site(site)
        return

    from fedcomm.site import Site
    from fedcomm.store.pseudonyms import Pseudonyms
    from fedcomm.store.schema import open_database

    db = await open_database(
        config.database.url,
        readers=1,
        pool_size=2,
        pseudonyms=Pseudonyms.under(config.secrets.key_file),
    )
    try:
        yield Site(config, db)
    finally:
        await db.close()


def _log(config: Config) -> None:
    """Keep what modules log to themselves, since a command ends in one sentence; with `--debug` show
    all of it."""
    if click.get_current_context().find_root().params.get("debug"):
        from fedcomm import logs

        logs.configure(replace(config.logging, level="debug"))
    else:
        logging.getLogger().addHandler(logging.NullHandler())


def warn_about_other_owner(config: Config) -> None:
    """Say so when root works on files of another user: new ones would be root's, and the server
    could not write to them."""
    file = config.database.file
    if file is None or not hasattr(os, "geteuid") or os.geteuid() != 0 or not file.exists():
        return
    if owner := file.stat().st_uid:
        click.echo(
            f"fedcomm: {file} belongs to user {owner}; run this as that user (sudo -u), "
            "or the server may be locked out of files that root makes.",
            err=True,
        )


# --- Finding what the operator named ---


async def member_named(db: Reader, name: str) -> Member:
    """The member called `name`, with or without an @. Raises Refused."""
    from fedcomm.hub import members

    found = await members.member_by_name(db, name)
    if found is None:
        raise Refused(f"there is no member {name!r}; `fedcomm member list` shows who is there.")
    return found


async def active_member(db: Reader, name: str) -> Member:
    """The member called `name`, who may act. Raises Refused for a suspended one."""
    found = await member_named(db, name)
    if found.state != "active":
        raise Refused(f"{found.name} is suspended and can do nothing.")
    return found


async def administrator(site: Site, name: str | None) -> int:
    """In whose name the operator decides: `name`, or the first administrator. Removals go out as theirs. Raises
    Refused."""
    if name is not None:
        return (await active_member(site.db, name)).id
    first = await site.db.value(
        "SELECT actor_id FROM members WHERE role = 'administrator' AND state = 'active'"
        " ORDER BY actor_id LIMIT 1"
    )
    if first is None:
        raise Refused("there is no administrator in whose name this could be done.")
    return int(first)


async def group_named(db: Reader, name: str) -> Group:
    """The group called `name`. Raises Refused."""
    from fedcomm.hub import groups

    found = await groups.group_by_name(db, name.removeprefix("@"))
    if found is None:
        raise Refused(f"there is no group {name!r}; `fedcomm group list` shows them.")
    return found


def actor_url(site: Site, actor: Actor) -> str:
    """The page about the actor."""
    from fedcomm.hub.composition import profile_url

    return profile_url(actor, site.origin)


# --- Reading and printing ---


def text_or_stdin(text: str | None) -> str:
    """`text`, else what stands on standard input."""
    if text is not None:
        return text
    if sys.stdin.isatty():
        click.echo("Type the text; Ctrl-D ends it.", err=True)
    return sys.stdin.read()


def password_from_stdin() -> str:
    """The first line of standard input. Raises Refused when there is none."""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Refused("no password came on standard input.")
    return line


def moment(at_ms: int | None) -> str | None:
    """Unix milliseconds as ISO 8601 in UTC, to the second."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(milliseconds: int | float | None) -> str:
    """A length of time in one or two words: `40 s`, `12 min`, `3 h`, `2 days`."""
    if milliseconds is None:
        return "-"
    seconds = max(milliseconds, 0) / 1000
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def print_json(value: object) -> None:
    """Print `value` as JSON. Within its texts nothing can steer a terminal: JSON itself escapes only up to U+001F."""
    text = json.dumps(value, indent=JSON_INDENT, ensure_ascii=False, default=str)
    click.echo(
        "".join(
            character
            if character == "\n" or character.isprintable()
            else json.dumps(character)[1:-1]
            for character in text
        )
    )


def print_answer(value: object, sentence: str, *, as_json: bool) -> None:
    """Print what was done: a sentence for people, or `value` for programs."""
    if as_json:
        print_json(value)
    else:
        click.echo(sentence)


def print_facts(facts: Mapping[str, object], *, as_json: bool = False) -> None:
    """Print names and values, one a line, or as JSON."""
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        if value not in (None, "", [], ()):
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            click.echo(f"{name.ljust(width)}  {printable(str(shown))}")


def print_list(
    found: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str, as_json: bool
) -> None:
    """Print what was found: as JSON, or as a table with some of it. `columns`: titles, each with the name of what
    stands below it; a dash where there is nothing."""
    if as_json:
        print_json(found)
        return
    rows = [
        ["-" if each[name] is None else each[name] for name in columns.values()] for each in found
    ]
    print_table(tuple(columns), rows, empty=empty)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows under their titles, or the sentence `empty`."""
    if not rows:
        click.echo(empty)
        return
    table = [tuple(titles), *(tuple(printable(str(cell)) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(titles))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """`text` on one line, without characters that could steer a terminal."""
    return "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}" for character in text
    )
