"""The pages of moderators: the queue of reports, one report with what can be decided, appeals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from aiohttp import web

from fedcomm.hub import (
    actors,
    authority,
    holding,
    moderation,
    removal,
    reports,
    rules,
    statements,
    threads,
)
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import parse_id
from fedcomm.web import paths, presentation
from fedcomm.web.forms import Form, path_id, query_id, query_text, read_form, whole_number
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Matter:
    """A subject of a report as it is shown: somebody, and what they wrote if that is reported.

    `thing` also when it is out of view: who judges sees what they judge."""

    face: presentation.Face
    thing: threads.Thing | None
    before: int
    """How often something was decided about this person before."""


async def queue_page(request: web.Request) -> web.StreamResponse:
    """The reports that this moderator may judge, and the appeals."""
    member = signed_in(request)
    db = visit_of(request).site.db
    if not await authority.judges_at_all(db, member.id):
        # Whoever moderates nothing need not know that there is such a page.
        raise NotFound("There is nothing here.")
    state: reports.State = "decided" if query_text(request, "state") == "decided" else "open"
    found = await reports.queue(
        db, member.id, state, before=query_id(request, "before"), limit=PER_PAGE + 1
    )
    return await page(
        request,
        "moderation.html",
        state=state,
        reports=found[:PER_PAGE],
        appeals=await moderation.open_appeals(db, member.id) if state == "open" else [],
        following=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
        is_administrator=visit_of(request).is_administrator,
        held=await holding.count(db, member.id),
    )


async def report_page(request: web.Request) -> web.StreamResponse:
    """One report with everything that a decision needs."""
    return await _report_page(request, Form(), {})


async def handle_report(request: web.Request) -> web.StreamResponse:
    """Take a report on, give it back, write a note, or decide it."""
    member = signed_in(request)
    site = visit_of(request).site
    report_id = path_id(request)
    form = await read_form(request)
    action = form.text("do")
    try:
        async with site.db.transaction() as tx:
            if action in ("take", "give"):
                await reports.assign(
                    tx, member.id, report_id, member.id if action == "take" else None
                )
            elif action == "note":
                await reports.note(tx, member.id, report_id, form.text("note"))
            elif action == "decide":
                await moderation.decide(
                    tx,
                    member.id,
                    report_id,
                    cast(moderation.Action, form.text("action")),
                    moderation.Grounds(
                        form.text("reason"),
                        await rules.reference(tx, parse_id(form.text("rule"))),
                    ),
                    days=_days(form),
                    remove_posts=form.flag("remove_posts"),
                )
            else:
                raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _report_page(request, form, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other(f"/moderation/{report_id}", "decided" if action == "decide" else "saved")


async def restore(request: web.Request) -> web.StreamResponse:
    """Show again what was hidden or removed."""
    member = signed_in(request)
    site = visit_of(request).site
    form = await read_form(request)
    async with site.db.transaction() as tx:
        await moderation.restore(tx, member.id, path_id(request), form.text("reason"))
    site.wake()
    return see_other(paths.object_path(path_id(request)), "restored")


async def statement_page(request: web.Request) -> web.StreamResponse:
    """What was decided about somebody, for them and for those who judge there."""
    return await _statement_page(request, Form(), {})


async def appeal(request: web.Request) -> web.StreamResponse:
    """Object to a decision."""
    member = signed_in(request)
    site = visit_of(request).site
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await moderation.appeal(tx, path_id(request), member.id, form.text("appeal"))
    except Invalid as refusal:
        return await _statement_page(request, form, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other(f"/statements/{path_id(request)}", "appealed")


async def answer(request: web.Request) -> web.StreamResponse:
    """Decide an appeal, or lift a restriction before its time."""
    member = signed_in(request)
    site = visit_of(request).site
    form = await read_form(request)
    if form.text("outcome") == "lifted":
        async with site.db.transaction() as tx:
            await moderation.lift_restriction(tx, member.id, path_id(request))
        return see_other(f"/statements/{path_id(request)}", "saved")
    try:
        async with site.db.transaction() as tx:
            await moderation.answer_appeal(
                tx,
                path_id(request),
                member.id,
                cast(statements.Outcome, form.text("outcome")),
                form.text("reason"),
            )
    except Invalid as refusal:
        return await _statement_page(request, form, {refusal.field: _(refusal.message)})
    site.wake()
    return see_other(f"/statements/{path_id(request)}", "answered")


def _days(form: Form) -> int | None:
    """How long a measure lasts; empty is for good."""
    text = form.line("days")
    if not text:
        return None
    number = whole_number(text, 99_999)
    if number is None:
        raise Invalid("days", "This lasts from 1 to 3650 days, or for good.")
    return number


async def _report_page(
    request: web.Request, form: Form, errors: dict[str, str]
) -> web.StreamResponse:
    member = signed_in(request)
    db = visit_of(request).site.db
    report = await reports.judged_report(db, member.id, path_id(request))
    faces = await presentation.faces(db, [subject.person for subject in report.subjects])
    matters = [
        Matter(
            face,
            await threads.thing(db, subject.object_id) if subject.object_id is not None else None,
            len(await statements.about(db, subject.person.id)),
        )
        for face, subject in zip(faces, report.subjects, strict=True)
    ]
    role: Literal["group", "hub"] | None = await authority.role_in(db, member.id, report.group_id)
    return await page(
        request,
        "moderation_report.html",
        status=422 if errors else 200,
        report=report,
        matters=matters,
        notes=await reports.notes(db, report.id),
        statements=await statements.of_report(db, report.id),
        rules=await rules.current(db),
        rule_text=await _rule_text(request, report.rule),
        is_staff=role == "hub" or await authority.is_staff(db, member.id),
        concerns_me=any(person.id == member.id for person in report.people),
        form=form,
        errors=errors,
    )


async def _statement_page(
    request: web.Request, form: Form, errors: dict[str, str]
) -> web.StreamResponse:
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    known = await moderation.readable_statement(db, member.id, path_id(request))
    thing = await threads.thing(db, known.object_id) if known.object_id is not None else None
    judges = await moderation.may_answer(db, member.id, known)
    return await page(
        request,
        "statement.html",
        status=422 if errors else 200,
        statement=known,
        thing=thing if thing is not None and thing.deleted_at is None else None,
        group=await _group_name(request, known.group_id),
        rule_text=await _rule_text(request, known.rule),
        is_mine=known.person_id == member.id,
        may_answer=judges
        and known.awaits_answer
        and member.id not in (known.decided_by, known.person_id),
        may_restore=judges
        and known.person_id != member.id
        and thing is not None
        and thing.withheld in ("hidden", "removed"),
        may_lift=known.action == "restrict"
        and known.ended_at is None
        and known.person_id != member.id
        and await authority.role_in(db, member.id, known.group_id) is not None,
        kept_days=removal.APPEAL_DAYS,
        form=form,
        errors=errors,
    )


async def _rule_text(request: web.Request, rule: rules.Reference | None) -> str:
    if rule is None:
        return ""
    found = await rules.version(visit_of(request).site.db, rule.version)
    return found.text(rule.number) if found is not None else ""


async def _group_name(request: web.Request, group_id: int | None) -> str:
    if group_id is None:
        return ""
    group = await actors.actor(visit_of(request).site.db, group_id)
    return group.title if group is not None else ""
