"""Decisions of moderators. Each needs a reason, leaves a statement of reasons that the person concerned can read
and appeal against, and stands in the audit log.

    dismiss   the report is closed, nothing happens
    warn      the person is told
    hide      the post is shown to nobody here; other servers are not told
    remove    the post is shown to nobody and asked back from every server that has it
    restrict  what the person writes in the group, or on this hub, waits for a moderator; other servers are not told
    ban       the person may neither join the group nor write in it
    suspend   the person cannot use this hub (from elsewhere: nothing of theirs is taken), for some days or, as a ban
              from the hub, for good
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from fedcomm.hub import (
    actors,
    audit,
    authority,
    bans,
    groups,
    journal,
    members,
    notifications,
    removal,
    reports,
    rules,
    statements,
    sweeps,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.statements import Statement
from fedcomm.hub.visibility import Clause
from fedcomm.late import Late
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

if TYPE_CHECKING:
    from fedcomm.hub import sweeping
else:
    sweeping = Late("fedcomm.hub.sweeping")

Action = Literal["dismiss", "warn", "hide", "remove", "restrict", "ban", "suspend"]
ACTIONS: Final[tuple[Action, ...]] = (
    *("dismiss", "warn", "hide", "remove", "restrict", "ban", "suspend"),
)

DAYS_MOST: Final = 3_650

REMOVED_AT_ONCE: Final = 200
"""Posts that go in the same moment as their author; the rest goes within seconds, in steps."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why something is decided. `report_id`: the report that led to it."""

    reason: str
    rule: rules.Reference | None = None
    report_id: int | None = None


async def decide(
    tx: Transaction,
    moderator_id: int,
    report_id: int,
    action: Action,
    grounds: Grounds,
    *,
    days: int | None = None,
    remove_posts: bool = False,
) -> list[int]:
    """Decide an open report; ids of the statements. `days`: how long a restriction, ban or suspension holds (None: for
    good).

    Raises NotFound, NotAllowed, Invalid; then nothing has happened.
    """
    known = await reports.judged_report(tx, moderator_id, report_id)
    if known.state != "open":
        raise NotAllowed("This report is decided already.")
    reason = statements.required(grounds.reason)
    grounds = Grounds(reason, grounds.rule, report_id)
    if any(person.id == moderator_id for person in known.people):
        raise NotAllowed("Nobody decides about themselves.")
    made: list[int] = []
    if action == "dismiss":
        await audit.record(tx, "report_dismissed", actor_id=moderator_id, subject_id=report_id)
    elif action in ("hide", "remove"):
        if not known.object_ids:
            raise Invalid("action", "The report names no post.")
        for object_id in known.object_ids:
            made.append(await take_down(tx, moderator_id, object_id, action, grounds))
    elif action == "warn":
        for subject in _each_person(known):
            made.append(
                await warn(
                    tx, moderator_id, subject.person.id, grounds, known.group_id, subject.object_id
                )
            )
    elif action == "restrict":
        for person in known.people:
            made.append(
                await restrict(tx, moderator_id, person.id, grounds, known.group_id, days=days)
            )
    elif action == "ban":
        if known.group_id is None:
            raise Invalid(
                "action", "The report belongs to no group from which one could be banned."
            )
        for person in known.people:
            made.append(
                await ban(
                    tx, known.group_id, moderator_id, person.id, grounds,
                    days=days, remove_posts=remove_posts,
                )
            )  # fmt: skip
    elif action == "suspend":
        for person in known.people:
            made.append(
                await suspend(
                    tx, moderator_id, person.id, grounds, days=days, remove_posts=remove_posts
                )
            )
    else:
        raise Invalid("action", "Choose what to do.")
    await reports.close(tx, report_id, moderator_id, action, reason)
    return made


def _each_person(report: reports.Report) -> list[reports.Subject]:
    """One subject for each person, with what they wrote where the report names it."""
    found: dict[int, reports.Subject] = {}
    for subject in report.subjects:
        if subject.person.id not in found or found[subject.person.id].object_id is None:
            found[subject.person.id] = subject
    return list(found.values())


# Measures


