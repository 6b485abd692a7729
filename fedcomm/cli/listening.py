"""The running server: sockets, signals, processes. Imported by `fedcomm serve` only."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import click
from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger

from fedcomm import descriptors, logs, supervision
from fedcomm.cli.watchdog import Watchdog
from fedcomm.config import Config
from fedcomm.server import build_app, close_site, open_site
from fedcomm.site import Site
from fedcomm.store import ids
from fedcomm.store.slates import Slate, Slates, keep
from fedcomm.store.soundness import look_through

log = logging.getLogger(__name__)
access_log = logging.getLogger("fedcomm.access")

BACKLOG: Final = 512
"""Connections that wait to be accepted."""

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

FIRST_PASSED: Final = 3
"""The descriptor of a socket that the supervisor of the service opened (sd_listen_fds(3))."""

NEW_OBJECTS: Final = 10_000
"""After so many more objects than have gone Python looks for cycles: about a megabyte. Few are made here."""

LIVED_S: Final = 10.0
"""A process that ended sooner after its start would do so again."""

FAREWELL_S: Final = 1.0
"""How long a server that stops still answers on the connections that it has: each answer says that it is the last, so
that no request is on its way when the connection ends."""


class AccessLine(AbstractAccessLogger):
    """Method, route, status and time of a request; never its address, path, query or client."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        resource = None
        if isinstance(request, web.Request):
            resource = request.match_info.route.resource
        self.logger.info(
            "request",
            extra={
                "method": request.method,
                "route": resource.canonical if resource is not None else "-",
                "status": response.status,
                "milliseconds": round(time * 1000, 1),
            },
        )


def serve(config: Config, *, left_open: bool = False) -> int:
    """Run until a signal; the exit code. Blocks. `left_open`: nobody closed the database the last time."""
    logs.configure(config.logging)
    # Before anything is counted by it, and before there are more processes.
    descriptors.raise_limit()
    if config.server.processes > 1:
        return _serve_in_processes(config, left_open=left_open)
    return _serve_in_one_loop(config, Part(look_through=left_open))


@dataclass(frozen=True, slots=True)
class Part:
    """What one process of a server does besides serving. `announce`: say where the server listens; `look_through`
    the database file; `slate`: where to tell the others its figures, if there are others; `lifeline`: a descriptor
    that ends when the process that began them all does; `listening`: the Unix socket that all of them share."""

    announce: bool = True
    look_through: bool = False
    slate: Slate | None = None
    lifeline: int | None = None
    listening: socket.socket | None = None


def _serve_in_one_loop(config: Config, part: Part) -> int:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_serve(config, part))
        except ssl.SSLError as error:
            # An OSError too, but about a file of ours and not about the port.
            click.echo(
                "fedcomm: a certificate cannot be used (server.tls_certificate, server.tls_key or"
                f" federation.ca_file): {error.reason or error}",
                err=True,
            )
            return 1
        except OSError as error:
            _say_where(config, error)
            return 1
    return 0


def _say_where(config: Config, error: OSError) -> None:
    # A taken port is by far the most frequent one.
    where = config.server.unix_socket or f"{config.server.host}:{config.server.port}"
    click.echo(f"fedcomm: cannot listen on {where}: {error.strerror or error}", err=True)


async def _serve(config: Config, part: Part) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    if part.lifeline is not None:
        _stop_when_alone(stopping, part.lifeline)
    server = config.server
    site = await open_site(config)
    site.slate = part.slate
    try:
        app = build_app(site)
        watchdog = Watchdog()
        watchdog.attach(app)
        _say_farewell(app, site)
        runner = web.AppRunner(
            app,
            access_log=access_log if server.access_log else None,
            access_log_class=AccessLine,
            shutdown_timeout=server.graceful_seconds,
        )
        await runner.setup()
        try:
            await _listen(runner, config, part.listening)
            _collect_seldom()
            if part.announce:
                _announce(runner, config)
            async with watchdog.watch(runner), _beside(config, part):
                await stopping.wait()
                log.info("stopping")
                site.stopping = True
                for listener in tuple(runner.sites):
                    await listener.stop()
                await _until_idle(runner)
        finally:
            await runner.cleanup()
    finally:
        await close_site(site)


