"""Who may federate, for administrators: what holds, what waits, what a change would touch, lists, history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import (
    actors,
    blocklists,
    impact,
    policies,
    policy_changes,
    policy_drafts,
    published_blocks,
)
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.policies import Entry, Level, Mode
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import now_ms
from fedcomm.web.forms import Form, path_id, query_id, query_text, read_form, whole_number
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator, visit_of

HERE: Final = "/admin/policies"
LISTS: Final = f"{HERE}/lists"
PER_PAGE: Final = 50
ROWS_SHOWN: Final = 50
"""Rows of each kind that the page of a list shows."""

DAY_MS: Final = 86_400_000
LONGEST_DAYS: Final = 3650


async def policies_page(request: web.Request) -> web.StreamResponse:
    """The mode, the servers that wait for a decision, the entries."""
    administrator(request)
    return await _policies_page(request, {})


async def _policies_page(request: web.Request, errors: dict[str, str]) -> web.Response:
    db = visit_of(request).site.db
    after = query_text(request, "after")
    containing = query_text(request, "containing", 100)
    found = await policies.entries(db, after=after, containing=containing, limit=PER_PAGE + 1)
    mode, _since = await policies.stored_mode(db)
    return await page(
        request,
        "admin_policies.html",
        status=422 if errors else 200,
        mode=mode,
        waiting=await policies.undecided(db),
        entries=found[:PER_PAGE],
        following=found[PER_PAGE - 1].domain if len(found) > PER_PAGE else None,
        total=await policies.count(db),
        containing=containing,
        domain=query_text(request, "domain", 253),
        published=await published_blocks.audience(db),
        errors=errors,
        asked=Form(),
    )


async def lists_page(request: web.Request) -> web.StreamResponse:
    """Lists that wait to be looked at, a list to be read, subscriptions, our own to take along."""
    administrator(request)
    return await _lists_page(request, {})


async def _lists_page(request: web.Request, errors: dict[str, str]) -> web.Response:
    db = visit_of(request).site.db
    return await page(
        request,
        "admin_policy_lists.html",
        status=422 if errors else 200,
        drafts=await policy_drafts.drafts(db),
        subscriptions=await policy_drafts.subscriptions(db),
        errors=errors,
    )


async def preview(request: web.Request) -> web.StreamResponse:
    """What setting or removing an entry would touch, and the form that does it."""
    administrator(request)
    query = request.query
    form = Form({name: [query_text(request, name, 2_000)] for name in query})
    try:
        return await _preview_page(request, form, {})
    except Invalid as refusal:
        return await _policies_page(request, {refusal.field: _(refusal.message)})


async def _preview_page(request: web.Request, form: Form, errors: dict[str, str]) -> web.Response:
    site = site_of(request)
    domain = policies.normal_domain(form.line("domain"))
    removing = form.line("action") == "remove"
    known = await policies.find(site.db, domain)
    entry = None if removing else _entry(form, domain, site.host)
    return await page(
        request,
        "admin_policy_preview.html",
        status=422 if errors else 200,
        domain=domain,
        removing=removing,
        entry=entry,
        known=known,
        form=form,
        impact=await impact.of_entries(site.db, {domain: entry}),
        errors=errors,
    )


async def change(request: web.Request) -> web.StreamResponse:
    """Set or remove an entry, after its preview."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        domain = policies.normal_domain(form.line("domain"))
        entry = None if form.line("action") == "remove" else _entry(form, domain, site.host)
        async with site.db.transaction() as tx:
            await policy_changes.apply(
                tx,
                {domain: entry},
                by=person.id,
                kind="set" if entry is not None else "removed",
                reason=form.text("reason"),
            )
    except Invalid as refusal:
        if refusal.field != "reason":
            return await _policies_page(request, {refusal.field: _(refusal.message)})
        return await _preview_page(request, form, {refusal.field: _(refusal.message)})
    _noticed(request)
    return see_other(HERE, "decided_host")


async def mode_preview(request: web.Request) -> web.StreamResponse:
    """What another mode would touch, and the form that changes it."""
    administrator(request)
    wanted = query_text(request, "mode", 20)
    if wanted not in policies.MODES:
        raise web.HTTPNotFound()
    return await _mode_page(request, wanted, {})


async def _mode_page(request: web.Request, wanted: Mode, errors: dict[str, str]) -> web.Response:
    db = visit_of(request).site.db
    return await page(
        request,
        "admin_policy_mode.html",
        status=422 if errors else 200,
        wanted=wanted,
        mode=(await policies.stored_mode(db))[0],
        impact=await impact.of_mode(db, wanted),
        errors=errors,
    )


async def change_mode(request: web.Request) -> web.StreamResponse:
    """Change the mode."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    wanted = form.line("mode")
    if wanted not in policies.MODES:
        raise web.HTTPBadRequest()
    try:
        async with site.db.transaction() as tx:
            await policy_changes.set_mode(tx, wanted, by=person.id, reason=form.text("reason"))
    except Invalid as refusal:
        return await _mode_page(request, wanted, {refusal.field: _(refusal.message)})
    _noticed(request)
    return see_other(HERE, "decided_host")


async def history(request: web.Request) -> web.StreamResponse:
    """What was changed, by whom and why; each change can be undone."""
    administrator(request)
    return await _history_page(request, "")


async def _history_page(request: web.Request, error: str) -> web.Response:
    db = visit_of(request).site.db
    found = await policy_changes.history(db, before=query_id(request, "before"), limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    people = await actors.actors(db, sorted({each.actor_id for each in shown if each.actor_id}))
    return await page(
        request,
        "admin_policy_history.html",
        status=422 if error else 200,
        changes=shown,
        people=people,
        following=shown[-1].id if len(found) > PER_PAGE else None,
        error=error,
    )


async def undo(request: web.Request) -> web.StreamResponse:
    """Undo a change."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await policy_changes.undo(
                tx, path_id(request), by=person.id, reason=form.text("reason")
            )
    except HubError as refusal:
        return await _history_page(request, _(refusal.message))
    _noticed(request)
    return see_other(f"{HERE}/history", "undone")


