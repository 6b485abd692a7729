"""`fedcomm post`, `reply`, `edit`, `delete`, `like`: what a member says, from the command line."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click

from fedcomm.cli.console import (
    Command,
    Refused,
    active_member,
    group_named,
    hub,
    print_json,
    run,
    text_or_stdin,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.images import ImageLimits
    from fedcomm.hub.threads import Thing
    from fedcomm.site import Site

Pictures = list[tuple[Path, str]]
"""Files with their descriptions."""

DELETED: Final = "It is deleted here; every server that received it is asked to delete it too."
REMOVED: Final = (
    "It is removed; its author can read why, and every server that received it is told."
)


def with_author(command: Command) -> Command:
    """Adds `--as MEMBER`, passed on as `author`."""
    return click.option("--as", "author", required=True, metavar="MEMBER", help="Who acts.")(
        command
    )


def with_text(command: Command) -> Command:
    """Adds what every text has: words, warning, language, pictures."""
    for option in (
        click.option("--alt", "alts", multiple=True, help="The description of the file."),
        click.option(
            "--image",
            "--file",
            "images",
            multiple=True,
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help="A picture, video, sound or document; repeat --image and --alt for more.",
        ),
        click.option("--language", help="The language of the text, as BCP 47."),
        click.option("--summary", metavar="WARNING", help="A content warning."),
        click.option("--text", help="The text in Markdown.  [default: standard input]"),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("group_name", metavar="GROUP")
@with_author
@click.option("--title", required=True)
@with_text
@with_config
@with_json
def post(
    group_name: str,
    author: str,
    title: str,
    text: str | None,
    summary: str | None,
    language: str | None,
    images: tuple[Path, ...],
    alts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Open a topic in GROUP; prints its page and its ActivityPub id."""
    pictures = _pictures(images, alts)
    source = text_or_stdin(text)
    _print(
        run(_post(group_name, author, title, source, summary or "", language, pictures)), as_json
    )


async def _post(
    group_name: str,
    author: str,
    title: str,
    source: str,
    summary: str,
    language: str | None,
    pictures: Pictures,
) -> dict[str, str]:
    from fedcomm.hub import threads, visibility
    from fedcomm.hub.composition import Draft

    async with hub() as site:
        member = await active_member(site.db, author)
        group = await group_named(site.db, group_name)
        if not await visibility.can_see_group(site.db, visibility.member(member.id), group.id):
            raise Refused(f"{member.name} is not in the private group {group.name}.")
        media = await _upload(site, member.id, pictures)
        draft = Draft(source, title, summary, False, language or group.language, media)
        async with site.db.transaction() as tx:
            content = await site.compose(tx, draft, is_topic=True, author_id=member.id)
            object_id = await threads.create_topic(tx, member.id, group.id, content)
        return await _addresses(site, object_id)


