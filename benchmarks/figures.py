"""Figures and how they are taken: a rate, CPU seconds of all of the hub's processes, waits, a ratio to a floor."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from benchmarks.load import Poured
from tests.databases import PostgreSQLServer
from tests.federation.hub import Hub

log = logging.getLogger("benchmarks")


class Floor(NamedTuple):
    """What an operation costs at least, measured in the same run: CPU seconds for 1,000."""

    name: str
    cpu_s_per_1000: float


@dataclass
class Figure:
    """One line of the table. `cpu_s_per_1000`: of all processes of the hub; `database_cpu_s_per_1000`: of PostgreSQL
    beside it, None with SQLite, which is part of the hub. `floor` names what `ratio` compares with."""

    name: str
    operations: int
    per_second: float
    cpu_s_per_1000: float
    ratio: float | None = None
    floor: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None
    database_cpu_s_per_1000: float | None = None
    put_off: int = 0
    """How often the server said *come again* (429, 503) before it took a request."""

    def timed(self, poured: Poured) -> Figure:
        """The same with how long single answers took, as the asking processes saw them."""
        ordered = sorted(poured.seconds)
        self.put_off = poured.put_off
        self.p50_ms = round(ordered[len(ordered) // 2] * 1000, 1)
        self.p99_ms = round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 1)
        return self


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all that it started, ended ones included."""
    used = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def memory_mb(pid: int) -> tuple[float, float]:
    """(RSS, PSS) of a process and all that it started, in megabytes."""
    rss = pss = 0.0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            rss += full.rss / 1e6
            pss += full.pss / 1e6
    return round(rss, 1), round(pss, 1)


class Meter:
    """CPU seconds that a server's processes use from now on. `pid`: of the first of them."""

    def __init__(self, pid: int, database_pid: int | None = None) -> None:
        self._pids = (pid, database_pid)
        self._last = self._now()
        self._at = time.monotonic()

    @classmethod
    def of(cls, hub: Hub, database: PostgreSQLServer | None = None) -> Meter:
        """Of a running hub, and the PostgreSQL below it."""
        assert hub.process is not None
        return cls(hub.process.pid, database.pid if database is not None else None)

    def _now(self) -> tuple[float, float]:
        pid, database_pid = self._pids
        assert pid is not None
        return cpu_seconds(pid), cpu_seconds(database_pid) if database_pid is not None else 0.0

    def figure(
        self,
        name: str,
        operations: int,
        floor: Floor | None = None,
        *,
        seconds: float | None = None,
    ) -> Figure:
        """What `operations` cost since the meter was made; `seconds` that they took, if not all until now."""
        took = max(1e-6, seconds if seconds is not None else time.monotonic() - self._at)
        own, database = (now - last for now, last in zip(self._now(), self._last, strict=True))
        per_1000 = own / operations * 1000
        ratio = per_1000 / floor.cpu_s_per_1000 if floor and floor.cpu_s_per_1000 else None
        log.info("%s: %.0f per s, %.3f CPU s per 1,000", name, operations / took, per_1000)
        return Figure(
            name,
            operations,
            round(operations / took, 1),
            round(per_1000, 3),
            round(ratio, 2) if ratio is not None else None,
            floor.name if floor is not None else "",
            database_cpu_s_per_1000=(
                round(database / operations * 1000, 3) if self._pids[1] is not None else None
            ),
        )

    def memory_mb(self) -> tuple[float, float]:
        """(RSS, PSS) of the server's processes in megabytes, without the database's."""
        pid = self._pids[0]
        assert pid is not None
        return memory_mb(pid)
