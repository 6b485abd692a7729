"""Sweeps: everything that somebody, or a whole server, did here within some time goes with one decision.

    running   what is found is taken from view, in small steps (`fedcomm.hub.sweeping`)
    done      all of it is out of view and asked back; it can be undone until `purge_at`
    undoing   it comes back, exactly as it was
    undone    it is back
    purging   the time for undoing is over: it is erased for good
    purged    nothing is left; the certificate says what went

Each step is a transaction of its own, so a crash at any instant loses nothing and the next process goes on.
A sweep also carries out the removal that comes with a ban or a suspension; its words are kept as long as one may appeal
(`fedcomm.hub.removal`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from fedcomm.hub import actors, audit, domains, members, policies, removal, rules, statements
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import Clause
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import first_id_at, new_id, now_ms

Kind = Literal["actor", "host", "family"]
"""One person; one server; a registrable domain with every server below it."""

Cause = Literal["sweep", "ban", "suspension"]
State = Literal["running", "done", "undoing", "undone", "purging", "purged"]

AT_WORK: Final[tuple[State, ...]] = ("running", "undoing", "purging")
"""States in which there is something to do."""

ALLOWED: Final[dict[State, tuple[State, ...]]] = {
    "running": ("done", "undoing"),
    "done": ("undoing", "purging"),
    "undoing": ("undone",),
    "undone": (),
    "purging": ("purged",),
    "purged": (),
}
"""Which state follows which; what is being erased cannot be undone."""

DAY_MS: Final = 86_400_000

UNDO_DAYS: Final = 7
"""How long a sweep can be undone, and its words are kept (security.md §13: hard-purged within 7 days)."""

SWEPT: Final = 2
"""`suspended` of a relation that a sweep took away (1: its host is suspended)."""

NAMED: Final = 20
"""Names in each list of a preview."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a sweep covers: `subject_id` is an actor's id, or a host's (for a family: of any of its hosts).

    From `since` until before `until` (Unix ms); in one group only, if `group_id` says so.
    """

    kind: Kind
    subject_id: int
    since: int
    until: int
    group_id: int | None = None

    @property
    def ids(self) -> tuple[int, int]:
        """The ids that were made in this time: from the first, up to before the second."""
        return first_id_at(self.since), first_id_at(self.until)

    def hosts(self) -> str:
        """The hosts, as a SQL expression with one parameter: the subject. Not for one person."""
        if self.kind == "host":
            return "(?)"
        return (
            "(SELECT fh.id FROM hosts fh WHERE fh.family = (SELECT sh.family FROM hosts sh"
            " WHERE sh.id = ?))"
        )

    def people(self, alias: str) -> Clause:
        """The condition under which the row `alias` of `actors` is meant."""
        if self.kind == "actor":
            return Clause(f"{alias}.id = ?", (self.subject_id,))
        return Clause(f"{alias}.host_id IN {self.hosts()}", (self.subject_id,))


@dataclass(frozen=True, slots=True)
class Sweep:
    """A row of `sweeps`. Times: Unix milliseconds. `total`: what the preview counted; `done`: of it."""

    id: int
    scope: Scope
    cause: Cause
    reason: str
    rule: rules.Reference | None
    report_id: int | None
    decided_by: int | None
    decided_as: statements.Role
    state: State
    step: str
    position: int
    total: int
    done: int
    created_at: int
    finished_at: int | None
    purge_at: int | None
    undone_by: int | None
    undo_reason: str
    certificate: str | None

    @property
    def can_be_undone(self) -> bool:
        return "undoing" in ALLOWED[self.state]


COLUMNS: Final = (
    "id, kind, subject_id, group_id, cause, since, until, reason, rules_version, rule_number,"
    " report_id, decided_by, decided_as, state, step, position, total, done, created_at,"
    " finished_at, purge_at, undone_by, undo_reason, certificate"
)


def sweep_of(row: Row) -> Sweep:
    """The sweep in a row that selected `COLUMNS`."""
    return Sweep(
        row["id"],
        Scope(row["kind"], row["subject_id"], row["since"], row["until"], row["group_id"]),
        row["cause"],
        row["reason"],
        rules.reference_of(row),
        row["report_id"],
        row["decided_by"],
        row["decided_as"],
        row["state"],
        row["step"],
        row["position"],
        row["total"],
        row["done"],
        row["created_at"],
        row["finished_at"],
        row["purge_at"],
        row["undone_by"],
        row["undo_reason"],
        row["certificate"],
    )


async def sweep(db: Reader, sweep_id: int) -> Sweep:
    """The sweep with this id. Raises NotFound."""
    row = await db.one(f"SELECT {COLUMNS} FROM sweeps WHERE id = ?", sweep_id)
    if row is None:
        raise NotFound("There is no such sweep.")
    return sweep_of(row)


async def sweeps(db: Reader, *, before: int | None = None, limit: int = 50) -> list[Sweep]:
    """Every sweep, the newest first, before id `before`."""
    rows = await db.all(
        f"SELECT {COLUMNS} FROM sweeps WHERE id < ? ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [sweep_of(row) for row in rows]


async def waiting(db: Reader, *, now: int | None = None) -> list[int]:
    """Ids of the sweeps with something to do, the oldest first: at work, or due to be purged."""
    rows = await db.all(
        "SELECT id FROM sweeps WHERE state IN ('running', 'undoing', 'purging')"
        " OR (state = 'done' AND purge_at <= ?) ORDER BY id LIMIT 100",
        now or now_ms(),
    )
    return [row["id"] for row in rows]


async def name_of(db: Reader, scope: Scope) -> str:
    """Whom a sweep is about: `name@host`, a host, or a domain with a star for what is below it."""
    if scope.kind == "actor":
        person = await actors.actor(db, scope.subject_id)
        return person.handle if person is not None and person.name else "…"
    column = "name" if scope.kind == "host" else "COALESCE(family, name)"
    found = await db.value(f"SELECT {column} FROM hosts WHERE id = ?", scope.subject_id)
    return f"*.{found}" if scope.kind == "family" else str(found or "…")


# What it would take


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sweep would take, looked at before it does: exact counts, short lists of names.

    `groups`: (title, posts); `answers`: what others wrote below; `servers`: those that are asked to give copies back.
    """

    people: tuple[str, ...]
    people_total: int
    groups: tuple[tuple[str, int], ...]
    topics: int
    replies: int
    posts: int
    pictures: int
    answers: int
    reactions: int
    votes: int
    participations: int
    notifications: int
    reports: int
    follows: int
    memberships: int
    waiting: int
    servers: int

    @property
    def total(self) -> int:
        """Steps of the work: what is taken one by one."""
        return (
            self.topics + self.replies + self.posts + self.reactions + self.votes
            + self.participations + self.notifications + self.reports + self.follows + self.memberships + self.waiting
        )  # fmt: skip


