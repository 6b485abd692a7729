"""A small community to look at: three groups, one of each mode, five people, and browsers for them.

Everything that belongs to the private group holds `MARKER`, so that a leak is a string search.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, DummyCookieJar, FormData, web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from fedcomm.config import Config, Server
from fedcomm.federation.spoke import FederationSpoke
from fedcomm.federation.vault import Vault, create_key_file
from fedcomm.hub import actors, follows, groups, media, members, sessions, threads
from fedcomm.hub.composition import Content, Draft
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.sanitizer import clean_remote
from fedcomm.server import build_app
from fedcomm.site import Site
from fedcomm.store.ids import now_ms
from fedcomm.store.schema import open_database
from fedcomm.web.visits import cookie_name
from tests.databases import ORIGIN, hub_config

MARKER = "zanzibar"
PASSWORD = "correct horse battery"


@cache
def password_hash() -> str:
    """The hash of `PASSWORD`."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)


@cache
def picture_bytes(colour: str = "#336699", size: tuple[int, int] = (64, 48)) -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Page:
    """An answer, read to its end."""

    status: int
    text: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def field(self, name: str) -> str:
        """The value of the first input of this name."""
        found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', self.text)
        assert found, f"no field {name}"
        return found[1]


@dataclass
class Browser:
    """A browser with cookies of its own; `name` is the member who is signed in, if any."""

    client: TestClient[web.Request, web.Application]
    name: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Page:
        """Ask for a page; redirects are not followed."""
        sent = {**self._headers(), **_named(headers)}
        return await self._read(await self.client.get(path, headers=sent, allow_redirects=False))

    async def follow(self, path: str) -> Page:
        """Ask for a page and go where it leads."""
        page = await self.get(path)
        for _hop in range(5):
            if page.status not in (301, 303):
                break
            page = await self.get(page.location.partition("#")[0])
        return page

    async def post(
        self,
        path: str,
        data: Mapping[str, Any] | FormData | None = None,
        *,
        origin: bool = True,
        **headers: str,
    ) -> Page:
        """Send a form as a page of the hub would."""
        proof = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN} if origin else {}
        sent = {**self._headers(), **proof, **_named(headers)}
        return await self._read(
            await self.client.post(path, data=data or {}, headers=sent, allow_redirects=False)
        )

    def _headers(self) -> dict[str, str]:
        sent = dict(self.headers)
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        return sent

    async def _read(self, response: ClientResponse) -> Page:
        body = await response.read()
        for name, morsel in response.cookies.items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return Page(response.status, body.decode("utf-8", "replace"), response.headers, body)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class World:
    """The hub, its people by name, and the ids of what stands in its groups."""

    site: Site
    client: TestClient[web.Request, web.Application]
    people: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    topics: dict[str, int] = field(default_factory=dict)
    replies: dict[str, int] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    remote_id: int = 0
    post_id: int = 0

    def stranger(self) -> Browser:
        """A browser where nobody is signed in."""
        return Browser(self.client)

    async def browser(self, name: str) -> Browser:
        """A browser where the member is signed in."""
        token = secrets.token_urlsafe(32)
        now = now_ms()
        async with self.site.db.transaction() as tx:
            await tx.execute(
                "INSERT INTO sessions (token_hash, member_id, created_at, seen_at)"
                " VALUES (?, ?, ?, ?)",
                sessions.token_hash(token),
                self.people[name],
                now,
                now,
            )
        return Browser(self.client, name, {cookie_name(self.site.config): token})

    def thread(self, group: str) -> str:
        """The path of the group's topic, without its slug."""
        return f"/g/{group}/t/{self.topics[group]}"

    async def topic(self, group: str, author: str, draft: Draft) -> int:
        """A new topic."""
        async with self.site.db.transaction() as tx:
            content = await self.site.compose(
                tx, draft, is_topic=True, author_id=self.people[author]
            )
            return await threads.create_topic(tx, self.people[author], self.groups[group], content)

    async def reply(
        self, parent_id: int, author: str, text: str, *, quote: int | None = None
    ) -> int:
        """A new reply."""
        async with self.site.db.transaction() as tx:
            content = await self.site.compose(
                tx, Draft(text, quote=quote), is_topic=False, author_id=self.people[author]
            )
            return await threads.create_reply(tx, self.people[author], parent_id, content)


@asynccontextmanager
async def make_world(database_url: str, tmp_path: Path, **tables: Any) -> AsyncIterator[World]:
    """The community on a new database, served by the whole application without workers."""
    tables.setdefault("server", Server(workers=False))
    port = tables.pop("port", None)
    config = hub_config(database_url, tmp_path, **tables)
    async with serve(config, port) as world:
        await populate(world)
        yield world


