"""Nothing of a private group reaches anybody outside it, on any route (INV-20).

Every route of the application stands in one of the tables below; a new route fails the first test
until somebody has thought about it. Two questions are asked of each page as each kind of outsider:
is it the same, letter by letter, as for a name that does not exist; and does it stay the same when
something is written in private?
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from fedcomm.hub import groups, moderation, reactions, reports
from fedcomm.hub.composition import Draft
from tests.web.world import MARKER, Browser, Page, World

BOARD: Final = f"{MARKER}board"
ABSENT: Final = {
    "board": f"{MARKER}nothing",
    "topic": "123456789012345678",
    "reply": "123456789012345679",
    "group": "123456789012345670",
    "file": "0123456789abcdef0123456789abcdef.png",
    "thumbnail": "0123456789abcdef0123456789abcdef_small.webp",
    "tag": f"{MARKER}other",
    "report": "123456789012345671",
    "statement": "123456789012345672",
}
"""Names and ids that nothing has."""

NAMED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("GET", "/g/{name}"): ("/g/{board}",),
    ("GET", "/g/{name}/about"): ("/g/{board}/about",),
    ("GET", "/g/{name}/feed.atom"): ("/g/{board}/feed.atom",),
    ("GET", "/g/{name}/manage"): ("/g/{board}/manage",),
    ("GET", "/g/{name}/new"): ("/g/{board}/new",),
    ("GET", "/g/{name}/t/{id}"): (
        "/g/{board}/t/{topic}",
        "/g/garden/t/{topic}",
        "/g/{board}/t/{reply}",
    ),
    ("GET", "/g/{name}/t/{id}/{slug}"): ("/g/{board}/t/{topic}/slug",),
    ("GET", "/o/{id}"): ("/o/{topic}", "/o/{reply}", "/o/{group}"),
    ("GET", "/o/{id}/reply"): ("/o/{topic}/reply",),
    ("GET", "/o/{id}/edit"): ("/o/{topic}/edit",),
    ("GET", "/o/{id}/delete"): ("/o/{topic}/delete",),
    ("GET", "/o/{id}/history"): ("/o/{topic}/history", "/o/{reply}/history"),
    ("GET", "/@{name}"): ("/@{board}",),
    ("GET", "/@{name}@{host}"): ("/@{board}@social.example",),
    ("GET", "/media/{file}"): ("/media/{file}", "/media/{thumbnail}"),
    ("GET", "/tags/{tag}"): ("/tags/{tag}",),
    ("GET", "/interact"): (
        "/interact?uri=!{board}@hub.test",
        "/interact?uri=https://hub.test/ap/o/{topic}",
    ),
    ("GET", "/search"): ("/search?q=!{board}", "/search?q=@{board}@hub.test"),
    ("POST", "/g/{name}/membership"): ("/g/{board}/membership",),
    ("POST", "/g/{name}/manage"): ("/g/{board}/manage",),
    ("POST", "/g/{name}/hosts"): ("/g/{board}/hosts",),
    ("POST", "/g/{name}/members"): ("/g/{board}/members",),
    ("GET", "/g/{name}/life"): ("/g/{board}/life",),
    ("GET", "/g/{name}/take/{file}"): ("/g/{board}/take/everything-json.zip",),
    ("POST", "/g/{name}/life/move"): ("/g/{board}/life/move",),
    ("POST", "/g/{name}/life/close"): ("/g/{board}/life/close",),
    ("POST", "/g/{name}/new"): ("/g/{board}/new",),
    ("POST", "/o/{id}/reply"): ("/o/{topic}/reply", "/o/{reply}/reply"),
    ("POST", "/o/{id}/edit"): ("/o/{topic}/edit",),
    ("POST", "/o/{id}/delete"): ("/o/{topic}/delete", "/o/{reply}/delete"),
    ("POST", "/o/{id}/like"): ("/o/{topic}/like",),
    ("GET", "/o/{id}/quote"): ("/o/{topic}/quote", "/o/{reply}/quote"),
    ("POST", "/o/{id}/unquote"): ("/o/{topic}/unquote",),
    ("POST", "/o/{id}/vote"): ("/o/{topic}/vote",),
    ("POST", "/o/{id}/attend"): ("/o/{topic}/attend",),
    ("GET", "/o/{id}/participants"): ("/o/{topic}/participants",),
    ("POST", "/o/{id}/participants"): ("/o/{topic}/participants",),
    ("GET", "/o/{id}/event.ics"): ("/o/{topic}/event.ics",),
    ("POST", "/o/{id}/pin"): ("/o/{topic}/pin",),
    ("POST", "/o/{id}/lock"): ("/o/{topic}/lock",),
    ("POST", "/o/{id}/restore"): ("/o/{topic}/restore",),
    ("GET", "/o/{id}/report"): ("/o/{topic}/report", "/o/{reply}/report"),
    ("POST", "/o/{id}/report"): ("/o/{topic}/report", "/o/{reply}/report"),
    ("GET", "/report/{id}"): ("/report/{group}",),
    ("POST", "/report/{id}"): ("/report/{group}",),
    ("POST", "/g/{name}/waiting"): ("/g/{board}/waiting",),
    ("POST", "/g/{name}/askers"): ("/g/{board}/askers",),
    ("GET", "/moderation/{id}"): ("/moderation/{report}",),
    ("POST", "/moderation/{id}"): ("/moderation/{report}",),
    ("GET", "/statements/{id}"): ("/statements/{statement}",),
    ("POST", "/statements/{id}/appeal"): ("/statements/{statement}/appeal",),
    ("POST", "/statements/{id}/answer"): ("/statements/{statement}/answer",),
    ("POST", "/following"): ("/following",),
    ("POST", "/following/{id}"): ("/following/{group}",),
    ("POST", "/followers/{id}"): ("/followers/{group}",),
    ("POST", "/people/{id}/avoid"): ("/people/{group}/avoid",),
    ("POST", "/people/{id}/lists"): ("/people/{group}/lists",),
    ("POST", "/search/fetch"): ("/search/fetch",),
    ("POST", "/interact"): ("/interact",),
    ("POST", "/follow-from/{kind}/{name}"): (
        "/follow-from/group/{board}",
        "/follow-from/person/{board}",
    ),
    # The ActivityPub spoke, asked without a signature.
    ("GET", "/.well-known/webfinger"): ("/.well-known/webfinger?resource=acct:{board}@hub.test",),
    ("GET", "/ap/g/{id}"): ("/ap/g/{group}",),
    ("GET", "/ap/g/{id}/outbox"): ("/ap/g/{group}/outbox", "/ap/g/{group}/outbox?page=true"),
    ("GET", "/ap/g/{id}/followers"): ("/ap/g/{group}/followers",),
    ("GET", "/ap/g/{id}/followers/synchronization"): ("/ap/g/{group}/followers/synchronization",),
    ("GET", "/ap/g/{id}/following"): ("/ap/g/{group}/following",),
    ("GET", "/ap/g/{id}/featured"): ("/ap/g/{group}/featured",),
    ("GET", "/ap/g/{id}/moderators"): ("/ap/g/{group}/moderators",),
    ("GET", "/ap/o/{id}"): ("/ap/o/{topic}", "/ap/o/{reply}"),
    ("GET", "/ap/o/{id}/replies"): ("/ap/o/{topic}/replies",),
    ("GET", "/ap/o/{id}/likes"): ("/ap/o/{topic}/likes",),
    ("GET", "/ap/o/{id}/shares"): ("/ap/o/{topic}/shares",),
    ("GET", "/ap/o/{id}/attendees"): ("/ap/o/{topic}/attendees",),
    ("GET", "/ap/x/{id}"): ("/ap/x/{topic}", "/ap/x/{reply}"),
    ("GET", "/ap/v/{id}"): ("/ap/v/{topic}",),
    ("GET", "/ap/w/{id}"): ("/ap/w/{topic}", "/ap/w/{reply}"),
    ("GET", "/ap/z/{id}"): ("/ap/z/{topic}", "/ap/z/{reply}"),
    ("GET", "/ap/c/{id}"): ("/ap/c/{topic}",),
}
"""Routes in whose address (or form) something private can be named."""

FORM: Final = {
    "text": "t",
    "title": "t",
    "name": "elsa",
    "action": "join",
    "on": "1",
    "handle": "!{board}",
    "q": "!{board}",
    "uri": "https://hub.test/ap/o/{topic}",
    "person": "1",
    "reason": "r",
    "do": "note",
    "note": "n",
    "appeal": "a",
    "outcome": "confirmed",
    "choice": "0",
}
"""What is posted to each of them."""

LISTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("GET", "/"): ("/",),
    ("GET", "/about"): ("/about",),
    ("GET", "/groups"): ("/groups", "/groups?after=y"),
    ("GET", "/feed.atom"): ("/feed.atom",),
    ("GET", "/g/{name}"): ("/g/garden",),
    ("GET", "/g/{name}/about"): ("/g/garden/about",),
    ("GET", "/g/{name}/feed.atom"): ("/g/garden/feed.atom",),
    ("GET", "/@{name}"): ("/@chiara", "/@bruno"),
    ("GET", "/moderation"): ("/moderation", "/moderation?state=decided"),
    ("GET", "/search"): (f"/search?q={MARKER[:5]}", "/search?q=text"),
    ("GET", "/notifications"): ("/notifications",),
    ("GET", "/following"): ("/following",),
    ("GET", "/settings"): ("/settings",),
    ("GET", "/manifest.webmanifest"): ("/manifest.webmanifest",),
    ("GET", "/robots.txt"): ("/robots.txt",),
    ("GET", "/nodeinfo/{version}"): ("/nodeinfo/2.1",),
    ("GET", "/ap/p/{id}"): ("/ap/p/{chiara}",),
    ("GET", "/ap/p/{id}/outbox"): ("/ap/p/{chiara}/outbox", "/ap/p/{chiara}/outbox?page=true"),
    ("GET", "/ap/p/{id}/followers"): ("/ap/p/{chiara}/followers",),
    ("GET", "/ap/p/{id}/followers/synchronization"): ("/ap/p/{chiara}/followers/synchronization",),
    ("GET", "/ap/p/{id}/following"): ("/ap/p/{chiara}/following",),
    ("GET", "/ap/p/{id}/featured"): ("/ap/p/{chiara}/featured",),
}
"""Pages that list what there is: they must not change when something private is written."""

NOTHING_PRIVATE: Final = {
    ("GET", "/login"): "a form",
    ("POST", "/login"): "answers alike, see INV-36",
    ("GET", "/appeal"): "a form, and one's own decisions",
    ("POST", "/appeal"): "answers alike, see INV-36",
    ("POST", "/logout"): "ends a session",
    ("POST", "/language"): "sets a cookie",
    ("GET", "/groups/new"): "a form",
    ("POST", "/groups/new"): "tells only that a name is taken, as handles are one namespace",
    ("GET", "/static/{file}"): "files of the program",
    ("GET", "/source.tar.gz"): "files of the program",
    ("GET", "/health"): "a word",
    ("GET", "/ready"): "a word",
    ("GET", "/metrics"): "figures of the machine, for whoever has the token: see test_metrics",
    ("GET", "/ap/canary/{name}"): "404 to everybody but the canary itself: see test_canary",
    ("GET", "/drafts"): "the member's own rows, see test_drafts",
    ("GET", "/drafts/{id}"): "the member's own rows, see test_drafts",
    ("POST", "/drafts/{id}/delete"): "the member's own rows, see test_drafts",
    ("GET", "/lists"): "the member's own rows, see test_lists",
    ("POST", "/lists"): "changes the member's own rows",
    ("GET", "/lists/{id}"): "the member's own rows, see test_lists",
    ("POST", "/lists/{id}"): "changes the member's own rows, see test_lists",
    ("POST", "/notifications"): "changes the member's own rows",
    ("POST", "/settings/profile"): "changes the member's own rows",
    ("POST", "/settings/password"): "changes the member's own rows",
    ("POST", "/settings/sessions"): "changes the member's own rows",
    ("GET", "/settings/people"): "the member's own rows",
    ("GET", "/settings/take"): "the same for everybody",
    ("GET", "/settings/take/{file}"): "the member's own rows, see test_portability",
    ("GET", "/settings/bring"): "the member's own rows",
    ("POST", "/settings/bring/archive"): "changes the member's own rows",
    ("POST", "/settings/bring/list"): "changes the member's own rows",
    ("POST", "/settings/bring/{id}/undo"): "changes the member's own rows",
    ("POST", "/settings/servers"): "changes the member's own rows",
    ("POST", "/settings/aliases"): "changes the member's own rows",
    ("POST", "/settings/move"): "changes the member's own rows",
    ("GET", "/settings/data"): "the member's own rows, see test_my_data",
    ("GET", "/settings/data/reach"): "the member's own rows, see test_my_data",
    ("GET", "/settings/data/reach.csv"): "the member's own rows, see test_my_data",
    ("GET", "/settings/data/reach.json"): "the member's own rows, see test_my_data",
    ("GET", "/settings/data/reach/{id}"): "the member's own rows, see test_my_data",
    ("GET", "/settings/data/consent/{spoke}"): "the member's own rows",
    ("POST", "/settings/data/consent/{spoke}"): "changes the member's own rows",
    ("POST", "/settings/data/copy"): "changes the member's own rows",
    ("GET", "/settings/data/copy/{id}"): "whoever asked for it only, see test_my_data",
    ("GET", "/settings/data/erase"): "the member's own rows",
    ("POST", "/settings/data/erase"): "changes the member's own rows",
    ("GET", "/erasures/{reference}"): "names of servers, to whoever has the address",
    ("GET", "/erasures/{reference}.json"): "names of servers, to whoever has the address",
    ("GET", "/erasures/{reference}/certificate.json"): "as the receipt",
    ("GET", "/admin"): "administrators only, see test_administration",
    ("GET", "/admin/health"): "administrators only, see test_administration",
    ("GET", "/admin/members"): "administrators only",
    ("POST", "/admin/members"): "administrators only",
    ("POST", "/admin/members/{name}/suspend"): "administrators only",
    ("GET", "/admin/data"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/record"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/record.json"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/record.csv"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/erase"): "administrators only, see test_data_controller",
    ("POST", "/admin/data/erase"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/cases/{id}"): "administrators only, see test_data_controller",
    ("POST", "/admin/data/holds"): "administrators only, see test_data_controller",
    ("POST", "/admin/data/holds/{id}/release"): "administrators only, see test_data_controller",
    ("POST", "/admin/data/access"): "administrators only, see test_data_controller",
    ("GET", "/admin/data/access/{id}"): "whoever asked for it only, see test_data_controller",
    ("GET", "/admin/data/reach"): "administrators only, see test_data_controller",
    ("GET", "/admin/emoji"): "administrators only, see test_emoji",
    ("POST", "/admin/emoji"): "administrators only, see test_emoji",
    ("POST", "/admin/emoji/{id}"): "administrators only, see test_emoji",
    ("GET", "/ap/e/{id}"): "emoji are public, and name nobody",
    ("GET", "/admin/relays"): "administrators only",
    ("POST", "/admin/relays"): "administrators only",
    ("POST", "/admin/relays/{id}/remove"): "administrators only",
    ("GET", "/admin/rules"): "administrators only",
    ("POST", "/admin/rules"): "administrators only",
    ("GET", "/api/v1/instance/domain_blocks"): "domains, where published; see test_abuse_pages",
    ("GET", "/admin/sweeps"): "administrators only, see test_abuse_pages",
    ("POST", "/admin/sweeps"): "administrators only, see test_abuse_pages",
    ("GET", "/admin/sweeps/preview"): "administrators only, see test_abuse_pages",
    ("GET", "/admin/sweeps/{id}"): "administrators only, see test_abuse_pages",
    ("POST", "/admin/sweeps/{id}/undo"): "administrators only, see test_abuse_pages",
    ("GET", "/moderation/held"): "who judges there only, see test_abuse_pages",
    ("POST", "/moderation/held/{id}"): "who judges there only, see test_abuse_pages",
    ("POST", "/admin/policies/published"): "administrators only, see test_abuse_pages",
    ("GET", "/admin/policies"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/preview"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/mode"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies/mode"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/lists"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/history"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies/history/{id}/undo"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies/import"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/drafts/{id}"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies/drafts/{id}"): "administrators only, see test_policies_pages",
    ("POST", "/admin/policies/subscriptions"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/export.csv"): "administrators only, see test_policies_pages",
    ("GET", "/admin/policies/export.txt"): "administrators only, see test_policies_pages",
    ("GET", "/.well-known/host-meta"): "one template",
    ("GET", "/.well-known/nodeinfo"): "two addresses",
    ("GET", "/ap/instance"): "the instance actor",
    ("GET", "/ap/instance/outbox"): "always empty",
    ("POST", "/ap/instance/inbox"): "answers 202 or 4xx without content",
    ("POST", "/ap/inbox"): "answers 202 or 4xx without content",
    ("POST", "/ap/g/{id}/inbox"): "answers 202 or 4xx without content",
    ("POST", "/ap/p/{id}/inbox"): "answers 202 or 4xx without content",
}
"""Routes that neither name nor list what members wrote, and why."""

ACTIVITY: Final = {"Accept": "application/activity+json"}
FORGED: Final = {
    **ACTIVITY,
    "Signature": 'keyId="https://social.example/users/rosa#main-key",algorithm="rsa-sha256",'
    'headers="(request-target) host date",signature="bm9uc2Vuc2U="',
    "Date": "Sat, 21 Nov 2026 12:00:00 GMT",
}


async def outsiders(world: World) -> Iterator[tuple[str, Browser]]:
    """Everybody who is not in the private group: nobody known, a program, a liar, a member who is
    in no group, and one who was mentioned there."""
    return iter(
        (
            ("stranger", world.stranger()),
            ("program", Browser(world.client, headers=dict(ACTIVITY))),
            ("forger", Browser(world.client, headers=dict(FORGED))),
            ("elsa", await world.browser("elsa")),
            ("dario", await world.browser("dario")),
            ("administrator", await world.browser("anna")),
        )
    )


def names_of(world: World) -> dict[str, str]:
    """What the private group's things are called."""
    return {
        "board": BOARD,
        "topic": str(world.topics[BOARD]),
        "reply": str(world.replies[BOARD]),
        "group": str(world.groups[BOARD]),
        "file": world.files[BOARD],
        "thumbnail": world.files["thumbnail"],
        "tag": f"{MARKER}tag",
    }