def posts_of(scope: Scope) -> Clause:
    """The condition for rows `o` of `objects` that a sweep takes from view."""
    whose = "o.author_id = ?" if scope.kind == "actor" else f"o.host_id IN {scope.hosts()}"
    where = "" if scope.group_id is None else " AND o.group_id = ?"
    group = () if scope.group_id is None else (scope.group_id,)
    return Clause(
        f"{whose} AND o.id >= ? AND o.id < ? AND o.deleted_at IS NULL"
        f" AND (o.withheld IS NULL OR o.withheld <> 'removed'){where}",
        (scope.subject_id, *scope.ids, *group),
    )


async def preview(db: Reader, scope: Scope) -> Preview:
    """What a sweep of this scope would take now."""
    taken = posts_of(scope)
    kinds = {
        row["kind"]: int(row["number"])
        for row in await db.all(
            f"SELECT o.kind, count(*) AS number FROM objects o WHERE {taken.sql} GROUP BY o.kind",
            *taken.args,
        )
    }
    people = await db.all(
        "SELECT a.name, h.name AS host, w.number FROM (SELECT o.author_id, count(*) AS number"
        f" FROM objects o WHERE {taken.sql} GROUP BY o.author_id) AS w"
        " JOIN actors a ON a.id = w.author_id LEFT JOIN hosts h ON h.id = a.host_id"
        " ORDER BY w.number DESC, a.id LIMIT ?",
        *taken.args,
        NAMED,
    )
    groups = await db.all(
        "SELECT COALESCE(NULLIF(g.display_name, ''), g.name) AS title, w.number FROM"
        f" (SELECT o.group_id, count(*) AS number FROM objects o WHERE {taken.sql}"
        " AND o.group_id IS NOT NULL GROUP BY o.group_id) AS w"
        " JOIN actors g ON g.id = w.group_id ORDER BY w.number DESC, g.id LIMIT ?",
        *taken.args,
        NAMED,
    )

    async def count(sql: str) -> int:
        return int(await db.value(sql, *taken.args) or 0)

    people_total = await count(
        f"SELECT count(DISTINCT o.author_id) FROM objects o WHERE {taken.sql}"
    )
    pictures = await count(
        f"SELECT count(*) FROM attachments t JOIN objects o ON o.id = t.object_id WHERE {taken.sql}"
    )
    answers = await count(
        "SELECT count(*) FROM objects r JOIN objects o ON o.id = r.parent_id"
        f" WHERE {taken.sql} AND r.author_id <> o.author_id AND r.deleted_at IS NULL"
    )
    servers = await count(
        "SELECT count(DISTINCT c.host_id) FROM reach c JOIN objects o ON o.id = c.subject_id"
        f" WHERE {taken.sql}"
    )
    others = await _others(db, scope) if scope.group_id is None else {}
    return Preview(
        people=tuple(_handle(row) for row in people),
        people_total=people_total,
        groups=tuple((row["title"], int(row["number"])) for row in groups),
        topics=kinds.get("topic", 0),
        replies=kinds.get("reply", 0),
        posts=kinds.get("post", 0),
        pictures=pictures,
        answers=answers,
        servers=servers,
        reactions=others.get("reactions", 0),
        votes=others.get("votes", 0),
        participations=others.get("participations", 0),
        notifications=others.get("notifications", 0),
        reports=others.get("reports", 0),
        follows=others.get("follows", 0),
        memberships=others.get("memberships", 0),
        waiting=others.get("waiting", 0),
    )


