"""What administrators see: figures, how the other servers do, members, rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import (
    canary,
    holding,
    instance,
    members,
    moderation,
    policies,
    policy_drafts,
    reports,
    rules,
)
from fedcomm.hub.errors import Invalid
from fedcomm.hub.passwords import hash_password
from fedcomm.i18n import gettext as _
from fedcomm.settings import LOCALES
from fedcomm.web.forms import Form, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator, visit_of

MEMBERS_PER_PAGE = 50

COUNTED: Final = 100
"""How far the overview counts what waits."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for an administrator, of each kind; `COUNTED` stands for that many or more."""

    reports: int
    appeals: int
    held: int
    hosts: int
    lists: int
    faults: int

    @property
    def is_anything(self) -> bool:
        return any((self.reports, self.appeals, self.held, self.hosts, self.lists, self.faults))


async def overview(request: web.Request) -> web.StreamResponse:
    """What waits for a decision, and figures."""
    person = administrator(request)
    site = site_of(request)
    federation = site.federation
    totals = await federation.totals() if federation else {}
    return await page(
        request,
        "admin.html",
        usage=await instance.usage(site.db),
        totals=totals,
        federates=federation is not None,
        canary=await canary.status(site.db) if site.config.canary.enabled else None,
        waiting=Waiting(
            reports=len(await reports.queue(site.db, person.id, "open", limit=COUNTED)),
            appeals=len(await moderation.open_appeals(site.db, person.id)),
            held=await holding.count(site.db, person.id),
            hosts=len(await policies.undecided(site.db, limit=COUNTED)),
            lists=len(await policy_drafts.drafts(site.db)),
            faults=totals.get("deliveries_failed", 0) + totals.get("outbox_failed", 0),
        ),
    )


async def health(request: web.Request) -> web.StreamResponse:
    """Whether posts come round, and how deliveries to other servers do."""
    administrator(request)
    site = site_of(request)
    federation = site.federation
    return await page(
        request,
        "admin_health.html",
        hosts=await federation.health() if federation else [],
        totals=await federation.totals() if federation else {},
        federates=federation is not None,
        canary=await canary.status(site.db) if site.config.canary.enabled else None,
    )


async def members_page(request: web.Request) -> web.StreamResponse:
    """Everybody with an account."""
    administrator(request)
    return await _members_page(request, None, {})


async def create_member(request: web.Request) -> web.StreamResponse:
    """Make an account; its first password is handed over by the administrator."""
    administrator(request)
    site = site_of(request)
    form = await read_form(request)
    name = form.line("name").lower().removeprefix("@")
    password = form.text("password")
    locale = form.line("locale")
    try:
        members.password_acceptable(password, name, form.line("email"))
        hashed = await hash_password(password)
        async with site.db.transaction() as tx:
            await members.create_member(
                tx,
                name,
                display_name=form.line("display_name"),
                email=form.line("email") or None,
                password_hash=hashed,
                role=cast(members.Role, form.line("role")),
                locale=locale if locale in LOCALES else site.config.instance.default_locale,
            )
    except Invalid as refusal:
        return await _members_page(request, form, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other("/admin/members", "created")


async def suspend_member(request: web.Request) -> web.StreamResponse:
    """Suspend an account, or let it back in."""
    person = administrator(request)
    site = site_of(request)
    known = await members.member_by_name(site.db, request.match_info["name"])
    if known is None:
        raise web.HTTPNotFound()
    form = await read_form(request)
    suspended = form.flag("suspended")
    if known.id == person.id:
        return await _members_page(
            request, None, {"suspend": _("You cannot suspend your own account.")}
        )
    try:
        async with site.db.transaction() as tx:
            if suspended:
                grounds = moderation.Grounds(form.text("reason"))
                await moderation.suspend(tx, person.id, known.id, grounds)
            else:
                await moderation.unsuspend(tx, person.id, known.id)
    except Invalid as refusal:
        return await _members_page(request, None, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other("/admin/members", "suspended" if suspended else "reinstated")


async def rules_page(request: web.Request) -> web.StreamResponse:
    """The rules of the hub, to be written anew."""
    administrator(request)
    return await _rules_page(request, None, {})


async def save_rules(request: web.Request) -> web.StreamResponse:
    """Let new rules hold from now on; every older version is kept."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await rules.publish(tx, person.id, form.text("rules"))
    except Invalid as refusal:
        return await _rules_page(request, form, {refusal.field: _(refusal.message)})
    return see_other("/admin/rules", "saved")


async def _rules_page(
    request: web.Request, form: Form | None, errors: dict[str, str]
) -> web.StreamResponse:
    current = await rules.current(site_of(request).db)
    texts = "\n".join(current.texts) if current is not None else ""
    return await page(
        request,
        "admin_rules.html",
        status=422 if errors else 200,
        rules=current,
        text=form.text("rules") if form is not None else texts,
        errors=errors,
    )


async def _members_page(
    request: web.Request, form: Form | None, errors: dict[str, str]
) -> web.StreamResponse:
    visit = visit_of(request)
    found = await members.list_members(
        visit.site.db, after=query_id(request, "after") or 0, limit=MEMBERS_PER_PAGE + 1
    )
    shown = found[:MEMBERS_PER_PAGE]
    return await page(
        request,
        "admin_members.html",
        status=422 if errors else 200,
        members=shown,
        following=shown[-1].id if len(found) > MEMBERS_PER_PAGE else None,
        form=form or Form({"role": ["member"], "locale": [visit.locale]}),
        errors=errors,
        roles=members.ROLES,
    )