async def warn(
    tx: Transaction,
    moderator_id: int,
    person_id: int,
    grounds: Grounds,
    group_id: int | None = None,
    object_id: int | None = None,
) -> int:
    """Tell a person that they broke a rule; the statement's id."""
    role = await _require_judge(tx, moderator_id, person_id, group_id)
    return await _state(
        tx, "warn", person_id, moderator_id, role, grounds, group_id=group_id, object_id=object_id
    )


async def take_down(
    tx: Transaction,
    moderator_id: int,
    object_id: int,
    how: Literal["hide", "remove"],
    grounds: Grounds,
) -> int:
    """Hide or remove what somebody wrote; the statement's id."""
    known = await threads.thing(tx, object_id)
    if known is None or known.deleted_at is not None:
        raise NotFound("This is not there any more.")
    role = await _require_judge(tx, moderator_id, known.author_id, known.group_id)
    statements.required(grounds.reason)
    made = await _state(
        tx,
        how,
        known.author_id,
        moderator_id,
        role,
        grounds,
        group_id=known.group_id,
        object_id=object_id,
    )
    await removal.withhold(tx, moderator_id, object_id, "hidden" if how == "hide" else "removed")
    return made


async def restore(tx: Transaction, moderator_id: int, object_id: int, reason: str) -> None:
    """Show again what was hidden or removed, while its words are kept. Raises NotFound, NotAllowed, Invalid."""
    known = await threads.thing(tx, object_id)
    if known is None:
        raise NotFound("This is not there any more.")
    judges = await authority.role_in(tx, moderator_id, known.group_id) is not None
    if not judges or known.withheld not in ("hidden", "removed"):
        # Told alike: whoever may not judge here need not learn that there is something (INV-20).
        raise NotFound("This is not there any more.")
    await _show_again(tx, moderator_id, object_id, statements.required(reason))
    await audit.record(tx, "object_restored", actor_id=moderator_id, subject_id=object_id)


async def restrict(
    tx: Transaction,
    moderator_id: int,
    person_id: int,
    grounds: Grounds,
    group_id: int | None = None,
    *,
    days: int | None = None,
) -> int:
    """Let what a person writes wait for a moderator, in a group or (None, for staff) in all of them, for `days` or for
    good; the statement's id. A second restriction in the same place replaces the first."""
    role = await _require_judge(tx, moderator_id, person_id, group_id)
    person = await actors.actor(tx, person_id)
    if person is None or person.deleted_at is not None or person.kind == "group":
        raise NotFound("There is no such person.")
    place = await groups.membership(tx, group_id, person_id) if group_id is not None else None
    if place is not None and place.moderates:
        raise NotAllowed("Who looks after the group cannot be restricted in it.")
    until = _until(days)
    statements.required(grounds.reason)
    await statements.end_all(tx, person_id, "restrict", group_id)
    return await _state(
        tx, "restrict", person_id, moderator_id, role, grounds, group_id=group_id, expires_at=until
    )


async def lift_restriction(tx: Transaction, moderator_id: int, statement_id: int) -> None:
    """What the person writes is shown at once again; what waits still waits. Raises NotFound, NotAllowed."""
    known = await statements.statement(tx, statement_id)
    if (
        known is None
        or known.action != "restrict"
        or known.ended_at is not None
        or await authority.role_in(tx, moderator_id, known.group_id) is None
    ):
        raise NotFound("There is no such decision.")
    if known.person_id == moderator_id:
        raise NotAllowed("Nobody decides about themselves.")
    await statements.end(tx, statement_id)
    await audit.record(
        tx,
        "restriction_lifted",
        actor_id=moderator_id,
        subject_id=known.person_id,
        detail={"statement": str(statement_id)},
    )


def _until(days: int | None) -> int | None:
    if days is None:
        return None
    if not 1 <= days <= DAYS_MOST:
        raise Invalid("days", "This lasts from 1 to 3650 days, or for good.")
    return now_ms() + days * removal.DAY_MS


