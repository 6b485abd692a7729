"""Copies of public answers, for visitors of whom nothing is known: made once, given while nothing has changed.

A copy belongs to a state of the database. Each request asks which state that is (`Database.state`), and the first one
that finds another drops every copy: whatever is written, by whichever process, what was true before is not shown
again. Nothing has to say which pages it touches, so nothing can forget to. What pages say of the time (*3 minutes
ago*) may be `KEEP_S` old, and no copy stays in memory for longer, asked for or not: words that were erased are gone
from here when the seconds are over, or with the next request.

Nobody makes a page that somebody else is making, and however much is written meanwhile, one is made at a time for each
address. Who asks may have what somebody else made if that was begun in the state that they found, or after they had
asked: it has read the database no earlier than an answer of their own would have. Whoever asks a little before the end
of a copy makes the next one, and the others have the old one until then: nothing has changed.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from activitypub.vocabulary import wants_activity
from fedcomm.http import site_of
from fedcomm.web import headers
from fedcomm.web.visits import VISIT

KEEP_S: Final = 5.0
"""Seconds for which a copy is given at most."""

RENEWED_S: Final = 4.0
"""After so many seconds the next one who asks makes the copy anew, and nobody else waits."""

MOST_BYTES: Final = 8_000_000
"""Of all copies together; more are not kept."""

LARGEST_BYTES: Final = 1_000_000

ACCEPT_CHARACTERS: Final = 300
"""A longer `Accept` is nobody's whom we know."""

PACKED_BYTES: Final = 1_024
"""From this size an answer is worth packing."""

PACKED_HERE_BYTES: Final = 16_384
"""More is packed in a thread."""

_OF_SOMEBODY: Final = ("Signature", "Signature-Input", hdrs.AUTHORIZATION, hdrs.RANGE)
"""Headers of requests that are answered for themselves."""

_GZIP: Final = 16 + zlib.MAX_WBITS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Copy:
    """An answer, and the same packed once somebody wanted it so. `made_at`: by the loop's clock."""

    body: bytes
    fields: CIMultiDict[str]
    packed: bytes | None = None
    made_at: float = 0.0

    async def pack(self) -> bytes:
        """The body as gzip."""
        if self.packed is None:
            if len(self.body) <= PACKED_HERE_BYTES:
                self.packed = _packed(self.body)
            else:
                self.packed = await asyncio.to_thread(_packed, self.body)
        return self.packed


@dataclass(frozen=True, slots=True)
class _Making:
    """An answer that is being made; it began to read when the database was in `state`, or later. `done` ends with its
    copy, or with None if it is none to be copied."""

    state: Hashable
    done: asyncio.Future[Copy | None]


