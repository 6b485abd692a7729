"""Logging: one line per event on standard error, as text or JSON (security.md §14).

Log with the standard library and name things by our own ids: `log.info("delivered",
extra={"activity": 7, "status": 202})`. Fields come from `extra`. Never log content, names, handles,
e-mail or network addresses, tokens or query strings; what libraries say is stripped of addresses
here. Control characters are escaped, and a storm of one message is bounded (CVE-2025-69230).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections import OrderedDict
from typing import Final

from fedcomm.settings import Logging

OURS: Final = ("fedcomm", "activitypub")

STORM_LINES: Final = 60
"""Lines of one message (same logger, same template) …"""

STORM_SECONDS: Final = 60.0
"""… within this time; further ones are counted and the count is told with the next line."""

STORM_KEYS: Final = 1000
"""Messages that are counted at once; the least recent one is forgotten."""

FRAMES: Final = 12
"""Frames of a traceback that are written, the innermost ones."""

STANDARD_FIELDS: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | frozenset(
    ("message", "asctime", "taskName")
)

ADDRESSES: Final = re.compile(
    r"[\w.+-]+@[\w.-]+"  # mail addresses and handles
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"  # IPv4
    r"|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"  # IPv6
    r"|\bhttps?://\S+"
)


def configure(settings: Logging) -> None:
    """Write what happens to standard error from now on, in the configured form and detail."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines() if settings.format == "json" else TextLines())
    handler.addFilter(StormBarrier())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell at most what is wrong: their details may be content.
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.level.upper())


class TextLines(logging.Formatter):
    """`2026-11-21T22:36:02.123Z WARNING fedcomm.delivery host answers again host_id=7`."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [moment(record), record.levelname, record.name, message_of(record)]
        parts += [f"{name}={escaped(value)}" for name, value in fields_of(record).items()]
        return " ".join(parts)


class JSONLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
        }
        for name, value in fields_of(record).items():
            # A field never stands in for what every line has.
            line.setdefault(name, value)
        return json.dumps(line, ensure_ascii=False, default=str)


class StormBarrier(logging.Filter):
    """Lets `STORM_LINES` of one message through per `STORM_SECONDS`; the next one tells how many
    were held back, as `suppressed`."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, str(record.msg))
        now = time.monotonic()
        # [start of the window, lines written, lines held back]
        window = self._windows.setdefault(key, [now, 0, 0])
        self._windows.move_to_end(key)
        if len(self._windows) > STORM_KEYS:
            self._windows.popitem(last=False)
        if now - window[0] >= STORM_SECONDS:
            if window[2]:
                record.suppressed = int(window[2])
            window[:] = [now, 0, 0]
        window[1] += 1
        if window[1] > STORM_LINES:
            window[2] += 1
            return False
        return True


def moment(record: logging.LogRecord) -> str:
    """The record's time in ISO 8601, UTC, milliseconds."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def message_of(record: logging.LogRecord) -> str:
    """The message on one line; of a library's, without anybody's address."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = str(record.msg)
    if record.name.split(".")[0] not in OURS:
        text = ADDRESSES.sub("(address)", text)
    return escaped(text)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What came as `extra`, and what is known of the exception."""
    fields: dict[str, object] = {
        name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS
    }
    if record.exc_info and record.exc_info[1] is not None:
        fields["error"] = description_of(record.exc_info[1])
        fields["at"] = place_of(record.exc_info[1])
    return fields


def description_of(error: BaseException) -> str:
    """The kinds of `error` and its causes. Their texts may hold content, so only the operating
    system's are told."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < FRAMES:
        name = type(cause).__name__
        if isinstance(cause, OSError) and cause.strerror:
            name += f" ({cause.strerror})"
        kinds.append(name)
        cause = cause.__cause__
    return " from ".join(kinds)


def place_of(error: BaseException) -> str:
    """Where `error` came from: `module.py:12 function < module.py:34 caller …`."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    )


def escaped(value: object) -> str:
    """`value` as text on one line: whatever could steer a terminal or forge a line is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )
