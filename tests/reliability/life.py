"""What goes on at a hub: people write and upload, others answer from elsewhere, followers get it all.

Whoever gets no answer tries again with the very same request, as browsers, people and other servers do. What was
answered well is noted; `audit` says whether all of that is there, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import aiohttp
from PIL import Image

from fedcomm.hub.sessions import token_hash
from fedcomm.hub.submissions import new_token
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms
from tests.federation.hub import Hub
from tests.federation.stub import PUBLIC, Stubs

FOLLOWERS = 4
ANSWERERS = 3
PAUSE_S = 0.03


@dataclass
class Life:
    """The people around one hub. `db` looks into its database beside the server."""

    hub: Hub
    servers: Stubs
    db: Database
    replies: set[str] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    pictures: dict[str, str] = field(default_factory=dict)
    """Topics with a picture, by title: the colour of it."""
    pause_s: float = PAUSE_S
    """How long everybody rests between two things that they do."""
    tries: int = 0
    progress: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    """What somebody waits for at this moment, by kind."""
    interrupted: Counter[str] = field(default_factory=Counter)
    """What the kills came into, by kind."""
    _cookie: dict[str, str] = field(default_factory=dict)
    _topic: str = ""
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def settle_in(self) -> None:
        """Anna's session, a first topic, and followers on other servers. The hub must serve."""
        token = secrets.token_urlsafe(32)
        anna = await self.db.value("SELECT actor_id FROM handles WHERE name = 'anna'")
        async with self.db.transaction() as tx:
            await tx.execute(
                "INSERT INTO sessions (token_hash, member_id, created_at, seen_at)"
                " VALUES (?, ?, ?, ?)",
                *(token_hash(token), anna, now_ms(), now_ms()),
            )
        self._cookie = {"Cookie": f"session-{self.hub.port}={token}"}
        group = await self.db.value("SELECT actor_id FROM groups")
        for number in range(FOLLOWERS):
            fan = self.servers.actor("fan", f"fan{number}.test", software="lemmy")
            follow = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{fan}/follow",
                "type": "Follow",
                "actor": fan,
                "object": f"{self.hub.origin}/ap/g/{group}",
            }
            assert await self.servers.post(f"{self.hub.origin}/ap/inbox", follow) == 202
        fans = list(self.servers.hosts.values())
        await self.servers.until(lambda: all("Accept" in fan.kinds() for fan in fans), seconds=60)
        async with aiohttp.ClientSession() as session:
            await self._post(session, "First", None)
        found = await self.db.value("SELECT id FROM objects WHERE title = 'First'")
        self._topic = f"{self.hub.origin}/ap/o/{found}"

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Everybody does what they do until the block ends, and finishes what they began."""
        self._over.clear()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
            tasks = [
                *(asyncio.create_task(self._answer(number)) for number in range(ANSWERERS)),
                asyncio.create_task(self._write(session)),
                asyncio.create_task(self._upload(session)),
            ]
            try:
                yield
            except BaseException:
                # Whoever tries until it works would try for ever.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                raise
            self._over.set()
            await asyncio.gather(*tasks)

    async def moved(self, seconds: float = 60.0) -> None:
        """Wait until something more was answered well."""
        before = self.progress
        async with asyncio.timeout(seconds):
            while self.progress == before:
                await asyncio.sleep(0.005)

    async def note_kill(self) -> None:
        """The hub was just killed, and is not started yet: what was it doing?"""
        self.interrupted.update(kind for kind, count in self.under_way.items() if count)
        if await self.db.value("SELECT 1 FROM deliveries WHERE state = 'sending' LIMIT 1"):
            self.interrupted["delivery"] += 1
        if await self.db.value("SELECT 1 FROM inbox WHERE state = 'waiting' LIMIT 1"):
            self.interrupted["intake"] += 1

    # Who does what

    async def _answer(self, number: int) -> None:
        """Somebody elsewhere who answers the first topic again and again."""
        author = self.servers.actor(f"ida{number}", f"peer{number}.test")
        count = 0
        while not self._over.is_set():
            note = self.servers.note(
                author, number=f"{count}", inReplyTo=self._topic, content=f"<p>{count}</p>"
            )
            activity = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{note['id']}/create",
                "type": "Create",
                "actor": author,
                "to": [PUBLIC],
                "object": note,
            }
            await self._until_well(
                "inbox", partial(self.servers.post, f"{self.hub.origin}/ap/inbox", activity), 202
            )
            self.replies.add(note["id"])
            count += 1
            await asyncio.sleep(self.pause_s)

    async def _write(self, session: aiohttp.ClientSession) -> None:
        count = 0
        while not self._over.is_set():
            await self._post(session, f"Words {count}", None)
            count += 1
            await asyncio.sleep(self.pause_s)

    async def _upload(self, session: aiohttp.ClientSession) -> None:
        count = 0
        while not self._over.is_set():
            colour = f"#{sha256(str(count).encode()).hexdigest()[:6]}"
            await self._post(session, f"Picture {count}", colour)
            self.pictures[f"Picture {count}"] = colour
            count += 1
            await asyncio.sleep(self.pause_s * 3)

    async def _post(self, session: aiohttp.ClientSession, title: str, colour: str | None) -> None:
        """A topic, with a picture in one colour; sent until it is answered well, each time the same."""
        once = new_token()

        async def send() -> int:
            form = aiohttp.FormData({"once": once, "title": title, "text": f"Text of {title}."})
            if colour is not None:
                buffer = io.BytesIO()
                Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
                form.add_field("new_alt_0", title)
                form.add_field(
                    "file_0", buffer.getvalue(), filename="p.png", content_type="image/png"
                )
            headers = {**self._cookie, "Host": self.hub.host, "Origin": self.hub.origin}
            async with session.post(
                self.hub.local_url("/g/gardening/new"),
                data=form,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                await answer.read()
                return answer.status

        await self._until_well("posting" if colour is None else "upload", send, 303)
        self.titles.add(title)

    async def _until_well(self, kind: str, send: Callable[[], Awaitable[int]], wanted: int) -> None:
        while True:
            self.tries += 1
            self.under_way[kind] += 1
            try:
                status = await send()
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.02)
                continue
            finally:
                self.under_way[kind] -= 1
            if status == wanted:
                self.progress += 1
                return
            assert status in (429, 503, 507), f"answered {status}: {self.hub.log()[-2000:]}"
            await asyncio.sleep(0.05)

    # What came of it

    async def audit(self) -> None:
        """Everything that was answered well is there, once; nothing is stuck; the counts are right."""
        await self.audit_hub()
        await self._audit_followers()

    async def audit_hub(self) -> None:
        """`audit`, but for what came to the followers."""
        await self.quiet()
        db = self.db
        rows = await db.all("SELECT uri FROM objects WHERE uri IS NOT NULL ORDER BY id")
        stored = Counter(row["uri"] for row in rows)
        assert self.replies <= set(stored), "an activity that was answered 202 is lost"
        assert max(stored.values()) == 1
        last: dict[str, int] = {}
        for uri in stored:
            author, _, number = uri.rpartition("/")
            # Each is sent when the one before was answered.
            assert int(number) == last.get(author, -1) + 1, "answers of a host changed their order"
            last[author] = int(number)
        written = Counter(
            row["title"] for row in await db.all("SELECT title FROM objects WHERE kind = 'topic'")
        )
        assert self.titles <= set(written), "a post that was answered is lost"
        assert max(written.values()) == 1, "a post is there twice"
        assert set(written) == self.titles
        replies = await db.value("SELECT count(*) FROM objects WHERE kind = 'reply'")
        counted = await db.value("SELECT reply_count FROM objects WHERE title = 'First'")
        assert counted == replies == len(stored)
        for title in self.pictures:
            row = await db.one(
                "SELECT m.file, m.thumbnail FROM objects o JOIN attachments a ON a.object_id = o.id"
                " JOIN media m ON m.id = a.media_id WHERE o.title = ? AND m.state = 'stored'",
                title,
            )
            assert row is not None, f"the picture of {title} is lost"
            for name in (row["file"], row["thumbnail"]):
                Image.open(self.hub.folder / "media" / name).load()
        if db.dialect == "sqlite":
            assert await db.value("PRAGMA integrity_check") == "ok"
            assert await db.all("PRAGMA foreign_key_check") == []

    async def _audit_followers(self) -> None:
        fans = [host for name, host in self.servers.hosts.items() if name.startswith("fan")]
        db = self.db
        order = [
            f"{self.hub.origin}/ap/o/{row['id']}"
            for row in await db.all("SELECT id FROM objects WHERE kind = 'topic' ORDER BY id")
        ]
        for fan in fans:
            ids: dict[str, set[str]] = {}
            for arrival in fan.arrived:
                created = arrival.body.get("object")
                if isinstance(created, dict) and created.get("type") == "Create":
                    thing = created["object"]["id"]
                    if thing in order:
                        ids.setdefault(thing, set()).add(arrival.body["id"])
            assert list(ids) == order, f"not everything came to {fan.name}, or not in order"
            assert {len(names) for names in ids.values()} == {1}, "sent twice under two names"

    async def quiet(self, seconds: float = 120.0) -> None:
        sql = (
            "SELECT (SELECT count(*) FROM inbox WHERE state = 'waiting')"
            " + (SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending'))"
            " + (SELECT max(seq) FROM journal)"
            " - (SELECT seq FROM cursors WHERE consumer = 'activitypub')"
        )
        async with asyncio.timeout(seconds):
            while await self.db.value(sql):
                await asyncio.sleep(0.1)
