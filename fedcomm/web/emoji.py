"""The administrators' page of custom emoji: ours, and what came from other servers."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import emoji
from fedcomm.hub.errors import Invalid
from fedcomm.i18n import gettext as _
from fedcomm.web.forms import Form, path_id, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator

PER_PAGE: Final = 60


async def emoji_page(request: web.Request) -> web.StreamResponse:
    """Emoji of this hub by category, the form to add one, and those of other servers."""
    administrator(request)
    return await _page(request, Form(), {})


async def add(request: web.Request) -> web.StreamResponse:
    """Add an emoji of ours."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request, files=1)
    file = form.files.get("file")
    try:
        if file is None:
            raise Invalid("file", "Choose a picture.")
        await emoji.add(
            site.db,
            form.line("shortcode"),
            file.data,
            folder=site.media_folder,
            category=form.line("category"),
            by=person.id,
        )
    except Invalid as refusal:
        return await _page(request, form, {refusal.field: _(refusal.message)})
    return see_other("/admin/emoji", "created")


async def change(request: web.Request) -> web.StreamResponse:
    """Show an emoji no longer, show it again, or remove it."""
    person = administrator(request)
    site = site_of(request)
    number = path_id(request)
    action = (await read_form(request)).text("action")
    if action == "remove":
        async with site.db.transaction() as tx:
            files = await emoji.remove(tx, number, by=person.id)
        emoji.remove_files(site.media_folder, files)
        return see_other("/admin/emoji", "removed")
    if action not in ("disable", "enable"):
        raise web.HTTPBadRequest()
    async with site.db.transaction() as tx:
        await emoji.set_disabled(tx, number, disabled=action == "disable", by=person.id)
    return see_other("/admin/emoji", "saved")


async def _page(request: web.Request, form: Form, errors: dict[str, str]) -> web.StreamResponse:
    db = site_of(request).db
    foreign = await emoji.of_others(db, before=query_id(request, "before"), limit=PER_PAGE + 1)
    own = await emoji.own(db)
    return await page(
        request,
        "admin_emoji.html",
        status=422 if errors else 200,
        categories=sorted({one.category for one in own if one.category}),
        own=own,
        foreign=foreign[:PER_PAGE],
        following=foreign[PER_PAGE - 1][0].id if len(foreign) > PER_PAGE else None,
        form=form,
        errors=errors,
    )
