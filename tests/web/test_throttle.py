"""How often people may do things: each rule where it stands, over HTTP (INV-39)."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import FormData

from fedcomm.config import Rates
from fedcomm.hub.composition import Draft
from fedcomm.web import throttle
from fedcomm.web.late import resolve
from fedcomm.web.throttle import RULES, WINDOWS, Throttle, rules_of
from tests.web.world import PASSWORD, Browser, Page, World, make_world, picture_bytes, upload_form


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_allows_its_number_and_then_says_how_long_to_wait() -> None:
    clock = Clock()
    counted = Throttle(Rates(login_per_prefix_5min=3), clock)
    assert [counted.spend("login_per_prefix_5min", "a") for _ in range(3)] == [0, 0, 0]
    assert 0 < counted.spend("login_per_prefix_5min", "a") <= 301
    assert counted.spend("login_per_prefix_5min", "b") == 0
    clock.now += 300
    assert counted.spend("login_per_prefix_5min", "a") == 0


def test_counters_are_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_KEYS", 100)
    counted = Throttle(Rates(), Clock())
    for number in range(1000):
        counted.spend("login_per_prefix_5min", str(number))
    assert len(counted._counters) == 100
    assert ("login_per_prefix_5min", "999") in counted._counters


def test_every_limit_has_a_window_and_a_number() -> None:
    counted = Throttle(Rates(), Clock())
    for rule in RULES:
        assert WINDOWS[rule.limit] > 0
        assert counted.most(rule.limit) > 0


async def test_inv_39_every_rule_stands_at_a_route_that_exists(world: World) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in world.client.server.app.router.routes()
        if route.resource is not None
    }
    assert {(rule.method, rule.route) for rule in RULES} <= routes


async def test_inv_39_each_throttle_stops_its_own_route(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rule on its own: with a limit of 0 its route answers 429, and with none it does not."""
    counted = world.client.server.app[_key()]
    chiara = await world.browser("chiara")
    anna = await world.browser("anna")
    for rule in RULES:
        if rule.by == "account":
            continue  # delayed rather than refused, see below
        world.topics["garden"] = await world.topic("garden", "chiara", Draft("x", title="x"))
        browser = anna if rule.route == "/groups/new" else chiara
        for limit, refused in ((0, True), (10**9, False)):
            monkeypatch.setitem(counted._most, rule.limit, limit)
            counted._counters.clear()
            page = await send(world, browser, rule.method, rule.route, with_file=rule.by == "file")
            assert (page.status == 429) is refused, (rule, limit, page.status)
            if refused:
                assert int(page.headers["Retry-After"]) > 0
                assert page.headers["X-RateLimit-Limit"] == "0"
                assert page.headers["X-RateLimit-Remaining"] == "0"
                assert page.headers["X-RateLimit-Reset"].endswith("Z")
                assert "That was a lot in a short time." in page.text


PASSWORD_CHECKS = re.compile(r"\b(has_password|log_in|log_in_to_appeal)\(")
QUESTIONS = re.compile(r"\b(find_actor|find_location|is_alias|subscribe_template)\(")


def source_of(handler: object) -> str:
    """What a handler does itself, and through functions of its own module."""
    text = inspect.getsource(handler)  # type: ignore[arg-type]
    module = sys.modules[handler.__module__]
    own = [getattr(module, name, None) for name in set(re.findall(r"\b(_\w+)\(", text))]
    return text + "".join(inspect.getsource(each) for each in own if inspect.isfunction(each))


async def test_inv_39_every_form_that_tries_a_password_or_asks_another_server_is_counted(
    world: World,
) -> None:
    seen = set()
    for route in world.client.server.app.router.routes():
        if route.method != "POST" or route.resource is None:
            continue
        path = route.resource.canonical
        limits = {rule.limit for rule in rules_of("POST", path)}
        is_page = route.handler.__module__.startswith("fedcomm.web.")
        text = source_of(resolve(route.handler) if is_page else route.handler)
        if PASSWORD_CHECKS.search(text):
            assert limits & {"login_per_prefix_5min", "passwords_per_hour"}, path
            seen.add(path)
        if QUESTIONS.search(text):
            assert limits & {"lookups_per_5min", "posts_per_member_5min"}, path
            seen.add(path)
    assert {"/login", "/appeal", "/settings/data/erase", "/settings/move", "/interact"} <= seen