def test_inv_20_every_route_is_classified(world: World) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in world.client.server.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    known = set(NAMED) | set(LISTS) | set(NOTHING_PRIVATE)
    assert routes - known == set(), "think about what these routes may tell, then add them here"
    assert known - routes == set(), "these routes are gone"


async def test_inv_20_what_is_private_looks_like_what_does_not_exist(world: World) -> None:
    there, absent = names_of(world) | await judge_in_private(world), ABSENT
    for who, browser in await outsiders(world):
        for (method, _route), paths in NAMED.items():
            for path in paths:
                real = await ask(browser, method, path, there)
                twin = await ask(browser, method, path, absent)
                assert shape(real, there) == shape(twin, absent), f"{who}: {method} {path}"
                assert MARKER not in shape(real, there)[1], f"{who}: {method} {path}"
                assert not 200 <= real.status < 300 or method == "GET", f"{who}: {method} {path}"


async def test_inv_20_nothing_is_listed_and_nothing_changes_when_it_is_written(
    world: World,
) -> None:
    ids = {"chiara": str(world.people["chiara"])}
    before: dict[tuple[str, str], tuple[int, str]] = {}
    everybody = list(await outsiders(world))
    for who, browser in everybody:
        for paths in LISTS.values():
            for path in paths:
                page = await browser.get(path.format(**ids))
                assert MARKER not in without_query(page.text), f"{who}: {path}"
                before[who, path] = (page.status, page.text)
    await write_in_private(world)
    await judge_in_private(world)
    for who, browser in everybody:
        for paths in LISTS.values():
            for path in paths:
                page = await browser.get(path.format(**ids))
                assert (page.status, page.text) == before[who, path], f"{who}: {path}"


