"""Threads: reading one, opening one, answering in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.http import site_of
from fedcomm.hub import drafts, group_hosts, groups, submissions, threads, timelines
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import Viewer
from fedcomm.site import Site
from fedcomm.store.ids import now_ms
from fedcomm.web import paths, presentation
from fedcomm.web.composer import POLL_LENGTHS, Writing, read_writing
from fedcomm.web.consenting import is_asked, take_answer
from fedcomm.web.dry_runs import Spot, keep, read_ready, submission_of
from fedcomm.web.federated import activity_answer, object_uri
from fedcomm.web.forms import path_id, query_id
from fedcomm.web.fragments import sheet_of
from fedcomm.web.quoting import quoted_address
from fedcomm.web.rendering import page, see_other
from fedcomm.web.replies import Replies
from fedcomm.web.visits import Visit, signed_in, visit_of

REPLIES_PER_PAGE: Final = 200
"""Replies on one page of a thread."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the visitor may do in a group."""

    group: groups.Group
    membership: groups.Membership | None
    is_signed_in: bool

    @property
    def is_member(self) -> bool:
        return self.membership is not None and self.membership.state == "active"

    @property
    def is_waiting(self) -> bool:
        return self.membership is not None and self.membership.state == "requested"

    @property
    def is_banned(self) -> bool:
        return self.membership is not None and self.membership.state == "banned"

    @property
    def is_owner(self) -> bool:
        return self.membership is not None and self.membership.role == "owner"

    @property
    def moderates(self) -> bool:
        return self.membership is not None and self.membership.moderates

    @property
    def can_open_topics(self) -> bool:
        return self.is_member and (self.moderates or self.group.topics_by != "moderators")


async def place_in(visit: Visit, group: groups.Group) -> Place:
    """What the visitor is in `group`."""
    member = visit.member
    known = None
    if member is not None:
        known = await groups.membership(visit.site.db, group.id, member.id)
    return Place(group, known, member is not None)


async def thread(request: web.Request) -> web.StreamResponse:
    """A thread: its topic, up to 200 replies, and the form to answer."""
    visit = visit_of(request)
    db = visit.site.db
    topic_id = path_id(request)
    answer = await activity_answer(request, "object", topic_id)
    if answer is not None:
        return answer
    group = await groups.visible_group(db, visit.viewer, request.match_info["name"])
    after = query_id(request, "after") or 0
    topic, found = await timelines.thread(
        db, visit.viewer, topic_id, after=after, limit=REPLIES_PER_PAGE + 1
    )
    if topic is None:
        return await _deleted_thread(request, group, topic_id)
    if topic.thing.group_id != group.id or topic.thing.kind != "topic":
        raise NotFound("There is no such topic.")
    path = paths.thread_path(group.name, topic_id, topic.thing.title)
    if request.rel_url.raw_path != path:
        query = f"?{request.query_string}" if request.query_string else ""
        raise web.HTTPMovedPermanently(path + query)
    answers, following = _one_page(found)
    around = await presentation.surroundings(db, [topic, *answers])
    place = await place_in(visit, group)
    replies = Replies(around, answers)
    topic_entry = around.entry(topic)
    parent = replies.get(query_id(request, "reply")) or topic_entry
    writing = Writing(language=topic.thing.language or group.language)
    writing.asks_consent = group.leaves_hub and await _asks(request)
    answerable = can_reply(place, topic.thing)
    viewer_id = visit.member.id if visit.member is not None else 0
    # What the page says of all its posts, and of whoever looks at them.
    alike = (visit.locale, viewer_id > 0, path, after, answerable, place.moderates)
    sheet = sheet_of(request, (*alike, topic.thing.author_id), "thread.html", "parts/macros.html")
    now = now_ms()
    response = await page(
        request,
        "thread.html",
        public=True,
        now=now,
        group=group,
        topic=topic_entry,
        replies=replies,
        shown=replies,
        lines=replies.lines(sheet, viewer_id, now),
        place=place,
        can_reply=answerable,
        parent=parent,
        writing=writing,
        after=after,
        following=following,
        path=path,
        activity_uri=object_uri(visit.site, topic.thing),
    )
    sheet.shown()
    _link_activity(response, object_uri(visit.site, topic.thing))
    return response


