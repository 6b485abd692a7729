"""Goes on with what members bring from elsewhere: unpacks archives, stores posts, looks for accounts.

Steps are small and each says in its transaction how far it came, so that a crash at any instant, or two processes at
once, repeat nothing. Archives lie in a folder beside the media until they are done, and are overwritten then.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from activitypub.ijson import JSONObject
from fedcomm.config import Config
from fedcomm.hub import actors, avoidance, follows, groups, imports, media, members, profiles
from fedcomm.hub import lists as member_lists
from fedcomm.hub.composition import Content, attachments_of
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.imports import Import, Line
from fedcomm.hub.markup import NAME_CHARACTERS
from fedcomm.hub.sanitizer import clean_remote, plain_name, text_of
from fedcomm.late import Late
from fedcomm.portability.tables import PortabilityError
from fedcomm.site import Site
from fedcomm.store.database import Transaction
from fedcomm.store.disk import shred
from fedcomm.store.ids import new_id

if TYPE_CHECKING:
    from fedcomm.portability import containers, lists, past
    from fedcomm.portability.past import Owner, PastFile, PastPost
else:
    containers = Late("fedcomm.portability.containers")
    lists = Late("fedcomm.portability.lists")
    past = Late("fedcomm.portability.past")

log = logging.getLogger("fedcomm.imports")

EVERY_S: Final = 2.0
PAUSE_S: Final = 0.005
"""Between two steps, so that whoever waits to write gets their turn."""

STEP: Final = 20
"""Items of an archive, or lines of a list, that are dealt with in one go."""

UNLIMITED: Final = 1 << 62
"""Bytes in a day: an archive is bounded as a whole, not by what one may upload."""

STRAY_SECONDS: Final = 3600.0
"""A file without a row may still get one; later it is an upload that broke off."""

Told = Callable[[int], None]


def place_of(config: Config) -> Path:
    """The folder of the archives, whether it is there or not."""
    return config.media.folder.with_name("imports")


def folder_of(config: Config) -> Path:
    """Where archives lie while they are read; nobody else may look."""
    folder = place_of(config)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


async def take_in(site: Site, member_id: int, file: IO[bytes]) -> int:
    """Keep an archive that somebody brings and note that it is to be read; the import's number. Raises NotAllowed."""
    name = f"{member_id}-{new_id()}.archive"
    place = folder_of(site.config) / name

    def keep() -> None:
        file.seek(0)
        with place.open("xb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
        place.chmod(0o600)

    await asyncio.to_thread(keep)
    try:
        async with site.db.transaction() as tx:
            return await imports.begin_archive(tx, member_id, name)
    except BaseException:
        await asyncio.to_thread(shred, place)
        raise


@dataclass(frozen=True, slots=True)
class Arrival:
    """A member who came with an archive: the account, the import of the posts, and how many wishes wait."""

    member_id: int
    posts: Import
    wishes: dict[lists.Kind, int]


async def take_in_member(
    site: Site,
    archive: Path,
    *,
    name: str | None = None,
    into: int | None = None,
    email: str | None = None,
    told: Told = lambda count: None,
) -> Arrival:
    """Make an account out of an archive, or fill the empty account `into`: profile, posts, files. Follows, blocks and
    mutes become wishes that the worker fulfils. The old account is named as an alias.

    The archive is read to its end before anything is written. Raises PortabilityError, Invalid (the name is taken),
    NotAllowed.
    """
    with tempfile.TemporaryDirectory(dir=folder_of(site.config)) as place:
        folder = Path(place)
        index = await asyncio.to_thread(containers.unpack, archive, folder)
        await asyncio.to_thread(containers.verify, folder, index)
        if "actor.json" not in index or "outbox.json" not in index:
            raise PortabilityError("the archive holds no actor.json and outbox.json.")
        whose = await asyncio.to_thread(past.owner, folder / index["actor.json"])
        outbox = folder / index["outbox.json"]
        await asyncio.to_thread(lambda: sum(1 for _ in past.items(outbox)))
        wanted: dict[lists.Kind, lists.List] = {}
        for kind, called in lists.NAMES.items():
            if called in index:
                with suppress(Invalid):
                    data = await asyncio.to_thread((folder / index[called]).read_bytes)
                    wanted[kind] = lists.read(data, kind)
    kept = f"{into or 0}-{new_id()}.archive"
    await asyncio.to_thread(_keep, archive, folder_of(site.config) / kept)
    async with site.db.transaction() as tx:
        member_id = await _account(tx, site, whose, name=name, into=into, email=email)
        number = await imports.begin_archive(tx, member_id, kept)
        for kind, found in wanted.items():
            await imports.begin_list(
                tx, member_id, kind, found.addresses, found.refused, found.titles
            )
    posts = await imports.find(site.db, member_id, number)
    assert posts is not None
    posts = await proceed(site, posts, told)
    return Arrival(member_id, posts, {kind: len(found.addresses) for kind, found in wanted.items()})


def _keep(archive: Path, place: Path) -> None:
    shutil.copyfile(archive, place)
    place.chmod(0o600)


async def _account(
    tx: Transaction,
    site: Site,
    whose: Owner,
    *,
    name: str | None,
    into: int | None,
    email: str | None,
) -> int:
    if into is None:
        into = await members.create_member(tx, name or whose.name, email=email)
    elif await tx.value("SELECT 1 FROM objects WHERE author_id = ? LIMIT 1", into) is not None:
        raise NotAllowed("This account is not empty.")
    member = await members.member(tx, into)
    assert member is not None
    await members.edit_profile(
        tx,
        into,
        display_name=plain_name(whose.display_name, site.limits.name_chars),
        summary=text_of(whose.summary)[: site.limits.profile_chars],
        locale=member.locale,
        local_origin=site.origin,
        fields=[profiles.field_of(label, text_of(value)) for label, value in whose.fields][
            : profiles.FIELDS
        ],
        limits=site.limits,
    )
    await profiles.add_alias(tx, into, whose.uri)
    return into


async def run(site: Site) -> None:
    """Go on with every import until cancelled."""
    while True:
        try:
            await _sweep(site)
            for one in await imports.unfinished(site.db):
                await proceed(site, one)
        except Exception:
            log.exception("imports")
        await asyncio.sleep(EVERY_S)


async def proceed(site: Site, one: Import, told: Told = lambda count: None) -> Import:
    """Take an import as far as it goes now; how it stands then."""
    try:
        if one.state == "undoing":
            await _undo(site, one, told)
        elif one.kind == "archive":
            await _read_archive(site, one, told)
        else:
            await _read_list(site, one, told)
    except _Overtaken:
        return one
    except (PortabilityError, HubError) as error:
        async with site.db.transaction() as tx:
            await imports.finish(tx, one, "failed", error=str(error))
    after = await imports.find(site.db, one.member_id, one.id)
    if after is None or not after.is_open:
        await asyncio.to_thread(_forget, folder_of(site.config), one)
    return after or one


async def _sweep(site: Site) -> None:
    """Archives whose import is over or erased, and lines that came to nothing long ago."""
    folder = folder_of(site.config)
    present = await asyncio.to_thread(lambda: [path.name for path in folder.iterdir()])
    if present:
        # Whatever is being taken in now has no row yet, but is young.
        rows = await site.db.all("SELECT id, file FROM imports WHERE finished_at IS NULL")
        known = {str(row["id"]) for row in rows} | {row["file"] for row in rows}
        for name in present:
            if name not in known:
                await asyncio.to_thread(_forget_stray, folder / name)
    async with site.db.queue_transaction() as tx:
        await imports.tidy(tx)


def _forget_stray(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir():
            _shred_folder(path)
        elif time.time() - path.stat().st_mtime > STRAY_SECONDS:
            shred(path)


def forget_all_of(config: Config, member_id: int) -> None:
    """Overwrite every archive of a member who is being erased. Blocks."""
    for path in folder_of(config).glob(f"{member_id}-*"):
        shred(path)


def _forget(folder: Path, one: Import) -> None:
    if one.file:
        shred(folder / one.file)
    _shred_folder(folder / str(one.id))


def _shred_folder(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            shred(path)
        folder.rmdir()


# Archives


async def _read_archive(site: Site, one: Import, told: Told) -> None:
    folder = folder_of(site.config) / str(one.id)
    index = await asyncio.to_thread(_unpacked, folder_of(site.config) / one.file, folder)
    if "actor.json" not in index or "outbox.json" not in index:
        raise PortabilityError("the archive holds no actor.json and outbox.json.")
    whose = await asyncio.to_thread(past.owner, folder / index["actor.json"])
    outbox = folder / index["outbox.json"]
    if one.state == "waiting":
        total = await asyncio.to_thread(lambda: sum(1 for _ in past.items(outbox)))
        async with site.db.transaction() as tx:
            await imports.opened(tx, one, source=whose.uri, total=total)
    found = await imports.find(site.db, one.member_id, one.id)
    if found is None:
        return  # Its owner is being erased.
    one = found
    told(one.position)
    items = past.items(outbox)
    await asyncio.to_thread(lambda: sum(1 for _ in islice(items, one.position)))
    while one.state == "working":
        page = await asyncio.to_thread(_page, items)
        if not page:
            async with site.db.transaction() as tx:
                await imports.finish(tx, one, "done")
            return
        prepared = [await _prepared(site, one, item, whose, folder, index) for item in page]
        made = 0
        async with site.db.transaction() as tx:
            for ready in prepared:
                if ready is not None:
                    post, content = ready
                    made += (
                        await imports.store_past(
                            tx,
                            one,
                            content,
                            uri=post.uri,
                            parent_uri=post.parent_uri,
                            published_at=post.published_at,
                            visibility=post.reach,
                        )
                        is not None
                    )
            if not await imports.advance(
                tx, one, looked_at=len(page), made=made, skipped=len(page) - made
            ):
                raise _Overtaken
        told(len(page))
        found = await imports.find(site.db, one.member_id, one.id)
        if found is None:
            return
        one = found
        await asyncio.sleep(PAUSE_S)


class _Overtaken(Exception):
    """Another process does the same import: its step counts, ours is rolled back."""


def _unpacked(archive: Path, folder: Path) -> dict[str, str]:
    index = containers.index_of(folder)
    if index is None:
        _shred_folder(folder)
        if not archive.is_file():
            raise PortabilityError("the archive is not there any more: bring it again.")
        folder.mkdir(mode=0o700)
        index = containers.unpack(archive, folder)
        containers.verify(folder, index)
    return index


def _page(items: Iterator[JSONObject]) -> list[JSONObject]:
    return list(islice(items, STEP))


async def _prepared(
    site: Site, one: Import, item: JSONObject, whose: Owner, folder: Path, index: dict[str, str]
) -> tuple[PastPost, Content] | None:
    post = past.post_of(item, whose)
    if post is None or post.uri in (await _known(site, one, post.uri)):
        return None
    html = await asyncio.to_thread(clean_remote, post.html, local_origin=site.origin)
    plain = text_of(html)
    stored = [
        await _stored(site, one, file, folder, index)
        for file in post.files[: site.limits.attachments]
    ]
    kept = tuple(number for number in stored if number is not None)
    if not plain.strip() and not kept and not post.title:
        return None
    content = Content(
        title=plain_name(post.title, site.limits.title_chars),
        source=post.source or plain,
        html=html,
        plain=plain,
        summary=plain_name(post.summary, NAME_CHARACTERS),
        sensitive=post.sensitive,
        language=post.language,
        hashtags=post.hashtags,
        attachments=await attachments_of(site.db, kept, one.member_id),
    )
    return post, content


async def _known(site: Site, one: Import, uri: str) -> set[str]:
    """Before its files are stored again: whether the post was brought already."""
    found = await site.db.value(
        "SELECT uri FROM imported_objects WHERE member_id = ? AND uri = ?", one.member_id, uri
    )
    return {found} if found else set()


async def _stored(
    site: Site, one: Import, file: PastFile, folder: Path, index: dict[str, str]
) -> int | None:
    """The file as one of the member's; None if the archive does not hold it, or it is of no kind that is taken."""
    name = next((name for name in file.names if name in index), None)
    if name is None:
        return None
    config = site.config.media
    with (folder / index[name]).open("rb") as source:
        try:
            return await media.upload_file(
                site.db,
                one.member_id,
                source,
                name.rpartition("/")[2],
                folder=site.media_folder,
                alt=file.alt[: site.limits.alt_chars],
                focal=file.focal,
                images=replace(ATTACHMENT, bytes=config.max_image_bytes),
                recordings=site.recording_limits,
                daily_bytes=UNLIMITED,
                alt_chars=site.limits.alt_chars,
            )
        except Invalid:
            return None


async def _undo(site: Site, one: Import, told: Told) -> None:
    while True:
        async with site.db.transaction() as tx:
            gone = await imports.undo_step(tx, one, STEP)
            if not gone:
                await imports.finish(tx, one, "undone")
        site.wake()
        if not gone:
            return
        told(len(gone))
        await asyncio.sleep(PAUSE_S)


# Lists


async def _read_list(site: Site, one: Import, told: Told) -> None:
    while found := await imports.lines(site.db, one, limit=STEP):
        for line in found:
            await _deal_with(site, one, line)
            told(1)
        site.wake()
        await asyncio.sleep(PAUSE_S)
    async with site.db.transaction() as tx:
        await imports.finish(tx, one, "done")


async def _deal_with(site: Site, one: Import, line: Line) -> None:
    try:
        if one.kind == "servers":
            async with site.db.transaction() as tx:
                host_id = await actors.ensure_host(tx, line.address)
                await avoidance.avoid_host(tx, one.member_id, line.address, "block")
                await follows.keep_host_away(tx, one.member_id, host_id)
                await imports.line_done(tx, line)
            return
        person = await _person(site, line.address)
        if person is None:
            async with site.db.transaction() as tx:
                await imports.line_failed(tx, line, finally_so=False)
            return
        async with site.db.transaction() as tx:
            if one.kind == "blocks":
                await follows.keep_away(tx, one.member_id, person.id)
                await avoidance.avoid(tx, one.member_id, person.id, "block")
            elif one.kind == "mutes":
                await avoidance.avoid(tx, one.member_id, person.id, "mute")
            else:
                await _follow(tx, one.member_id, person)
                if one.kind == "lists":
                    number = await member_lists.create(tx, one.member_id, line.detail)
                    await member_lists.put(tx, one.member_id, number, person.id)
            await imports.line_done(tx, line)
    except HubError:
        # Themselves, somebody who is blocked, a group that is not theirs to join.
        async with site.db.transaction() as tx:
            await imports.line_failed(tx, line, finally_so=True)


async def _follow(tx: Transaction, member_id: int, person: actors.Actor) -> None:
    """Follow somebody or join a group, unless it was done or asked before."""
    if person.is_local and person.kind == "group":
        await groups.join(tx, person.id, member_id)
    elif await follows.find(tx, member_id, person.id) is None:
        await follows.request(tx, member_id, person.id)


async def _person(site: Site, address: str) -> actors.Actor | None:
    name, _, host = address.rpartition("@")
    if host == site.host:
        return await actors.local_actor(site.db, name)
    known = await actors.remote_actor(site.db, name, host)
    if known is not None or site.federation is None:
        return known
    return await site.federation.find_actor(f"@{address}")