def _collect_seldom() -> None:
    """Look for cycles less often than Python does by itself, and not among what is there from the start."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


@contextlib.asynccontextmanager
async def _beside(config: Config, part: Part) -> AsyncIterator[None]:
    """Do what is this process's part besides serving, until the block ends."""
    tasks: list[asyncio.Task[None]] = []
    if part.slate is not None:
        tasks.append(supervision.start("figures", partial(keep, part.slate)))
    if part.look_through and config.database.file is not None:
        tasks.append(supervision.start("soundness", partial(look_through, config.database.file)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _say_farewell(app: web.Application, site: Site) -> None:
    """While the site stops, tell whoever keeps a connection to open another one next time."""

    async def last_answer(_request: web.Request, response: web.StreamResponse) -> None:
        if site.stopping:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    app.on_response_prepare.append(last_answer)


async def _until_idle(runner: web.AppRunner) -> None:
    """Wait until every connection had its last answer, `FAREWELL_S` at most."""
    deadline = asyncio.get_running_loop().time() + FAREWELL_S
    while runner.server is not None and runner.server.connections:
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(0.02)


def _passed_socket() -> socket.socket | None:
    """The listening socket that a supervisor handed over: it goes on listening while this server is restarted, so
    that nobody is turned away (systemd.socket(5))."""
    if os.environ.get("LISTEN_FDS", "0") == "0":
        return None
    # The processes of one server inherit it from the one that it was meant for.
    if os.environ.get("LISTEN_PID") not in (str(os.getpid()), str(os.getppid())):
        return None
    return socket.socket(fileno=os.dup(FIRST_PASSED))


def _unix_socket(place: Path) -> socket.socket:
    """A Unix socket that listens there."""
    # One that a killed server left behind would refuse the new one.
    if place.is_socket():
        place.unlink()
    made = socket.socket(socket.AF_UNIX)
    try:
        made.bind(str(place))
        # The reverse proxy runs as another user, usually of the same group.
        place.chmod(0o660)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


async def _listen(
    runner: web.AppRunner, config: Config, listening: socket.socket | None = None
) -> None:
    server = config.server
    tls = _tls(config)
    given = _passed_socket() or listening
    if given is None and server.unix_socket is not None:
        given = _unix_socket(server.unix_socket)
    if given is not None:
        await web.SockSite(runner, given, ssl_context=tls, backlog=BACKLOG).start()
        return
    await web.TCPSite(
        runner,
        server.host,
        server.port,
        ssl_context=tls,
        backlog=BACKLOG,
        reuse_port=True if server.processes > 1 else None,
    ).start()


def _announce(runner: web.AppRunner, config: Config) -> None:
    """One line on standard output: where it listens, and for which address."""
    if config.server.unix_socket is not None or isinstance(runner.addresses[0], str):
        where = f"unix:{config.server.unix_socket or runner.addresses[0]}"
    else:
        host, port = runner.addresses[0][:2]
        scheme = "http" if config.server.tls_certificate is None else "https"
        where = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"fedcomm serves {config.instance.origin} on {where}")
    sys.stdout.flush()


def _tls(config: Config) -> ssl.SSLContext | None:
    server = config.server
    if server.tls_certificate is None or server.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.tls_certificate, server.tls_key)
    return context


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if stopping.is_set():
            # Asked twice: what is acknowledged is on disk, so nothing is lost.
            os._exit(128 + number)
        stopping.set()

    for number in STOP_SIGNALS:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop, number)


def _stop_when_alone(stopping: asyncio.Event, lifeline: int) -> None:
    """Stop when nobody is left who would pass on a signal: the server is started anew, and this one would stay beside
    it for ever."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(lifeline)
        stopping.set()

    loop.add_reader(lifeline, stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


# --- Several processes ---


def _serve_in_processes(config: Config, *, left_open: bool) -> int:
    """Run `server.processes` processes that share the port; the exit code of the whole.

    Each one works the queues too, as far as `server.workers` says: work is leased, never done twice at once. One that
    dies is replaced, and what it had in hand is taken over. One that cannot live stops all, and who supervises the
    service learns of it.
    """
    children: dict[int, _Child] = {}
    stopping = failed = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    count = config.server.processes
    slates, heights = Slates(count), ids.Heights(count)
    lifeline, held = os.pipe()
    shared: socket.socket | None = None
    if config.server.unix_socket is not None and _passed_socket() is None:
        # Each of them would take it away from the one before.
        try:
            shared = _unix_socket(config.server.unix_socket)
        except OSError as error:
            _say_where(config, error)
            return 1

    def start(index: int, part: Part) -> None:
        child = os.fork()
        if child == 0:
            os.close(held)
            ids.go_on_with(heights, index)
            os._exit(_run_child(config, part))
        children[child] = _Child(index, time.monotonic())

    # Until every child is known, a signal waits: none of them may be forgotten.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for index in range(count):
        is_first = index == 0
        part = Part(is_first, is_first and left_open, Slate(slates, index), lifeline, shared)
        start(index, part)
    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    while children:
        ended, status = os.wait()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        child = children.pop(ended)
        if not stopping:
            log.error("a process ended by itself", extra={"status": status})
            if time.monotonic() - child.since >= LIVED_S:
                part = Part(False, False, Slate(slates, child.index), lifeline, shared)
                start(child.index, part)
            else:
                failed = True
                stop(signal.SIGTERM, None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    os.close(held)
    return 1 if failed else 0


@dataclass(frozen=True, slots=True)
class _Child:
    """One of several processes: which of them, and since when (monotonic seconds)."""

    index: int
    since: float


def _run_child(config: Config, part: Part) -> int:
    """Serve in a process that was just forked; its exit code."""
    # One that replaces another has what the parent does with signals: that is not its to do.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        return _serve_in_one_loop(config, part)
    except Exception as error:
        log.error("a process failed", exc_info=error)
        return 1
    finally:
        sys.stdout.flush()
