"""What the pages about data show in the browser's town: copies elsewhere, a case of erasure, a hold, requests."""

from __future__ import annotations

from fedcomm.hub import access_requests, erasure, holds, members
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms
from fedcomm.store.pseudonyms import Pseudonyms
from tests.web.test_my_data import reached
from tests.web.world import World

HOUR_MS = 3_600_000


async def give_ledger(world: World) -> None:
    """Copies of what Chiara wrote, somebody of another server who is being erased, and what administrators decide."""
    world.site.db.pseudonyms = Pseudonyms(b"the secret of the town")
    chiara, topic = world.people["chiara"], world.topics["pictures"]
    for host, status in (
        ("mastodon.example", None),
        ("lemmy.example", 202),
        ("pixelfed.example", 503),
    ):
        for subject in (topic, world.topics["garden"], chiara):
            await reached(world, subject, host, status=status)
    async with world.site.db.transaction() as tx:
        world.topics["leaver"] = await _leaver(tx)
        await holds.place(
            tx, "object", topic, reason="Il tribunale chiede di conservarlo (caso 7).", by=None
        )
        for _ in range(2):
            await access_requests.ask(tx, "member", chiara, requested_by=chiara)
            await tx.execute(
                "UPDATE access_requests SET state = 'ready', file = 'none.zip', size = 482133,"
                " finished_at = ?, expires_at = ? WHERE state = 'waiting'",
                now_ms(),
                now_ms() + 100 * HOUR_MS,
            )
        await access_requests.ask(tx, "remote", world.remote_id, requested_by=world.people["anna"])


async def _leaver(tx: Transaction) -> int:
    """A member who has asked to be forgotten; the number of the case."""
    leaver = await members.create_member(tx, "fausta", display_name="Fausta")
    case_id = await erasure.request(tx, "member", leaver, requested_by=leaver, own=True)
    rows = await tx.all(
        "SELECT id, name FROM hosts WHERE name LIKE '%.example' ORDER BY name LIMIT 4"
    )
    for number, row in enumerate(rows):
        await tx.execute(
            "INSERT INTO erasure_recipients (case_id, host_id, copies, first_at, how, told_at,"
            " answered_at, status) VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
            case_id,
            row["id"],
            number + 1,
            now_ms() - 1000 * HOUR_MS,
            now_ms() - HOUR_MS if number else None,
            now_ms() if number == 1 else None,
            202 if number == 1 else None,
        )
    await tx.execute(
        "UPDATE erasures SET state = 'tell', objects = 12, media = 3, erased_at = ?, scrubbed_at = ?"
        " WHERE id = ?",
        now_ms(),
        now_ms(),
        case_id,
    )
    return case_id