async def import_list(request: web.Request) -> web.StreamResponse:
    """Keep a list as a draft, whose page shows what it would change."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request, files=1)
    file = form.files.get("file")
    body = file.data if file is not None else form.text("list").encode()
    name = file.name if file is not None else "list"
    try:
        if not body.strip():
            raise Invalid("list", "Choose a file, or write one domain a line.")
        async with site.db.transaction() as tx:
            draft_id = await policy_drafts.add(
                tx, body, source=f"{name} {_moment()}", level=_level(form), by=person.id
            )
    except Invalid as refusal:
        return await _lists_page(request, {refusal.field: _(refusal.message)})
    return see_other(f"{HERE}/drafts/{draft_id}")


async def draft(request: web.Request) -> web.StreamResponse:
    """What a list would change: new, changed, gone, and rows that cannot be used."""
    administrator(request)
    return await _draft_page(request, path_id(request), {})


async def _draft_page(request: web.Request, draft_id: int, errors: dict[str, str]) -> web.Response:
    site = site_of(request)
    found = await policy_drafts.difference(site.db, draft_id, own_host=site.host)
    return await page(
        request,
        "admin_policy_draft.html",
        status=422 if errors else 200,
        draft=await policy_drafts.draft(site.db, draft_id),
        found=found,
        rows_shown=ROWS_SHOWN,
        impact=await impact.of_entries(site.db, blocklists.changes(found)),
        errors=errors,
    )


async def decide_draft(request: web.Request) -> web.StreamResponse:
    """Apply a list whole, or throw it away."""
    person = administrator(request)
    site = site_of(request)
    draft_id = path_id(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            if form.line("action") == "discard":
                await policy_drafts.discard(tx, draft_id, by=person.id)
            else:
                await policy_drafts.apply(
                    tx,
                    draft_id,
                    by=person.id,
                    reason=form.text("reason"),
                    own_host=site.host,
                    keep_existing=form.flag("keep_existing"),
                )
    except Invalid as refusal:
        return await _draft_page(request, draft_id, {refusal.field: _(refusal.message)})
    _noticed(request)
    return see_other(LISTS, "discarded" if form.line("action") == "discard" else "list_applied")


async def publish(request: web.Request) -> web.StreamResponse:
    """Decide who may see the list of blocks."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await published_blocks.set_audience(tx, form.line("audience"), by=person.id)
    except Invalid as refusal:
        return await _policies_page(request, {refusal.field: _(refusal.message)})
    return see_other(HERE, "saved")


async def subscribe(request: web.Request) -> web.StreamResponse:
    """Subscribe to a list, or end a subscription."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            if ended := form.ids("end"):
                await policy_drafts.unsubscribe(tx, ended[0], by=person.id)
                number = None
            else:
                number = await policy_drafts.subscribe(
                    tx, form.line("url"), level=_level(form), by=person.id
                )
    except Invalid as refusal:
        return await _lists_page(request, {refusal.field: _(refusal.message)})
    if number is not None and site.federation is not None:
        await site.federation.fetch_list(number)
    return see_other(LISTS, "saved" if number is not None else "removed")


async def export(request: web.Request) -> web.StreamResponse:
    """The entries as a file: Mastodon's CSV, or one domain a line."""
    administrator(request)
    entries = (await policies.all_entries(site_of(request).db)).values()
    is_csv = request.path.endswith(".csv")
    return web.Response(
        text=blocklists.as_csv(entries) if is_csv else blocklists.as_lines(entries),
        content_type="text/csv" if is_csv else "text/plain",
        headers={
            hdrs.CONTENT_DISPOSITION: "attachment",
            hdrs.CACHE_CONTROL: "private, no-store",
        },
    )


def _moment() -> str:
    """Now, as it stands beside the name of a file, so that two of one name are two lists."""
    return datetime.now(UTC).isoformat(" ", "seconds").removesuffix("+00:00")


def _entry(form: Form, domain: str, own_host: str) -> Entry:
    """The entry that a form asks for. Raises Invalid."""
    if domain in (own_host, own_host.partition(":")[0]):
        raise Invalid("domain", "This is our own server.")
    days = whole_number(form.line("days") or "0", LONGEST_DAYS)
    if days is None or (not days and form.line("days")):
        raise Invalid("days", "This is no number of days.")
    return Entry(
        domain,
        _level(form),
        form.flag("reject_media"),
        form.flag("reject_reports"),
        form.line("public_comment")[: policies.COMMENT_CHARACTERS],
        form.line("private_comment")[: policies.COMMENT_CHARACTERS],
        expires_at=now_ms() + days * DAY_MS if days else None,
        obfuscate=form.flag("obfuscate"),
    )


def _level(form: Form) -> Level:
    level = form.line("level")
    if level not in policies.LEVELS:
        raise Invalid("level", "This level is unknown.")
    return level


def _noticed(request: web.Request) -> None:
    """What was decided holds at once in this process; others see it within a second."""
    federation = site_of(request).federation
    if federation is not None:
        federation.policies_changed()
