"""`fedcomm doctor`: each thing that can be wrong is found, and said with what to do."""

from __future__ import annotations

import json
import socket
import sqlite3
from typing import Any, NamedTuple

import pytest

from fedcomm.cli import doctor
from tests.cli.conftest import Hub
from tests.cli.test_serve import port_in, server
from tests.ports import free_port


def findings(hub: Hub, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by check: the worst of each."""
    result = hub.invoke("doctor", "--json", *arguments)
    document = json.loads(result.stdout)
    assert document["healthy"] == (result.exit_code == 0)
    order = ["ok", "note", "warning", "problem"]
    found: dict[str, dict[str, Any]] = {}
    for each in sorted(document["findings"], key=lambda each: order.index(each["level"])):
        assert set(each) == {"check", "level", "text", "advice"}
        assert each["advice"] or each["level"] in ("ok", "note")
        found[each["check"]] = each
    return result.exit_code, found


def test_a_new_hub_is_healthy(hub: Hub) -> None:
    unused(hub)
    code, found = findings(hub)
    assert code == 0
    assert found.pop("Python")["level"] in ("ok", "warning"), "whichever runs the tests"
    assert {name: each["level"] for name, each in found.items()} == {
        "configuration": "ok",
        "key file": "ok",
        "database": "ok",
        "media folder": "ok",
        "disk space": "ok",
        "server": "note",
    }
    assert "Nothing is wrong." in hub.run("doctor")


@pytest.mark.parametrize(
    ("variables", "prefix", "level"),
    [
        ({"CONFIG_ARGS": "'--prefix=/opt/python' '--enable-shared'"}, "/opt/python", "warning"),
        ({"CONFIG_ARGS": "'--prefix=/opt/python' '--enable-optimizations'"}, "/opt/python", "ok"),
        ({"CONFIG_ARGS": "'--with-lto'", "CFLAGS": "-O2 -fprofile-use"}, "/opt/python", "ok"),
        # Debian compiles with profiles and says nothing of it.
        ({"CONFIG_ARGS": "'--prefix=/usr' '--with-system-expat'"}, "/usr", "ok"),
        # Windows, and others that were not made by a configure script.
        ({"CONFIG_ARGS": None}, "/opt/python", "ok"),
        ({}, "/opt/python", "ok"),
    ],
)
def test_a_python_without_optimisation_is_found(
    variables: dict[str, object], prefix: str, level: str
) -> None:
    found = doctor.interpreter(variables, prefix)
    assert (found.check, found.level) == ("Python", level)
    assert bool(found.advice) == (level == "warning")


def test_a_wrong_configuration_is_all_that_can_be_said(hub: Hub) -> None:
    hub.config.write_text("[instance]\nname = 7\n")
    code, found = findings(hub)
    assert (code, list(found)) == (1, ["configuration"])


@pytest.mark.parametrize(
    ("name", "harm", "check", "words"),
    [
        ("fedcomm.key", "remove", "key file", "missing"),
        ("fedcomm.key", "garble", "key file", "key"),
        ("fedcomm.key", "open", "key file", "others can read"),
        ("fedcomm.db", "remove", "database", "does not exist"),
        ("fedcomm.db", "garble", "database", "not a database"),
        ("fedcomm.db", "empty", "database", "empty"),
        ("media", "file", "media folder", "cannot be written"),
    ],
)
def test_what_is_broken_is_found(name: str, harm: str, check: str, words: str, hub: Hub) -> None:
    path = hub.folder / name
    match harm:
        case "remove":
            path.unlink()
        case "garble":
            path.write_bytes(b"garbled, and not what anybody expects here" * 200)
        case "open":
            path.chmod(0o644)
        case "empty":
            path.write_bytes(b"")
        case "file":
            path.rmdir()
            path.write_text("")
    code, found = findings(hub)
    assert code == 1
    assert found[check]["level"] == "problem"
    assert words in found[check]["text"]
    assert "Wrong: 1." in hub.invoke("doctor").stdout


@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_a_damaged_database_is_found_wherever_the_damage_is(hub: Hub, part: float) -> None:
    path = hub.folder / "fedcomm.db"
    data = bytearray(path.read_bytes())
    # Pages of the schema among them, or pages behind it; never the first, which says that it is a database.
    first = 4096 * max(1, int(len(data) // 4096 * part))
    for place in range(first, len(data) - 4096, 4096):
        data[place : place + 64] = b"\xff" * 64
    path.write_bytes(bytes(data))
    code, found = findings(hub)
    assert code == 1
    assert "damaged" in found["database"]["text"] or "malformed" in found["database"]["text"]


def test_a_hub_that_nobody_administers_is_told(hub: Hub) -> None:
    with sqlite3.connect(hub.folder / "fedcomm.db") as connection:
        connection.execute("UPDATE members SET role = 'member'")
    _, found = findings(hub)
    assert "no active administrator" in found["members"]["text"]


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("free", "level"), [(10 << 20, "problem"), (500 << 20, "warning"), (5 << 30, "ok")]
)
def test_a_full_disk_is_told_before_it_is_full(
    free: int, level: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Disk(1 << 40, 0, free))
    _, found = findings(hub)
    assert found["disk space"]["level"] == level


def test_development_switches_are_a_warning(hub: Hub) -> None:
    with hub.config.open("a") as file:
        file.write('\n[federation]\nprivate_addresses = ["10.0.0.0/8"]\n')
        file.write("[development]\nallow_http = true\n")
    code, found = findings(hub)
    assert (code, found["configuration"]["level"]) == (0, "warning")


def test_a_running_server_is_asked_where_it_listens(hub: Hub) -> None:
    with server(hub) as (_, line):
        unused(hub, port_in(line))
        assert findings(hub)[1]["server"]["level"] == "ok"


def test_another_program_on_the_port_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "HTTP_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        unused(hub, silent.getsockname()[1])
        code, found = findings(hub)
    assert code == 1
    assert "does not answer" in found["server"]["text"]


def test_the_public_address_is_asked_only_when_wanted(hub: Hub) -> None:
    # Found through the public address while it runs: tests/cli/test_demo.py.
    port = free_port()
    unused(hub, port)
    text = hub.config.read_text().replace("https://hub.example", f"http://localhost:{port}")
    hub.config.write_text(text)
    assert "public address" not in findings(hub)[1]
    code, found = findings(hub, "--online")
    assert code == 1
    assert "cannot be fetched" in found["public address"]["text"]


def unused(hub: Hub, port: int | None = None) -> None:
    """Let the hub listen on `port`, or on one where nobody does."""
    number = port or free_port()
    hub.config.write_text(hub.config.read_text().replace("port = 8080", f"port = {number}"))
