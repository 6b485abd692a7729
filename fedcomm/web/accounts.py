"""Logging in and out, and choosing the language."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import sessions
from fedcomm.hub.errors import HubError
from fedcomm.i18n import gettext as _
from fedcomm.settings import LOCALES
from fedcomm.web import paths
from fedcomm.web.forms import query_text, read_form
from fedcomm.web.middleware import THROTTLE
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import (
    LANGUAGE_COOKIE,
    YEAR_SECONDS,
    forget_session,
    start_session,
    visit_of,
)


async def login_form(request: web.Request) -> web.StreamResponse:
    """The log-in page."""
    target = paths.safe_path(query_text(request, "next", 2000))
    if visit_of(request).member is not None:
        return see_other(target)
    return await page(request, "login.html", next=target, name="", error="")


async def login(request: web.Request) -> web.StreamResponse:
    """Check name and password; the answer is the same, and takes as long, for unknown names
    (INV-36)."""
    site = site_of(request)
    form = await read_form(request)
    name = form.line("name")
    target = paths.safe_path(form.text("next"))
    throttle = request.config_dict[THROTTLE]
    account = await throttle.log_in_of(name)
    try:
        token = await sessions.log_in(site.db, name, form.text("password"))
    except HubError as refusal:
        return await page(
            request, "login.html", status=401, next=target, name=name, error=_(refusal.message)
        )
    throttle.forgive("login_per_account_hour", account)
    known = visit_of(request).session
    if known:
        async with site.db.transaction() as tx:
            await sessions.log_out(tx, known)
    response = see_other(target)
    start_session(response, site.config, token)
    return response


async def logout(request: web.Request) -> web.StreamResponse:
    """End this session."""
    site = site_of(request)
    token = visit_of(request).session
    if token:
        async with site.db.transaction() as tx:
            await sessions.log_out(tx, token)
    response = see_other("/", "goodbye")
    forget_session(response, site.config)
    return response


async def language(request: web.Request) -> web.StreamResponse:
    """Remember the language that the visitor chose, and go back to where they were."""
    site = site_of(request)
    form = await read_form(request)
    chosen = form.text("language")
    response = see_other(paths.safe_path(form.text("next")))
    if chosen not in LOCALES:
        return response
    response.set_cookie(
        LANGUAGE_COOKIE,
        chosen,
        max_age=YEAR_SECONDS,
        path="/",
        secure=site.config.is_secure,
        httponly=True,
        samesite="Lax",
    )
    member = visit_of(request).member
    if member is not None and member.locale != chosen:
        async with site.db.transaction() as tx:
            await tx.execute("UPDATE members SET locale = ? WHERE actor_id = ?", chosen, member.id)
    return response