async def ban(
    tx: Transaction,
    group_id: int,
    moderator_id: int,
    person_id: int,
    grounds: Grounds,
    *,
    days: int | None = None,
    until: int | None = None,
    remove_posts: bool = False,
) -> int:
    """Ban a person from a group, for `days` or until a time (Unix ms) or for good; the statement's id."""
    role = await _require_judge(tx, moderator_id, person_id, group_id)
    if days is not None:
        until = _until(days)
    if until is not None and until <= now_ms():
        raise Invalid("days", "This ban would be over already.")
    made = await _state(
        tx, "ban", person_id, moderator_id, role, grounds, group_id=group_id, expires_at=until
    )
    await bans.impose(
        tx,
        group_id,
        moderator_id,
        person_id,
        reason=statements.required(grounds.reason),
        until=until,
    )
    if remove_posts:
        await _remove_all(tx, "ban", person_id, moderator_id, role, grounds, group_id)
    return made


async def unban(tx: Transaction, group_id: int, moderator_id: int, person_id: int) -> bool:
    """Lift a ban; False if there was none."""
    await authority.require(tx, moderator_id, group_id)
    if not await bans.lift(tx, group_id, moderator_id, person_id):
        return False
    await statements.end_all(tx, person_id, "ban", group_id)
    await audit.record(
        tx,
        "member_unbanned",
        actor_id=moderator_id,
        subject_id=person_id,
        detail={"group": str(group_id)},
    )
    return True


async def suspend(
    tx: Transaction,
    moderator_id: int,
    person_id: int,
    grounds: Grounds,
    *,
    days: int | None = None,
    remove_posts: bool = False,
) -> int:
    """Keep a person out of the whole hub, for `days` or for good; the statement's id. Only staff does so, and not to an
    administrator unless as one. A second suspension replaces the first."""
    await authority.require_staff(tx, moderator_id)
    role = await _require_judge(tx, moderator_id, person_id, None)
    person = await actors.actor(tx, person_id)
    if person is None or person.kind == "group":
        raise NotFound("There is no such person.")
    if person.is_local:
        theirs = await members.member(tx, person_id)
        mine = await members.member(tx, moderator_id)
        if theirs is None or mine is None:
            raise NotFound("There is no such person.")
        if theirs.role == "administrator" and mine.role != "administrator":
            raise NotAllowed("Only administrators suspend administrators.")
    until = _until(days)
    statements.required(grounds.reason)
    await statements.end_all(tx, person_id, "suspend", None)
    made = await _state(tx, "suspend", person_id, moderator_id, role, grounds, expires_at=until)
    await _set_suspended(tx, person, True)
    if remove_posts:
        await _remove_all(tx, "suspension", person_id, moderator_id, role, grounds, None)
    return made


async def unsuspend(tx: Transaction, moderator_id: int, person_id: int) -> None:
    """Let a suspended person back in."""
    await authority.require_staff(tx, moderator_id)
    person = await actors.actor(tx, person_id)
    if person is None:
        raise NotFound("There is no such person.")
    await _set_suspended(tx, person, False)
    await statements.end_all(tx, person_id, "suspend", None)
    await audit.record(tx, "person_unsuspended", actor_id=moderator_id, subject_id=person_id)


async def end_suspensions(tx: Transaction, *, limit: int = 100) -> int:
    """Let those back in whose suspension is over; how many. Who is suspended by another decision stays so."""
    rows = await tx.all(
        "SELECT id, person_id FROM statements WHERE action = 'suspend' AND ended_at IS NULL"
        " AND expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?",
        now_ms(),
        limit,
    )
    for row in rows:
        await statements.end(tx, row["id"])
        others = await tx.value(
            "SELECT 1 FROM statements WHERE person_id = ? AND action = 'suspend'"
            " AND ended_at IS NULL LIMIT 1",
            row["person_id"],
        )
        person = await actors.actor(tx, row["person_id"])
        if others is None and person is not None and person.deleted_at is None:
            await _set_suspended(tx, person, False)
            await audit.record(tx, "suspension_over", actor_id=None, subject_id=row["person_id"])
    return len(rows)


async def suspend_by_operator(tx: Transaction, member_id: int, reason: str) -> int:
    """Suspend an account from the command line, in the name of the hub; the statement's id. Raises NotFound,
    Invalid (no reason)."""
    person = await actors.actor(tx, member_id)
    if person is None or await members.member(tx, member_id) is None:
        raise NotFound("There is no such member.")
    statements.required(reason)
    await statements.end_all(tx, member_id, "suspend", None)
    made = await _state(tx, "suspend", member_id, None, "hub", Grounds(reason))
    await _set_suspended(tx, person, True)
    return made


