"""`fedcomm export …`, `fedcomm import …`, `fedcomm checksum`: data leaves whole and arrives whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    group_named,
    hub,
    member_named,
    print_facts,
    print_json,
    print_table,
    run,
    settings,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.portability.archives import Summary
    from fedcomm.portability.formats import Format
    from fedcomm.portability.scopes import Scope
    from fedcomm.portability.tars import Told

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_format = click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv", "xml"]),
    default="json",
    show_default=True,
    help="How the rows are written. Each holds everything.",
)


@click.group(cls=Nouns)
def export() -> None:
    """Take data out: the whole hub, a group or a member, as JSON, CSV or XML."""


@export.command("site")
@_file
@_format
@click.option(
    "--with-key",
    is_flag=True,
    help="Put the key file in as well. Whoever has the export can then speak for the hub.",
)
@with_config
@with_json
def export_site(file: Path, form: Format, with_key: bool, as_json: bool) -> None:
    """Write everything to FILE: rows, media, checksums. Serving goes on.

    Interrupted, it goes on where it was when it is called again with the same FILE.
    """
    _print_summary(run(_export_site(file, form, with_key)), as_json, {"file": str(file)})
    if not with_key and not as_json:
        click.echo(
            f"Whoever imports it needs a copy of {settings().secrets.key_file}: without the key other servers "
            "do not take it for this hub.",
            err=True,
        )


async def _export_site(file: Path, form: Format, with_key: bool) -> Summary:
    from fedcomm.portability import archives

    async with hub() as site:
        with _counter("Export") as told:
            return await archives.export_site(
                site.config, site.db, file, form, with_key=with_key, told=told
            )


@export.command("member")
@click.argument("name")
@_file
@_format
@with_config
@with_json
def export_member(name: str, file: Path, form: Format, as_json: bool) -> None:
    """Write everything of member NAME to FILE, a zip, and nothing private of others."""
    _require_absent(file)
    print_facts(run(_parcel("person", name, file, form)), as_json=as_json)


@export.command("group")
@click.argument("name")
@_file
@_format
@with_config
@with_json
def export_group(name: str, file: Path, form: Format, as_json: bool) -> None:
    """Write group NAME to FILE, a zip: settings, who belongs to it, topics and answers, files."""
    _require_absent(file)
    print_facts(run(_parcel("group", name, file, form)), as_json=as_json)


def _require_absent(file: Path) -> None:
    if file.exists():
        raise Refused(f"{file} exists already.")


async def _parcel(scope: Scope, name: str, file: Path, form: Format) -> dict[str, Any]:
    from fedcomm.federation.copies import Copies
    from fedcomm.portability import parcels

    unfinished = file.with_name(f".{file.name}.part")
    async with hub() as site:
        found = await (group_named if scope == "group" else member_named)(site.db, name)
        subject = parcels.Subject(scope, found.id, found.name)
        documents = Copies(site.config, site.db) if site.config.federation.enabled else None
        size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with _counter("Export") as told, _or_gone(unfinished):
            with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as target:
                async for piece in parcels.parcel(
                    site.db, site.media_folder, site.origin, subject, form, documents
                ):
                    target.write(piece)
                    size += len(piece)
                    told("bytes", len(piece))
                target.flush()
                os.fsync(target.fileno())
            unfinished.rename(file)
    return {"file": str(file), "scope": scope, "name": found.name, "format": form, "bytes": size}


@export.command("schema")
@_format
def export_schema(form: Format) -> None:
    """Print the description of a format: JSON Schema, XML Schema, or CSV on the Web."""
    from fedcomm.portability import descriptions

    click.echo(run(descriptions.of_format(form)), nl=False)


@click.group("import", cls=Nouns)
def import_() -> None:
    """Bring data in: a whole hub into an empty one, or a member into this one."""


@import_.command("site")
@_file
@with_config
@with_json
def import_site(file: Path, as_json: bool) -> None:
    """Fill an empty hub with the export FILE: everything, with equal checksums, or nothing.

    The hub must have the origin of the export, and a database that `fedcomm migrate` has made.
    """
    if not file.exists():
        raise Refused(f"there is no file {file}.")
    _print_summary(run(_import_site(file)), as_json, {"file": str(file)})


async def _import_site(file: Path) -> Summary:
    from fedcomm import erasures
    from fedcomm.portability import archives

    async with hub() as site:
        with _counter("Import") as told:
            summary = await archives.import_site(site.config, site.db, file, told=told)
    async with hub() as site:
        # Opened anew, since the key may have come with it: what was erased since is forgotten again (INV-51).
        await erasures.replay(site)
    return summary


@import_.command("member")
@_file
@click.option("--name", help="What the new account is called. Without it: as in the archive.")
@click.option("--into", help="An account that is there and empty, instead of a new one.")
@click.option("--email", help="The e-mail address of the new account.")
@with_config
@with_json
def import_member(
    file: Path, name: str | None, into: str | None, email: str | None, as_json: bool
) -> None:
    """Take in a member from FILE: their zip from another hub, or the archive of an account at Mastodon.

    What they wrote becomes their past here and is told to nobody. Whom they followed, blocked and muted is asked and
    avoided once the server runs. The old account is named as an alias.
    """
    if not file.exists():
        raise Refused(f"there is no file {file}.")
    if name and into:
        raise click.UsageError("--name and --into exclude each other.")
    facts = run(_import_member(file, name, into, email))
    print_facts(facts, as_json=as_json)
    if facts["state"] != "done":
        raise Refused("the posts could not be taken in to the end; what came was taken back.")


async def _import_member(
    file: Path, name: str | None, into: str | None, email: str | None
) -> dict[str, Any]:
    from fedcomm import imports as worker
    from fedcomm.hub import imports, members

    async with hub() as site:
        target = await member_named(site.db, into) if into else None
        with _counter("Import") as told:
            came = await worker.take_in_member(
                site,
                file,
                name=name,
                into=target.id if target else None,
                email=email,
                told=lambda count: told("posts", count),
            )
        if came.posts.state != "done":
            async with site.db.transaction() as tx:
                await imports.ask_undo(tx, came.member_id, came.posts.id)
            undone = await imports.find(site.db, came.member_id, came.posts.id)
            assert undone is not None
            await worker.proceed(site, undone)
        member = await members.member(site.db, came.member_id)
        assert member is not None
        return {
            "name": member.name,
            "source": came.posts.source,
            "state": came.posts.state,
            "posts": came.posts.made,
            "left_out": came.posts.skipped,
            "wishes": dict(came.wishes),
        }


@click.command()
@with_config
@with_json
def checksum(as_json: bool) -> None:
    """Print the checksum of every table and of all. Equal data has equal ones, on either engine."""
    roots, root = run(_checksum())
    if as_json:
        print_json({"root": root, "roots": roots})
        return
    print_table(("TABLE", "ROOT"), sorted(roots.items()), empty="There are no tables.")
    click.echo(f"\nAll: {root}")


async def _checksum() -> tuple[dict[str, str], str]:
    from fedcomm.portability import archives

    async with hub() as site:
        with _counter("Checksum") as told:
            return await archives.checksum(site.db, told=told)


def _print_summary(summary: Summary, as_json: bool, more: dict[str, Any]) -> None:
    facts = {
        **more,
        "origin": summary.origin,
        "format": summary.form,
        "made_at": summary.made_at,
        "schema": summary.schema,
        "rows": sum(summary.counts.values()),
        "media": summary.media,
        "with_key": summary.has_key,
        "root": summary.root,
    }
    if as_json:
        facts |= {"rows_by_table": summary.counts, "roots": summary.roots}
    print_facts(facts, as_json=as_json)


@contextmanager
def _or_gone(unfinished: Path) -> Iterator[None]:
    """Half an export of somebody's data is left nowhere."""
    try:
        yield
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def _counter(label: str) -> Iterator[Told]:
    """What is being done and how much of it, on one line; how much there will be is known at the end only."""
    shown = sys.stderr.isatty()
    counts: dict[str, int] = {}

    def told(what: str, count: int) -> None:
        before = counts.get(what, 0)
        counts[what] = before + count
        if shown and (before == 0 or before // 1000 != counts[what] // 1000):
            click.echo(f"\r\x1b[K{label}: {what} {counts[what]}", nl=False, err=True)

    try:
        yield told
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)
