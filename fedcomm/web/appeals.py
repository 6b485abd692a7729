"""For suspended members: reading what was decided about them, and appealing; nothing else opens to them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import moderation, rules, sessions, statements
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.members import Member
from fedcomm.i18n import gettext as _
from fedcomm.web.forms import posted_id, read_form
from fedcomm.web.middleware import THROTTLE
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import cookie_name, forget_session, start_session


@dataclass(frozen=True, slots=True)
class Decision:
    """A statement as its person reads it."""

    statement: statements.Statement
    rule_text: str


async def appeal_page(request: web.Request) -> web.StreamResponse:
    """What was decided about the suspended member, or the form to come in."""
    return await _page(request)


async def appeal(request: web.Request) -> web.StreamResponse:
    """Come in with name and password, appeal, or leave."""
    site = site_of(request)
    form = await read_form(request)
    action = form.text("action")
    person = await _appellant(request)
    if action == "leave":
        if person is not None:
            async with site.db.transaction() as tx:
                await sessions.log_out(tx, request.cookies[cookie_name(site.config)])
        response = see_other("/appeal", "goodbye")
        forget_session(response, site.config)
        return response
    if person is None or action == "enter":
        return await _enter(request, form.line("name"), form.text("password"))
    statement_id = posted_id(form, "statement")
    text = form.text("appeal")
    try:
        async with site.db.transaction() as tx:
            await moderation.appeal(tx, statement_id, person.id, text)
    except Invalid as refusal:
        return await _page(request, error=_(refusal.message), text=text, wrong=statement_id)
    site.wake()
    return see_other("/appeal", "appealed")


async def _enter(request: web.Request, name: str, password: str) -> web.StreamResponse:
    site = site_of(request)
    throttle = request.config_dict[THROTTLE]
    account = await throttle.log_in_of(name)
    try:
        token = await sessions.log_in_to_appeal(site.db, name, password)
    except HubError as refusal:
        return await _page(request, error=_(refusal.message), name=name)
    throttle.forgive("login_per_account_hour", account)
    response = see_other("/appeal")
    start_session(response, site.config, token)
    return response


async def _appellant(request: web.Request) -> Member | None:
    site = site_of(request)
    token = request.cookies.get(cookie_name(site.config), "")
    return await sessions.appellant(site.db, token) if 0 < len(token) <= 100 else None


async def _page(
    request: web.Request,
    *,
    error: str = "",
    name: str = "",
    text: str = "",
    wrong: int = 0,
) -> web.StreamResponse:
    db = site_of(request).db
    person = await _appellant(request)
    decisions = []
    for each in await statements.about(db, person.id) if person is not None else []:
        version = await rules.version(db, each.rule.version) if each.rule is not None else None
        rule = version.text(each.rule.number) if version is not None and each.rule else ""
        decisions.append(Decision(each, rule))
    return await page(
        request,
        "appeal.html",
        status=422 if error and person is not None else 401 if error else 200,
        person=person,
        decisions=decisions,
        error=error,
        name=name,
        text=text,
        wrong=wrong,
    )
