"""Changing who may federate: entries and the mode, with what follows from it, and undoing that.

One change is one transaction: the entries, the hosts that they cover, the relations with suspended
hosts (marked, never deleted), the record from which the change is undone, and a line in the audit
log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from fedcomm.hub import audit, instance, policies
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.policies import Entry, Mode
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

Kind = Literal["set", "removed", "imported", "mode", "expired", "undone"]

EVERYBODY: Final = "*"
"""Stands in the place of a domain where the mode changed."""

REASON_CHARACTERS: Final = 1_000
HOSTS_AT_ONCE: Final = 2_000
IDS_AT_ONCE: Final = 500
NAMED_IN_AUDIT: Final = 100
"""Domains that a line of the audit log names; the record of the change has them all."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made. Times: Unix milliseconds. `domains`: the first of them; `total`: how many."""

    id: int
    actor_id: int | None
    kind: Kind
    reason: str
    at: int
    undone_at: int | None
    domains: tuple[str, ...]
    total: int


async def apply(
    tx: Transaction,
    changes: Mapping[str, Entry | None],
    *,
    by: int | None,
    kind: Kind,
    reason: str,
) -> int | None:
    """Set the entries of these domains (None: remove it); the id of the change, None if nothing changed.

    `by`: the administrator, None for the command line. Raises Invalid without a reason.
    """
    reason = _reason(reason)
    known = await _existing(tx, list(changes))
    now = now_ms()
    after = {
        domain: _new(known.get(domain), entry, by, now) if entry is not None else None
        for domain, entry in changes.items()
        if not _same(known.get(domain), entry)
    }
    if not after:
        return None
    before = {domain: known.get(domain) for domain in after}
    return await _carry_out(tx, before, after, by=by, kind=kind, reason=reason)


async def set_mode(tx: Transaction, mode: Mode, *, by: int | None, reason: str) -> int | None:
    """Change what holds for hosts without an entry; the id of the change, None if it is so already."""
    reason = _reason(reason)
    if mode not in policies.MODES:
        raise Invalid("mode", "A mode is open, cautious or allow-list.")
    known, since = await policies.stored_mode(tx)
    if known == mode:
        return None
    before = json.dumps([known, since])
    if known == "open":
        since = now_ms()
    change_id = await _note(
        tx, by, "mode", reason, {EVERYBODY: (before, json.dumps([mode, since]))}
    )
    await _store_mode(tx, mode, since)
    await _settle(tx)
    await audit.record(
        tx,
        "policy_mode",
        actor_id=by,
        subject_id=change_id,
        detail={"before": known, "after": mode, "reason": reason},
    )
    return change_id


async def undo(tx: Transaction, change_id: int, *, by: int | None, reason: str) -> list[str]:
    """Put back what a change replaced; the domains that were changed again since, which stay as they are.

    Relations are as they were before, as far as nobody ended them meanwhile. Raises NotFound,
    NotAllowed.
    """
    reason = _reason(reason)
    row = await tx.one("SELECT kind, undone_at FROM policy_changes WHERE id = ?", change_id)
    if row is None or row["undone_at"] is not None:
        raise NotFound("There is no such change, or it is undone already.")
    rows = await tx.all(
        "SELECT domain, before, after FROM policy_change_entries WHERE change_id = ?", change_id
    )
    await tx.execute("UPDATE policy_changes SET undone_at = ? WHERE id = ?", now_ms(), change_id)
    if row["kind"] == "mode":
        return await _undo_mode(tx, rows[0]["before"], rows[0]["after"], by, reason, change_id)
    current = await _existing(tx, [row["domain"] for row in rows])
    before: dict[str, Entry | None] = {}
    after: dict[str, Entry | None] = {}
    left: list[str] = []
    for row in rows:
        domain = row["domain"]
        was = policies.from_json(row["before"]) if row["before"] is not None else None
        became = policies.from_json(row["after"]) if row["after"] is not None else None
        if current.get(domain) != became:
            left.append(domain)
            continue
        before[domain], after[domain] = became, was
    if not after:
        raise NotAllowed("It was changed again since, so there is nothing to put back.")
    await _carry_out(tx, before, after, by=by, kind="undone", reason=reason, undoing=change_id)
    return left


async def expire(tx: Transaction) -> list[str]:
    """Remove the entries whose time is over; their domains."""
    rows = await tx.all(
        f"SELECT {policies.COLUMNS} FROM host_policies WHERE expires_at <= ?"
        " ORDER BY expires_at LIMIT 1000",
        now_ms(),
    )
    before: dict[str, Entry | None] = {row["domain"]: policies.entry_of(row) for row in rows}
    if before:
        after: dict[str, Entry | None] = dict.fromkeys(before)
        await _carry_out(tx, before, after, by=None, kind="expired", reason="Its time was over.")
    return list(before)


