"""Single posts: their permanent address, editing, deleting, history, likes, and what moderators do."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import (
    groups,
    media,
    moderation,
    polls,
    purged,
    reach,
    reactions,
    removal,
    rules,
    threads,
    timelines,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.members import Member
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import parse_id
from fedcomm.web import paths, presentation
from fedcomm.web.composer import Writing, read_writing, try_compose, writing_of
from fedcomm.web.federated import activity_answer, object_uri
from fedcomm.web.forms import Form, path_id, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.threads import place_in, thread_location
from fedcomm.web.visits import Visit, signed_in, visit_of

ANCESTORS: Final = 5
"""Posts that are shown above a lone post."""


async def permalink(request: web.Request) -> web.StreamResponse:
    """Any post: one of a thread of ours leads there, a lone one of another server is shown."""
    visit = visit_of(request)
    object_id = path_id(request)
    answer = await activity_answer(request, "object", object_id)
    if answer is not None:
        return answer
    post = await _readable(visit, object_id)
    location = await thread_location(visit.site, visit.viewer, post.thing)
    if location is not None:
        return see_other(location)
    ancestors: list[timelines.Post] = []
    parent_id = post.thing.parent_id
    while parent_id is not None and len(ancestors) < ANCESTORS:
        above = await timelines.post(visit.site.db, visit.viewer, parent_id)
        if above is None:
            break
        ancestors.insert(0, above)
        parent_id = above.thing.parent_id
    after = query_id(request, "after") or 0
    answers = await timelines.answers(
        visit.site.db, visit.viewer, object_id, after=after, limit=101
    )
    following = answers[99].thing.id if len(answers) > 100 else None
    shown = await presentation.entries(visit.site.db, [*ancestors, post, *answers[:100]])
    here = len(ancestors)
    return await page(
        request,
        "post.html",
        public=True,
        ancestors=shown[:here],
        entry=shown[here],
        replies=shown[here + 1 :],
        following=following,
        parent=shown[here],
        writing=Writing(language=post.thing.language),
        activity_uri=object_uri(visit.site, post.thing),
    )


async def edit_form(request: web.Request) -> web.StreamResponse:
    """The form to change one's own words."""
    visit = visit_of(request)
    post = await _own(request)
    return await _edit_page(request, post, await writing_of(visit.site, post.thing))


async def edit(request: web.Request) -> web.StreamResponse:
    """Change one's own words, or show the form again with what is wrong or as a preview."""
    site = site_of(request)
    member = signed_in(request)
    post = await _own(request)
    before = await media.attached_to(site.db, post.thing.id)
    writing = await read_writing(request, member)
    async with site.db.transaction() as tx:
        content = await try_compose(
            site, tx, writing, is_topic=post.thing.kind == "topic", author_id=member.id
        )
        if content is not None and not writing.wants_preview:
            await threads.edit(tx, member.id, post.thing.id, content)
    if content is not None and writing.wants_preview:
        writing.show(content)
    if content is None or writing.wants_preview:
        return await _edit_page(request, post, writing)
    site.wake()
    kept = {picture.id for picture in writing.pictures}
    await media.remove_orphans(
        site.db, site.media_folder, [image for image in before if image not in kept]
    )
    return see_other(paths.object_path(post.thing.id))


async def delete_form(request: web.Request) -> web.StreamResponse:
    """Say what deleting will do, and ask."""
    member = signed_in(request)
    post = await _deletable(request)
    return await _delete_page(request, member, post, Form(), {})


