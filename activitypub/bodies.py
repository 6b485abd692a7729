"""Reading the body of an answer: bounded after decompression and before it (INV-24)."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp

from activitypub.failures import FetchError

EXCERPT_BYTES = 8192
"""How much is kept of an answer that only matters for its status."""

EXCERPT_SECONDS = 2.0
"""How long is waited for that."""

CHUNK_BYTES = 65_536

ACCEPT_ENCODING = "gzip"
"""The one compression that is read here, and so the one that is asked for."""


async def read_body(answer: aiohttp.ClientResponse, limit: int, host: str) -> bytes:
    """The whole decompressed body, at most `limit` bytes.

    Raises FetchError `too_large` as soon as there is more, and `encoding` for a compression that is
    unknown or broken.
    """
    decoder = _decoder(answer)
    length = answer.content_length
    if decoder is None:
        answer.close()
        raise FetchError("encoding", host=host)
    if isinstance(decoder, _Plain) and length is not None and length > limit:
        answer.close()
        raise FetchError("too_large", host=host)
    body = bytearray()
    # Compressed data may inflate to nothing for ever. What cannot be compressed grows a little.
    raw_left = limit + limit // 64 + 1024
    try:
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            raw_left -= len(chunk)
            # One byte more than allowed is enough to know; a bomb is never inflated further.
            body += decoder.feed(chunk, limit + 1 - len(body))
            if len(body) > limit or raw_left < 0:
                answer.close()
                raise FetchError("too_large", host=host)
        decoder.finish()
    except zlib.error:
        answer.close()
        raise FetchError("encoding", host=host) from None
    return bytes(body)


async def read_excerpt(answer: aiohttp.ClientResponse, seconds: float = EXCERPT_SECONDS) -> bytes:
    """The beginning of a body that nobody depends on. Whatever goes wrong: what there is."""
    body = bytearray()
    decoder = _decoder(answer)
    if decoder is None:
        answer.close()
        return b""
    raw_left = EXCERPT_BYTES
    try:
        async with asyncio.timeout(seconds):
            async for chunk in answer.content.iter_chunked(EXCERPT_BYTES):
                raw_left -= len(chunk)
                body += decoder.feed(chunk, EXCERPT_BYTES - len(body))
                if len(body) >= EXCERPT_BYTES or raw_left < 0:
                    answer.close()
                    break
    except (TimeoutError, OSError, zlib.error, aiohttp.ClientError):
        answer.close()
    return bytes(body)


class _Plain:
    """A body without compression."""

    def feed(self, chunk: bytes, room: int) -> bytes:
        return chunk[:room]

    def finish(self) -> None:
        return None


class _Gzip:
    """A gzip body of one member, inflated no further than there is room. Raises zlib.error."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def feed(self, chunk: bytes, room: int) -> bytes:
        if self._inflate.eof:
            raise zlib.error("bytes after the end of the gzip stream")
        return self._inflate.decompress(chunk, room)

    def finish(self) -> None:
        if not self._inflate.eof or self._inflate.unused_data:
            raise zlib.error("the gzip stream does not end where the body ends")


def _decoder(answer: aiohttp.ClientResponse) -> _Plain | _Gzip | None:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    return _Gzip() if encoding in ("gzip", "x-gzip") else None