@click.command()
@click.argument("target", metavar="URL")
@with_author
@with_text
@with_config
@with_json
def reply(
    target: str,
    author: str,
    text: str | None,
    summary: str | None,
    language: str | None,
    images: tuple[Path, ...],
    alts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Answer URL: a page of this hub, an ActivityPub id, a number, or an address elsewhere."""
    pictures = _pictures(images, alts)
    source = text_or_stdin(text)
    _print(run(_reply(target, author, source, summary or "", language, pictures)), as_json)


async def _reply(
    target: str,
    author: str,
    source: str,
    summary: str,
    language: str | None,
    pictures: Pictures,
) -> dict[str, str]:
    from fedcomm.hub import threads
    from fedcomm.hub.composition import Draft

    async with hub() as site:
        member = await active_member(site.db, author)
        parent = await find_thing(site, target, member.id)
        media = await _upload(site, member.id, pictures)
        draft = Draft(source, "", summary, False, language or parent.language, media)
        async with site.db.transaction() as tx:
            content = await site.compose(tx, draft, is_topic=False, author_id=member.id)
            object_id = await threads.create_reply(tx, member.id, parent.id, content)
        return await _addresses(site, object_id)


@click.command()
@click.argument("target", metavar="URL")
@with_author
@click.option("--title", help="A new title, for a topic.")
@click.option("--text", help="The new text in Markdown.  [default: standard input]")
@click.option("--summary", metavar="WARNING", help="A new content warning; '' takes it away.")
@click.option("--language", help="The language of the text, as BCP 47.")
@with_config
@with_json
def edit(
    target: str,
    author: str,
    title: str | None,
    text: str | None,
    summary: str | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Change what MEMBER wrote at URL; pictures and what is not named stay as they are."""
    source = text_or_stdin(text)
    _print(run(_edit(target, author, source, title, summary, language)), as_json)


async def _edit(
    target: str,
    author: str,
    source: str,
    title: str | None,
    summary: str | None,
    language: str | None,
) -> dict[str, str]:
    from fedcomm.hub import media, threads
    from fedcomm.hub.composition import Draft

    async with hub() as site:
        member = await active_member(site.db, author)
        thing = await find_thing(site, target, member.id)
        draft = Draft(source, thing.title, thing.summary, thing.sensitive, thing.language, ())
        if title is not None:
            draft = replace(draft, title=title)
        if summary is not None:
            draft = replace(draft, summary=summary, sensitive=bool(summary))
        if language is not None:
            draft = replace(draft, language=language)
        draft = replace(draft, media=tuple(await media.attached_to(site.db, thing.id)))
        async with site.db.transaction() as tx:
            content = await site.compose(
                tx, draft, is_topic=thing.kind == "topic", author_id=member.id
            )
            await threads.edit(tx, member.id, thing.id, content)
        return await _addresses(site, thing.id)


@click.command()
@click.argument("target", metavar="URL")
@with_author
@click.option("--reason", help="Why a moderator removes what somebody else wrote.")
@with_config
@with_json
def delete(target: str, author: str, reason: str | None, as_json: bool) -> None:
    """Delete what MEMBER wrote at URL: here, and at every server that got it.

    What somebody else wrote a moderator removes with --reason: its author reads it, and may appeal.
    """
    addresses = run(_delete(target, author, reason))
    if as_json:
        print_json(addresses)
    else:
        click.echo(REMOVED if reason is not None else DELETED)


async def _delete(target: str, author: str, reason: str | None) -> dict[str, str]:
    from fedcomm.hub import media, moderation, threads

    async with hub() as site:
        member = await active_member(site.db, author)
        thing = await find_thing(site, target, member.id)
        addresses = await _addresses(site, thing.id)
        if thing.author_id != member.id:
            if reason is None:
                raise Refused(
                    "only its author can delete this; moderators remove it with --reason."
                )
            async with site.db.transaction() as tx:
                await moderation.take_down(
                    tx, member.id, thing.id, "remove", moderation.Grounds(reason)
                )
            return addresses
        pictures = await media.attached_to(site.db, thing.id)
        async with site.db.transaction() as tx:
            await threads.delete(tx, member.id, thing.id)
        # Said only when it is written down where no backup can undo it (INV-51).
        await site.erasure_journal.catch_up(site.db)
        await media.remove_orphans(site.db, site.media_folder, pictures)
        return addresses


@click.command()
@click.argument("target", metavar="URL")
@with_author
@click.option("--undo", is_flag=True, help="Take the like back.")
@with_config
@with_json
def like(target: str, author: str, undo: bool, as_json: bool) -> None:
    """Like URL as MEMBER. Repeats are harmless."""
    changed, addresses = run(_like(target, author, undo=undo))
    if as_json:
        print_json({**addresses, "changed": changed})
    elif changed:
        click.echo("The like is taken back." if undo else "Liked.")
    else:
        click.echo("There was no like." if undo else "It was liked already.")


async def _like(target: str, author: str, *, undo: bool) -> tuple[bool, dict[str, str]]:
    from fedcomm.hub import reactions

    async with hub() as site:
        member = await active_member(site.db, author)
        thing = await find_thing(site, target, member.id)
        async with site.db.transaction() as tx:
            if undo:
                changed = await reactions.withdraw(tx, member.id, thing.id, "like")
            else:
                changed = await reactions.add(tx, member.id, thing.id, "like")
        return changed, await _addresses(site, thing.id)


# --- Addresses ---


def object_id_in(target: str, origin: str) -> int | None:
    """The number of the object that `target` names here: a number, a page of ours or an ActivityPub
    id of ours; None for everything else.

    Pages: `/g/NAME/t/ID[/SLUG][#rID]`, `/o/ID`; ActivityPub ids end in the number.
    """
    from fedcomm.store.ids import parse_id

    if (number := parse_id(target)) is not None:
        return number
    if not target.startswith(f"{origin}/"):
        return None
    parts = urlsplit(target)
    if answer := re.fullmatch(r"r(\d+)", parts.fragment):
        return parse_id(answer[1])
    if page := re.match(r"/(?:g/[^/]+/t|o)/(\d+)(?:/|$)", parts.path):
        return parse_id(page[1])
    return parse_id(parts.path.rstrip("/").rpartition("/")[2])


async def find_thing(site: Site, target: str, viewer_id: int) -> Thing:
    """The object that `target` names and that the member may read; a remote one is fetched when it
    is not known yet. Raises Refused."""
    from fedcomm.hub import threads, visibility

    missing = Refused(f"there is nothing at {target} that this member can read.")
    object_id = object_id_in(target, site.origin)
    if object_id is None and not target.startswith(("http://", "https://")):
        raise Refused(f"{target!r} is neither an address nor a number.")
    if object_id is None and not target.startswith(f"{site.origin}/"):
        known = await threads.thing_by_uri(site.db, target)
        object_id = known.id if known else await _fetched(target)
    if object_id is None or not await visibility.can_read(
        site.db, visibility.member(viewer_id), object_id
    ):
        raise missing
    thing = await threads.thing(site.db, object_id)
    if thing is None:
        raise missing
    return thing


async def _fetched(url: str) -> int | None:
    """The number here of the remote object at `url`, after fetching it."""
    async with hub(federated=True) as site:
        if site.federation is None:
            raise Refused("federation is switched off, so nothing can be fetched.")
        return await site.federation.find_object(url)


async def _addresses(site: Site, object_id: int) -> dict[str, str]:
    """`url`: the page; `id`: our number; `uri`: the ActivityPub id."""
    from fedcomm.federation.addresses import Addresses
    from fedcomm.hub import groups, threads

    thing = await threads.thing(site.db, object_id)
    assert thing is not None
    group = await groups.group(site.db, thing.group_id) if thing.group_id is not None else None
    addresses = Addresses(site.origin)
    return {
        "url": addresses.thing_page(thing, group.name if group else None),
        "id": str(thing.id),
        "uri": addresses.object(thing),
    }


def _print(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(addresses)
    else:
        click.echo(addresses["url"])
        click.echo(addresses["uri"])


# --- Pictures ---


def _pictures(images: tuple[Path, ...], alts: tuple[str, ...]) -> Pictures:
    if len(images) != len(alts):
        raise click.UsageError(
            "Every --image needs its --alt, for those who cannot see it ('' for mere decoration)."
        )
    return list(zip(images, alts, strict=True))


async def _upload(site: Site, owner_id: int, pictures: Pictures) -> tuple[int, ...]:
    if not pictures:
        return ()

    from fedcomm.hub.images import ImageLimits

    limits = ImageLimits(bytes=site.config.media.max_image_bytes)
    site.media_folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    stored = []
    bar = click.progressbar(
        pictures, label="Files", file=sys.stderr, hidden=not sys.stderr.isatty()
    )
    with bar:
        for file, alt in bar:
            stored.append(await _upload_one(site, owner_id, file, alt, limits))
    return tuple(stored)


async def _upload_one(site: Site, owner_id: int, file: Path, alt: str, limits: ImageLimits) -> int:
    from fedcomm.hub import media

    with file.open("rb") as opened:
        return await media.upload_file(
            site.db,
            owner_id,
            opened,
            file.name,
            folder=site.media_folder,
            alt=alt,
            images=limits,
            recordings=site.recording_limits,
            daily_bytes=site.config.media.daily_bytes_per_member,
            alt_chars=site.limits.alt_chars,
        )
