"""What this process counts and measures of itself, for monitoring: sums by words of ours, nothing about anybody.

Labels are taken from closed lists of ours (a verdict, a status, a kind of statement), so that nobody outside can make
the list long or write into it.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper edges of the classes of times, in seconds."""


@dataclass(slots=True)
class Tally:
    """How often something happened, by one label."""

    name: str
    help: str
    label: str
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, value: str, times: int = 1) -> None:
        """It happened."""
        self.counts[value] += times

    def state(self) -> dict[str, int]:
        """For another process; `lines` adds it up."""
        return dict(self.counts)

    def lines(self, others: Iterable[dict[str, int]] = ()) -> Iterator[str]:
        """In the text format of Prometheus, with what other processes have counted."""
        counts = Counter(self.counts)
        for other in others:
            counts.update(other)
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} counter"
        for value, count in sorted(counts.items()):
            yield f'{self.name}{{{self.label}="{value}"}} {count}'


@dataclass(slots=True)
class Times:
    """How long something took, by one label, in seconds."""

    name: str
    help: str
    label: str
    _classes: dict[str, list[int]] = field(default_factory=dict)
    _sums: dict[str, float] = field(default_factory=dict)

    def add(self, value: str, seconds: float) -> None:
        """It took so long."""
        classes = self._classes.get(value)
        if classes is None:
            classes = self._classes[value] = [0] * (len(BUCKETS) + 1)
            self._sums[value] = 0.0
        # Nearly all are in the first class.
        classes[0 if seconds <= BUCKETS[0] else bisect_left(BUCKETS, seconds)] += 1
        self._sums[value] += seconds

    @contextmanager
    def of(self, value: str) -> Iterator[None]:
        """Measure the block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(value, time.perf_counter() - started)

    def state(self) -> dict[str, list[float]]:
        """For another process: by label the classes, then the sum. `lines` adds it up."""
        return {value: [*self._classes[value], self._sums[value]] for value in self._classes}

    def lines(self, others: Iterable[dict[str, list[float]]] = ()) -> Iterator[str]:
        """In the text format of Prometheus, with what other processes have measured."""
        states = [self.state(), *others]
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} histogram"
        for value in sorted({value for state in states for value in state}):
            found = [state[value] for state in states if value in state]
            *classes, seconds = (sum(column) for column in zip(*found, strict=True))
            total = 0
            for edge, count in zip((*BUCKETS, "+Inf"), classes, strict=True):
                total += int(count)
                yield f'{self.name}_bucket{{{self.label}="{value}",le="{edge}"}} {total}'
            yield f'{self.name}_sum{{{self.label}="{value}"}} {seconds:.6f}'
            yield f'{self.name}_count{{{self.label}="{value}"}} {total}'


REQUESTS: Final = Times("fedcomm_request_seconds", "Answers to requests, by who asks.", "kind")
ANSWERS: Final = Tally("fedcomm_answers_total", "Answers to requests, by status.", "status")
INBOX: Final = Tally("fedcomm_inbox_answers_total", "Answers to what servers post.", "status")
VERDICTS: Final = Tally(
    "fedcomm_inbox_verdicts_total", "What became of activities that were taken in.", "verdict"
)
DELIVERIES: Final = Tally("fedcomm_deliveries_total", "Attempts to deliver.", "outcome")
DATABASE: Final = Times("fedcomm_database_seconds", "Statements and transactions.", "kind")
SLOW: Final = Tally("fedcomm_slow_statements_total", "Statements over the limit.", "kind")
SOUNDNESS: Final = Tally(
    "fedcomm_database_checks_total", "Looks through a file that was not closed.", "verdict"
)

ALL: Final = (REQUESTS, ANSWERS, INBOX, VERDICTS, DELIVERIES, DATABASE, SLOW, SOUNDNESS)


def state() -> dict[str, Any]:
    """Everything that this process has counted and measured, by name, for another one; and its memory (bytes)."""
    return {"memory": resident_bytes(), **{each.name: each.state() for each in ALL}}


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def lines(others: Iterable[Mapping[str, Any]] = ()) -> Iterator[str]:
    """All of it in the text format of Prometheus, together with the states of other processes."""
    states = list(others)
    for each in ALL:
        yield from each.lines([state[each.name] for state in states if each.name in state])