async def _others(db: Reader, scope: Scope) -> dict[str, int]:
    """How much there is of everything that is not words."""
    who = scope.people("a")
    since, until = scope.since, scope.until

    async def count(table: str, column: str, when: str, *args: int) -> int:
        return int(
            await db.value(
                f"SELECT count(*) FROM actors a JOIN {table} x ON x.{column} = a.id"
                f" WHERE {who.sql} AND {when}",
                *who.args,
                *args,
            )
        )

    by_id = "x.id >= ? AND x.id < ?"
    by_time = "x.created_at >= ? AND x.created_at < ?"
    not_taken = f"{by_time} AND x.suspended <> {SWEPT}"
    signed = "" if scope.kind != "actor" else " AND i.signer_uri = a.uri"
    hosts = "i.host_id = a.host_id AND a.id = ?" if signed else f"i.host_id IN {scope.hosts()}"
    source = "inbox i, actors a" if signed else "inbox i"
    return {
        "reactions": await count("reactions", "actor_id", by_id, *scope.ids),
        "votes": await count("poll_votes", "actor_id", by_id, *scope.ids),
        "participations": await count("participations", "actor_id", by_time, since, until),
        "notifications": await count("notifications", "actor_id", by_id, *scope.ids),
        "reports": await count(
            "reports", "reporter_id", f"{by_id} AND x.state = 'open'", *scope.ids
        ),
        "follows": await count("follows", "follower_id", not_taken, since, until),
        "memberships": await count(
            "memberships",
            "actor_id",
            f"{not_taken} AND x.role = 'member' AND x.state <> 'banned'",
            since,
            until,
        ),
        "waiting": int(
            await db.value(
                f"SELECT count(*) FROM {source} WHERE {hosts}{signed}"
                " AND i.state IN ('waiting', 'held', 'suspect') AND i.id >= ? AND i.id < ?",
                scope.subject_id,
                *scope.ids,
            )
        ),
    }


def _handle(row: Row) -> str:
    return row["name"] if row["host"] is None else f"{row['name']}@{row['host']}"


# Deciding


async def begin(
    tx: Transaction,
    scope: Scope,
    *,
    reason: str,
    by: int,
    cause: Cause = "sweep",
    decided_as: statements.Role = "hub",
    rule: rules.Reference | None = None,
    report_id: int | None = None,
    total: int = 0,
    undo_days: int = UNDO_DAYS,
) -> int:
    """Decide a sweep; its id. The work is done by `fedcomm.hub.sweeping`. `total`: what its preview counted.

    For a ban or a suspension the caller has checked who may do it. Raises NotFound, NotAllowed, Invalid.
    """
    reason = statements.required(reason)
    if scope.since >= scope.until:
        raise Invalid("since", "The time must begin before it ends.")
    if cause == "sweep":
        await _require_right(tx, scope, by)
    sweep_id = new_id()
    now = now_ms()
    await tx.execute(
        f"INSERT INTO sweeps ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running',"
        " '', 0, ?, 0, ?, NULL, ?, NULL, '', NULL)",
        sweep_id,
        scope.kind,
        scope.subject_id,
        scope.group_id,
        cause,
        scope.since,
        scope.until,
        reason,
        rule.version if rule else None,
        rule.number if rule else None,
        report_id,
        by,
        decided_as,
        total,
        now,
        now + (undo_days if cause == "sweep" else removal.APPEAL_DAYS) * DAY_MS,
    )
    if cause == "sweep":
        await audit.record(
            tx,
            "sweep_begun",
            actor_id=by,
            subject_id=scope.subject_id,
            detail={
                "sweep": str(sweep_id),
                "kind": scope.kind,
                "since": scope.since,
                "until": scope.until,
                "found": total,
            },
        )
    return sweep_id


