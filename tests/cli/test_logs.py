"""Log lines (security.md §14): one line an event, no content, no addresses, no storms."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from fedcomm import logs
from fedcomm.settings import Logging


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., list[str]]]:
    """Configures logging and gives the lines that were written since."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    seen: list[str] = []

    def lines(settings: Logging | None = None) -> list[str]:
        if settings is not None:
            logs.configure(settings)
        seen.extend(capsys.readouterr().err.splitlines())
        return seen

    yield lines
    root.handlers[:], root.level = before[0], before[1]
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_text_line_has_time_level_logger_message_and_fields(
    written: Callable[..., list[str]],
) -> None:
    written(Logging())
    logging.getLogger("fedcomm.delivery").warning("host is down", extra={"host_id": 7})
    [line] = written()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING fedcomm\.delivery host is down host_id=7",
        line,
    )


def test_a_json_line_is_one_object(written: Callable[..., list[str]]) -> None:
    written(Logging(format="json"))
    logging.getLogger("fedcomm.inbox").info("rejected", extra={"reason": "key", "level": "mine"})
    [line] = written()
    document = json.loads(line)
    assert document.pop("time").endswith("Z")
    # A field cannot stand in for what every line has.
    assert document == {
        "level": "info",
        "logger": "fedcomm.inbox",
        "message": "rejected",
        "reason": "key",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_can_forge_a_line_or_steer_a_terminal(
    form: str, written: Callable[..., list[str]]
) -> None:
    written(Logging(format=form))
    logging.getLogger("fedcomm").info(
        "a\nb %s", "\x1b[31m\r\u2028c", extra={"host": "evil\n2026 INFO fedcomm all is well"}
    )
    [line] = written()
    assert line.isprintable()
    assert "\\n" in line


def test_the_level_is_the_configured_one_and_libraries_only_warn(
    written: Callable[..., list[str]],
) -> None:
    written(Logging(level="debug"))
    logging.getLogger("fedcomm.hub").debug("ours")
    logging.getLogger("aiohttp.access").info("theirs")
    assert len(written()) == 1
    written(Logging(level="error"))
    logging.getLogger("fedcomm.hub").warning("ours")
    assert len(written()) == 1


@pytest.mark.parametrize(
    "address",
    [
        "203.0.113.9",
        "2001:db8::17",
        "anna@hub.example",
        "https://hub.example/@anna?token=x",
    ],
)
def test_what_libraries_say_loses_addresses(
    address: str, written: Callable[..., list[str]]
) -> None:
    written(Logging())
    logging.getLogger("aiohttp.server").error("Error handling request from %s", address)
    [line] = written()
    assert line.endswith("Error handling request from (address)")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_told_by_kind_and_place_never_by_its_words(
    form: str, written: Callable[..., list[str]]
) -> None:
    written(Logging(format=form))
    try:
        try:
            raise KeyError("anna's secret")
        except KeyError as cause:
            raise ValueError("what anna wrote") from cause
    except ValueError:
        logging.getLogger("fedcomm").exception("it failed")
    [line] = written()
    assert "ValueError from KeyError" in line
    assert "test_logs.py:" in line
    assert "anna" not in line


def test_the_operating_systems_reason_is_told(written: Callable[..., list[str]]) -> None:
    written(Logging())
    error = OSError(28, "No space left on device", "/home/anna")
    logging.getLogger("fedcomm").error("cannot write", exc_info=error)
    assert "No space left on device" in written()[0]
    assert "anna" not in written()[0]


def test_a_storm_of_one_message_is_bounded_and_counted(
    written: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    written(Logging())
    log = logging.getLogger("fedcomm.inbox")
    for number in range(500):
        log.warning("rejected %d", number)
    log.warning("something else")
    assert len(written()) == logs.STORM_LINES + 1
    now += logs.STORM_SECONDS
    log.warning("rejected %d", 500)
    assert written()[-1].endswith(f"rejected 500 suppressed={500 - logs.STORM_LINES}")


def test_the_storm_barrier_itself_is_bounded(written: Callable[..., list[str]]) -> None:
    barrier = logs.StormBarrier()
    for number in range(logs.STORM_KEYS + 50):
        barrier.filter(logging.LogRecord("fedcomm", 20, "", 0, f"message {number}", (), None))
    assert len(barrier._windows) == logs.STORM_KEYS


def test_a_wrong_number_of_arguments_is_no_failure(written: Callable[..., list[str]]) -> None:
    written(Logging())
    logging.getLogger("fedcomm").info("%s and %s", "one")
    assert written()[0].endswith("%s and %s")