async def _delete_page(
    request: web.Request, member: Member, post: timelines.Post, form: Form, errors: dict[str, str]
) -> web.StreamResponse:
    visit = visit_of(request)
    entry = (await presentation.entries(visit.site.db, [post]))[0]
    return await page(
        request,
        "delete.html",
        status=422 if errors else 200,
        entry=entry,
        hosts=await reach.hosts_reached(visit.site.db, post.thing.id),
        as_moderator=post.thing.author_id != member.id,
        rules=await rules.current(visit.site.db),
        kept_days=removal.APPEAL_DAYS,
        form=form,
        errors=errors,
        back=await thread_location(visit.site, visit.viewer, post.thing) or entry.path,
    )


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete one's own words, or remove somebody's as a moderator."""
    member = signed_in(request)
    visit = visit_of(request)
    site = visit.site
    post = await _deletable(request)
    thing = post.thing
    back = "/"
    if thing.kind != "topic":
        location = await thread_location(site, visit.viewer, thing)
        back = location.partition("#")[0] if location else "/"
    elif post.group_name:
        back = paths.group_path(post.group_name)
    if thing.author_id != member.id:
        return await _take_down(request, member, post, back)
    pictures = await media.attached_to(site.db, thing.id)
    async with site.db.transaction() as tx:
        await threads.delete(tx, member.id, thing.id)
    # Said only when it is written down where no backup can undo it (INV-51).
    await site.erasure_journal.catch_up(site.db)
    site.wake()
    await media.remove_orphans(site.db, site.media_folder, pictures)
    return see_other(back, "deleted")


async def _take_down(
    request: web.Request, member: Member, post: timelines.Post, back: str
) -> web.StreamResponse:
    """A moderator hides or removes: with a reason, and the words are kept for an appeal."""
    site = site_of(request)
    form = await read_form(request)
    hides = form.text("action") == "hide"
    try:
        async with site.db.transaction() as tx:
            files = await media.attached_to(tx, post.thing.id)
            await moderation.take_down(
                tx,
                member.id,
                post.thing.id,
                "hide" if hides else "remove",
                moderation.Grounds(
                    form.text("reason"), await rules.reference(tx, parse_id(form.text("rule")))
                ),
            )
            if form.flag("purge") and not hides:
                await purged.block(tx, files, by=member.id, reason=form.text("reason"))
    except Invalid as refusal:
        errors = {refusal.field: _(refusal.message)}
        return await _delete_page(request, member, post, form, errors)
    site.wake()
    return see_other(back, "hidden" if hides else "removed")


async def history(request: web.Request) -> web.StreamResponse:
    """What a post said before it was edited."""
    visit = visit_of(request)
    post = await _readable(visit, path_id(request))
    entry = (await presentation.entries(visit.site.db, [post]))[0]
    return await page(
        request,
        "history.html",
        public=True,
        entry=entry,
        revisions=await threads.revisions(visit.site.db, post.thing.id),
        back=await thread_location(visit.site, visit.viewer, post.thing) or entry.path,
    )


async def like(request: web.Request) -> web.StreamResponse:
    """Like a post, or take the like back."""
    member = signed_in(request)
    site = site_of(request)
    object_id = path_id(request)
    form = await read_form(request)
    async with site.db.transaction() as tx:
        if form.flag("undo"):
            await reactions.withdraw(tx, member.id, object_id, "like")
        else:
            await reactions.add(tx, member.id, object_id, "like")
    site.wake()
    return see_other(paths.safe_path(form.text("back"), paths.object_path(object_id)))


async def vote(request: web.Request) -> web.StreamResponse:
    """Vote in a poll."""
    member = signed_in(request)
    site = site_of(request)
    object_id = path_id(request)
    form = await read_form(request)
    numbers = [value for value in form.values.get("choice", []) if value.isdecimal()]
    choices = [int(number[:4]) for number in numbers]
    async with site.db.transaction() as tx:
        await polls.vote(tx, member.id, object_id, choices)
    site.wake()
    return see_other(paths.safe_path(form.text("back"), paths.object_path(object_id)), "voted")


async def pin(request: web.Request) -> web.StreamResponse:
    """A moderator pins a topic, or takes it down."""
    member = signed_in(request)
    site = site_of(request)
    post = await _readable(visit_of(request), path_id(request))
    on = (await read_form(request)).flag("on")
    async with site.db.transaction() as tx:
        await threads.set_pinned(tx, member.id, post.thing.id, pinned=on)
    site.wake()
    return see_other(presentation.entry_path(post), "pinned" if on else "unpinned")


async def lock(request: web.Request) -> web.StreamResponse:
    """A moderator closes a thread, or opens it again."""
    member = signed_in(request)
    site = site_of(request)
    post = await _readable(visit_of(request), path_id(request))
    on = (await read_form(request)).flag("on")
    async with site.db.transaction() as tx:
        await threads.set_locked(tx, member.id, post.thing.id, locked=on)
    site.wake()
    return see_other(presentation.entry_path(post), "locked" if on else "unlocked")


async def _readable(visit: Visit, object_id: int) -> timelines.Post:
    post = await timelines.post(visit.site.db, visit.viewer, object_id)
    if post is None:
        raise NotFound("This is not there any more.")
    return post


async def _own(request: web.Request) -> timelines.Post:
    member = signed_in(request)
    post = await _readable(visit_of(request), path_id(request))
    if post.thing.author_id != member.id:
        raise NotAllowed("Only its author can change this.")
    return post


async def _deletable(request: web.Request) -> timelines.Post:
    """The post, if the member wrote it or moderates its group."""
    member = signed_in(request)
    visit = visit_of(request)
    post = await _readable(visit, path_id(request))
    if post.thing.author_id != member.id:
        group_id = post.thing.group_id
        group = await groups.group(visit.site.db, group_id) if group_id is not None else None
        if group is None or not (await place_in(visit, group)).moderates:
            raise NotAllowed("Only its author can delete this.")
    return post


async def _edit_page(
    request: web.Request, post: timelines.Post, writing: Writing
) -> web.StreamResponse:
    visit = visit_of(request)
    entry = (await presentation.entries(visit.site.db, [post]))[0]
    return await page(
        request,
        "edit.html",
        status=writing.status,
        entry=entry,
        writing=writing,
        is_topic=post.thing.kind == "topic",
        hosts=await reach.hosts_reached(visit.site.db, post.thing.id),
        back=await thread_location(visit.site, visit.viewer, post.thing) or entry.path,
    )
