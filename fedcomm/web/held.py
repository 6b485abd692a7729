"""What waits for a moderator because it looks like abuse: the reasons, and what to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web

from fedcomm.hub import authority, holding
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.web import presentation
from fedcomm.web.forms import path_id, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of

PER_PAGE: Final = 30
REACHES: Final = ("this", "person", "host")


@dataclass(frozen=True, slots=True)
class Line:
    """Something that is held, as it is shown. `words` None: they are for somebody alone."""

    entry: holding.Entry
    face: presentation.Face
    words: str | None


async def held_page(request: web.Request) -> web.StreamResponse:
    """What this moderator may decide about."""
    return await _held_page(request, {})


async def _held_page(request: web.Request, errors: dict[str, str]) -> web.Response:
    member = signed_in(request)
    site = visit_of(request).site
    if not await authority.judges_at_all(site.db, member.id):
        # Whoever moderates nothing need not know that there is such a page.
        raise NotFound("There is nothing here.")
    found = await holding.entries(
        site.db, member.id, before=query_id(request, "before"), limit=PER_PAGE + 1
    )
    shown = found[:PER_PAGE]
    faces = await presentation.faces(site.db, [entry.author for entry in shown])
    text = site.federation.held_text if site.federation is not None else (lambda body: None)
    return await page(
        request,
        "moderation_held.html",
        status=422 if errors else 200,
        lines=[
            Line(entry, face, text(entry.body)) for entry, face in zip(shown, faces, strict=True)
        ],
        waiting=await holding.count(site.db, member.id),
        following=shown[-1].id if len(found) > PER_PAGE else None,
        is_administrator=visit_of(request).is_administrator,
        errors=errors,
    )


async def decide(request: web.Request) -> web.StreamResponse:
    """Let something in, or refuse it; alone, or with all of its author or server."""
    member = signed_in(request)
    site = visit_of(request).site
    form = await read_form(request)
    reach = form.text("reach") or "this"
    if reach not in REACHES:
        raise web.HTTPBadRequest()
    try:
        async with site.db.transaction() as tx:
            if form.text("do") == "let_in":
                await holding.release(tx, member.id, path_id(request), cast(holding.Reach, reach))
            elif form.text("do") == "refuse":
                await holding.refuse(
                    tx, member.id, path_id(request), form.text("reason"), cast(holding.Reach, reach)
                )
            else:
                raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _held_page(request, {refusal.field: _(refusal.message)})
    if form.text("do") == "let_in" and site.federation is not None:
        await site.federation.let_in()
    site.wake()
    return see_other("/moderation/held", "accepted" if form.text("do") == "let_in" else "refused")
