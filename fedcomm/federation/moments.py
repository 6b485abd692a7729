"""Times and lengths of time, as they are written on the wire."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(milliseconds: int) -> str:
    """Unix milliseconds as `2026-11-21T10:15:00Z`; with milliseconds where they are not zero, so that
    a reply is never dated before its parent (§12)."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    return text.replace("+00:00", "Z")


def duration(milliseconds: int) -> str:
    """A length of time as `xsd:duration`: `PT1M2.5S`."""
    minutes, rest = divmod(milliseconds, 60_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"PT{minutes}M{seconds}S" if minutes else f"PT{seconds}S"
