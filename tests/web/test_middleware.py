"""Headers of every answer, where changes may come from, errors in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedcomm.config import Federation, Rates, Server
from fedcomm.hub import groups
from fedcomm.store.database import DatabaseUnavailable
from fedcomm.web import home
from tests.web.world import MARKER, PASSWORD, World, make_world

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
"""security.md §5, written once more: the header that is sent is compared with it."""

PAGES = ("/", "/about", "/login", "/groups", "/g/garden", "/@chiara", "/nowhere", "/search?q=x")


async def test_every_page_carries_the_headers_of_the_reference(world: World) -> None:
    for browser in (world.stranger(), await world.browser("chiara")):
        for path in PAGES:
            page = await browser.get(path)
            headers = page.headers
            assert page.status == 303 or headers["Content-Security-Policy"] == POLICY, path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Permissions-Policy"].startswith("browsing-topics=()")
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert headers["Server"] == "fedcomm"


async def test_files_that_are_made_while_they_are_sent_carry_them_as_well(world: World) -> None:
    chiara = await world.browser("chiara")
    for path in ("/settings/data/reach.csv", "/settings/take/everything-json.zip"):
        headers = (await chiara.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Strict-Transport-Security"] == "max-age=31536000", path
        assert headers["Cache-Control"] == "private, no-store", path
        assert headers["Server"] == "fedcomm", path


async def test_inv_30_no_page_needs_inline_script_or_style(world: World) -> None:
    chiara = await world.browser("chiara")
    for path in (*PAGES, f"{world.thread('garden')}/sowing-beans", "/settings", "/g/garden/new"):
        text = (await chiara.get(path)).text
        for scrap in (" style=", "<style", " onclick", " onload", "javascript:", "unsafe-inline"):
            assert scrap not in text, (path, scrap)
        assert text.count("<script") == (0 if path == "/login" else 1)
        assert chiara.cookies["__Host-session"] not in text


async def test_inv_31_answers_say_by_what_they_differ_and_private_ones_are_not_kept(
    world: World,
) -> None:
    stranger, chiara = world.stranger(), await world.browser("chiara")
    for path in ("/", "/groups", "/g/garden", "/@chiara"):
        page = await stranger.get(path)
        assert page.headers["Cache-Control"] == "public, max-age=0, must-revalidate", path
        assert page.headers["Vary"] == "Accept, Cookie, Signature, Accept-Language"
        page = await chiara.get(path)
        assert page.headers["Cache-Control"] == "private, no-store", path
        assert page.headers["Vary"].startswith("Accept, Cookie, Signature")
    for path in ("/nowhere", f"/g/{MARKER}board", "/login", f"/o/{world.topics['garden']}"):
        page = await stranger.get(path)
        assert page.headers["Cache-Control"] == "private, no-store", path
    page = await chiara.get(f"/media/{world.files[f'{MARKER}board']}")
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in page.headers["Vary"]


async def test_inv_31_the_page_and_the_document_share_an_address(world: World) -> None:
    stranger = world.stranger()
    for path in ("/@chiara", "/g/garden", f"{world.thread('garden')}/sowing-beans"):
        page = await stranger.get(path)
        assert page.headers["Content-Type"].startswith("text/html")
        document = await stranger.get(path, Accept="application/activity+json")
        assert not document.headers["Content-Type"].startswith("text/html")
        for answer in (page, document):
            for name in ("Accept", "Cookie", "Signature"):
                assert name in answer.headers["Vary"], path


async def test_inv_28_a_change_needs_proof_that_our_page_asked_for_it(world: World) -> None:
    chiara = await world.browser("chiara")
    path = f"/o/{world.topics['garden']}/like"
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://hub.test.evil.example"},
        {"Origin": "http://hub.test"},
        {"Origin": "https://hub.test:444"},
        {"Referer": "https://hub.test/"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://hub.test"},
        {"Sec_Fetch_Site": ""},
    ):
        page = await chiara.post(path, origin=False, **headers)
        assert page.status == 403, headers
        assert "not sent from a page of this site" in page.text
    assert await world.site.db.value("SELECT count(*) FROM reactions") == 0
    for headers in ({"Sec_Fetch_Site": "same-origin"}, {"Origin": "https://hub.test"}):
        assert (await chiara.post(path, origin=False, **headers)).status == 303


class Places(dict[str, str]):
    """What stands in an address; a place that a new route has is `1`."""

    def __missing__(self, name: str) -> str:
        return "1"


async def test_inv_28_every_route_that_changes_something_asks_for_the_proof(world: World) -> None:
    anna = await world.browser("anna")
    routes = [
        route.resource.canonical
        for route in world.client.server.app.router.routes()
        if route.method not in ("GET", "HEAD") and route.resource is not None
    ]
    pages = [route for route in routes if not route.startswith("/ap/")]
    assert len(pages) > 20
    for route in pages:
        path = route.format_map(Places(name="garden", kind="group", host="x.example"))
        page = await anna.post(path, origin=False, Origin="https://evil.example")
        assert page.status == 403, route


async def test_inv_28_nothing_is_changed_by_asking(world: World) -> None:
    """Every GET route once, as the administrator: the journal stays where it is."""
    anna = await world.browser("anna")
    before = await world.site.db.value("SELECT count(*) FROM journal")
    files = {
        "/settings/take/{file}": "following_accounts.csv",
        "/g/{name}/take/{file}": "everything-json.zip",
    }
    for route in world.client.server.app.router.routes():
        if route.method == "GET" and route.resource is not None:
            path = route.resource.canonical.format_map(
                Places(
                    name="garden",
                    id=str(world.topics["garden"]),
                    host="social.example",
                    file=files.get(route.resource.canonical, "x.css"),
                    reference="1-0",
                    tag="orto",
                    version="2.1",
                    spoke="feeds",
                    kind="follows",
                )
            )
            assert (await anna.get(path)).status < 500, path
    assert await world.site.db.value("SELECT count(*) FROM journal") == before


async def test_inv_29_absolute_addresses_come_from_the_configuration(world: World) -> None:
    stranger = world.stranger()
    for headers in (
        {"Host": "evil.example"},
        {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "http"},
        {"Forwarded": "host=evil.example"},
    ):
        for path in ("/", "/g/garden", "/feed.atom", "/g/garden/feed.atom", "/@chiara", "/login"):
            page = await stranger.get(path, **headers)
            assert page.status == 200
            assert "evil.example" not in page.text + str(page.headers), (path, headers)
        page = await stranger.get(f"/o/{world.topics['garden']}", **headers)
        assert "evil.example" not in page.location


async def test_inv_29_a_forwarded_address_counts_only_from_a_listed_proxy(
    database_url: str, tmp_path: Path
) -> None:
    few = Rates(login_per_prefix_5min=2, login_per_account_hour=1000)
    async with make_world(database_url, tmp_path, rates=few) as world:
        answers = [
            (await try_to_log_in(world, f"203.0.113.{number}")).status for number in range(4)
        ]
        assert answers == [401, 401, 429, 429], "the header is not believed"


async def test_inv_29_behind_a_listed_proxy_each_client_is_counted_apart(
    database_url: str, tmp_path: Path
) -> None:
    from ipaddress import ip_network

    few = Rates(login_per_prefix_5min=2, login_per_account_hour=1000)
    server = Server(workers=False, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with make_world(database_url, tmp_path, rates=few, server=server) as world:
        for number in range(4):
            page = await try_to_log_in(world, f"203.0.113.{number}")
            assert page.status == 401
        forged = [
            (await try_to_log_in(world, f"198.51.100.{number}, 203.0.113.9")).status
            for number in range(4)
        ]
        assert forged == [401, 401, 429, 429], "only the address that the proxy saw counts"


async def try_to_log_in(world: World, forwarded: str):  # type: ignore[no-untyped-def]
    """A wrong log-in from the address that X-Forwarded-For claims."""
    return await world.stranger().post(
        "/login", {"name": "chiara", "password": "wrong"}, X_Forwarded_For=forwarded
    )


async def test_errors_have_pages_with_words_and_no_traceback(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_arguments: object, **_options: object) -> None:
        raise RuntimeError(f"a secret about {MARKER}")

    monkeypatch.setattr(home, "_landing", fails)
    page = await world.stranger().get("/")
    assert page.status == 500
    assert "It is not your fault." in page.text
    assert "Traceback" not in page.text and MARKER not in page.text
    assert "GET / failed: RuntimeError" in caplog.text
    assert MARKER not in caplog.text, "INV-52: the message may quote what somebody wrote"


async def test_a_database_that_is_gone_is_answered_with_503(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_arguments: object, **_options: object) -> None:
        raise DatabaseUnavailable("disk full")

    monkeypatch.setattr(groups, "list_groups", gone)
    page = await world.stranger().get("/")
    assert page.status == 503
    assert page.headers["Retry-After"] == "60"
    assert "disk full" not in page.text
    assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_wrong_method_says_what_is_possible(world: World) -> None:
    page = await world.stranger().post("/about")
    assert page.status == 405
    assert "GET" in page.headers["Allow"]


async def test_bodies_beyond_their_limit_are_refused(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.post(f"/o/{world.topics['garden']}/like", {"back": "x" * 1_100_000})
    assert page.status == 413
    assert "larger than this site takes" in page.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"text=%ff%fe&title=%00"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"text=a"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"text=a"),
        ("application/x-www-form-urlencoded; charset=idna", b"text=a%ff"),
        ("application/x-www-form-urlencoded; charset=zlib", b"text=a"),
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"garbage"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n'
            b"Content-Type: text/plain; charset=nonsense\r\n\r\na\r\n--x--\r\n",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--x--\r\n",
        ),
        ("application/json", b'{"text": 1}'),
        ("", b"\x00\x01"),
    ],
)
async def test_inv_11_no_body_of_a_form_ends_in_a_server_error(
    world: World, kind: str, body: bytes
) -> None:
    chiara = await world.browser("chiara")
    for path in (
        "/g/garden/new",
        "/login",
        "/language",
        "/settings/profile",
        f"/o/{world.topics['garden']}/reply",
    ):
        response = await world.client.post(
            path,
            data=body,
            headers={
                "Content-Type": kind,
                "Origin": "https://hub.test",
                "Cookie": f"__Host-session={chiara.cookies['__Host-session']}",
            },
            allow_redirects=False,
        )
        assert response.status < 500, (path, await response.text())


async def test_inv_11_no_address_ends_in_a_server_error(world: World) -> None:
    chiara = await world.browser("chiara")
    for path in (
        "/@%00",
        "/@a%00b",
        "/g/%ff",
        "/tags/%00",
        "/tags/%ed%a0%80",
        "/tags/" + "a" * 5000,
        "/search?q=%00",
        "/search?q=%ed%a0%80",
        "/search?q=" + "%25" * 600,
        "/search?q=https://[",
        "/search?q=http://a%5Db",
        "/search?q=@%5B@[",
        "/o/99999999999999999999",
        "/o/0",
        "/o/9223372036854775807",
        "/g/garden/t/9223372036854775808",
        "/groups?after=%00",
        "/notifications?before=999999999999999999999",
        "/media/%2e%2e%2fhub.db",
        "/media/..%5chub.db",
        "/static/..%2f..%2fpyproject.toml",
        "/static/%2e%2e/base.html",
        "/interact?uri=%00",
        "/interact?uri=" + "x" * 4000,
        "/@a@%00",
        "/@a@" + "b" * 250,
        "/login?next=%0d%0aSet-Cookie:%20x",
        "/?said=%00",
        "/?before=-1",
    ):
        page = await chiara.get(path)
        assert page.status < 500, (path, page.text[:300])
        assert "pyproject" not in page.text or "static" not in path


async def test_other_spokes_keep_their_own_headers(world: World) -> None:
    page = await world.stranger().get("/.well-known/webfinger?resource=acct:chiara@hub.test")
    assert page.status == 200
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" not in page.headers
    assert "__Host-session" not in str(page.headers)


async def test_pages_work_where_federation_is_switched_off(
    database_url: str, tmp_path: Path
) -> None:
    off = Federation(enabled=False)
    async with make_world(database_url, tmp_path, federation=off) as world:
        world.site.federation = None
        chiara, anna = await world.browser("chiara"), await world.browser("anna")
        for browser, path in (
            (chiara, "/g/garden"),
            (chiara, "/@chiara"),
            (chiara, f"{world.thread('garden')}/sowing-beans"),
            (chiara, "/search?q=@a@b.example"),
            (chiara, "/about"),
            (anna, "/admin"),
        ):
            page = await browser.get(path, Accept="application/activity+json, text/html;q=0.5")
            assert page.status == 200, path
            assert page.headers["Content-Type"].startswith("text/html")
        assert (await chiara.post("/following", {"handle": "@a@b.example"})).status == 422
        sent = await world.stranger().post("/follow-from/group/garden", {"handle": "@a@b.example"})
        assert sent.status == 200


async def test_logging_in_over_http_is_possible_in_development(
    database_url: str, tmp_path: Path
) -> None:
    from fedcomm.config import Instance

    instance = Instance(origin="http://localhost:8080")
    async with make_world(database_url, tmp_path, instance=instance) as world:
        browser = world.stranger()
        sent = await browser.post(
            "/login",
            {"name": "chiara", "password": PASSWORD},
            origin=False,
            Origin="http://localhost:8080",
        )
        assert sent.status == 303
        assert sent.headers["Set-Cookie"].startswith("session")
        assert "Secure" not in sent.headers["Set-Cookie"]
        assert "Strict-Transport-Security" not in sent.headers
        assert (await browser.get("/settings")).status == 200