class Copies:
    """The copies of one process, all of one state of the database."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._kept: dict[Hashable, Copy] = {}
        self._making: dict[Hashable, _Making] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def found(self, state: Hashable, key: Hashable) -> Copy | None:
        """The copy for `key` in this state; copies of others are dropped. None once the copy is nearly over, for the
        one who makes it anew."""
        if state != self._state:
            self._kept.clear()
            self._bytes = 0
            self._state = state
        copy = self._kept.get(key)
        if copy is None or key in self._making:
            return copy
        now = asyncio.get_running_loop().time()
        return copy if now - copy.made_at < RENEWED_S else None

    def keep(self, state: Hashable, key: Hashable, copy: Copy) -> None:
        """Keep a copy that was made after the database was in `state`: if it is not any more, nobody asks for it."""
        if state != self._state:
            return
        before = self._kept.get(key)
        if before is not None:
            self._drop(key, before)
        if len(copy.body) > min(MOST_BYTES - self._bytes, LARGEST_BYTES):
            return
        loop = asyncio.get_running_loop()
        copy.made_at = loop.time()
        self._kept[key] = copy
        self._bytes += len(copy.body)
        loop.call_later(KEEP_S, self._drop, key, copy)

    def _drop(self, key: Hashable, copy: Copy) -> None:
        if self._kept.get(key) is copy:
            del self._kept[key]
            self._bytes -= len(copy.body)

    async def made(
        self,
        state: Hashable,
        key: Hashable,
        make: Callable[[], Awaitable[web.StreamResponse]],
        current: Callable[[], Awaitable[Hashable]],
    ) -> web.StreamResponse | Copy:
        """What `make` answers, or what somebody else has made who began in the same state or later than this was asked.
        `current` tells the state of the database."""
        making = self._making.get(key)
        if making is not None and making.state != state:
            # What it has read may be older than this request; the next one is not.
            await asyncio.shield(making.done)
            making = self._making.get(key)
            if making is None:
                state = await current()
                if (kept := self.found(state, key)) is not None:
                    return kept
                making = self._making.get(key)
        if making is not None:
            copy = await asyncio.shield(making.done)
            return copy if copy is not None else await make()
        making = _Making(state, asyncio.get_running_loop().create_future())
        self._making[key] = making
        copy = None
        try:
            answer = await make()
            copy = copy_of(answer)
            if copy is not None:
                answer.headers.setdefault(hdrs.ETAG, copy.fields[hdrs.ETAG])
                self.keep(state, key, copy)
            return answer
        finally:
            del self._making[key]
            making.done.set_result(copy)


COPIES: Final = web.AppKey("copies", Copies)


@web.middleware
async def copied(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with a copy, if there is one."""
    key = _key(request)
    if key is None:
        return await handler(request)
    copies = request.config_dict[COPIES]
    db = site_of(request).db
    state = await db.state()
    copy = copies.found(state, key)
    if copy is None:
        answer = await copies.made(state, key, lambda: handler(request), db.state)
        if not isinstance(answer, Copy):
            return await _unless_known(request, answer)
        copy = answer
    return await _answer(request, copy)


async def _unless_known(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """An answer that was made anew, for whoever may have it already: 304 then, though much else has changed."""
    fresh = copy_of(answer) if hdrs.IF_NONE_MATCH in request.headers else None
    if fresh is None or request.headers[hdrs.IF_NONE_MATCH] != fresh.fields[hdrs.ETAG]:
        return answer
    return await _answer(request, fresh)


def _key(request: web.Request) -> Hashable | None:
    """What the answer depends on besides the database; None where it is made for each."""
    if request.method != hdrs.METH_GET or any(name in request.headers for name in _OF_SOMEBODY):
        return None
    accept = request.headers.get(hdrs.ACCEPT, "")
    if len(accept) > ACCEPT_CHARACTERS:
        return None
    address = request.rel_url.raw_path_qs
    if headers.is_federation(request.path):
        return address, accept
    visit = request.get(VISIT)
    if visit is None or visit.member is not None:
        return None
    return address, visit.locale, accept if wants_activity(accept) else ""


def copy_of(answer: web.StreamResponse) -> Copy | None:
    """A copy of an answer that is the same for everybody, else None. A page's tag is that of its words."""
    if not isinstance(answer, web.Response) or answer.status != 200 or answer.prepared:
        return None
    body, control = answer.body, answer.headers.get(hdrs.CACHE_CONTROL, "")
    if not isinstance(body, bytes) or not control.startswith("public") or answer.cookies:
        return None
    fields = CIMultiDict(answer.headers)
    if hdrs.ETAG not in fields:
        fields[hdrs.ETAG] = f'W/"{blake2b(body, digest_size=16).hexdigest()}"'
    return Copy(body, fields)


async def _answer(request: web.Request, copy: Copy) -> web.Response:
    fields = copy.fields.copy()
    fields.popall(hdrs.CONTENT_LENGTH, None)
    tag = fields[hdrs.ETAG]
    if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
        return web.Response(status=304, headers=fields)
    body = copy.body
    # A strong tag is one of bytes, and these would be others (RFC 9110 §8.8.1).
    if tag.startswith("W/") and len(body) >= PACKED_BYTES and _takes_gzip(request):
        body = await copy.pack()
        fields[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=fields)


def _takes_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(body) + packer.flush()