async def test_members_of_the_group_see_all_of_it(world: World) -> None:
    """The other two tests would pass on a hub that shows nothing at all."""
    chiara = await world.browser("chiara")
    for path in (
        "/",
        "/groups",
        f"/g/{BOARD}",
        f"/search?q={MARKER[:5]}",
        f"/tags/{MARKER}tag",
        "/notifications",
        "/@chiara",
    ):
        assert MARKER in without_query((await chiara.get(path)).text), path
    assert (await chiara.get(f"/media/{world.files[BOARD]}")).status == 200


@pytest.mark.parametrize("name", ["stranger", "elsa", "dario"])
async def test_a_local_group_is_seen_by_members_of_the_site_only(world: World, name: str) -> None:
    browser = world.stranger() if name == "stranger" else await world.browser(name)
    expected = 404 if name == "stranger" else 200
    assert (await browser.get("/g/workshop")).status == expected
    for path in ("/groups", "/search?q=localwor", "/", "/feed.atom", "/@chiara"):
        page = await browser.get(path)
        if name == "stranger" or path == "/feed.atom":
            assert not re.search("localword|workshop", page.text, re.IGNORECASE), path
    page = await browser.follow(f"/o/{world.topics['workshop']}")
    assert page.status == expected


async def write_in_private(world: World) -> None:
    """A second private group, and more in the first: topics, replies, likes, mentions."""
    async with world.site.db.transaction() as tx:
        world.groups["second"] = await groups.create_group(
            tx,
            f"{MARKER}second",
            title=f"{MARKER} second",
            creator_id=world.people["chiara"],
            local_origin=world.site.origin,
            mode="private",
        )
    for group in (BOARD, "second"):
        topic = await world.topic(
            group, "chiara", Draft(f"More {MARKER} text, @elsa @dario", title=f"{MARKER} more")
        )
        reply = await world.reply(topic, "chiara", f"{MARKER} @dario @elsa @bruno")
        async with world.site.db.transaction() as tx:
            await reactions.add(tx, world.people["chiara"], reply, "like")