async def test_inv_39_what_has_no_rule_is_not_counted(world: World) -> None:
    assert rules_of("GET", "/login") == ()
    stranger = world.stranger()
    for _ in range(40):
        assert (await stranger.get("/login")).status == 200


async def test_inv_39_log_ins_are_counted_by_network_before_the_password_is_looked_at(
    database_url: str, tmp_path: Path
) -> None:
    async with make_world(database_url, tmp_path, rates=Rates(login_per_prefix_5min=3)) as world:
        for _ in range(3):
            page = await world.stranger().post("/login", {"name": "x", "password": "y"})
            assert page.status == 401
        for name, password in (("x", "y"), ("chiara", PASSWORD)):
            page = await world.stranger().post("/login", {"name": name, "password": password})
            assert page.status == 429


async def test_inv_39_appeals_of_one_network_are_counted_as_log_ins_are(
    database_url: str, tmp_path: Path
) -> None:
    async with make_world(database_url, tmp_path, rates=Rates(login_per_prefix_5min=2)) as world:
        form = {"action": "enter", "name": "elsa", "password": "wrong"}
        statuses = [(await world.stranger().post("/appeal", form)).status for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert (await world.stranger().post("/login", form)).status == 429


async def test_a_much_tried_account_answers_later_but_lets_its_member_in(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(throttle, "sleep", sleep)
    rates = Rates(login_per_account_hour=3, login_per_prefix_5min=1000)
    async with make_world(database_url, tmp_path, rates=rates) as world:
        for name in ("chiara", "nobody"):
            for spelling in (name, name, name, name, f"@{name}", name.upper()):
                form = {"name": spelling, "password": "wrong"}
                assert (await world.stranger().post("/login", form)).status == 401
            assert waited == [0.5, 1.0, 1.5], "slowed down, whether it exists or not"
            waited.clear()
        right = {"name": "chiara", "password": PASSWORD}
        assert (await world.stranger().post("/login", right)).status == 303
        assert waited == [2.0]
        await world.stranger().post("/login", {"name": "chiara", "password": "wrong"})
        assert waited == [2.0], "forgiven once the right person was there"
        for _ in range(20):
            # One count for both forms, and never longer than that.
            await world.stranger().post("/appeal", {"name": "nobody", "password": "wrong"})
        assert max(waited) == throttle.SLOWEST_SECONDS


async def test_topics_and_replies_share_one_limit(database_url: str, tmp_path: Path) -> None:
    rates = replace(Rates(), posts_per_member_5min=2)
    async with make_world(database_url, tmp_path, rates=rates) as world:
        chiara, dario = await world.browser("chiara"), await world.browser("dario")
        reply = f"/o/{world.topics['garden']}/reply"
        assert (await chiara.post("/g/garden/new", {"title": "A", "text": "B"})).status == 303
        assert (await chiara.post(reply, {"text": "C"})).status == 303
        assert (await chiara.post(reply, {"text": "D"})).status == 429
        assert (await dario.post(reply, {"text": "E"})).status == 303


async def send(world: World, browser: Browser, method: str, route: str, *, with_file: bool) -> Page:
    """A form to the route, with a picture where uploads are counted."""
    board = next(name for name in world.groups if name not in ("garden", "workshop"))
    group = board if route.endswith("/manage") or route.endswith("/members") else "garden"
    if route.endswith("/manage") or route.endswith("/members"):
        browser = await world.browser("bruno")
    path = route.format(
        name=group,
        id=str(world.topics["garden"]),
        kind="group",
        spoke="feeds",
        file="blocks.csv" if route.startswith("/settings") else "json.zip",
    )
    if method == "GET":
        return await browser.get(path)
    fields = {"title": "T", "text": "t", "name": "n", "locale": "en", "handle": "?", "q": "?"}
    if not with_file:
        return await browser.post(path, fields)
    data: FormData = upload_form(fields)
    name = "avatar" if route in ("/settings/profile", "/g/{name}/manage") else "file_0"
    data.add_field(name, picture_bytes(), filename="a.png", content_type="image/png")
    return await browser.post(path, data)


def _key():  # type: ignore[no-untyped-def]
    from fedcomm.web.middleware import THROTTLE

    return THROTTLE
