"""The data controller's pages: the record of processing, requests of people with their deadlines, erasures, holds, and
where somebody's words went."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from aiohttp import hdrs, web

from fedcomm import processing
from fedcomm.http import site_of
from fedcomm.hub import access_requests, erasure, holds, reach, receipts, subjects
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.register import REGISTER, RETENTION
from fedcomm.i18n import gettext as _
from fedcomm.i18n import iso
from fedcomm.store.database import Database
from fedcomm.web.forms import Form, path_id, query_id, query_text, read_form
from fedcomm.web.my_data import hand_out
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import administrator, visit_of

HERE: Final = "/admin/data"
PER_PAGE: Final = 20


async def overview(request: web.Request) -> web.StreamResponse:
    """Who is responsible for what, what is open, and the forms for what people ask."""
    administrator(request)
    return await _overview(request, Form(), {})


async def _overview(request: web.Request, form: Form, errors: dict[str, str]) -> web.Response:
    site = site_of(request)
    db = site.db
    before = query_id(request, "before")
    found = await erasure.cases(db, before=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    asked = await access_requests.requests(db, limit=PER_PAGE)
    standing = [one for one in await holds.holds(db) if one.ended_at is None]
    return await page(
        request,
        "admin_data.html",
        status=422 if errors else 200,
        form=form,
        errors=errors,
        cases=[(case, await subjects.called(db, case.kind, case.subject_id)) for case in shown],
        following=shown[-1].id if len(found) > PER_PAGE else None,
        is_first=before is None,
        requests=[(one, await subjects.called(db, one.kind, one.subject_id)) for one in asked],
        holds=[(one, await subjects.called(db, one.kind, one.subject_id)) for one in standing],
        due_ms=access_requests.DEADLINE_DAYS * access_requests.DAY_MS,
        deadline_days=access_requests.DEADLINE_DAYS,
    )


async def record_page(request: web.Request) -> web.StreamResponse:
    """The record of processing, to be read and printed."""
    administrator(request)
    config = site_of(request).config
    return await page(
        request,
        "admin_record.html",
        config=config,
        egresses=[(egress, egress.enabled(config)) for egress in processing.EGRESSES],
        purposes=processing.PURPOSES,
        measures=processing.MEASURES,
        periods=processing.periods(config),
        classes=[
            (RETENTION[name], [(table, REGISTER[table].holds) for table in tables])
            for name, tables in processing.classes().items()
        ],
        deadline_days=access_requests.DEADLINE_DAYS,
    )


async def record_file(request: web.Request) -> web.StreamResponse:
    """The record as JSON, or the stored classes and egresses as CSV."""
    administrator(request)
    site = site_of(request)
    found = processing.record(site.config, await _figures(site.db))
    name = "record-of-processing"
    if request.path.endswith(".json"):
        answer = web.json_response(found)
        answer.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}.json"'
        return answer
    buffer = io.StringIO()
    out = csv.writer(buffer)
    out.writerow(("section", "name", "what", "detail"))
    out.writerow(("controller", found["controller"]["name"], found["controller"]["address"], ""))
    for purpose in found["purposes"]:
        out.writerow(("purpose", purpose, "", ""))
    for one in found["recipients"]:
        state = "enabled" if one["enabled"] else "not enabled"
        out.writerow(("recipient", one["name"], f"{one['who']}: {one['what']}", state))
    for one in found["stored"]:
        out.writerow(("stored", one["table"], one["holds"], one["until"]))
    for option, days in found["periods_in_days"].items():
        out.writerow(("period", option, days, "days"))
    for one in (*found["erasures"], *found["access_requests"]):
        out.writerow(("request", one["id"], one["asked"], one["due"]))
    return web.Response(
        text=buffer.getvalue(),
        content_type="text/csv",
        charset="utf-8",
        headers={hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.csv"'},
    )


async def _figures(db: Database) -> dict[str, Any]:
    """The requests of people, by number and without names."""
    limit = access_requests.DEADLINE_DAYS * access_requests.DAY_MS
    return {
        "erasures": [
            {
                "id": str(case.id),
                "kind": case.kind,
                "asked": iso(case.created_at),
                "due": iso(case.created_at + limit),
                "erased": iso(case.erased_at) if case.erased_at else None,
                "finished": iso(case.finished_at) if case.finished_at else None,
            }
            for case in await erasure.cases(db, limit=1000)
        ],
        "access_requests": [
            {
                "id": str(one.id),
                "kind": one.kind,
                "asked": iso(one.created_at),
                "due": iso(one.due_at),
                "answered": iso(one.finished_at) if one.finished_at else None,
            }
            for one in await access_requests.requests(db, limit=1000)
        ],
    }


# Erasures


async def erase_preview(request: web.Request) -> web.StreamResponse:
    """What erasing somebody or something would do, before it is done."""
    administrator(request)
    return await _erase_preview(request, query_text(request, "target", 300), {})


async def _erase_preview(
    request: web.Request, target: str, errors: dict[str, str]
) -> web.StreamResponse:
    db = site_of(request).db
    try:
        subject = await subjects.find(db, target)
        kind = subject.erasure_kind
    except HubError as refusal:
        return await _overview(request, Form({"target": [target]}), {"target": _(refusal.message)})
    return await page(
        request,
        "admin_erase.html",
        status=422 if errors else 200,
        errors=errors,
        target=target,
        subject=subject,
        holders=await reach.holders_of(db, subject.id) if kind != "host" else [],
        counts=await subjects.counts(db, subject),
        hold=await holds.of_subject(db, subject.id),
    )


async def erase(request: web.Request) -> web.StreamResponse:
    """Begin an erasure, with a reason."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    target = form.line("target")
    try:
        subject = await subjects.find(site.db, target)
        async with site.db.transaction() as tx:
            case_id = await erasure.request(
                tx,
                subject.erasure_kind,
                subject.id,
                requested_by=person.id,
                reason=form.text("reason"),
            )
    except Invalid as refusal:
        return await _erase_preview(request, target, {refusal.field: _(refusal.message)})
    except HubError as refusal:
        return await _erase_preview(request, target, {"erase": _(refusal.message)})
    # Said only when it is written down where no backup can undo it (INV-51).
    await site.erasure_journal.catch_up(site.db)
    site.wake()
    return see_other(f"{HERE}/cases/{case_id}", "erasing")