async def judge_in_private(world: World) -> dict[str, str]:
    """A report and a statement about something in the private group."""
    grounds = moderation.Grounds(f"{MARKER} reason")
    async with world.site.db.transaction() as tx:
        reply = world.replies[BOARD]
        report = await reports.file(
            tx, reporter_id=world.people["chiara"], things=[reply], reason=f"{MARKER} report"
        )
        topic = world.topics[BOARD]
        bruno = world.people["bruno"]
        made = await moderation.warn(
            tx, bruno, world.people["chiara"], grounds, world.groups[BOARD], topic
        )
    return {"report": str(report), "statement": str(made)}


async def ask(browser: Browser, method: str, path: str, names: dict[str, str]) -> Page:
    """The answer to `path` with the names put in."""
    where = path.format(**names)
    if method == "GET":
        return await browser.get(where)
    return await browser.post(where, {key: value.format(**names) for key, value in FORM.items()})


def shape(page: Page, names: dict[str, str]) -> tuple[int, str, str]:
    """Status, text and target of an answer, with the names taken out that the question held."""
    text, location = page.text, page.location
    for key, value in sorted(names.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, f"[{key}]")
        location = location.replace(value, f"[{key}]")
    return page.status, text, location


def without_query(text: str) -> str:
    """A page without the words that were asked for, which a search page repeats."""
    return re.sub(r'(?s)<input[^>]*>|href="/login\?[^"]*"', "", text)
