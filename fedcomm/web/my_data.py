"""My data: where one's words went, what is held, through which channels it may leave, a copy of it, and the way out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import hdrs, web

from fedcomm.access_files import folder_of
from fedcomm.http import site_of
from fedcomm.hub import access_requests, consents, reach, threads
from fedcomm.hub.consents import SPOKES, Spoke
from fedcomm.hub.members import Member
from fedcomm.hub.register import REGISTER, RETENTION
from fedcomm.i18n import N_, iso
from fedcomm.portability import scopes
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms
from fedcomm.web.files import download
from fedcomm.web.forms import path_id, query_id, read_form
from fedcomm.web.headers import PRIVATE
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in

HERE: Final = "/settings/data"
PER_PAGE: Final = 25
COUNTED_TO: Final = 10_000
"""Rows of one table that are counted; more are "more than"."""

COUNTED_ELSEWHERE: Final = frozenset({"reach", "hosts"})
"""The ledger has pages of its own, and can be far larger than everything else."""

SPOKE_NAMES: Final = {
    "activitypub": N_("Other servers (Mastodon, Lemmy and others)"),
    "feeds": N_("Feeds, which anybody can read without giving a name"),
}


async def overview(request: web.Request) -> web.StreamResponse:
    """Everything about one's own data, and what can be done with it."""
    member = signed_in(request)
    site = site_of(request)
    db = site.db
    return await page(
        request,
        "my_data.html",
        servers=await reach.count_holders(db, member.id),
        channels=[
            (
                spoke,
                SPOKE_NAMES[spoke],
                await site.consent.allows(db, member.id, spoke),
                await consents.latest(db, member.id, spoke),
            )
            for spoke in SPOKES
        ],
        held=await held_about(db, member.id),
        counted_to=COUNTED_TO,
        requests=[
            each
            for each in await access_requests.of_subject(db, member.id)
            if each.requested_by == member.id and each.state != "gone"
        ],
        kept_days=access_requests.KEPT_DAYS,
        federates=site.federation is not None,
    )


async def held_about(db: Database, actor_id: int) -> list[tuple[str, str, int]]:
    """(what, until when it is kept, rows) for each table that holds something about somebody; the words are still to be
    translated."""
    found: list[tuple[str, str, int]] = []
    for part in await scopes.parts(db, "person"):
        if part.name in COUNTED_ELSEWHERE:
            continue
        condition = part.rule.condition
        count = await db.value(
            f"SELECT count(*) FROM (SELECT 1 FROM {part.name} WHERE {condition} LIMIT ?) counted",
            *(actor_id,) * condition.count("?"),
            COUNTED_TO + 1,
        )
        if count:
            entry = REGISTER[part.name]
            found.append((entry.holds, RETENTION[entry.retention], int(count)))
    return found


# Where did my words go


