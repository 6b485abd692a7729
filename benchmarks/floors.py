"""What the work costs at least on this machine: one signature made or checked, one bare answer over HTTP.

As a program (`python -m benchmarks.floors BYTES`) it is the bare server: aiohttp on uvloop, a handler that reads what
is posted and answers 202, and one that answers a page of so many bytes. It prints its port.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from activitypub.keys import generate_rsa
from benchmarks.figures import Figure, Floor, Meter
from benchmarks.load import Loaders, request

SIGNED = 400
CHECKED = 4_000


def signing() -> tuple[Floor, Floor]:
    """Making, and checking, an RSA-2048 signature by `cryptography` alone; the best of three rounds."""
    key = generate_rsa()
    public, message = key.public(), b"x" * 300
    signature = key.sign(message)
    sign = verify = float("inf")
    for _ in range(3):
        started = time.process_time()
        for _ in range(SIGNED // 4):
            key.sign(message)
        sign = min(sign, (time.process_time() - started) / (SIGNED // 4) * 1000)
        started = time.process_time()
        for _ in range(CHECKED // 4):
            public.verify(signature, message)
        verify = min(verify, (time.process_time() - started) / (CHECKED // 4) * 1000)
    return Floor("RSA sign", sign), Floor("RSA verify", verify)


async def bare(
    loaders: Loaders, bodies: Sequence[bytes], page_bytes: int, times: int
) -> list[Figure]:
    """The same server that the hub is built on, with nothing behind it: posts answered 202, pages of the same size."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.floors", str(page_bytes)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        figures = []
        address = ("127.0.0.1", port)
        for name, requests in (
            ("bare handler, 202 to a post", bodies),
            (
                f"bare handler, {page_bytes // 1000} kB page",
                [request("GET", "/page", "floor.test")],
            ),
        ):
            await loaders.pour(address, requests)
            meter = Meter(process.pid)
            poured = await loaders.pour(address, requests, times=max(1, times // len(requests)))
            count = len(poured.seconds)
            figures.append(meter.figure(name, count, seconds=poured.took).timed(poured))
        return figures
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    import uvloop
    from aiohttp import web

    page = b"x" * int(sys.argv[1])

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=202)

    async def show(_request: web.Request) -> web.Response:
        return web.Response(body=page, content_type="text/html")

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", take)
        app.router.add_get("/page", show)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server) or server is not None
        print(server.sockets[0].getsockname()[1], flush=True)  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
