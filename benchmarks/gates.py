"""`python -m benchmarks.gates`: what the list of blocks and the limits against abuse cost one request.

In one process, on a fresh SQLite file: CPU microseconds of each gate that stands before an activity, beside the floor
of the same run, the check of one RSA signature with the parsing of a small activity. Ratios hold on others,
absolute figures do not. At the end, how long a list of `--lines` lines takes to be previewed, applied and undone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from activitypub import ijson
from activitypub.documents import read_activity
from activitypub.keys import generate_rsa
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.floodgates import Floodgates
from fedcomm.hub import actors, blocklists, impact, policies, policy_changes, policy_drafts
from fedcomm.hub.actors import RemoteProfile
from fedcomm.hub.policies import Entry, PolicyBook
from fedcomm.settings import Abuse
from fedcomm.store.database import Database
from fedcomm.store.schema import migrate, open_database

HUB = "https://hub.example"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
BODY = b"(request-target): post /ap/inbox\nhost: hub.example\ndate: now\ndigest: SHA-256=x"


async def cost(times: int, work: Callable[[int], Awaitable[object]]) -> float:
    """CPU microseconds of one call, the best of three rounds."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for number in range(times):
            await work(number)
        best = min(best, (time.process_time() - start) / times * 1e6)
    return best


async def person(db: Database, host: str) -> KnownKey:
    """Somebody of another server whom nobody here knows."""
    uri = f"https://{host}/users/eve"
    profile = RemoteProfile(
        uri=uri, host=host, kind="person", name="eve", display_name="Eve", summary_html="", url=uri,
        avatar_url=None, inbox=f"{uri}/inbox", shared_inbox=None, outbox=None, followers_uri=None,
        featured_uri=None, locked=False, discoverable=True, indexable=True, moved_to_uri=None,
        suspended=False, keys=(),
    )  # fmt: skip
    async with db.transaction() as tx:
        actor_id = await actors.store_remote(tx, profile)
    found = await actors.actor(db, actor_id)
    assert found is not None
    key = generate_rsa().public()
    return KnownKey(key, actor_id, uri, "person", found.host_id or 0, "none", 0)


async def gates(db: Database, lines: int, times: int) -> dict[str, float]:
    """The figures, by name, in CPU microseconds."""
    found: dict[str, float] = {}
    pair = generate_rsa()
    public, signature = pair.public(), pair.sign(BODY)
    eve = await person(db, "evil.example")
    like = {
        "id": f"{eve.actor_uri}/1",
        "type": "Like",
        "actor": eve.actor_uri,
        "object": f"{HUB}/ap/o/1",
    }
    note = {
        "id": f"{eve.actor_uri}/2",
        "type": "Note",
        "content": "x",
        "inReplyTo": f"{HUB}/ap/o/1",
    }
    create = like | {"type": "Create", "object": note, "to": [PUBLIC]}
    raw = json.dumps(like).encode()

    async def floor(_number: int) -> object:
        assert public.verify(signature, BODY)
        return read_activity(ijson.parse_object(raw))

    found["one signature and the parsing of a Like"] = await cost(times, floor)
    for number in (0, 5, lines):
        async with db.transaction() as tx:
            known = await policies.all_entries(tx)
            wanted: dict[str, Entry | None] = {
                f"h{each}.example": Entry(f"h{each}.example", "suspend") for each in range(number)
            }
            wanted |= dict.fromkeys(set(known) - set(wanted))
            await policy_changes.apply(tx, wanted, by=None, kind="set", reason="Measured.")
        book = PolicyBook(db)
        await book.policy("warm.example")

        async def ask(each: int, book: PolicyBook = book) -> object:
            return await book.policy(f"social.host{each}.example.org")

        found[f"the policy of a host, {number} entries"] = await cost(times, ask)
    # Limits that nothing reaches, so that every request is counted.
    open_gates = Abuse(activities_per_actor_hour=10**9, posts_per_actor_hour=10**9)
    flood = Floodgates(open_gates, Addresses(HUB), allow_http=False)
    for name, document in (("a Like", like), ("a Create", create)):
        activity = read_activity(document)

        async def count(_number: int, activity: Any = activity) -> object:
            return await flood.closed(db, activity, eve)

        found[f"the limits, {name}"] = await cost(times, count)
    return found


async def list_of(db: Database, lines: int) -> dict[str, float]:
    """Seconds that a list takes."""
    async with db.transaction() as tx:
        wanted = dict.fromkeys(await policies.all_entries(tx))
        await policy_changes.apply(tx, wanted, by=None, kind="removed", reason="Measured.")
    text = blocklists.as_csv([Entry(f"h{each}.example", "suspend") for each in range(lines)])
    start = time.monotonic()
    async with db.transaction() as tx:
        draft = await policy_drafts.add(
            tx, text.encode(), source="list.csv", level="suspend", by=None
        )
    difference = await policy_drafts.difference(db, draft, own_host="hub.example")
    await impact.of_entries(db, blocklists.changes(difference))
    previewed = time.monotonic()
    async with db.transaction() as tx:
        change = await policy_drafts.apply(
            tx, draft, by=None, reason="Measured.", own_host="hub.example"
        )
    applied = time.monotonic()
    async with db.transaction() as tx:
        await policy_changes.undo(tx, change or 0, by=None, reason="Measured.")
    return {
        "previewed": previewed - start,
        "applied": applied - previewed,
        "undone": time.monotonic() - applied,
    }


async def measure(lines: int, times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'gates.db'}"
        await asyncio.to_thread(migrate, url)
        db = await open_database(url)
        try:
            found = await gates(db, lines, times)
            floor = next(iter(found.values()))
            print(f"{'':46}{'CPU µs':>9}{'× floor':>9}")
            for name, value in found.items():
                print(f"{name:46}{value:9.1f}{value / floor:9.2f}")
            seconds = await list_of(db, lines)
            told = ", ".join(f"{name} in {value:.2f} s" for name, value in seconds.items())
            print(f"A list of {lines} lines: {told}")
        finally:
            await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description=__doc__)
    parser.add_argument("--lines", type=int, default=5_000, help="entries of the list of blocks")
    parser.add_argument("--times", type=int, default=5_000, help="calls in each round")
    wanted = parser.parse_args()
    asyncio.run(measure(wanted.lines, wanted.times))


if __name__ == "__main__":
    main()