async def history(db: Reader, *, before: int | None = None, limit: int = 20) -> list[Change]:
    """The changes that were made, newest first, before id `before`."""
    rows = await db.all(
        "SELECT id, actor_id, kind, reason, created_at, undone_at FROM policy_changes"
        " WHERE id < ? ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [await _change(db, row["id"]) for row in rows]


async def latest_undoable(db: Reader) -> Change | None:
    """The last change that was made by somebody and is not undone."""
    found = await db.value(
        "SELECT id FROM policy_changes WHERE undone_at IS NULL AND kind <> 'undone'"
        " ORDER BY id DESC LIMIT 1"
    )
    return await _change(db, found) if found is not None else None


async def change(db: Reader, change_id: int) -> Change:
    """One change. Raises NotFound."""
    if await db.value("SELECT 1 FROM policy_changes WHERE id = ?", change_id) is None:
        raise NotFound("There is no such change, or it is undone already.")
    return await _change(db, change_id)


async def reassess(tx: Transaction) -> int:
    """Bring `hosts` and the relations with them in line with the rules; how many hosts changed."""
    current = await policies.rules(tx)
    last, now, changed = 0, now_ms(), 0
    while True:
        rows = await tx.all(
            "SELECT id, name, first_seen_at, policy, reject_media, reject_reports FROM hosts"
            " WHERE id > ? ORDER BY id LIMIT ?",
            last,
            HOSTS_AT_ONCE,
        )
        if not rows:
            return changed
        last = rows[-1]["id"]
        found = []
        suspended: list[int] = []
        restored: list[int] = []
        for row in rows:
            policy = current.of_known(row["name"], row["first_seen_at"], now)
            media, reports = int(policy.reject_media), int(policy.reject_reports)
            if (policy.level, media, reports) == (
                row["policy"],
                row["reject_media"],
                row["reject_reports"],
            ):
                continue
            found.append((policy.level, media, reports, row["id"]))
            if policy.level == row["policy"]:
                continue
            if policy.level == "suspend":
                suspended.append(row["id"])
            elif row["policy"] == "suspend":
                restored.append(row["id"])
        if found:
            await tx.many(
                "UPDATE hosts SET policy = ?, reject_media = ?, reject_reports = ? WHERE id = ?",
                found,
            )
        await _mark_relations(tx, suspended, 1)
        await _mark_relations(tx, restored, 0)
        changed += len(found)


async def _mark_relations(tx: Transaction, host_ids: Sequence[int], suspended: int) -> None:
    """Suspend or restore every relation with people of these hosts: one column changes, nothing else.

    One end of every relation is ours, so a relation belongs to one host.
    """
    for start in range(0, len(host_ids), IDS_AT_ONCE):
        ids = host_ids[start : start + IDS_AT_ONCE]
        people = f"(SELECT id FROM actors WHERE host_id IN ({marks(len(ids))}))"
        for table, column in (
            ("memberships", "actor_id"),
            ("follows", "follower_id"),
            ("follows", "followed_id"),
        ):
            await tx.execute(
                # What a sweep took away (`fedcomm.hub.sweep_places`) is none of the policy's business.
                f"UPDATE {table} SET suspended = ? WHERE suspended = ? AND {column} IN {people}",
                suspended,
                1 - suspended,
                *ids,
            )


async def _carry_out(
    tx: Transaction,
    before: Mapping[str, Entry | None],
    after: Mapping[str, Entry | None],
    *,
    by: int | None,
    kind: Kind,
    reason: str,
    undoing: int | None = None,
) -> int:
    gone = [domain for domain, entry in after.items() if entry is None]
    await tx.many("DELETE FROM host_policies WHERE domain = ?", [(domain,) for domain in gone])
    await tx.many(
        f"INSERT INTO host_policies ({policies.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (domain) DO UPDATE SET level = excluded.level,"
        " reject_media = excluded.reject_media, reject_reports = excluded.reject_reports,"
        " public_comment = excluded.public_comment, private_comment = excluded.private_comment,"
        " created_by = excluded.created_by, created_at = excluded.created_at,"
        " expires_at = excluded.expires_at, source = excluded.source,"
        " obfuscate = excluded.obfuscate",
        [_row(entry) for entry in after.values() if entry is not None],
    )
    change_id = await _note(
        tx,
        by,
        kind,
        reason,
        {domain: (_text(before[domain]), _text(after[domain])) for domain in after},
    )
    await _settle(tx)
    named = [
        [domain, _level(before[domain]), _level(after[domain])]
        for domain in list(after)[:NAMED_IN_AUDIT]
    ]
    await audit.record(
        tx,
        f"policy_{kind}",
        actor_id=by,
        subject_id=change_id,
        detail={"domains": named, "total": len(after), "reason": reason}
        | ({"undoes": str(undoing)} if undoing else {}),
    )
    return change_id


async def _undo_mode(
    tx: Transaction, before: str, after: str, by: int | None, reason: str, change_id: int
) -> list[str]:
    was, became = json.loads(before), json.loads(after)
    current, _since = await policies.stored_mode(tx)
    if current != became[0]:
        raise NotAllowed("It was changed again since, so there is nothing to put back.")
    undoing = await _note(tx, by, "undone", reason, {EVERYBODY: (after, before)})
    await _store_mode(tx, was[0], was[1])
    await _settle(tx)
    await audit.record(
        tx,
        "policy_undone",
        actor_id=by,
        subject_id=undoing,
        detail={
            "before": became[0],
            "after": was[0],
            "reason": reason,
            "undoes": str(change_id),
        },
    )
    return []


async def _store_mode(tx: Transaction, mode: Mode, since: int) -> None:
    await instance.set_setting(tx, policies.MODE, mode)
    await instance.set_setting(tx, policies.CAREFUL_SINCE, str(since))


async def _settle(tx: Transaction) -> None:
    """What every change is followed by: the hosts, and the number by which other processes notice."""
    version = int(await instance.setting(tx, policies.VERSION) or 0) + 1
    await instance.set_setting(tx, policies.VERSION, str(version))
    await reassess(tx)


async def _note(
    tx: Transaction,
    by: int | None,
    kind: Kind,
    reason: str,
    entries: Mapping[str, tuple[str | None, str | None]],
) -> int:
    change_id = new_id()
    await tx.execute(
        "INSERT INTO policy_changes (id, actor_id, kind, reason, created_at) VALUES (?, ?, ?, ?, ?)",
        change_id,
        by,
        kind,
        reason,
        now_ms(),
    )
    await tx.many(
        "INSERT INTO policy_change_entries (change_id, domain, before, after) VALUES (?, ?, ?, ?)",
        [(change_id, domain, before, after) for domain, (before, after) in entries.items()],
    )
    return change_id


async def _change(db: Reader, change_id: int) -> Change:
    row = await db.one(
        "SELECT id, actor_id, kind, reason, created_at, undone_at FROM policy_changes WHERE id = ?",
        change_id,
    )
    assert row is not None
    domains = await db.all(
        "SELECT domain FROM policy_change_entries WHERE change_id = ? ORDER BY domain LIMIT 5",
        change_id,
    )
    total = await db.value(
        "SELECT count(*) FROM policy_change_entries WHERE change_id = ?", change_id
    )
    return Change(
        row["id"],
        row["actor_id"],
        row["kind"],
        row["reason"],
        row["created_at"],
        row["undone_at"],
        tuple(each["domain"] for each in domains),
        int(total),
    )


async def _existing(tx: Transaction, domains: Sequence[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for some in _portions(domains):
        rows = await tx.all(
            f"SELECT {policies.COLUMNS} FROM host_policies WHERE domain IN ({marks(len(some))})",
            *some,
        )
        found.update({row["domain"]: policies.entry_of(row) for row in rows})
    return found


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), IDS_AT_ONCE):
        yield values[start : start + IDS_AT_ONCE]


def _new(known: Entry | None, wanted: Entry, by: int | None, now: int) -> Entry:
    """The entry as it will stand."""
    letters = wanted.obfuscate
    if letters is None:
        letters = known is not None and bool(known.obfuscate)
    return replace(wanted, created_by=by, created_at=now, obfuscate=letters)


def _same(known: Entry | None, wanted: Entry | None) -> bool:
    """Whether setting `wanted` changes nothing that anybody decided."""
    if known is None or wanted is None:
        return known is wanted
    if wanted.obfuscate is not None and wanted.obfuscate != known.obfuscate:
        return False
    return known == replace(wanted, created_by=known.created_by, created_at=known.created_at)


def _reason(reason: str) -> str:
    reason = reason.strip()[:REASON_CHARACTERS]
    if not reason:
        raise Invalid("reason", "Say why: nothing is decided without a reason.")
    return reason


def _row(entry: Entry) -> tuple[str | int | None, ...]:
    return (
        entry.domain,
        entry.level,
        int(entry.reject_media),
        int(entry.reject_reports),
        entry.public_comment,
        entry.private_comment,
        entry.created_by,
        entry.created_at,
        entry.expires_at,
        entry.source,
        int(bool(entry.obfuscate)),
    )


def _text(entry: Entry | None) -> str | None:
    return policies.as_json(entry) if entry is not None else None


def _level(entry: Entry | None) -> str | None:
    return entry.level if entry is not None else None
