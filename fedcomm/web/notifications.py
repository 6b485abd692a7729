"""What concerns the member: answers, mentions, likes, follows, requests."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import follows, notifications
from fedcomm.hub.sanitizer import excerpt, text_of
from fedcomm.web import paths, presentation
from fedcomm.web.forms import posted_id, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of

PER_PAGE = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One notification as it is shown. `excerpt`: the first words of what it is about."""

    note: notifications.Notification
    face: presentation.Face
    path: str | None
    excerpt: str


async def notifications_page(request: web.Request) -> web.StreamResponse:
    """The member's notifications, newest first, and who waits for an answer."""
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    found = await notifications.list_notifications(
        db, member.id, before=query_id(request, "before"), limit=PER_PAGE + 1
    )
    shown = found[:PER_PAGE]
    faces = await presentation.faces(db, [note.actor for note in shown])
    return await page(
        request,
        "notifications.html",
        lines=[_line(note, face) for note, face in zip(shown, faces, strict=True)],
        requests=await presentation.faces(db, await follows.requests_to(db, member.id)),
        newest=shown[0].id if shown else None,
        following=shown[-1].id if len(found) > PER_PAGE else None,
    )


async def mark_read(request: web.Request) -> web.StreamResponse:
    """The member has seen everything up to a notification."""
    member = signed_in(request)
    site = site_of(request)
    up_to = posted_id(await read_form(request), "up_to")
    async with site.db.transaction() as tx:
        await notifications.mark_read(tx, member.id, up_to)
    return see_other("/notifications", "read")


def _line(note: notifications.Notification, face: presentation.Face) -> Line:
    path = None
    if note.kind == "event_requested" and note.object_id is not None:
        path = f"{paths.object_path(note.object_id)}/participants"
    elif note.kind == "held":
        path = "/moderation/held"
    elif note.object_id is not None:
        path = paths.object_path(note.object_id)
    elif note.matter_id is not None:
        folder = "moderation" if note.kind == "report" else "statements"
        path = f"/{folder}/{note.matter_id}"
    elif note.kind in ("membership_requested", "post_waiting") and note.group_name:
        path = f"{paths.group_path(note.group_name)}/manage"
    elif note.group_name:
        path = paths.group_path(note.group_name)
    words = note.object_title or excerpt(text_of(note.object_html), 120)
    return Line(note, face, path, words)