@asynccontextmanager
async def serve(config: Config, port: int | None = None) -> AsyncIterator[World]:
    """The application of `config` on 127.0.0.1, with nobody there yet."""
    create_key_file(config.secrets.key_file)
    site = Site(config, await open_database(config.database.url))
    site.federation = FederationSpoke(config, site.db, Vault.load(config.secrets.key_file))
    client = TestClient(TestServer(build_app(site), port=port), cookie_jar=DummyCookieJar())
    await client.start_server()
    try:
        yield World(site, client)
    finally:
        await client.close()


async def populate(world: World) -> None:
    """Anna administers, Bruno moderates the site, Chiara is in all groups, Dario only in the open
    one, Elsa in none. Rosa lives on another server."""
    site = world.site
    async with site.db.transaction() as tx:
        for name, role in (
            ("anna", "administrator"),
            ("bruno", "moderator"),
            ("chiara", "member"),
            ("dario", "member"),
            ("elsa", "member"),
        ):
            world.people[name] = await members.create_member(
                tx,
                name,
                display_name=name.title(),
                email=f"{name}@hub.test",
                password_hash=password_hash(),
                role=role,  # type: ignore[arg-type]
            )
        for name, title, mode in (
            ("garden", "The garden", "federated"),
            ("workshop", "The workshop", "local"),
            (f"{MARKER}board", f"{MARKER} board", "private"),
        ):
            world.groups[name] = await groups.create_group(
                tx,
                name,
                title=title,
                creator_id=world.people["bruno"],
                local_origin=site.origin,
                description=f"About **{title}**.",
                mode=mode,  # type: ignore[arg-type]
            )
            await groups.add_member(
                tx, world.groups[name], world.people["bruno"], world.people["chiara"]
            )
        await groups.join(tx, world.groups["garden"], world.people["dario"])
    board = f"{MARKER}board"
    world.topics["garden"] = await world.topic(
        "garden", "chiara", Draft("Sow *early*. #orto", title="Sowing beans", language="en")
    )
    world.topics["workshop"] = await world.topic(
        "workshop", "chiara", Draft("The localword lathe.", title="Localword lathe")
    )
    image = await media.upload(
        site.db,
        world.people["chiara"],
        picture_bytes(),
        folder=site.media_folder,
        purpose="attachment",
        alt=f"{MARKER} picture",
        limits=ATTACHMENT,
        daily_bytes=10_000_000,
    )
    world.topics[board] = await world.topic(
        board,
        "chiara",
        Draft(
            f"The {MARKER} text for @dario. #{MARKER}tag",
            title=f"{MARKER} title",
            summary=f"{MARKER} warning",
            media=(image,),
        ),
    )
    stored = await media.image(site.db, image)
    assert stored is not None
    world.files[board] = stored.file
    world.files["thumbnail"] = stored.thumbnail
    for name in world.topics:
        world.replies[name] = await world.reply(
            world.topics[name],
            "bruno",
            f"{MARKER} reply" if name == board else f"A reply in {name}",
        )
    await _add_rosa(world)


async def _add_rosa(world: World) -> None:
    """A person of another server whom Chiara follows, with one public post."""
    async with world.site.db.transaction() as tx:
        world.remote_id = await actors.store_remote(
            tx,
            replace(
                REMOTE,
                summary_html=clean_remote(
                    "<p>Hello <script>alert(1)</script></p>", local_origin=ORIGIN
                ),
            ),
        )
        await follows.request(tx, world.people["chiara"], world.remote_id)
        await follows.accept(tx, world.people["chiara"], world.remote_id)
        host_id = await actors.ensure_host(tx, "social.example")
        world.post_id = await threads.store_post(
            tx,
            world.remote_id,
            Content(
                title="",
                source="",
                html=clean_remote("<p>Remote greetings</p>", local_origin=ORIGIN),
                plain="Remote greetings",
                language="it",
            ),
            threads.Provenance(
                "https://social.example/notes/1",
                host_id,
                "Note",
                "https://social.example/@rosa/1",
                now_ms(),
            ),
            visibility="public",
        )


REMOTE = actors.RemoteProfile(
    uri="https://social.example/users/rosa",
    host="social.example",
    kind="person",
    name="rosa",
    display_name="Rosa",
    summary_html="",
    url="https://social.example/@rosa",
    avatar_url="https://social.example/rosa.png",
    inbox="https://social.example/inbox",
    shared_inbox=None,
    outbox=None,
    followers_uri=None,
    featured_uri=None,
    locked=False,
    discoverable=True,
    indexable=False,
    moved_to_uri=None,
    suspended=False,
    keys=(),
)


def upload_form(fields: Mapping[str, str], **files: bytes) -> FormData:
    """A multipart form with pictures."""
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    for name, data in files.items():
        form.add_field(name, data, filename=f"{name}.png", content_type="image/png")
    return form
