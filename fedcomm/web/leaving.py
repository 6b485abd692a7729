"""The way out: erasing one's account, and the receipt of an erasure, which anybody who has its address can read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import erasure, holds, members, reach, receipts, sessions
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.members import Member
from fedcomm.i18n import gettext as _
from fedcomm.i18n import iso
from fedcomm.store.database import Reader
from fedcomm.web.forms import query_id, read_form
from fedcomm.web.rendering import page
from fedcomm.web.visits import VISIT, Visit, forget_session, signed_in, visit_of

FRESH_MS: Final = 10 * 60_000
"""A session that began so recently proves who is there; an older one needs the password (security.md §6)."""

PER_PAGE: Final = 500


async def erase_form(request: web.Request) -> web.StreamResponse:
    """What erasing will do, before anything is done."""
    signed_in(request)
    return await _erase_page(request, {})


async def erase(request: web.Request) -> web.StreamResponse:
    """Erase the account of who is signed in, for good."""
    member = signed_in(request)
    visit = visit_of(request)
    site = visit.site
    form = await read_form(request)
    try:
        if not form.flag("sure"):
            raise Invalid("sure", "Say that you have read what will happen.")
        await _require_presence(visit, member, form.text("password"))
        async with site.db.transaction() as tx:
            case_id = await erasure.request(
                tx, "member", member.id, requested_by=member.id, own=True
            )
    except Invalid as refusal:
        return await _erase_page(request, {refusal.field: _(refusal.message)})
    except HubError as refusal:
        return await _erase_page(request, {"erase": _(refusal.message)})
    # Said only when it is written down where no backup can undo it (INV-51).
    await site.erasure_journal.catch_up(site.db)
    site.wake()
    request[VISIT] = replace(visit, member=None, session=None)
    reference = receipts.reference(site.db.pseudonyms, case_id)
    response = await page(
        request,
        "goodbye.html",
        address=f"{site.origin}/erasures/{reference}" if reference else None,
    )
    forget_session(response, site.config)
    return response


async def _require_presence(visit: Visit, member: Member, password: str) -> None:
    """Raises Invalid unless the password is right, or the session began within ten minutes."""
    if await is_fresh(visit):
        return
    if not await members.has_password(visit.site.db, member.id, password):
        raise Invalid("password", "This is not your password.")


async def is_fresh(visit: Visit) -> bool:
    """Whether the session began so recently that the password is not asked again."""
    return visit.session is not None and await sessions.began_within(
        visit.site.db, visit.session, FRESH_MS
    )


async def _erase_page(request: web.Request, errors: dict[str, str]) -> web.Response:
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    return await page(
        request,
        "erase_account.html",
        status=422 if errors else 200,
        errors=errors,
        counts=await _counts(db, member.id),
        holders=await reach.holders_of(db, member.id),
        hold=await holds.of_subject(db, member.id),
        fresh=await is_fresh(visit),
    )


async def _counts(db: Reader, member_id: int) -> dict[str, int]:
    """How much of what there is: what goes, and what of others stays without the name."""
    return {
        what: int(await db.value(sql, *(member_id,) * sql.count("?")))
        for what, sql in (
            ("posts", "SELECT count(*) FROM objects WHERE author_id = ? AND deleted_at IS NULL"),
            ("files", "SELECT count(*) FROM media WHERE owner_id = ?"),
            ("reactions", "SELECT count(*) FROM reactions WHERE actor_id = ?"),
            ("mentions", "SELECT count(*) FROM mentions WHERE actor_id = ?"),
        )
    }


# Receipts


async def receipt(request: web.Request) -> web.StreamResponse:
    """How far an erasure is: for people, and as JSON for programs."""
    site = site_of(request)
    reference = request.match_info["reference"]
    case = await receipts.find(site.db, reference)
    if case is None:
        raise web.HTTPNotFound()
    if request.path.endswith(".json"):
        return await _receipt_json(request, case)
    after = query_id(request, "after") or 0
    found = await receipts.recipients(site.db, case, after=after, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return _unlisted(
        await page(
            request,
            "receipt.html",
            case=case,
            keeping=await erasure.is_keeping(site.db, case),
            tally=await receipts.tally(site.db, case),
            recipients=shown,
            following=shown[-1].host_id if len(found) > PER_PAGE else None,
            path=f"/erasures/{reference}",
            is_first=not after,
            has_certificate=_certificate(case) is not None,
        )
    )


async def _receipt_json(request: web.Request, case: erasure.Case) -> web.Response:
    db = site_of(request).db
    told: list[dict[str, object]] = []
    after = 0
    while True:
        found = await receipts.recipients(db, case, after=after, limit=500)
        told += [
            {
                "server": one.host,
                "copies": one.copies,
                "told": iso(one.told_at) if one.told_at else None,
                "answered": iso(one.answered_at) if one.answered_at else None,
                "status": one.status,
                "progress": one.progress,
            }
            for one in found
        ]
        if len(found) < 500:
            break
        after = found[-1].host_id
    return _unlisted(
        web.json_response(
            {
                "case": str(case.id),
                "kind": case.kind,
                "state": case.state,
                "requested": iso(case.created_at),
                "erased": iso(case.erased_at) if case.erased_at else None,
                "finished": iso(case.finished_at) if case.finished_at else None,
                "objects": case.objects,
                "kept_by_a_legal_hold": await erasure.is_keeping(db, case),
                "recipients": told,
            }
        )
    )


async def certificate(request: web.Request) -> web.StreamResponse:
    """The signed certificate, once the case is finished."""
    site = site_of(request)
    case = await receipts.find(site.db, request.match_info["reference"])
    found = _certificate(case) if case is not None else None
    if case is None or found is None:
        raise web.HTTPNotFound()
    return _unlisted(
        web.Response(
            body=found.encode(),
            content_type="application/json",
            headers={
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="erasure-{case.id}.json"',
            },
        )
    )


def _certificate(case: erasure.Case) -> str | None:
    """The certificate as it was signed, None as long as it was not."""
    if case.finished_at is None or not case.certificate:
        return None
    return case.certificate if "proof" in json.loads(case.certificate) else None


def _unlisted(response: web.Response) -> web.Response:
    """Nobody finds the address who was not given it: not by a search engine, a cache, or a link that is followed."""
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers[hdrs.CACHE_CONTROL] = "private, no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
