"""What members began to write: the list of drafts, going on with one, throwing one away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import drafts, groups, timelines
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.web.dry_runs import writing_from
from fedcomm.web.forms import path_id
from fedcomm.web.rendering import page, see_other
from fedcomm.web.threads import may_write_in, reply_page, topic_form
from fedcomm.web.visits import signed_in, visit_of

SNIPPET: Final = 120
"""Characters of a draft that the list shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One draft in the list. `place` is where it would stand; empty if that is not there any more."""

    draft: drafts.SavedDraft
    title: str
    snippet: str
    place: str


async def drafts_page(request: web.Request) -> web.StreamResponse:
    """What the member began to write."""
    member = signed_in(request)
    visit = visit_of(request)
    rows = []
    for draft in await drafts.drafts_of(visit.site.db, member.id):
        words = draft.words
        text = " ".join(words.text.split())[:SNIPPET]
        rows.append(Row(draft, words.title, text, await _place_name(request, draft)))
    return await page(
        request,
        "drafts.html",
        rows=rows,
        kept_days=drafts.KEPT_MS // 86_400_000,
        most=drafts.DRAFTS_LIMIT,
    )


async def draft_form(request: web.Request) -> web.StreamResponse:
    """Go on writing."""
    member = signed_in(request)
    visit = visit_of(request)
    draft = await drafts.draft(visit.site.db, member.id, path_id(request))
    writing = await writing_from(visit.site, draft)
    if draft.parent_id is not None:
        parent = await timelines.post(visit.site.db, visit.viewer, draft.parent_id)
        if parent is None:
            return await _homeless(request, draft)
        return await reply_page(request, parent, writing)
    group = await groups.group(visit.site.db, draft.group_id or 0)
    if group is None:
        return await _homeless(request, draft)
    try:
        group = await groups.visible_group(visit.site.db, visit.viewer, group.name)
        place = await may_write_in(visit, group)
    except (NotFound, NotAllowed):
        return await _homeless(request, draft)
    return await topic_form(request, group, place, writing)


async def delete_draft(request: web.Request) -> web.StreamResponse:
    """Throw a draft away."""
    member = signed_in(request)
    site = site_of(request)
    async with site.db.transaction() as tx:
        if not await drafts.delete(tx, member.id, path_id(request)):
            raise NotFound("There is no such draft.")
    return see_other("/drafts", "draft_deleted")


async def _homeless(request: web.Request, draft: drafts.SavedDraft) -> web.StreamResponse:
    """The place of the draft is not there for its author any more: they may copy the words."""
    return await page(request, "draft_homeless.html", draft=draft)


async def _place_name(request: web.Request, draft: drafts.SavedDraft) -> str:
    visit = visit_of(request)
    if draft.parent_id is not None:
        parent = await timelines.post(visit.site.db, visit.viewer, draft.parent_id)
        return _("Reply to %(name)s") % {"name": parent.author.title} if parent else ""
    group = await groups.group(visit.site.db, draft.group_id or 0)
    if group is None:
        return ""
    try:
        return (await groups.visible_group(visit.site.db, visit.viewer, group.name)).title
    except NotFound:
        return ""