async def reach_page(request: web.Request) -> web.StreamResponse:
    """The servers that have something, and everything that one wrote with the number of servers that have it."""
    member = signed_in(request)
    db = site_of(request).db
    before = query_id(request, "before")
    found = await reach.pieces_of(db, member.id, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return await page(
        request,
        "my_reach.html",
        holders=await reach.holders_of(db, member.id) if before is None else [],
        looked_at=reach.LOOKED_AT,
        pieces=shown,
        following=shown[-1].id if len(found) > PER_PAGE else None,
        is_first=before is None,
    )


async def reach_of_one(request: web.Request) -> web.StreamResponse:
    """Who has a copy of one post, or of the profile, and what they answered when asked back."""
    member = signed_in(request)
    db = site_of(request).db
    number = path_id(request)
    thing = await threads.thing(db, number)
    if number != member.id and (thing is None or thing.author_id != member.id):
        raise web.HTTPNotFound()
    after = query_id(request, "after") or 0
    found = await reach.copies_of(db, number, after=after, limit=reach.PAGE + 1)
    shown = found[: reach.PAGE]
    return await page(
        request,
        "my_reach_one.html",
        thing=thing,
        copies=shown,
        following=shown[-1].host_id if len(found) > reach.PAGE else None,
        path=f"{HERE}/reach/{number}",
        is_first=not after,
    )


async def export_reach(request: web.Request) -> web.StreamResponse:
    """The whole ledger about oneself, as CSV or JSON, however long it is."""
    member, db = signed_in(request), site_of(request).db
    if request.path.endswith(".csv"):
        return await download(
            request, "reach.csv", "text/csv; charset=utf-8", _as_csv(db, member.id)
        )
    return await download(request, "reach.json", "application/json", _as_json(db, member.id))


COLUMNS: Final = (
    *("object", "kind", "words", "deleted", "server", "how", "first", "last", "asked_back"),
    *("answer", "status"),
)


def _line(piece: reach.Piece | None, copy: reach.Copy) -> tuple[str, ...]:
    how = [
        word for said, word in ((copy.delivered, "delivered"), (copy.fetched, "fetched")) if said
    ]
    return (
        str(piece.id) if piece is not None else "",
        piece.kind if piece is not None else "profile",
        piece.words if piece is not None else "",
        iso(piece.deleted_at) if piece is not None and piece.deleted_at else "",
        copy.host,
        " ".join(how),
        iso(copy.first_at),
        iso(copy.last_at),
        iso(copy.recalled_at) if copy.recalled_at else "",
        copy.answer,
        str(copy.status) if copy.status is not None else "",
    )


async def _as_csv(db: Database, member_id: int) -> AsyncIterator[bytes]:
    yield (",".join(COLUMNS) + "\r\n").encode()
    async for piece, copy in reach.whole_ledger(db, member_id):
        buffer = io.StringIO()
        # A cell that begins like a formula is one to a spreadsheet.
        cells = [
            f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in _line(piece, copy)
        ]
        csv.writer(buffer).writerow(cells)
        yield buffer.getvalue().encode()


async def _as_json(db: Database, member_id: int) -> AsyncIterator[bytes]:
    before = "["
    async for piece, copy in reach.whole_ledger(db, member_id):
        named = dict(zip(COLUMNS, _line(piece, copy), strict=True))
        yield f"{before}\n{json.dumps(named, ensure_ascii=False)}".encode()
        before = ","
    yield b"[]\n" if before == "[" else b"\n]\n"


# Consent


async def consent_form(request: web.Request) -> web.StreamResponse:
    """What granting or withdrawing will do, before it is done."""
    member = signed_in(request)
    site = site_of(request)
    spoke = _spoke(request.match_info["spoke"])
    return await page(
        request,
        "my_consent.html",
        spoke=spoke,
        name=SPOKE_NAMES[spoke],
        granted=await site.consent.allows(site.db, member.id, spoke),
        recalls=spoke in consents.RECALLS,
        holders=await reach.holders_of(site.db, member.id) if spoke in consents.RECALLS else [],
        decided=[one for one in await consents.decisions(site.db, member.id) if one.spoke == spoke],
    )


async def decide_consent(request: web.Request) -> web.StreamResponse:
    """Grant or withdraw."""
    member = signed_in(request)
    site = site_of(request)
    spoke = _spoke(request.match_info["spoke"])
    form = await read_form(request)
    granted = form.text("granted") == "yes"
    if form.text("granted") not in ("yes", "no"):
        raise web.HTTPBadRequest()
    async with site.db.transaction() as tx:
        await site.consent.decide(tx, member.id, spoke, granted=granted)
    site.wake()
    return see_other(HERE, "consent_granted" if granted else "consent_withdrawn")


def _spoke(name: str) -> Spoke:
    if name not in SPOKES:
        raise web.HTTPNotFound()
    return name


# A copy of everything


async def ask_for_copy(request: web.Request) -> web.StreamResponse:
    """Have a file made with everything that is held about oneself."""
    member = signed_in(request)
    site = site_of(request)
    async with site.db.transaction() as tx:
        await access_requests.ask(tx, "member", member.id, requested_by=member.id)
    return see_other(f"{HERE}#copy", "copy_asked")


async def fetch_copy(request: web.Request) -> web.StreamResponse:
    """The file, for whoever asked for it and nobody else (INV-53)."""
    return await hand_out(request, signed_in(request), "member")


async def hand_out(
    request: web.Request, member: Member, kind: access_requests.Kind
) -> web.StreamResponse:
    """The file of a request of this kind, if this member asked for it and it is not over. Who asked as an administrator
    and is none any more does not get it (INV-21)."""
    site = site_of(request)
    known = await access_requests.access_request(site.db, path_id(request))
    if known is None or (known.requested_by, known.kind, known.state) != (member.id, kind, "ready"):
        raise web.HTTPNotFound()
    if (known.expires_at or 0) < now_ms():
        raise web.HTTPNotFound()
    path = folder_of(site) / known.file
    if not path.is_file():
        raise web.HTTPNotFound()
    await access_requests.fetched(site.db, known.id)
    return web.FileResponse(
        path,
        headers={
            hdrs.CONTENT_TYPE: "application/zip",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{site.host.partition(":")[0]}-data.zip"',
            hdrs.CACHE_CONTROL: PRIVATE,
        },
    )
