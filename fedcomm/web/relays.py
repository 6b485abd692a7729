"""The administrators' page of relays."""

from __future__ import annotations

from typing import Final, cast

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import relays
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.i18n import N_
from fedcomm.i18n import gettext as _
from fedcomm.web.forms import Form, path_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator

REFUSALS: Final = (
    N_("Write the whole address, beginning with https://."),
    N_("No relay answers there. Is it the address of its inbox?"),
    N_("That server is limited here."),
)
"""What the spoke says when it does not ask: named here so that the catalogues have it."""


async def relays_page(request: web.Request) -> web.StreamResponse:
    """The relays, what they brought, and the form to ask another one."""
    administrator(request)
    return await _page(request, Form({"style": ["litepub"]}), {})


async def add(request: web.Request) -> web.StreamResponse:
    """Ask a relay to take this hub in."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        if site.federation is None:
            raise Invalid("address", "Federation is switched off.")
        style = cast(relays.Style, form.line("style"))
        await site.federation.add_relay(form.line("address"), style, by=person.id)
    except HubError as refusal:
        field = refusal.field if isinstance(refusal, Invalid) else "address"
        return await _page(request, form, {field: _(refusal.message)})
    return see_other("/admin/relays", "requested")


async def remove(request: web.Request) -> web.StreamResponse:
    """Leave a relay."""
    person = administrator(request)
    site = site_of(request)
    async with site.db.transaction() as tx:
        await relays.remove(tx, path_id(request), by=person.id)
    site.wake()
    return see_other("/admin/relays", "removed")


async def _page(request: web.Request, form: Form, errors: dict[str, str]) -> web.StreamResponse:
    site = site_of(request)
    found = await relays.relays(site.db)
    return await page(
        request,
        "admin_relays.html",
        status=422 if errors else 200,
        relays=found,
        brought=await relays.brought_by(site.db, [each.id for each in found]),
        settings=site.config.relays,
        form=form,
        errors=errors,
    )
