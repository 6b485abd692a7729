"""Sweeps, for administrators: what one would take, its progress, undoing it, and what is left when it is purged."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import actors, sweeps
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import now_ms
from fedcomm.web.forms import Form, path_id, query_id, query_text, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator, visit_of

HERE: Final = "/admin/sweeps"
PER_PAGE: Final = 50


async def sweeps_page(request: web.Request) -> web.StreamResponse:
    """The form that begins one, and those that there were."""
    administrator(request)
    asked = Form({"target": [query_text(request, "target", 300)]})
    return await _sweeps_page(request, asked, {})


async def _sweeps_page(request: web.Request, form: Form, errors: dict[str, str]) -> web.Response:
    db = visit_of(request).site.db
    found = await sweeps.sweeps(db, before=query_id(request, "before"), limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return await page(
        request,
        "admin_sweeps.html",
        status=422 if errors else 200,
        sweeps=[(each, await sweeps.name_of(db, each.scope)) for each in shown],
        following=shown[-1].id if len(found) > PER_PAGE else None,
        form=form,
        errors=errors,
        undo_days=sweeps.UNDO_DAYS,
    )


async def preview(request: web.Request) -> web.StreamResponse:
    """What a sweep would take, by name and count, and the form that begins it."""
    administrator(request)
    form = Form({name: [query_text(request, name, 300)] for name in request.query})
    try:
        return await _preview_page(request, form, {})
    except HubError as refusal:
        return await _sweeps_page(request, form, {"target": _(refusal.message)})


async def _preview_page(request: web.Request, form: Form, errors: dict[str, str]) -> web.Response:
    db = site_of(request).db
    scope = await _scope(request, form)
    return await page(
        request,
        "admin_sweep_preview.html",
        status=422 if errors else 200,
        name=await sweeps.name_of(db, scope),
        scope=scope,
        found=await sweeps.preview(db, scope),
        form=form,
        errors=errors,
        undo_days=sweeps.UNDO_DAYS,
    )


async def begin(request: web.Request) -> web.StreamResponse:
    """Begin a sweep, after its preview."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        scope = await _scope(request, form)
        found = await sweeps.preview(site.db, scope)
        async with site.db.transaction() as tx:
            sweep_id = await sweeps.begin(
                tx, scope, reason=form.text("reason"), by=person.id, total=found.total
            )
    except Invalid as refusal:
        if refusal.field == "reason":
            return await _preview_page(request, form, {refusal.field: _(refusal.message)})
        return await _sweeps_page(request, form, {"target": _(refusal.message)})
    except HubError as refusal:
        return await _sweeps_page(request, form, {"target": _(refusal.message)})
    site.wake()
    return see_other(f"{HERE}/{sweep_id}")


async def sweep(request: web.Request) -> web.StreamResponse:
    """How far a sweep is; it looks again by itself while there is something to do."""
    administrator(request)
    return await _sweep_page(request, {})


async def _sweep_page(request: web.Request, errors: dict[str, str]) -> web.Response:
    db = visit_of(request).site.db
    known = await sweeps.sweep(db, path_id(request))
    by = await actors.actor(db, known.decided_by or 0)
    certificate = json.loads(known.certificate or "null") if known.state == "purged" else None
    return await page(
        request,
        "admin_sweep.html",
        status=422 if errors else 200,
        sweep=known,
        name=await sweeps.name_of(db, known.scope),
        by=by,
        at_work=known.state in sweeps.AT_WORK,
        certificate=certificate,
        errors=errors,
    )


async def undo(request: web.Request) -> web.StreamResponse:
    """Bring everything back."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await sweeps.undo(tx, path_id(request), by=person.id, reason=form.text("reason"))
    except Invalid as refusal:
        return await _sweep_page(request, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other(f"{HERE}/{path_id(request)}")


async def _scope(request: web.Request, form: Form) -> sweeps.Scope:
    now = now_ms()
    kind, subject = await sweeps.target(
        site_of(request).db, form.line("target"), with_subdomains=form.flag("subdomains")
    )
    return sweeps.Scope(kind, subject, sweeps.moment(form.line("since") or "2h", now), now)