def can_reply(place: Place, topic: threads.Thing | None) -> bool:
    """Whether the form to answer is shown; the hub decides again when it is sent."""
    open_thread = topic is None or topic.locked_at is None or place.moderates
    return place.is_member and open_thread


def _one_page(found: list[timelines.Post]) -> tuple[list[timelines.Post], int | None]:
    """A page of replies out of one more, and the `after` of the next page if there is one."""
    if len(found) <= REPLIES_PER_PAGE:
        return found, None
    return found[:REPLIES_PER_PAGE], found[REPLIES_PER_PAGE - 1].thing.id


async def _deleted_thread(
    request: web.Request, group: groups.Group, topic_id: int
) -> web.StreamResponse:
    """A topic that was deleted: say so, and show what others answered."""
    visit = visit_of(request)
    db = visit.site.db
    known = await threads.thing(db, topic_id)
    if (
        known is None
        or known.deleted_at is None
        or known.group_id != group.id
        or known.kind != "topic"
    ):
        raise NotFound("There is no such topic.")
    after = query_id(request, "after") or 0
    answers, following = _one_page(
        await timelines.replies(db, visit.viewer, topic_id, after=after, limit=REPLIES_PER_PAGE + 1)
    )
    replies = await presentation.entries(db, answers)
    return await page(
        request,
        "thread_deleted.html",
        status=410,
        group=group,
        topic_id=topic_id,
        replies=replies,
        shown={entry.thing.id: entry for entry in replies},
        following=following,
        place=await place_in(visit, group),
    )


def _link_activity(response: web.Response, uri: str | None) -> None:
    if uri is not None:
        response.headers.add(hdrs.LINK, f'<{uri}>; rel="alternate"; type="{CONTENT_TYPE}"')


async def new_topic_form(request: web.Request) -> web.StreamResponse:
    """The form to open a topic."""
    signed_in(request)
    group, place = await _group_to_write_in(request)
    writing = Writing(language=group.language, quote=await quoted_address(request))
    return await topic_form(request, group, place, writing)


async def new_topic(request: web.Request) -> web.StreamResponse:
    """Open a topic, or show the form again with what is wrong or as a preview."""
    member = signed_in(request)
    site = site_of(request)
    group, place = await _group_to_write_in(request)
    writing = await read_writing(request, member)
    spot = Spot(group_id=group.id)
    await take_answer(site, writing, member, leaves=group.leaves_hub)
    if writing.wants_draft and not writing.errors and await keep(site, writing, member, spot):
        return see_other("/drafts", "draft_saved")
    ready = None if writing.wants_draft else await read_ready(site, writing, member, spot)
    if ready is None:
        return await topic_form(request, group, place, writing)
    digest = submission_of(writing, member, spot)
    async with site.db.transaction() as tx:
        topic_id = await submissions.earlier(tx, digest)
        if topic_id is None:
            topic_id = await threads.create_topic(
                tx, member.id, group.id, ready.content, reserved=ready.reserved
            )
            await submissions.note(tx, digest, topic_id)
        await drafts.delete(tx, member.id, writing.draft_id or 0)
    site.wake()
    if await _waits(site, topic_id):
        return see_other(paths.group_path(group.name), "waits")
    return see_other(paths.thread_path(group.name, topic_id, ready.content.title), "posted")


async def _group_to_write_in(request: web.Request) -> tuple[groups.Group, Place]:
    visit = visit_of(request)
    group = await groups.visible_group(visit.site.db, visit.viewer, request.match_info["name"])
    return group, await may_write_in(visit, group)


async def may_write_in(visit: Visit, group: groups.Group) -> Place:
    """The visitor's place in a group where they may open topics. Raises NotAllowed."""
    place = await place_in(visit, group)
    if not place.is_member:
        raise NotAllowed("Join the group to write in it.")
    if not place.can_open_topics:
        raise NotAllowed("Only moderators start topics in this group.")
    return place


