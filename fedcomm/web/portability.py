"""Bring your data, take your data: archives and lists of a member, and the export of a group for its owners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from fedcomm import imports as worker
from fedcomm.http import site_of
from fedcomm.hub import groups, imports
from fedcomm.hub.errors import HubError, Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.portability import lists, parcels
from fedcomm.portability.formats import FORMATS
from fedcomm.portability.scopes import Scope
from fedcomm.web.composer import spend_upload
from fedcomm.web.files import download
from fedcomm.web.forms import path_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of

PIECES: Final = {f"everything-{form}.zip": form for form in FORMATS}
"""What the whole is called as a download, by its format."""


# Take your data


async def take_page(request: web.Request) -> web.StreamResponse:
    """What a member can take along."""
    signed_in(request)
    return await page(request, "take.html", files=lists.NAMES)


async def take(request: web.Request) -> web.StreamResponse:
    """One of the files: everything in a zip, or a list as CSV."""
    member = signed_in(request)
    name = request.match_info["file"]
    if name in PIECES:
        return await _send(request, parcels.Subject("person", member.id, member.name))
    kind = next((kind for kind, called in lists.NAMES.items() if called == name), None)
    if kind is None:
        raise web.HTTPNotFound()
    site = site_of(request)
    text = await lists.text_of(site.db, member.id, kind, site.origin)
    return web.Response(
        body=text.encode(),
        headers={
            hdrs.CONTENT_TYPE: "text/csv; charset=utf-8",
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
        },
    )


async def take_group(request: web.Request) -> web.StreamResponse:
    """Everything of a group, for those who own it."""
    member = signed_in(request)
    site = site_of(request)
    group = await groups.group_by_name(site.db, request.match_info["name"])
    place = await groups.membership(site.db, group.id, member.id) if group is not None else None
    if group is None or place is None or place.state != "active" or place.role != "owner":
        raise NotFound("There is no such group.")
    if request.match_info["file"] not in PIECES:
        raise web.HTTPNotFound()
    return await _send(request, parcels.Subject("group", group.id, group.name))


async def _send(request: web.Request, subject: parcels.Subject) -> web.StreamResponse:
    site = site_of(request)
    scope: Scope = subject.scope
    form = PIECES[request.match_info["file"]]
    documents = None
    if site.federation is not None:
        from fedcomm.federation.copies import Copies

        documents = Copies(site.config, site.db)
    name = f"{site.host.partition(':')[0]}-{subject.name}-{scope}-{form}.zip"
    return await download(
        request,
        name,
        "application/zip",
        parcels.parcel(site.db, site.media_folder, site.origin, subject, form, documents),
    )


# Bring your data


async def bring_page(request: web.Request) -> web.StreamResponse:
    """Where a member brings an archive or a list, and how far what they brought has come."""
    signed_in(request)
    return await _bring_page(request)


async def _bring_page(
    request: web.Request, errors: Mapping[str, str] | None = None
) -> web.StreamResponse:
    member = signed_in(request)
    db = visit_of(request).site.db
    brought = await imports.of_member(db, member.id)
    shown: list[dict[str, Any]] = [
        {
            "one": one,
            "failures": await imports.failures(db, one.id) if one.kind != "archive" else [],
        }
        for one in brought
    ]
    return await page(
        request,
        "bring.html",
        status=422 if errors else 200,
        errors=errors or {},
        brought=shown,
        going=any(one.is_open for one in brought),
        kinds=lists.KINDS,
        largest=site_of(request).config.server.max_upload_bytes,
    )


async def bring_archive(request: web.Request) -> web.StreamResponse:
    """An archive is taken in; it is read in the background."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request, files=1, largest=site.config.server.max_upload_bytes)
    if form.files:
        spend_upload(request, member)
    try:
        if "archive" not in form.files:
            raise Invalid("archive", "Choose a file first.")
        await worker.take_in(site, member.id, form.files["archive"].file)
    except HubError as refusal:
        return await _bring_page(request, {"archive": _(refusal.message)})
    return see_other("/settings/bring", "brought")


async def bring_list(request: web.Request) -> web.StreamResponse:
    """A list is taken in; its accounts are looked for in the background."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request, files=1, largest=lists.FILE_BYTES)
    if form.files:
        spend_upload(request, member)
    kind = next((kind for kind in lists.KINDS if kind == form.text("kind")), None)
    try:
        if kind is None:
            raise Invalid("kind", "Say what kind of list it is.")
        if "list" not in form.files:
            raise Invalid("list", "Choose a file first.")
        found = lists.read(form.files["list"].data, kind)
        async with site.db.transaction() as tx:
            await imports.begin_list(
                tx, member.id, kind, found.addresses, found.refused, found.titles
            )
    except HubError as refusal:
        field = refusal.field if isinstance(refusal, Invalid) else "list"
        return await _bring_page(request, {field: _(refusal.message)})
    return see_other("/settings/bring", "brought")


async def undo(request: web.Request) -> web.StreamResponse:
    """Everything that an archive has brought goes again."""
    member = signed_in(request)
    site = site_of(request)
    await read_form(request)
    async with site.db.transaction() as tx:
        await imports.ask_undo(tx, member.id, path_id(request))
    return see_other("/settings/bring", "taken_back")