async def case_page(request: web.Request) -> web.StreamResponse:
    """How far a case is, and the address of its receipt."""
    administrator(request)
    site = site_of(request)
    db = site.db
    case = await erasure.case(db, path_id(request))
    if case is None:
        raise web.HTTPNotFound()
    after = query_id(request, "after") or 0
    found = await receipts.recipients(db, case, after=after, limit=101)
    reference = receipts.reference(db.pseudonyms, case.id)
    return await page(
        request,
        "admin_case.html",
        case=case,
        name=await subjects.called(db, case.kind, case.subject_id),
        keeping=await erasure.is_keeping(db, case),
        tally=await receipts.tally(db, case),
        recipients=found[:100],
        following=found[99].host_id if len(found) > 100 else None,
        is_first=not after,
        receipt=f"{site.origin}/erasures/{reference}" if reference else None,
        at_work=case.finished_at is None,
        due_at=case.created_at + access_requests.DEADLINE_DAYS * access_requests.DAY_MS,
    )


# Legal holds


async def place_hold(request: web.Request) -> web.StreamResponse:
    """Hold somebody, something or a single post."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        subject = await subjects.find(site.db, form.line("held"))
        async with site.db.transaction() as tx:
            await holds.place(
                tx, subject.hold_kind, subject.id, reason=form.text("hold_reason"), by=person.id
            )
    except Invalid as refusal:
        field = "hold_reason" if refusal.field == "reason" else "held"
        return await _overview(request, form, {field: _(refusal.message)})
    except HubError as refusal:
        return await _overview(request, form, {"held": _(refusal.message)})
    return see_other(f"{HERE}#holds", "hold_placed")


async def release_hold(request: web.Request) -> web.StreamResponse:
    """End a hold, with a reason."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await holds.release(tx, path_id(request), reason=form.text("reason"), by=person.id)
    except Invalid as refusal:
        return await _overview(request, form, {refusal.field: _(refusal.message)})
    return see_other(f"{HERE}#holds", "hold_released")


# Access


async def ask_for_copy(request: web.Request) -> web.StreamResponse:
    """Have a file made about somebody of another server, for whoever asks in this administrator's name."""
    person = administrator(request)
    site = site_of(request)
    form = await read_form(request)
    try:
        subject = await subjects.find(site.db, form.line("asked_about"))
        if subject.kind != "remote":
            raise Invalid("asked_about", "Members make their copy themselves, under “My data”.")
        async with site.db.transaction() as tx:
            await access_requests.ask(tx, "remote", subject.id, requested_by=person.id)
    except HubError as refusal:
        return await _overview(request, form, {"asked_about": _(refusal.message)})
    return see_other(f"{HERE}#access", "copy_asked")


async def fetch_copy(request: web.Request) -> web.StreamResponse:
    """The file, for the administrator who asked for it and nobody else (INV-53)."""
    return await hand_out(request, administrator(request), "remote")


# Reach


async def reach_page(request: web.Request) -> web.StreamResponse:
    """Where something went: a post, all that a member wrote, or everything that one server got."""
    administrator(request)
    db = visit_of(request).site.db
    target = query_text(request, "target", 300)
    if not target:
        return await page(request, "admin_reach.html", target="", subject=None, error="")
    try:
        subject = await subjects.find(db, target)
    except HubError as refusal:
        return await page(
            request,
            "admin_reach.html",
            status=404,
            target=target,
            subject=None,
            error=_(refusal.message),
        )
    before, after = query_id(request, "before"), query_id(request, "after") or 0
    got = copies = None
    following: int | None = None
    if subject.kind == "host":
        got = await reach.held_by(db, subject.id, before=before, limit=101)
        following = got[99].subject_id if len(got) > 100 else None
    else:
        copies = await reach.copies_of(db, subject.id, after=after, limit=101)
        following = copies[99].host_id if len(copies) > 100 else None
    return await page(
        request,
        "admin_reach.html",
        target=target,
        subject=subject,
        error="",
        got=got[:100] if got is not None else None,
        copies=copies[:100] if copies is not None else None,
        holders=await reach.holders_of(db, subject.id)
        if subject.kind in ("member", "remote") and not after
        else [],
        following=following,
        key="before" if subject.kind == "host" else "after",
        is_first=before is None and not after,
    )
