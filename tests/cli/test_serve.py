"""`fedcomm serve`: starting, refusing to start, stopping, several processes, slow clients."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from fedcomm.cli import listening
from fedcomm.cli.watchdog import Watchdog
from fedcomm.config import Config
from tests.cli.conftest import Hub, found
from tests.databases import PostgreSQLDatabases, PostgreSQLServer
from tests.ports import free_port

START_SECONDS = 30.0


def serving(hub: Hub, *arguments: str) -> subprocess.Popen[str]:
    """Start the real server on a free port."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "fedcomm.cli", "serve", "--port", "0"),
            *("--config", str(hub.config), *arguments),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def server(hub: Hub, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server, and the line that it announced itself with."""
    process = serving(hub, *arguments)
    watch = threading.Timer(START_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        watch.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def port_in(line: str) -> int:
    found = re.fullmatch(r"fedcomm serves https://hub\.example on http://127\.0\.0\.1:(\d+)", line)
    assert found, line
    return int(found[1])


def status_of(port: int, path: str = "/health") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": "hub.example"})
        return connection.getresponse().status
    finally:
        connection.close()


NOT_YET = frozenset(
    # Pages and what only they need.
    {"jinja2", "fedcomm.web.home", "fedcomm.web.threads", "fedcomm.web.templates", "zoneinfo"}
    | {"fedcomm.web.forms", "fedcomm.federation.rehearsal", "markdown_it", "babel", "icalendar"}
    # What members take along and bring.
    | {"fedcomm.portability.parcels", "fedcomm.portability.past", "tarfile", "zipfile"}
    # Passwords, pictures, letters, migrations, the other engine, other commands.
    | {"argon2", "PIL", "smtplib", "alembic", "sqlalchemy", "asyncpg", "fedcomm.cli.init"}
    | {"fedcomm.backups", "fedcomm.demo", "difflib", "ctypes", "csv"}
    | {"fedcomm.hub.blocklists", "fedcomm.hub.sweeping"}
    | {f"fedcomm.hub.formats.{name}" for name in ("mp4", "webm", "ogg", "mp3", "flac")}
)
"""Modules that a hub does without while nobody asks it for anything: whoever adds one adds to its memory."""


def test_a_hub_that_nobody_asks_imports_no_pages_and_no_readers_of_archives(hub: Hub) -> None:
    with (
        tempfile.TemporaryFile("w+") as told,
        subprocess.Popen(
            [
                *(sys.executable, "-X", "importtime", "-m", "fedcomm.cli", "serve"),
                *("--port", "0", "--config", str(hub.config)),
            ],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            port = port_in(process.stdout.readline().strip())
            assert status_of(port) == status_of(port, "/ready") == 200
        finally:
            process.terminate()
        assert process.wait(15) == 0
        told.seek(0)
        imported = {line.rpartition("|")[2].strip() for line in told if "|" in line}
    assert {"fedcomm.web.routes", "fedcomm.federation.spoke", "aiohttp.web"} <= imported
    assert sorted(imported & NOT_YET) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_itself_answers_and_stops_cleanly(hub: Hub, number: int) -> None:
    with server(hub) as (process, line):
        assert status_of(port_in(line)) == 200
        process.send_signal(number)
        assert process.wait(15) == 0
        assert "Traceback" not in process.stderr.read()  # type: ignore[union-attr]


def test_a_stop_does_not_wait_for_clients_that_only_keep_a_connection(hub: Hub) -> None:
    with (
        server(hub) as (process, line),
        socket.create_connection(("127.0.0.1", port_in(line))) as idle,
    ):
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: hub.example\r\n\r\n")
        assert idle.recv(64).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        process.terminate()
        assert process.wait(15) == 0
        assert time.monotonic() - started < 10


def test_what_the_command_line_does_is_seen_by_the_running_server(hub: Hub) -> None:
    with server(hub) as (_, line):
        hub.run("group", "create", "garden", "--title", "The garden", "--owner", "anna")
        assert status_of(port_in(line), "/g/garden") == 200
        assert status_of(port_in(line), "/g/none") == 404


def test_a_schema_that_is_not_todays_is_refused_or_migrated(hub: Hub) -> None:
    for path in hub.folder.glob("fedcomm.db*"):
        path.unlink()
    assert "fedcomm migrate" in hub.refusal("serve")
    with server(hub, "--migrate") as (process, line):
        assert process.stdout is not None
        # The migration's own words come first, on the same output.
        assert "is at revision" in line
        assert status_of(port_in(process.stdout.readline().strip())) == 200


def test_a_missing_key_file_is_refused_in_a_sentence(hub: Hub) -> None:
    (hub.folder / "fedcomm.key").unlink()
    process = serving(hub)
    _, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert "key file" in errors
    assert "Traceback" not in errors


def test_a_taken_port_is_refused_in_a_sentence(hub: Hub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = serving(hub, "--port", port)
        _, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors
    assert "Traceback" not in errors


def test_an_unusable_certificate_is_not_told_as_a_taken_port(hub: Hub) -> None:
    broken = hub.folder / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    with hub.config.open("a") as file:
        file.write(f'\n[federation]\nca_file = "{broken}"\n')
    process = serving(hub, "--port", "0")
    _, errors = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert "certificate" in errors
    assert "cannot listen" not in errors
    assert "Traceback" not in errors


def test_several_processes_share_a_port_and_stop_together(
    migrated_postgresql: tuple[PostgreSQLServer, str], tmp_path: Path
) -> None:
    databases = PostgreSQLDatabases(*migrated_postgresql)
    try:
        assert found(tmp_path / "hub", "--database", databases.empty()).exit_code == 0
        port = free_port()
        with server(Hub(tmp_path / "hub"), "--port", str(port), "--processes", "2") as (
            process,
            line,
        ):
            assert port_in(line) == port
            children = psutil.Process(process.pid).children()
            assert len(children) == 2
            assert {status_of(port) for _ in range(8)} == {200}
            process.terminate()
            assert process.wait(15) == 0
            assert not any(child.is_running() for child in children)

        with server(Hub(tmp_path / "hub"), "--port", str(port), "--processes", "2") as (
            process,
            line,
        ):
            # When one dies at once, all end, and who supervises them sees a failure.
            psutil.Process(process.pid).children()[0].kill()
            assert process.wait(15) == 1
    finally:
        databases.remove_all()


def test_any_of_several_processes_tells_the_figures_of_all_and_none_outlives_them(hub: Hub) -> None:
    """On SQLite as well: two processes on one file."""
    with hub.config.open("a") as file:
        file.write('\n[metrics]\ntoken = "figures-please"\n')
    port = free_port()

    def figures() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"Host": "hub.example", "Authorization": "Bearer figures-please"}
        connection.request("GET", "/metrics", headers=headers)
        try:
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    with server(hub, "--port", str(port), "--processes", "2") as (process, _line):
        children = psutil.Process(process.pid).children()
        for _ in range(16):
            assert status_of(port, "/nothing/of/the/kind") == 404
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            text = figures()
            if (
                'fedcomm_answers_total{status="404"} 16' in text
                and 'fedcomm_memory_bytes{process="0"}' in text
                and 'fedcomm_memory_bytes{process="1"}' in text
            ):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(text)
        # Nobody is left behind who would serve beside the next server.
        process.kill()
        gone, alive = psutil.wait_procs(children, timeout=15)
        for child in alive:
            child.kill()
        assert len(gone) == 2


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder of the test's own with a short path: a socket's may have 107 bytes, and temporary folders are long."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


def test_a_unix_socket_is_listened_on_and_a_stale_one_replaced(
    hub: Hub, short_folder: Path
) -> None:
    place = short_folder / "hub.sock"
    text = hub.config.read_text().replace("[server]", f'[server]\nunix_socket = "{place}"')
    hub.config.write_text(text)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(place))
    process = subprocess.Popen(
        [sys.executable, "-m", "fedcomm.cli", "serve", "--config", str(hub.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip().endswith(f"on unix:{place}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: hub.example\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
    finally:
        process.terminate()
        process.communicate(timeout=15)


def test_several_processes_share_a_unix_socket(hub: Hub, short_folder: Path) -> None:
    place = short_folder / "hub.sock"
    text = hub.config.read_text().replace(
        "[server]", f'[server]\nprocesses = 2\nunix_socket = "{place}"'
    )
    hub.config.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "fedcomm.cli", "serve", "--config", str(hub.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    watch = threading.Timer(START_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip().endswith(f"on unix:{place}")
        assert place.stat().st_mode & 0o777 == 0o660
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        # One socket, which each of them has: whoever has time takes the next visitor.
        listed = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        (number,) = {line[6] for line in listed if line[-1] == str(place)}
        for child in children:
            opened = [os.readlink(file) for file in Path(f"/proc/{child.pid}/fd").iterdir()]
            assert f"socket:[{number}]" in opened
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(START_SECONDS)
            client.connect(str(place))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: hub.example\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
    finally:
        watch.cancel()
        process.terminate()
        process.communicate(timeout=15)


def test_serving_imports_nothing_that_only_migrations_pages_or_images_need(hub: Hub) -> None:
    program = """
import asyncio, json, pathlib, sys
import fedcomm.cli.listening
from fedcomm.config import load
from fedcomm.server import build_app, close_site, open_site

async def build():
    site = await open_site(load(pathlib.Path(sys.argv[1]), {}))
    build_app(site)
    await close_site(site)

asyncio.run(build())
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(hub.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert "aiohttp" in loaded
    assert not loaded & {"alembic", "sqlalchemy", "mako", "babel", "PIL", "playwright", "pytest"}


def test_the_access_log_tells_the_route_and_never_the_path_or_the_client(hub: Hub) -> None:
    text = hub.config.read_text().replace("[server]", "[server]\naccess_log = true")
    hub.config.write_text(text + '\n[logging]\nformat = "json"\n')
    with server(hub) as (process, line):
        status_of(port_in(line), "/@anna?token=very-secret")
        process.terminate()
        _, errors = process.communicate(timeout=15)
    lines = [json.loads(line) for line in errors.splitlines()]
    [request] = [line for line in lines if line["logger"] == "fedcomm.access"]
    assert (request["method"], request["status"]) == ("GET", 200)
    assert "{" in request["route"]
    assert "anna" not in errors
    assert "very-secret" not in errors
    assert "127.0.0.1" not in errors


def test_switches_that_no_public_server_must_have_are_logged(hub: Hub) -> None:
    text = hub.config.read_text()
    hub.config.write_text(
        text
        + '\n[federation]\nprivate_addresses = ["10.0.0.0/8"]\n[development]\nallow_http = true\n'
    )
    with server(hub) as (process, _):
        process.terminate()
        _, errors = process.communicate(timeout=15)
    warnings = [line for line in errors.splitlines() if "WARNING" in line]
    assert any("private_addresses" in line and "10.0.0.0/8" in line for line in warnings)
    assert any("allow_http" in line for line in warnings)


# --- Slow clients (security.md §4) ---


@pytest.fixture
def quick_watchdog() -> Watchdog:
    return Watchdog(header_seconds=0.4, idle_seconds=1.2)


async def seconds_until_closed(port: int, request: bytes) -> tuple[float, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    started = asyncio.get_running_loop().time()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return asyncio.get_running_loop().time() - started, answer


async def test_a_header_that_never_ends_loses_its_connection_and_work_in_hand_does_not(
    quick_watchdog: Watchdog,
) -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(1.0)
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/slow", slow)
    quick_watchdog.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with quick_watchdog.watch(runner):
            outcomes = await asyncio.gather(
                seconds_until_closed(port, b""),
                seconds_until_closed(port, b"GET /slow HTTP/1.1\r\nX-Drop: b"),
                seconds_until_closed(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"),
            )
    finally:
        await runner.cleanup()
    for seconds, answer in outcomes[:2]:
        assert seconds < 1.0
        assert answer == b""
    seconds, answer = outcomes[2]
    assert answer.endswith(b"done")
    # It was kept for another request, for the idle time.
    assert seconds > 2.0


def test_the_program_is_found_on_the_path() -> None:
    installed = shutil.which("fedcomm", path=str(Path(sys.executable).parent))
    assert installed is not None
    done = subprocess.run([installed, "--version"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("killed", [False, True])
def test_the_server_is_told_whether_the_last_one_closed_the_file(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    told: list[bool] = []

    def serve(config: Config, *, left_open: bool) -> int:
        told.append(left_open)
        return 0

    monkeypatch.setattr(listening, "serve", serve)
    path = hub.config.parent / "fedcomm.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("INSERT INTO settings (key, value) VALUES ('k', 'v')")
        database.commit()
        log = Path(f"{path}-wal").read_bytes()
    if killed:
        Path(f"{path}-wal").write_bytes(log)
    done = hub.invoke("serve")
    assert done.exit_code == 0, done.output
    assert told == [killed]