async def topic_form(
    request: web.Request, group: groups.Group, place: Place, writing: Writing
) -> web.StreamResponse:
    """The form to open a topic, as far as it is filled in."""
    writing.asks_consent = group.leaves_hub and await _asks(request)
    return await page(
        request,
        "new_topic.html",
        poll_lengths=POLL_LENGTHS,
        status=writing.status,
        group=group,
        place=place,
        writing=writing,
        homes=await group_hosts.homes(visit_of(request).site.db, group.id)
        if group.mode == "reserved"
        else [],
    )


async def reply_form(request: web.Request) -> web.StreamResponse:
    """The form to answer one post, on a page of its own."""
    signed_in(request)
    parent = await _parent(request)
    writing = Writing(language=parent.thing.language, quote=await quoted_address(request))
    return await reply_page(request, parent, writing)


async def reply(request: web.Request) -> web.StreamResponse:
    """Answer a post, or show the form again with what is wrong or as a preview."""
    member = signed_in(request)
    site = site_of(request)
    parent = await _parent(request)
    writing = await read_writing(request, member)
    spot = Spot(parent_id=parent.thing.id)
    await take_answer(site, writing, member, leaves=parent.thing.visibility != "local")
    if writing.wants_draft and not writing.errors and await keep(site, writing, member, spot):
        return see_other("/drafts", "draft_saved")
    ready = None if writing.wants_draft else await read_ready(site, writing, member, spot)
    if ready is None:
        return await reply_page(request, parent, writing)
    digest = submission_of(writing, member, spot)
    async with site.db.transaction() as tx:
        reply_id = await submissions.earlier(tx, digest)
        if reply_id is None:
            reply_id = await threads.create_reply(
                tx, member.id, parent.thing.id, ready.content, reserved=ready.reserved
            )
            await submissions.note(tx, digest, reply_id)
        await drafts.delete(tx, member.id, writing.draft_id or 0)
    site.wake()
    if await _waits(site, reply_id):
        return see_other(paths.object_path(parent.thing.id), "waits")
    return see_other(paths.object_path(reply_id))


async def _waits(site: Site, object_id: int) -> bool:
    """Whether what was just written waits for a moderator, so that there is no page of it to go to."""
    made = await threads.thing(site.db, object_id)
    return made is not None and made.withheld == "waiting"


async def _parent(request: web.Request) -> timelines.Post:
    visit = visit_of(request)
    found = await timelines.post(visit.site.db, visit.viewer, path_id(request))
    if found is None:
        raise NotFound("What you answer is not there any more.")
    return found


async def reply_page(
    request: web.Request, parent: timelines.Post, writing: Writing
) -> web.StreamResponse:
    """The form to answer a post, as far as it is filled in."""
    visit = visit_of(request)
    db = visit.site.db
    if parent.thing.group_id is not None:
        group = await groups.group(db, parent.thing.group_id)
        assert group is not None
        place = await place_in(visit, group)
        if not place.is_member:
            raise NotAllowed("Join the group to write in it.")
    entry = (await presentation.entries(db, [parent]))[0]
    writing.asks_consent = parent.thing.visibility != "local" and await _asks(request)
    return await page(
        request,
        "reply.html",
        status=writing.status,
        parent=entry,
        writing=writing,
    )


async def _asks(request: web.Request) -> bool:
    """Whether the member still has to say whether their words may leave."""
    visit = visit_of(request)
    return visit.member is not None and await is_asked(visit.site, visit.member.id)


async def thread_location(site: Site, viewer: Viewer, thing: threads.Thing) -> str | None:
    """Where in its thread a reply stands, or None if it is in no thread of ours."""
    if thing.topic_id is None or thing.group_id is None:
        return None
    group = await groups.group(site.db, thing.group_id)
    topic = await threads.thing(site.db, thing.topic_id)
    if group is None or topic is None:
        return None
    path = paths.thread_path(group.name, topic.id, topic.title)
    if thing.id == topic.id:
        return path
    after = await timelines.page_start(site.db, viewer, topic.id, thing.id, size=REPLIES_PER_PAGE)
    query = f"?after={after}" if after else ""
    return f"{path}{query}#r{thing.id}"
