"""What leaves: topics to followers on many hosts, healthy, dead and hanging."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from activitypub.keys import load_public_pem
from activitypub.signatures import Request, inspect, verify
from benchmarks.elsewhere import Arrivals
from benchmarks.figures import Figure, Floor
from benchmarks.stage import Stage

FORMS: Final = 2
"""A server of an unknown kind gets a topic as activity and as id."""

DEAD: Final = 0.05
HANGING: Final = 0.02
"""Shares of sick hosts, of the healthy ones."""

HANGING_S: Final = 12.0
"""After this hanging hosts have answered."""

TOPICS: Final = 10

ROUNDS: Final = 3
"""Without sick hosts and with them, one directly after the other: two alike differ by a tenth for no reason that can be
seen, so it is the pair in the middle that counts."""

WAIT_S: Final = 900.0


async def fan_out(stage: Stage, hosts: int, floor: Floor) -> list[Figure]:
    """One topic to one follower on each of `hosts` servers that take activities; then three times ten in a row, and ten
    with sick hosts besides (others each time: those that are known are left alone). The last figure's `ratio` is the
    time of the healthy ones against the run without sick ones."""
    healthy = [f"h{number}.fan.test" for number in range(hosts)]
    await stage.follow_from(healthy)
    # It makes connections, and the process gets to know the hosts.
    one, _ = await tell(stage, 1, hosts, f"fan-out of 1 topic to {hosts} hosts", floor)
    pairs = []
    for turn in range(ROUNDS):
        if turn:
            # Hanging hosts have answered, and connections that were closed meanwhile are open again.
            await asyncio.sleep(HANGING_S)
            await tell(stage, 1, hosts, "", floor)
        name = f"fan-out of {TOPICS} topics to {hosts} hosts"
        ten, well = await tell(stage, TOPICS, hosts, name, floor)
        dead = [f"h{turn}-{n}.gone.test" for n in range(max(1, round(hosts * DEAD)))]
        hanging = [f"h{turn}-{n}.late.test" for n in range(max(1, round(hosts * HANGING)))]
        await stage.follow_from(dead + hanging)
        name = (
            f"the same with {DEAD:.0%} dead and {HANGING:.0%} hanging hosts besides, healthy ones"
        )
        ill, slowed = await tell(stage, TOPICS, hosts, name, floor, drain=False)
        ill.ratio, ill.floor = round(slowed / well, 2), "the time without them"
        pairs.append((ten, ill))
    await _check_signatures(stage, await stage.elsewhere.arrivals())
    return [one, *sorted(pairs, key=lambda pair: pair[1].ratio or 0)[ROUNDS // 2]]


async def tell(
    stage: Stage, topics: int, hosts: int, name: str, floor: Floor, *, drain: bool = True
) -> tuple[Figure, float]:
    """Write so many topics; the figure, and seconds until the last healthy host had all of them."""
    wanted = topics * hosts * FORMS
    await stage.elsewhere.forget()
    meter = stage.meter()
    started = time.monotonic()
    for number in range(topics):
        await stage.write_topic(f"Topic {number} of {topics}")
    deadline = started + WAIT_S
    while True:
        # Cheaply until it may be all, then with who got how much.
        if await stage.elsewhere.total() >= wanted:
            found = await stage.elsewhere.arrivals()
            last = [at for host, at in found.last.items() if host.endswith(".fan.test")]
            if sum(n for host, n in found.counts.items() if host.endswith(".fan.test")) >= wanted:
                break
        assert time.monotonic() < deadline, f"{name}: not all arrived"
        await asyncio.sleep(0.02)
    took = max(last) - started
    if drain:
        # What is written down after the last answer belongs to it.
        await stage.quiet()
    figure = meter.figure(name, wanted, floor, seconds=took)
    assert all(
        n == topics * FORMS for host, n in found.counts.items() if host.endswith(".fan.test")
    )
    return figure, took


async def _check_signatures(stage: Stage, found: Arrivals) -> None:
    """Whether what arrived was signed with the group's key: nothing is fast that others would refuse."""
    assert found.samples, "nothing was kept to be checked"
    group = await stage.group()
    pem = await stage.db.value(
        "SELECT public_key FROM actor_keys WHERE actor_id = ? AND algorithm LIKE 'rsa%'", group
    )
    key = load_public_pem(str(pem))
    for taken in found.samples:
        host = next(value for name, value in taken.headers if name.lower() == "host")
        url = f"http://{host}{taken.target}"
        claim = inspect(
            Request("POST", taken.target, url, taken.headers, taken.body), now=int(time.time())
        )
        assert verify(claim, key), "a delivery's signature does not fit"