async def undo(tx: Transaction, sweep_id: int, *, by: int, reason: str) -> None:
    """Bring everything back, in steps. Raises NotFound, NotAllowed (it is erased, or undone already), Invalid."""
    await require_administrator(tx, by)
    known = await sweep(tx, sweep_id)
    if not known.can_be_undone:
        raise NotAllowed("This can no longer be undone.")
    await tx.execute(
        "UPDATE sweeps SET state = 'undoing', undone_by = ?, undo_reason = ?, purge_at = NULL,"
        " finished_at = NULL WHERE id = ?",
        by,
        statements.required(reason),
        sweep_id,
    )
    await audit.record(
        tx,
        "sweep_undone",
        actor_id=by,
        subject_id=known.scope.subject_id,
        detail={"sweep": str(sweep_id)},
    )


async def require_administrator(db: Reader, member_id: int) -> None:
    """Raises NotAllowed unless the member administers this hub now."""
    person = await members.member(db, member_id)
    if person is None or person.state != "active" or person.role != "administrator":
        raise NotAllowed("Only administrators of this site can do this.")


async def _require_right(tx: Transaction, scope: Scope, by: int) -> None:
    await require_administrator(tx, by)
    if scope.kind != "actor":
        if await tx.value("SELECT 1 FROM hosts WHERE id = ?", scope.subject_id) is None:
            raise NotFound("This server is not known here.")
        return
    person = await actors.actor(tx, scope.subject_id)
    if person is None or (person.kind == "group" and person.is_local):
        raise NotFound("There is no such person.")
    if person.id == by:
        raise NotAllowed("Nobody decides about themselves.")


# What administrators type


async def target(db: Reader, text: str, *, with_subdomains: bool = False) -> tuple[Kind, int]:
    """Who is meant by `name@host`, a member's name, or a server's name. Raises NotFound, Invalid.

    `with_subdomains`: every server of the registrable domain.
    """
    name = text.strip().lower().removeprefix("@")
    handle, at, host = name.partition("@")
    if at:
        person = await actors.remote_actor(db, handle, host)
        person = person or await actors.local_actor(db, handle)
    else:
        person = await actors.local_actor(db, handle) if "." not in handle else None
    if person is not None:
        return "actor", person.id
    if at or "." not in name.partition(":")[0]:
        raise NotFound("Nobody of this address is known here.")
    domain = policies.normal_domain(name)
    host_id = await db.value("SELECT id FROM hosts WHERE name = ?", domain)
    if host_id is None and with_subdomains:
        host_id = await db.value(
            "SELECT id FROM hosts WHERE family = ? ORDER BY id LIMIT 1", domains.family(domain)
        )
    if host_id is None:
        raise NotFound("This server is not known here.")
    return ("family" if with_subdomains else "host"), int(host_id)


_LENGTH = re.compile(r"([0-9]{1,5}) ?(m|h|d)")
_UNITS: Final = {"m": 60_000, "h": 3_600_000, "d": DAY_MS}


def moment(text: str, now: int) -> int:
    """A point in time as people type it, in Unix ms: `30m`, `2h`, `7d` ago; `2026-11-20` or `2026-11-20T08:30` in
    UTC; `all` for everything. Raises Invalid."""
    words = text.strip().lower()
    if words == "all":
        return 0
    if length := _LENGTH.fullmatch(words):
        return max(0, now - int(length[1]) * _UNITS[length[2]])
    try:
        at = datetime.fromisoformat(words.upper())
    except ValueError:
        raise Invalid(
            "since", "Write a length of time (30m, 2h, 7d), a date (2026-11-20), or all."
        ) from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0, int(at.timestamp() * 1000))
