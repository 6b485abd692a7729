"""Databases for tests: a PostgreSQL that the tests start themselves, and migrated databases to copy.

A schema is migrated once a session on each engine; every test gets a copy of its own. Environment:
`FEDCOMM_TEST_ENGINES=sqlite` limits the run to one engine, `FEDCOMM_REQUIRE_POSTGRESQL=1` makes
missing binaries of PostgreSQL an error instead of a reason to skip.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import asyncpg
import pytest

from fedcomm.config import Config, Database, Erasure, Instance, Media, Secrets
from fedcomm.site import Site
from fedcomm.store.schema import migrate, open_database
from tests.ports import free_port

Engine = Literal["sqlite", "postgresql"]
T = TypeVar("T")

ENGINES: tuple[Engine, ...] = tuple(
    engine
    for engine in ("sqlite", "postgresql")
    if engine in os.environ.get("FEDCOMM_TEST_ENGINES", "sqlite,postgresql")
)
"""The engines on which tests run that ask for `database_url`."""

ORIGIN = "https://hub.test"
"""The public origin of the hubs that `make_site` makes."""

START_SECONDS = 30
STOP_SECONDS = 10

FOLDER_PREFIX = "fedcomm-pg-"

LEFT_OVER_SECONDS = 600
"""A cluster without a server is no longer being made after this time."""

MEMORY_BYTES = 2 << 30
"""Free memory that makes a cluster in memory harmless: it takes some 100 MiB."""

_PR_SET_PDEATHSIG = 1


def find_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest where there are several; None without."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: int(folder.parent.name.split(".")[0]))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def require_binaries() -> Path:
    """`find_binaries`, or the test is skipped (or fails, where PostgreSQL is required)."""
    folder = find_binaries()
    if folder is None:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("FEDCOMM_REQUIRE_POSTGRESQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


class PostgreSQLServer:
    """A PostgreSQL of our own: in a temporary folder, on a free port of 127.0.0.1, stopped by its
    process id.

    PostgreSQL refuses to run as root; root starts it as the user `postgres`.
    """

    def __init__(
        self,
        binaries: Path,
        *,
        durable: bool = False,
        place: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`durable` keeps `fsync` on, for tests that take the power away. `place`: the folder for the cluster, if not
        the fastest; `settings`: further ones of the server."""
        self._binaries = binaries
        self._durable = durable
        self._settings = dict(settings or {})
        place = place or _fast_folder() or Path(tempfile.gettempdir())
        _remove_left_over(place)
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=place))
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(1, "postgresql-administration")
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection[Any] | None = None
        self._release = 0
        self._numbers = itertools.count(1)
        self.port = 0

    def url(self, name: str) -> str:
        """The address of the database `name`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    @property
    def pid(self) -> int:
        """Of the process that started all of its others."""
        assert self._process is not None
        return self._process.pid

    @property
    def socket_folder(self) -> Path:
        """Where its Unix socket is."""
        return self._folder

    def start(self) -> None:
        """Make the cluster if there is none, start the server and wait until it answers."""
        data = self._folder / "data"
        if not data.exists():
            subprocess.run(
                [
                    *(self._binaries / "initdb", "--pgdata", data, "--username", "postgres"),
                    *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
                ],
                check=True,
                capture_output=True,
                cwd=self._folder,
                **self._as_user,
            )
        self.port = self.port or free_port()
        switch = "on" if self._durable else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "fsync": switch,
            "full_page_writes": switch,
            "shared_buffers": "32MB",
            "max_connections": "200",
            "autovacuum": "off",
            **self._settings,
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", data),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                preexec_fn=_stop_with_parent,
                **self._as_user,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.run("SELECT 1")
                return
            except (OSError, asyncpg.PostgresError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self._folder / "log").read_text()) from None
                time.sleep(0.05)

    def run(self, sql: str) -> None:
        """Run one statement as administrator, outside of any transaction."""
        self._in_thread(self._run(sql))

    def create(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; its name."""
        name = f"test_{next(self._numbers)}"
        # Files are copied in half the time of the default, which writes each page to the log. Before
        # release 15 there was nothing else.
        strategy = " STRATEGY FILE_COPY" if self._release >= 15 else ""
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}{strategy}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, also when a test left connections open."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def kill(self) -> None:
        """Take the power away: SIGKILL to the server and all of its processes."""
        assert self._process is not None
        self._in_thread(self._forget_connection())
        os.kill(self._process.pid, signal.SIGSTOP)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for pid in (self._process.pid, *map(int, children.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._in_thread(self._forget_connection())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _in_thread(self, task: Coroutine[Any, Any, T]) -> T:
        # The thread of the tests may have a running loop of its own.
        return self._thread.submit(self._runner.run, task).result()

    async def _run(self, sql: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            self._release = self._connection.get_server_version().major
        await self._connection.execute(sql)

    async def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Databases:
    """Makes databases of one engine and removes them again."""

    engine: Engine

    def migrated(self) -> str:
        """The address of a new database with today's schema."""
        raise NotImplementedError

    def empty(self) -> str:
        """The address of a new database without tables."""
        raise NotImplementedError

    def remove_all(self) -> None:
        """Remove what was made since the last call."""
        raise NotImplementedError


class SQLiteDatabases(Databases):
    """Files in `folder`, copied from `template`."""

    engine: Engine = "sqlite"

    def __init__(self, folder: Path, template: Path) -> None:
        self._folder = folder
        self._template = template
        self._numbers = itertools.count(1)

    def migrated(self) -> str:
        url = self.empty()
        shutil.copyfile(self._template, url.removeprefix("sqlite:///"))
        return url

    def empty(self) -> str:
        return f"sqlite:///{self._folder}/hub-{next(self._numbers)}.sqlite3"

    def remove_all(self) -> None:
        """pytest removes the folder."""


class PostgreSQLDatabases(Databases):
    """Databases of `server`, copied from `template`."""

    engine: Engine = "postgresql"

    def __init__(self, server: PostgreSQLServer, template: str) -> None:
        self._server = server
        self._template = template
        self._made: list[str] = []

    def migrated(self) -> str:
        return self._create(self._template)

    def empty(self) -> str:
        return self._create("template0")

    def remove_all(self) -> None:
        while self._made:
            self._server.drop(self._made.pop())

    def _create(self, template: str) -> str:
        self._made.append(self._server.create(template))
        return self._server.url(self._made[-1])


def sqlite_template(folder: Path) -> Path:
    """A migrated file in `folder`."""
    path = folder / "template.sqlite3"
    migrate_apart(f"sqlite:///{path}")
    return path


@contextlib.contextmanager
def postgresql_template() -> Iterator[tuple[PostgreSQLServer, str]]:
    """A running server with a migrated database, and that database's name."""
    server = PostgreSQLServer(require_binaries())
    try:
        server.start()
        name = server.create()
        migrate_apart(server.url(name))
        yield server, name
    finally:
        server.close()


def migrate_apart(url: str) -> None:
    """`migrate` in a thread, since it may need an event loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(migrate, url).result()


def hub_config(database_url: str, tmp_path: Path, **tables: Any) -> Config:
    """A configuration for `ORIGIN` whose files are below `tmp_path`; `tables` replace or add whole
    tables (`limits=Limits(…)`)."""
    media = tmp_path / "media"
    media.mkdir(exist_ok=True)
    return Config(
        **{
            "instance": Instance(origin=ORIGIN, name="Hub under test"),
            "database": Database(url=database_url),
            "media": Media(folder=media),
            "secrets": Secrets(key_file=tmp_path / "secret.key"),
            "erasure": Erasure(journal=tmp_path / "erasure.journal"),
            **tables,
        }
    )


async def make_site(database_url: str, tmp_path: Path, **tables: Any) -> Site:
    """A site on the migrated database behind `database_url`; close `site.db` after use."""
    config = hub_config(database_url, tmp_path, **tables)
    return Site(config, await open_database(database_url))


def _fast_folder() -> Path | None:
    """Where copying a database costs no disk, if there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES
    return memory if roomy else None


def _remove_left_over(place: Path) -> None:
    """Remove the clusters of test runs that were killed: their servers stopped with them."""
    for folder in place.glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            note = folder / "data" / "postmaster.pid"
            pid = int(note.read_text().split("\n")[0]) if note.exists() else 0
            alive = pid != 0 and Path(f"/proc/{pid}").exists()
            if not alive and time.time() - folder.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _stop_with_parent() -> None:
    # A test run that is killed leaves no server behind (Linux only).
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
