"""Reports of what breaks the rules, from members and from other servers, and the queue in which they wait.

A report about something in a group belongs to the group's moderators, any other to the hub's. Deciding one
is the business of `fedcomm.hub.moderation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, authority, groups, journal, notifications, rules, threads
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.statements import REASON_CHARACTERS
from fedcomm.store.database import Reader, Row, Transaction, Value, marks
from fedcomm.store.ids import first_id_at, new_id, now_ms

State = Literal["open", "decided"]
Forward = Literal["", "anonymous", "named"]
"""Whether the author's server is told as well, and whether in the name of who reports."""

NOTE_CHARACTERS: Final = 5_000

PER_HOUR: Final = 20
"""Reports that one member, or one other server, may send within an hour (security.md §10)."""

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Subject:
    """What is reported: a person, or something that they wrote."""

    person: actors.Actor
    object_id: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `host` sent it (None: a member here did); times: Unix milliseconds."""

    id: int
    host: str | None
    reporter_id: int | None
    reporter: str | None
    group_id: int | None
    group_name: str | None
    reason: str
    rule: rules.Reference | None
    forward: Forward
    state: State
    outcome: str
    decision_reason: str
    assignee_id: int | None
    assignee: str | None
    created_at: int
    decided_at: int | None
    subjects: tuple[Subject, ...]

    @property
    def people(self) -> list[actors.Actor]:
        """Whom it concerns, each once."""
        return list({subject.person.id: subject.person for subject in self.subjects}.values())

    @property
    def object_ids(self) -> list[int]:
        return [subject.object_id for subject in self.subjects if subject.object_id is not None]


@dataclass(frozen=True, slots=True)
class Note:
    """What a moderator wrote for the others."""

    author: str
    text: str
    created_at: int


_SELECT = (
    "SELECT r.id, h.name AS host, r.reporter_id, a.name AS reporter, r.group_id, g.name AS group_name,"
    " r.reason, r.rules_version, r.rule_number, r.forward, r.state, r.outcome, r.decision_reason,"
    " r.assignee_id,"
    " s.name AS assignee, r.created_at, r.decided_at FROM reports r"
    " LEFT JOIN hosts h ON h.id = r.host_id"
    " LEFT JOIN actors a ON a.id = r.reporter_id AND a.host_id IS NULL"
    " LEFT JOIN actors g ON g.id = r.group_id LEFT JOIN actors s ON s.id = r.assignee_id"
)


async def report(db: Reader, report_id: int) -> Report | None:
    """The report with this id, whoever asks."""
    found = await _reports(db, await db.all(f"{_SELECT} WHERE r.id = ?", report_id))
    return found[0] if found else None


async def judged_report(db: Reader, moderator_id: int, report_id: int) -> Report:
    """The report, for somebody who may judge it; NotFound otherwise."""
    found = await report(db, report_id)
    if found is None or await authority.role_in(db, moderator_id, found.group_id) is None:
        raise NotFound("There is no such report.")
    return found


async def queue(
    db: Reader, moderator_id: int, state: State, *, before: int | None = None, limit: int = 50
) -> list[Report]:
    """What this moderator may judge, the newest first, before id `before`."""
    allowed = await authority.within(db, moderator_id, "r.group_id")
    rows = await db.all(
        f"{_SELECT} WHERE r.state = ? AND r.id < ? AND {allowed.sql} ORDER BY r.id DESC LIMIT ?",
        state,
        before if before is not None else (1 << 63) - 1,
        *allowed.args,
        limit,
    )
    return await _reports(db, rows)


async def _reports(db: Reader, rows: Sequence[Row]) -> list[Report]:
    if not rows:
        return []
    ids: list[Value] = [row["id"] for row in rows]
    parts = await db.all(
        "SELECT s.report_id, COALESCE(s.actor_id, o.author_id) AS person_id, s.object_id"
        " FROM report_subjects s LEFT JOIN objects o ON o.id = s.object_id"
        f" WHERE s.report_id IN ({marks(len(ids))}) ORDER BY s.report_id, s.position",
        *ids,
    )
    people = await actors.actors(db, sorted({p["person_id"] for p in parts if p["person_id"]}))
    subjects: dict[int, list[Subject]] = {}
    for part in parts:
        if part["person_id"] in people:
            subjects.setdefault(part["report_id"], []).append(
                Subject(people[part["person_id"]], part["object_id"])
            )
    return [
        Report(
            row["id"],
            row["host"],
            row["reporter_id"],
            row["reporter"],
            row["group_id"],
            row["group_name"],
            row["reason"],
            rules.reference_of(row),
            row["forward"],
            row["state"],
            row["outcome"],
            row["decision_reason"],
            row["assignee_id"],
            row["assignee"],
            row["created_at"],
            row["decided_at"],
            tuple(subjects.get(row["id"], ())),
        )
        for row in rows
    ]


async def file(
    tx: Transaction,
    *,
    reporter_id: int,
    people: Sequence[int] = (),
    things: Sequence[int] = (),
    reason: str,
    rule: rules.Reference | None = None,
    forward: Forward = "",
    host_id: int | None = None,
    uri: str | None = None,
) -> int:
    """Put a report into the queue; its id. `host_id` and `uri`: of the server and the Flag that brought it.

    Who reports the same thing again while it waits gets the report that there is. Raises Invalid, NotAllowed.
    """
    if not people and not things:
        raise NotFound("This is not there any more.")
    if host_id is None and not reason.strip():
        raise Invalid("reason", "Write what is wrong with it.")
    known = await _waiting(tx, reporter_id, people, things)
    if known is not None:
        return known
    await _require_room(tx, reporter_id, host_id)
    report_id = new_id()
    group_id = await _group_of(tx, things)
    await tx.execute(
        "INSERT INTO reports (id, uri, reporter_id, host_id, group_id, reason, rules_version,"
        " rule_number, forward, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)",
        report_id,
        uri,
        reporter_id,
        host_id,
        group_id,
        reason.strip()[:REASON_CHARACTERS],
        rule.version if rule else None,
        rule.number if rule else None,
        forward,
        now_ms(),
    )
    subjects = [(person, None) for person in people] + [(None, thing) for thing in things]
    await tx.many(
        "INSERT INTO report_subjects (report_id, position, actor_id, object_id)"
        " VALUES (?, ?, ?, ?)",
        [(report_id, n, person, thing) for n, (person, thing) in enumerate(subjects)],
    )
    await journal.record(
        tx, "report_filed", actor_id=reporter_id, group_id=group_id, target_id=report_id
    )
    if forward:
        await journal.record(
            tx, "report_forwarded", actor_id=reporter_id, group_id=group_id, target_id=report_id
        )
    for judge in await judges(tx, group_id):
        await notifications.notify(
            tx, judge, "report", reporter_id, group_id=group_id, matter_id=report_id
        )
    return report_id


async def _waiting(
    tx: Transaction, reporter_id: int, people: Sequence[int], things: Sequence[int]
) -> int | None:
    column, subject = ("object_id", things[0]) if things else ("actor_id", people[0])
    found = await tx.value(
        "SELECT r.id FROM report_subjects s JOIN reports r ON r.id = s.report_id"
        f" WHERE s.{column} = ? AND r.reporter_id = ? AND r.state = 'open' LIMIT 1",
        subject,
        reporter_id,
    )
    return int(found) if found is not None else None


async def _require_room(tx: Transaction, reporter_id: int, host_id: int | None) -> None:
    column, value = ("host_id", host_id) if host_id is not None else ("reporter_id", reporter_id)
    lately = await tx.value(
        f"SELECT count(*) FROM (SELECT 1 AS one FROM reports WHERE {column} = ? AND id > ?"
        " LIMIT ?) AS lately",
        value,
        first_id_at(now_ms() - HOUR_MS),
        PER_HOUR,
    )
    if int(lately) >= PER_HOUR:
        raise NotAllowed("There were many reports within the hour. Try again later.")


async def _group_of(tx: Transaction, things: Sequence[int]) -> int | None:
    """The one group in which all of it stands."""
    found = [await threads.thing(tx, thing) for thing in things]
    ids = {thing.group_id for thing in found if thing is not None}
    return ids.pop() if len(ids) == 1 else None


async def judges(
    tx: Transaction, group_id: int | None, *, but_for: int | None = None
) -> list[actors.Actor]:
    """Who is told of what belongs to this group or (None) to the hub.

    `but_for`: somebody else is wanted; where a group has nobody, the administrators.
    """
    roles = "('administrator', 'moderator')"
    if group_id is not None:
        found = [each for each in await groups.moderators(tx, group_id) if each.id != but_for]
        if found or but_for is None:
            return found
        roles = "('administrator')"
    rows = await tx.all(
        f"SELECT {actors.COLUMNS} {actors.FROM} JOIN members m ON m.actor_id = a.id"
        f" WHERE m.role IN {roles} AND m.state = 'active' ORDER BY a.id"
        " LIMIT 100"
    )
    return [found for found in map(actors.actor_of, rows) if found.id != but_for]


async def assign(
    tx: Transaction, moderator_id: int, report_id: int, assignee_id: int | None
) -> None:
    """Say who looks after a report (None: nobody any more). Raises NotFound, NotAllowed."""
    known = await judged_report(tx, moderator_id, report_id)
    if assignee_id is not None and (
        await authority.role_in(tx, assignee_id, known.group_id) is None
    ):
        raise NotAllowed("This person cannot judge this report.")
    await tx.execute("UPDATE reports SET assignee_id = ? WHERE id = ?", assignee_id, report_id)


async def note(tx: Transaction, moderator_id: int, report_id: int, text: str) -> None:
    """Write something for the other moderators. Raises NotFound, Invalid."""
    await judged_report(tx, moderator_id, report_id)
    words = text.strip()
    if not words or len(words) > NOTE_CHARACTERS:
        raise Invalid("note", "A note has between 1 and 5000 characters.")
    await tx.execute(
        "INSERT INTO report_notes (id, report_id, author_id, text, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        new_id(),
        report_id,
        moderator_id,
        words,
        now_ms(),
    )


async def notes(db: Reader, report_id: int) -> list[Note]:
    """The notes on a report, the oldest first."""
    rows = await db.all(
        "SELECT a.name, n.text, n.created_at FROM report_notes n JOIN actors a ON a.id = n.author_id"
        " WHERE n.report_id = ? ORDER BY n.id LIMIT 200",
        report_id,
    )
    return [Note(row["name"], row["text"], row["created_at"]) for row in rows]


async def close(
    tx: Transaction, report_id: int, moderator_id: int, outcome: str, reason: str
) -> None:
    """Note that the report is decided, how and why. The caller has checked who may do this."""
    await tx.execute(
        "UPDATE reports SET state = 'decided', outcome = ?, decision_reason = ?, decided_by = ?, decided_at = ?"
        " WHERE id = ? AND state = 'open'",
        outcome,
        reason,
        moderator_id,
        now_ms(),
        report_id,
    )
    await journal.record(tx, "report_decided", actor_id=moderator_id, target_id=report_id)