async def unsuspend_by_operator(tx: Transaction, member_id: int) -> None:
    """Let an account back in from the command line."""
    person = await actors.actor(tx, member_id)
    if person is None:
        raise NotFound("There is no such member.")
    await _set_suspended(tx, person, False)
    await statements.end_all(tx, member_id, "suspend", None)
    await audit.record(tx, "person_unsuspended", actor_id=None, subject_id=member_id)


async def _set_suspended(tx: Transaction, person: actors.Actor, suspended: bool) -> None:
    if person.is_local:
        await members.suspend_member(tx, person.id, suspended=suspended)
        return
    at = now_ms() if suspended else None
    await tx.execute(
        "UPDATE actors SET barred_at = ?, suspended_at = ? WHERE id = ?", at, at, person.id
    )
    await journal.record(tx, "person_barred", target_id=person.id)


# First posts that wait


async def let_in(tx: Transaction, moderator_id: int, object_id: int) -> None:
    """Let a waiting post in; from now on its host is known to the group. Raises NotFound, NotAllowed."""
    known = await _waiting(tx, moderator_id, object_id)
    await removal.restore(tx, moderator_id, known.id)
    await audit.record(tx, "post_let_in", actor_id=moderator_id, subject_id=object_id)


async def turn_away(tx: Transaction, moderator_id: int, object_id: int, reason: str) -> None:
    """Refuse a waiting post: its words go at once. Raises NotFound, NotAllowed, Invalid."""
    known = await _waiting(tx, moderator_id, object_id)
    await _state(
        tx,
        "refuse",
        known.author_id,
        moderator_id,
        "group",
        Grounds(reason),
        group_id=known.group_id,
        object_id=object_id,
    )
    await removal.refuse(tx, moderator_id, known.id)


async def _waiting(tx: Transaction, moderator_id: int, object_id: int) -> threads.Thing:
    known = await threads.thing(tx, object_id)
    if known is None or known.withheld != "waiting" or known.group_id is None:
        raise NotFound("This is not there any more.")
    await groups.require_moderator(tx, known.group_id, moderator_id)
    return known


# Statements and appeals


async def readable_statement(db: Reader, viewer_id: int, statement_id: int) -> Statement:
    """A statement for the person concerned or for who may judge about it; NotFound for everybody else."""
    known = await statements.statement(db, statement_id)
    if known is not None and (
        known.person_id == viewer_id or await may_answer(db, viewer_id, known)
    ):
        return known
    raise NotFound("There is no such decision.")


async def open_appeals(db: Reader, viewer_id: int) -> list[Statement]:
    """The appeals that this person may answer, the oldest first."""
    allowed = await authority.within(db, viewer_id, "s.group_id")
    person = await members.member(db, viewer_id)
    if person is not None and person.state == "active" and person.role == "administrator":
        allowed = Clause("1 = 1")
    rows = await db.all(
        f"{statements.SELECT} WHERE s.appealed_at IS NOT NULL AND s.appeal_outcome IS NULL"
        f" AND s.appealed_at > 0 AND {allowed.sql} ORDER BY s.appealed_at LIMIT 100",
        *allowed.args,
    )
    return [statements.statement_of(row) for row in rows]


async def may_answer(db: Reader, viewer_id: int, known: Statement) -> bool:
    """Whether this person judges here. Administrators answer appeals of private groups too, where there may be no
    second moderator: the author chose to turn to them by appealing."""
    if await authority.role_in(db, viewer_id, known.group_id) is not None:
        return True
    if known.appealed_at is None:
        return False
    person = await members.member(db, viewer_id)
    return person is not None and person.state == "active" and person.role == "administrator"


