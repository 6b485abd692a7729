"""Figures for monitoring, in the text format of Prometheus: numbers of the machine, nothing about anybody.

Of a server with several processes any one of them answers, for all.

Off until `metrics.token` is set; then for whoever sends the token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hmac import compare_digest
from typing import Any, Final

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import canary
from fedcomm.site import Site
from fedcomm.store import figures
from fedcomm.store.ids import now_ms
from fedcomm.version import VERSION

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

QUEUES: Final = {
    "inbox_waiting": "Activities that arrived and are not processed yet.",
    "inbox_failed": "Activities that were set aside.",
    "deliveries_waiting": "Deliveries that wait for another server.",
    "deliveries_failed": "Deliveries that were given up.",
    "outbox_failed": "Journal entries that the outbox set aside.",
    "hosts": "Servers that are known.",
}


async def metrics(request: web.Request) -> web.StreamResponse:
    """The figures, or 404 as for any page that does not exist."""
    site = site_of(request)
    token = site.config.metrics.token
    sent = request.headers.get(hdrs.AUTHORIZATION, "").encode(errors="surrogateescape")
    if not token or not compare_digest(sent, f"Bearer {token}".encode()):
        raise web.HTTPNotFound()
    lines = list(_gauge("fedcomm_info", "This program.", 1, f'{{version="{VERSION}"}}'))
    if site.federation is not None:
        for name, value in (await site.federation.totals()).items():
            lines += _gauge(f"fedcomm_{name}", QUEUES.get(name, name), value)
        for name, age in (await site.federation.ages()).items():
            lines += _gauge(
                f"fedcomm_{name}_oldest_seconds", "How long the oldest has waited.", age / 1000
            )
    if site.config.canary.enabled:
        lines += _of_canary(await canary.status(site.db))
    others = site.slate.others() if site.slate is not None else {}
    lines += _of_memory(site, others)
    lines += _of_machine(site)
    lines += figures.lines(others.values())
    response = web.Response(body=("\n".join(lines) + "\n").encode())
    response.headers[hdrs.CONTENT_TYPE] = CONTENT_TYPE
    return response


def _of_memory(site: Site, others: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """Of each process, where there are several."""
    resident = figures.resident_bytes()
    if not resident:
        return
    if site.slate is None:
        yield from _gauge("fedcomm_memory_bytes", "Resident memory.", resident)
        return
    found = {site.slate.number: resident} | {n: int(each["memory"]) for n, each in others.items()}
    yield "# HELP fedcomm_memory_bytes Resident memory, by process."
    yield "# TYPE fedcomm_memory_bytes gauge"
    for number, size in sorted(found.items()):
        yield f'fedcomm_memory_bytes{{process="{number}"}} {size}'


def _of_machine(site: Site) -> Iterator[str]:
    """What the disk has left."""
    yield from _gauge("fedcomm_disk_free_bytes", "Room for files.", site.space.free())
    yield from _gauge(
        "fedcomm_disk_short", "1: no files are taken any more.", int(site.space.is_short())
    )
    file = site.config.database.file
    if file is not None and file.exists():
        yield from _gauge("fedcomm_database_bytes", "The SQLite file.", file.stat().st_size)
        log_file = file.with_name(f"{file.name}-wal")
        if log_file.exists():
            yield from _gauge("fedcomm_database_log_bytes", "Its log.", log_file.stat().st_size)


def _of_canary(status: canary.Status) -> Iterator[str]:
    yield from _gauge(
        "fedcomm_canary_missed", "Cycles of the canary missed in a row; 0 is well.", status.missed
    )
    last = status.last_arrived
    if last is None or last.duration_ms is None or last.arrived_at is None:
        return
    yield from _gauge(
        "fedcomm_canary_cycle_seconds",
        "How long the last post took to come round.",
        last.duration_ms / 1000,
    )
    yield from _gauge(
        "fedcomm_canary_age_seconds",
        "How long ago a post came round.",
        max(0, now_ms() - last.arrived_at) // 1000,
    )


def _gauge(name: str, text: str, value: float, labels: str = "") -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    yield f"{name}{labels} {value:g}" if isinstance(value, float) else f"{name}{labels} {value}"
