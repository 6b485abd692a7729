"""Acceptance 6, INV-20: to whom is not in it a private group does not exist: every route, every class of viewer.

Each route of the running application is asked twice: for something of the private group, and for the same thing
that never was. The two answers must be the same, and no marker may stand in either.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from activitypub import cavage
from fedcomm.hub import groups, media, members, reactions, sessions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.images import ATTACHMENT
from fedcomm.hub.passwords import hash_password
from fedcomm.store.ids import new_id
from fedcomm.web.visits import cookie_name
from tests.federation.hub import PASSWORD
from tests.federation.inprocess import LocalHub
from tests.federation.stub import ACTIVITY, PUBLIC, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME, MISSING = "qzcellar", "qzabsent"
MARKER = re.compile("qzmarker", re.IGNORECASE)

VIEWERS = (
    "anonymous browser",
    "unsigned fetch",
    "wrongly signed fetch",
    "signed stranger",
    "signed strange server",
    "member who is not in it",
    "administrator who is not in it",
)

UNCHANGING = {"/static/{file}", "/health", "/ready", "/source.tar.gz"}
"""Routes that read nothing of the hub's content."""


@dataclass
class Cellar:
    """A private group of anna's with everything in it that could leak."""

    hub: LocalHub
    group_id: int
    ids: tuple[int, ...]
    file: str
    thumbnail: str
    headers: dict[str, dict[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cellar(town: LocalHub) -> Cellar:
    hub = town
    group_id = await hub.make_group(NAME, mode="private", description="qzmarker description")
    image = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(image, "PNG")
    media_id = await media.upload(
        hub.db,
        hub.anna,
        image.getvalue(),
        folder=hub.site.media_folder,
        purpose="attachment",
        alt="qzmarker alt",
        limits=ATTACHMENT,
        daily_bytes=10**8,
    )
    stored = await media.image(hub.db, media_id)
    assert stored is not None
    async with hub.db.transaction() as tx:
        await tx.execute("UPDATE actors SET display_name = 'qzmarker title' WHERE id = ?", group_id)
        draft = Draft("qzmarker text #qzmarkertag @ben", "qzmarker topic", media=(media_id,))
        content = await hub.site.compose(tx, draft, is_topic=True, author_id=hub.anna)
        topic = await threads.create_topic(tx, hub.anna, group_id, content)
        answer = await hub.site.compose(
            tx, Draft("qzmarker answer"), is_topic=False, author_id=hub.anna
        )
        reply = await threads.create_reply(tx, hub.anna, topic, answer)
        await threads.edit(tx, hub.anna, topic, content)
        await threads.set_pinned(tx, hub.anna, topic, pinned=True)
        await reactions.add(tx, hub.anna, reply, "like")
        hashed = await hash_password(PASSWORD)
        await members.create_member(tx, "otto", role="administrator", password_hash=hashed)
        await members.set_password(tx, hub.ben, hashed)
    hub.site.wake()
    await hub.quiet()
    rows = await hub.db.all("SELECT id FROM activities WHERE object_id IN (?, ?)", topic, reply)
    stranger = hub.stubs.somebody("stranger")
    server = hub.stubs.somebody("instance", kind="Application")
    return Cellar(
        hub,
        group_id,
        (group_id, topic, reply, media_id, *(row["id"] for row in rows)),
        stored.file,
        stored.thumbnail,
        {
            "anonymous browser": {"Accept": "text/html"},
            "unsigned fetch": {"Accept": ACTIVITY},
            "wrongly signed fetch": {"Accept": ACTIVITY, "X-Sign": stranger, "X-Spoil": "yes"},
            "signed stranger": {"Accept": ACTIVITY, "X-Sign": stranger},
            "signed strange server": {"Accept": ACTIVITY, "X-Sign": server},
            "member who is not in it": {"Accept": "text/html", "Cookie": await _cookie(hub, "ben")},
            "administrator who is not in it": {
                "Accept": "text/html",
                "Cookie": await _cookie(hub, "otto"),
            },
        },
    )


async def _cookie(hub: LocalHub, name: str) -> str:
    return f"{cookie_name(hub.site.config)}={await sessions.log_in(hub.db, name, PASSWORD)}"


def _routes(cellar: Cellar, method: str) -> list[str]:
    """The templates of all routes that take `method`."""
    from fedcomm.web.routes import add_routes

    app = web.Application()
    add_routes(app)
    assert cellar.hub.site.federation is not None
    cellar.hub.site.federation._serving.add_routes(app)
    found = {
        route.resource.canonical
        for route in app.router.routes()
        if route.method == method and route.resource is not None
    }
    discovery = {"/.well-known/webfinger", "/.well-known/nodeinfo", "/nodeinfo/2.1"}
    return sorted(found | (discovery if method == "GET" else set()))


def _pairs(cellar: Cellar, template: str) -> list[tuple[str, str]]:
    """(address in the private group, the same of something that never was) for a route."""
    absent = str(new_id())
    pairs = []
    for number in cellar.ids if "{id}" in template else (0,):
        for file in (cellar.file, cellar.thumbnail) if "{file}" in template else ("",):
            missing_file = re.sub(r"^[0-9a-f]{32}", "0" * 32, file)
            there = _fill(template, str(number), NAME, file, "qzmarkertag")
            never = _fill(template, absent, MISSING, missing_file, "qzabsenttag")
            pairs.append((there, never))
    if template == "/search":
        pairs = [
            ("/search?q=qzmarker", "/search?q=qzabsent"),
            (f"/search?q=!{NAME}", f"/search?q=!{MISSING}"),
        ]
    if template == "/.well-known/webfinger":
        host = cellar.hub.site.host
        pairs = [
            (
                f"{template}?resource=acct:{NAME}@{host}",
                f"{template}?resource=acct:{MISSING}@{host}",
            ),
            (
                f"{template}?resource={cellar.hub.group_uri(cellar.group_id)}",
                f"{template}?resource={cellar.hub.group_uri(int(absent))}",
            ),
            (
                f"{template}?resource={cellar.hub.origin}/g/{NAME}",
                f"{template}?resource={cellar.hub.origin}/g/{MISSING}",
            ),
        ]
    if template == "/interact":
        pairs = [
            (
                f"/interact?uri={cellar.hub.object_uri(cellar.ids[1])}",
                f"/interact?uri={cellar.hub.object_uri(int(absent))}",
            )
        ]
    return pairs


def _fill(template: str, number: str, name: str, file: str, tag: str) -> str:
    values = {
        "id": number,
        "name": name,
        "file": file,
        "tag": tag,
        "slug": "qzslug",
        "host": "x.test",
    }
    values |= {"version": "2.1", "kind": "group", "spoke": "feeds", "reference": "1-abc"}
    return re.sub(r"{(\w+)}", lambda match: values[match[1]], template)


def _same(text: str) -> str:
    """An answer without the words of the question, which both answers may repeat."""
    text = re.sub(r"[0-9a-f]{32}|\d{15,19}", "NUMBER", text)
    return re.sub(r"qz(?:marker|absent|cellar)(?:tag)?", "WORD", text)


async def _ask(
    cellar: Cellar, viewer: str, path: str, *, method: str = "GET", data: Any = None
) -> tuple[int, str]:
    headers = dict(cellar.headers[viewer])
    url = cellar.hub.origin + path
    signer = headers.pop("X-Sign", None)
    spoiled = headers.pop("X-Spoil", None)
    if signer is not None:
        signed_url = url + "x" if spoiled else url
        headers |= cavage.sign("GET", signed_url, None, test_key(), f"{signer}#main-key")
    if method == "POST":
        headers |= {"Origin": cellar.hub.origin, "Sec-Fetch-Site": "same-origin"}
    session = cellar.hub.stubs._session
    assert session is not None
    async with session.request(
        method, url, headers=headers, data=data, allow_redirects=False
    ) as answer:
        place = answer.headers.get("Location", "")
        return answer.status, f"{place}\n{await answer.text(errors='replace')}"


@pytest.mark.parametrize("viewer", VIEWERS)
async def test_inv_20_no_route_tells_that_a_private_group_exists(
    cellar: Cellar, viewer: str
) -> None:
    asked = 0
    for template in _routes(cellar, "GET"):
        if template in UNCHANGING or (template.startswith("/admin") and "administrator" in viewer):
            continue
        for there, never in _pairs(cellar, template):
            status, text = await _ask(cellar, viewer, there)
            expected, plain = await _ask(cellar, viewer, never)
            asked += 1
            if not MARKER.search(there):
                # (A page that repeats the question is compared with its twin below.)
                assert not MARKER.search(text), f"{viewer}: {there} shows a marker"
            assert status == expected, f"{viewer}: {there} answers {status}, {never} {expected}"
            assert _same(text) == _same(plain), f"{viewer}: {there}"
    assert asked > 60


@pytest.mark.parametrize("viewer", ["member who is not in it", "administrator who is not in it"])
async def test_inv_21_no_form_acts_in_a_private_group_or_tells_that_it_exists(
    cellar: Cellar, viewer: str
) -> None:
    before = await cellar.hub.fingerprint()
    form = {
        "title": "T", "text": "t", "source": "t", "action": "join", "member": "ben", "name": "ben",
        "handle": "x@y.test", "summary": "", "language": "en", "do": "join", "confirm": "yes",
    }  # fmt: skip
    for template in _routes(cellar, "POST"):
        if "{" not in template or template.startswith(
            ("/ap/", "/admin", "/following", "/followers")
        ):
            continue
        for there, never in _pairs(cellar, template):
            status, text = await _ask(cellar, viewer, there, method="POST", data=form)
            expected, plain = await _ask(cellar, viewer, never, method="POST", data=form)
            assert status == expected, f"{viewer}: POST {there} {status}, {never} {expected}"
            assert _same(text) == _same(plain), f"POST {there}"
    assert await cellar.hub.fingerprint() == before


async def test_inv_20_the_inbox_of_a_private_group_does_not_exist_for_strangers(
    cellar: Cellar,
) -> None:
    hub = cellar.hub
    mallory = hub.stubs.somebody()
    for group_id in (cellar.group_id, new_id()):
        follow = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{mallory}/follows/{group_id}",
            "type": "Follow",
            "actor": mallory,
            "object": hub.group_uri(group_id),
        }
        assert await hub.post(follow, inbox=f"{hub.group_uri(group_id)}/inbox") == 404
        # By the shared inbox it is taken, and nothing comes of it.
        assert "refused" in await hub.deliver(follow | {"id": f"{follow['id']}/2"})
    await hub.quiet()
    assert not hub.stubs.hosts[mallory.split("/")[2].partition(":")[0]].arrived


async def test_inv_20_nobody_outside_is_notified_mentioned_or_delivered_to(cellar: Cellar) -> None:
    hub = cellar.hub
    topic = cellar.ids[1]
    assert await hub.count("SELECT count(*) FROM mentions WHERE object_id = ?", topic) == 1
    assert await hub.count("SELECT count(*) FROM notifications WHERE member_id = ?", hub.ben) == 0
    assert await hub.count("SELECT count(*) FROM activities WHERE object_id = ?", topic) == 0


async def test_inv_7_and_20_a_stranger_cannot_answer_into_a_private_group(cellar: Cellar) -> None:
    hub = cellar.hub
    mallory = hub.stubs.somebody()
    note = hub.stubs.note(
        mallory,
        inReplyTo=hub.object_uri(cellar.ids[1]),
        audience=hub.group_uri(cellar.group_id),
        to=[PUBLIC, hub.group_uri(cellar.group_id)],
    )
    verdict = await hub.deliver(
        {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{mallory}/creates/1",
            "type": "Create",
            "actor": mallory,
            "to": [PUBLIC],
            "object": note,
        }
    )
    assert "stored" not in verdict
    assert await hub.count("SELECT count(*) FROM objects WHERE uri = ?", note["id"]) == 0


async def test_a_member_of_the_private_group_sees_all_of_it(cellar: Cellar) -> None:
    """What the tests above look for is really there."""
    hub = cellar.hub
    async with hub.db.transaction() as tx:
        await groups.add_member(tx, cellar.group_id, hub.anna, hub.ben)
    status, text = await _ask(cellar, "member who is not in it", f"/g/{NAME}")
    assert status == 200
    assert MARKER.search(text)
    status, _ = await _ask(cellar, "member who is not in it", f"/media/{cellar.file}")
    assert status == 200
    async with hub.db.transaction() as tx:
        await groups.leave(tx, cellar.group_id, hub.ben)
    status, _ = await _ask(cellar, "member who is not in it", f"/media/{cellar.file}")
    assert status == 404