async def appeal(tx: Transaction, statement_id: int, person_id: int, text: str) -> None:
    """The person concerned objects; moderators are told. Raises NotFound, NotAllowed, Invalid."""
    known = await statements.appeal(tx, statement_id, person_id, text)
    await audit.record(tx, "appeal_made", actor_id=person_id, subject_id=statement_id)
    for judge in await reports.judges(tx, known.group_id, but_for=known.decided_by):
        await notifications.notify(tx, judge, "appeal", person_id, matter_id=statement_id)


async def answer_appeal(
    tx: Transaction,
    statement_id: int,
    moderator_id: int,
    outcome: statements.Outcome,
    reason: str,
) -> None:
    """Confirm or reverse what somebody else decided. Reversing undoes the measure; words that are erased stay so.

    Raises NotFound, NotAllowed, Invalid."""
    known = await readable_statement(tx, moderator_id, statement_id)
    if not await may_answer(tx, moderator_id, known):
        raise NotFound("There is no such decision.")
    await statements.answer(tx, statement_id, moderator_id, outcome, reason)
    if outcome == "reversed":
        await _undo(tx, moderator_id, known, reason.strip())
    await audit.record(tx, f"appeal_{outcome}", actor_id=moderator_id, subject_id=statement_id)
    person = await actors.actor(tx, known.person_id)
    if person is not None:
        await notifications.tell(
            tx, person, "appeal_answered", matter_id=statement_id, group_id=known.group_id
        )


async def _undo(tx: Transaction, moderator_id: int, known: Statement, reason: str) -> None:
    if known.action in ("hide", "remove") and known.object_id is not None:
        thing = await threads.thing(tx, known.object_id)
        if thing is not None and thing.withheld in ("hidden", "removed"):
            await _show_again(tx, moderator_id, known.object_id, reason)
    elif known.action == "ban" and known.group_id is not None:
        await bans.lift(tx, known.group_id, moderator_id, known.person_id)
    elif known.action == "suspend":
        person = await actors.actor(tx, known.person_id)
        if person is not None:
            await _set_suspended(tx, person, False)
    await statements.end(tx, known.id, reason)


async def _show_again(tx: Transaction, moderator_id: int, object_id: int, reason: str) -> None:
    await removal.restore(tx, moderator_id, object_id)
    await statements.end_of_object(tx, object_id, reason)


async def _require_judge(
    tx: Transaction, moderator_id: int, person_id: int, group_id: int | None
) -> statements.Role:
    role = await authority.require(tx, moderator_id, group_id)
    if moderator_id == person_id:
        raise NotAllowed("Nobody decides about themselves.")
    return role


async def _state(
    tx: Transaction,
    action: statements.Action,
    person_id: int,
    moderator_id: int | None,
    role: statements.Role,
    grounds: Grounds,
    *,
    group_id: int | None = None,
    object_id: int | None = None,
    expires_at: int | None = None,
) -> int:
    statement_id = await statements.make(
        tx,
        action,
        person_id,
        reason=grounds.reason,
        rule=grounds.rule,
        report_id=grounds.report_id,
        decided_by=moderator_id,
        decided_as=role,
        group_id=group_id,
        object_id=object_id,
        expires_at=expires_at,
    )
    await audit.record(
        tx,
        f"decided_{action}",
        actor_id=moderator_id,
        subject_id=person_id,
        detail={"statement": str(statement_id), "as": role},
    )
    person = await actors.actor(tx, person_id)
    if person is not None:
        await notifications.tell(tx, person, "statement", matter_id=statement_id, group_id=group_id)
    return statement_id


async def _remove_all(
    tx: Transaction,
    cause: sweeps.Cause,
    person_id: int,
    moderator_id: int,
    role: statements.Role,
    grounds: Grounds,
    group_id: int | None,
) -> None:
    """Remove what the person wrote, however much it is: the newest at once, the rest by the sweep's worker.

    Each post has its statement; the person is told once, of the ban."""
    scope = sweeps.Scope("actor", person_id, 0, now_ms() + 1, group_id)
    sweep_id = await sweeps.begin(
        tx,
        scope,
        reason=grounds.reason,
        by=moderator_id,
        cause=cause,
        decided_as=role,
        rule=grounds.rule,
        report_id=grounds.report_id,
    )
    await sweeping.take(tx, await sweeps.sweep(tx, sweep_id), REMOVED_AT_ONCE)
