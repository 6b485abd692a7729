"""What a hostile member, and a hostile visitor, try with drafts, previews, quotes, events and figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fedcomm.hub import drafts, erasure, threads
from fedcomm.settings import Metrics
from tests.web.test_events import FIELDS
from tests.web.world import MARKER, Browser, World, make_world

BOARD = f"{MARKER}board"


async def preview(browser: Browser, path: str, **fields: str) -> str:
    page = await browser.post(path, {"text": "Words.", **fields, "action": "preview"})
    return page.text


async def test_inv_20_a_preview_shows_nothing_that_its_author_may_not_read(world: World) -> None:
    elsa = await world.browser("elsa")
    secret = world.topics[BOARD]
    picture = str(await world.site.db.value("SELECT id FROM media ORDER BY id LIMIT 1"))
    quoted = f"{world.site.origin}/o/{secret}"
    dario = await world.browser("dario")
    for browser, path, fields in (
        (dario, "/g/garden/new", {"title": "x", "quote": quoted}),
        (dario, "/g/garden/new", {"title": "x", "quote": f"{world.site.origin}/ap/o/{secret}"}),
        (dario, "/g/garden/new", {"title": "x", "picture": picture, "media": picture}),
        (dario, "/g/garden/new", {"title": "x", "image": picture, "picture_id": picture}),
        (elsa, f"/g/{BOARD}/new", {"title": "x"}),
        (elsa, f"/o/{secret}/reply", {}),
    ):
        text = (await preview(browser, path, **fields)).replace(f"{MARKER}board", "")
        assert MARKER not in text, (path, fields)
        assert world.files[BOARD] not in text
    # To quote what is secret says the same as to quote what is not there.
    said = set()
    for number in (secret, secret + 1):
        quoted = f"{world.site.origin}/o/{number}"
        once = "a" * 22
        text = await preview(dario, "/g/garden/new", title="x", quote=quoted, once=once)
        assert "No post was found at this address" in text
        said.add(text.replace(quoted, "…"))
    assert len(said) == 1


async def test_a_draft_is_opened_continued_and_thrown_away_by_its_member_alone(
    world: World,
) -> None:
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    form = await chiara.post(
        f"/g/{BOARD}/new", {"title": "x", "text": f"{MARKER} draft", "action": "preview"}
    )
    number = form.field("draft")
    assert (await dario.get(f"/drafts/{number}")).status == 404
    assert (await dario.post(f"/drafts/{number}/delete")).status == 404
    sent = await dario.post(
        "/g/garden/new", {"title": "y", "text": "Mine.", "draft": number, "action": "preview"}
    )
    assert MARKER not in sent.text
    posted = await dario.post("/g/garden/new", {"title": "y", "text": "Mine.", "draft": number})
    assert posted.status == 303
    kept = await drafts.draft_by_id(world.site.db, int(number))
    assert kept is not None and MARKER in kept.words.text
    # The number that was set aside for chiara's words is not dario's.
    assert kept.reservation is not None
    assert await threads.thing(world.site.db, kept.reservation.object_id) is None


async def test_a_preview_leaves_no_trace_but_the_draft(world: World) -> None:
    dario = await world.browser("dario")
    tables = (
        *("objects", "journal", "notifications", "mentions", "hosts", "actors", "follows"),
        *("memberships", "activities", "deliveries", "search_index", "hashtags", "quotes"),
        *("polls", "events", "reservations", "audit"),
    )

    async def counts() -> dict[str, int]:
        return {
            table: int(await world.site.db.value(f"SELECT count(*) FROM {table}"))
            for table in tables
        }

    await preview(dario, "/g/garden/new", title="x")  # Keys are made, once.
    before = await counts()
    quoted = f"{world.site.origin}/o/{world.topics['garden']}"
    await preview(dario, "/g/garden/new", title="x", text="@chiara #tag", quote=quoted)
    await preview(dario, f"/o/{world.topics['garden']}/reply", text="@rosa@social.example")
    await preview(
        dario, "/g/garden/new", title="x", event_start="2034-11-10T18:00", event_zone="Europe/Rome"
    )
    assert await counts() == before


async def test_inv_21_a_session_or_token_of_who_is_erased_does_nothing_at_once(
    world: World,
) -> None:
    dario = await world.browser("dario")
    async with world.site.db.transaction() as tx:
        await erasure.request(tx, "member", world.people["dario"], requested_by=None, own=True)
    before = await world.site.db.value("SELECT count(*) FROM objects")
    for path, fields in (
        ("/g/garden/new", {"title": "late", "text": "late"}),
        (f"/o/{world.topics['garden']}/reply", {"text": "late"}),
        ("/g/garden/new", {"title": "late", "text": "late", "action": "preview"}),
        (f"/o/{world.topics['garden']}/like", {}),
    ):
        page = await dario.post(path, fields)
        assert page.status == 403, path
    assert await world.site.db.value("SELECT count(*) FROM objects") == before
    login = await world.stranger().post(
        "/login", {"name": "dario", "password": "correct horse battery"}
    )
    assert login.status != 303


async def test_a_calendar_file_holds_no_lines_that_its_author_smuggled_in(world: World) -> None:
    chiara = await world.browser("chiara")
    evil = "Feast\r\nATTENDEE:mailto:x@evil.test\nEND:VEVENT\u2028X-EVIL:1"
    sent = await chiara.post(
        "/g/garden/new",
        {**FIELDS, "title": evil, "event_place": evil, "event_address": evil, "text": evil},
    )
    assert sent.status == 303
    number = await world.site.db.value("SELECT object_id FROM events")
    file = await world.stranger().get(f"/o/{number}/event.ics")
    assert file.status == 200
    lines = file.text.replace("\r\n ", "").split("\r\n")
    names = [line.partition(":")[0].partition(";")[0] for line in lines if line]
    assert not {"ATTENDEE", "X-EVIL"} & set(names)
    assert names.count("END") == file.text.count("BEGIN:")


async def test_who_asks_for_the_canary_finds_nobody(world: World) -> None:
    site = world.site
    stranger, anna = world.stranger(), await world.browser("anna")
    for path in ("/ap/canary/group", "/ap/canary/follower", "/ap/canary/1", "/ap/canary/../inbox"):
        for browser in (stranger, anna):
            page = await browser.get(path, Accept="application/activity+json")
            assert page.status in (401, 404, 405), path
    host = site.origin.split("://")[1]
    for name in ("canary", "group", "follower"):
        page = await stranger.get(f"/.well-known/webfinger?resource=acct:{name}@{host}")
        assert page.status == 404
        assert (await stranger.get(f"/@{name}")).status == 404


async def raw_get(port: int, path: str, *headers: bytes) -> int:
    """The status of a GET with header lines of any bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n".encode())
    writer.write(b"".join(header + b"\r\n" for header in headers) + b"\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def test_figures_are_for_the_token_alone(database_url: str, tmp_path: Path) -> None:
    async with make_world(database_url, tmp_path, metrics=Metrics(token="figures")) as world:
        port = world.client.port
        assert port is not None
        assert await raw_get(port, "/metrics", b"Authorization: Bearer figures") == 200
        for sent in (b"", b"Bearer", b"Bearer \xff\xfe", b"bearer figures", b"Bearer figure"):
            assert await raw_get(port, "/metrics", b"Authorization: " + sent) == 404, sent
        assert await raw_get(port, "/metrics?token=figures") == 404


@pytest.mark.parametrize(
    "path", ["/", "/notifications", "/o/1", "/ap/o/1", "/metrics", "/g/garden"]
)
async def test_inv_11_bytes_that_are_no_text_in_headers_are_no_error_of_ours(
    world: World, path: str
) -> None:
    port = world.client.port
    assert port is not None
    for name in (
        b"Cookie: __Host-session=",
        b"Cookie: session=",
        b"Cookie: lang=",
        b"Authorization: Bearer ",
        b"Accept-Language: ",
        b"Accept: ",
        b"Origin: ",
        b"Signature: ",
        b"Sec-Fetch-Site: ",
        b"X-Forwarded-For: ",
        b"If-None-Match: ",
        b"Range: ",
    ):
        assert await raw_get(port, path, name + b"\xff\xfe\xed\xa0\x80x") < 500, (path, name)


ODD = "%ff%ed%a0%80%00%0a%e2%80%ae"


@pytest.mark.parametrize(
    "path",
    [
        *(f"/@{ODD}", f"/g/{ODD}", f"/search?q={ODD}", f"/?page={ODD}", f"/g/garden?tag={ODD}"),
        *(f"/.well-known/webfinger?resource=acct:{ODD}@hub.test", f"/tags/{ODD}", f"/o/{ODD}"),
        *(f"/media/{ODD}", f"/ap/o/{ODD}", f"/ap/canary/{ODD}", f"/drafts/{ODD}", f"/{ODD}"),
        *(f"/ap/g/{'9' * 30}", f"/o/{'9' * 30}", f"/ap/o/{'9' * 19}", f"/ap/z/{'9' * 19}"),
        f"/erasures/{'9' * 30}",
    ],
)
async def test_inv_11_addresses_that_are_no_text_are_no_error_of_ours(
    world: World, path: str
) -> None:
    port = world.client.port
    assert port is not None
    chiara = await world.browser("chiara")
    cookie = "; ".join(f"{name}={value}" for name, value in chiara.cookies.items()).encode()
    for more in ((), (b"Cookie: " + cookie,), (b"Accept: application/activity+json",)):
        assert await raw_get(port, path, *more) < 500, path


@pytest.mark.parametrize(
    "path",
    ["/login", "/appeal", "/ap/inbox", "/search/fetch", "/g/garden/new", "/following", "/interact"],
)
async def test_inv_11_forms_that_are_no_text_are_no_error_of_ours(world: World, path: str) -> None:
    port = world.client.port
    assert port is not None
    chiara = await world.browser("chiara")
    cookie = "; ".join(f"{name}={value}" for name, value in chiara.cookies.items()).encode()
    fields = "&".join(
        f"{name}={ODD}" for name in ("name", "password", "text", "title", "quote", "draft", "q")
    ).encode()
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xed\xa0\x80\x00\r\n'
        b'--x\r\nContent-Disposition: form-data; name="title"; filename="\xff\xfe\x00"\r\n\r\n1\r\n--x--\r\n'
    )
    for kind, body in (
        (b"application/x-www-form-urlencoded", fields),
        (b"application/x-www-form-urlencoded; charset=\xff", fields),
        (b"application/x-www-form-urlencoded; charset=utf-7", fields),
        (b"application/x-www-form-urlencoded; charset=rot13", fields),
        (b"multipart/form-data; boundary=x", parts),
        (b"multipart/form-data", parts),
        (b"multipart/form-data; boundary=\xff", parts),
        (b"application/activity+json; profile=\xff", b"\xff{}"),
    ):
        for more in ((), (b"Cookie: " + cookie,)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            origin = world.site.origin.encode()
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n".encode()
                + b"Sec-Fetch-Site: same-origin\r\nOrigin: " + origin
                + b"\r\nSignature: \xff\r\nDate: \xff\r\nDigest: SHA-256=\xff\r\nContent-Type: " + kind
                + f"\r\nContent-Length: {len(body)}\r\n".encode()
                + b"".join(header + b"\r\n" for header in more) + b"\r\n" + body
            )  # fmt: skip
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            assert int(answer.split(b" ", 2)[1]) < 500, (path, kind)
