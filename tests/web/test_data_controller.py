"""The data controller's pages: for administrators alone; each step says what it does, and is kept."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

from fedcomm import access_files, processing
from fedcomm.hub import access_requests, erasure, holds
from fedcomm.hub.register import REGISTER
from fedcomm.store.pseudonyms import Pseudonyms
from tests.web.test_my_data import reached
from tests.web.world import World

PAGES = ("/admin/data", "/admin/data/record", "/admin/data/record.json", "/admin/data/record.csv")
CONTACTS = re.compile(
    r"^(?:from|import) (?:activitypub\.client|smtplib|aiosmtplib|aiohttp\.client)", re.M
)
"""What a module imports to talk to somebody else."""


async def test_only_administrators_see_them(world: World) -> None:
    anna, bruno = await world.browser("anna"), await world.browser("bruno")
    target = "/admin/data/erase?target=elsa"
    for path in (*PAGES, target, "/admin/data/reach", "/admin/data/reach?target=garden.example"):
        assert (await bruno.get(path)).status == 403, path
        assert (await world.stranger().get(path)).status == 303, path
    for path in (*PAGES, target, "/admin/data/reach"):
        assert (await anna.get(path)).status == 200, path
    for path in ("/admin/data/erase", "/admin/data/holds", "/admin/data/access"):
        assert (await bruno.post(path, {"target": "elsa", "reason": "x"})).status == 403, path


async def test_an_erasure_is_shown_before_it_is_done_and_followed_to_its_receipt(
    world: World,
) -> None:
    world.site.db.pseudonyms = Pseudonyms(b"a secret of this hub")
    await reached(world, world.topics["garden"], "mastodon.example")
    anna = await world.browser("anna")
    page = await anna.get("/admin/data/erase?target=@chiara")
    assert "Erase @chiara" in page.text and "mastodon.example" in page.text
    refused = await anna.post("/admin/data/erase", {"target": "@chiara", "reason": " "})
    assert refused.status == 422 and "Say why" in refused.text
    sent = await anna.post("/admin/data/erase", {"target": "@chiara", "reason": "Asked by letter."})
    case = await erasure.case_of(world.site.db, world.people["chiara"])
    assert case is not None and not case.own and case.requested_by == world.people["anna"]
    assert sent.location == f"/admin/data/cases/{case.id}?said=erasing"
    assert str(world.people["chiara"]) in world.site.erasure_journal.path.read_text()
    page = await anna.get(f"/admin/data/cases/{case.id}")
    assert "Asked by letter." in page.text
    found = re.search(r"https://hub\.test(/erasures/[0-9a-f-]+)", page.text)
    assert found and (await world.stranger().get(found[1])).status == 200
    assert "Asked by letter." not in (await world.stranger().get(found[1])).text
    assert f"/admin/data/cases/{case.id}" in (await anna.get("/admin/data")).text
    for target in ("nobody", "!nothing", "@a@b.example", "#1", f"#{world.topics['garden']}"):
        asked = await anna.get(f"/admin/data/erase?target={target.replace('#', '%23')}")
        assert asked.status == 422, target


async def test_holds_are_placed_and_ended_with_a_reason(world: World) -> None:
    anna, db = await world.browser("anna"), world.site.db
    topic = world.topics["garden"]
    refused = await anna.post("/admin/data/holds", {"held": f"#{topic}", "hold_reason": ""})
    assert refused.status == 422
    assert (await anna.post("/admin/data/holds", {"held": "?", "hold_reason": "x"})).status == 422
    await anna.post(
        "/admin/data/holds", {"held": f"#{topic}", "hold_reason": "Case 7 at the court."}
    )
    [hold] = await holds.holds(db)
    assert (hold.kind, hold.subject_id, hold.created_by) == ("object", topic, world.people["anna"])
    assert "Case 7 at the court." in (await anna.get("/admin/data")).text
    path = f"/admin/data/holds/{hold.id}/release"
    assert (await anna.post(path, {"reason": ""})).status == 422
    assert (await anna.post(path, {"reason": "Closed."})).status == 303
    assert (await anna.post(path, {"reason": "Again."})).status == 404
    assert await holds.of_subject(db, topic) is None


async def test_somebody_elsewhere_gets_a_copy_through_the_administrator_who_asked(
    world: World,
) -> None:
    anna, db = await world.browser("anna"), world.site.db
    refused = await anna.post("/admin/data/access", {"asked_about": "@chiara"})
    assert refused.status == 422 and "Members make their copy themselves" in refused.text
    sent = await anna.post("/admin/data/access", {"asked_about": "@rosa@social.example"})
    assert sent.status == 303
    [asked] = await access_requests.requests(db)
    assert asked.due_at - asked.created_at == 30 * 86_400_000
    await access_files.proceed(world.site)
    assert f"/admin/data/access/{asked.id}" in (await anna.get("/admin/data")).text
    answer = await anna.get(f"/admin/data/access/{asked.id}")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert "rosa" in archive.read("index.html").decode().lower()
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET role = 'administrator' WHERE actor_id = ?", world.people["bruno"]
        )
    bruno = await world.browser("bruno")
    assert (await bruno.get(f"/admin/data/access/{asked.id}")).status == 404
    # Whoever asked as an administrator and is none any more gets nothing about others (INV-21).
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET role = 'member' WHERE actor_id = ?", world.people["anna"]
        )
    assert (await anna.get(f"/admin/data/access/{asked.id}")).status == 403
    assert (await anna.get(f"/settings/data/copy/{asked.id}")).status == 404


async def test_where_words_went_is_found_by_post_person_and_server(world: World) -> None:
    topic = world.topics["garden"]
    await reached(world, topic, "mastodon.example", status=202)
    anna = await world.browser("anna")
    for target, words in (
        (f"%23{topic}", "mastodon.example"),
        ("@chiara", "mastodon.example"),
        ("mastodon.example", f"#{topic}"),
        ("!garden", "No other server has received a copy."),
    ):
        page = await anna.get(f"/admin/data/reach?target={target}")
        assert page.status == 200 and words in page.text, target
    assert (await anna.get("/admin/data/reach?target=nobody")).status == 404


async def test_the_record_holds_every_stored_class_and_every_egress_of_the_code(
    world: World,
) -> None:
    anna = await world.browser("anna")
    found = json.loads((await anna.get("/admin/data/record.json")).text)
    assert {one["table"] for one in found["stored"]} == set(REGISTER)
    assert all(one["until"] and one["on_erasure"] for one in found["stored"])
    assert [one["name"] for one in found["recipients"]] == [
        egress.name for egress in processing.EGRESSES
    ]
    rows = list(csv.DictReader(io.StringIO((await anna.get("/admin/data/record.csv")).text)))
    assert {row["name"] for row in rows if row["section"] == "stored"} == set(REGISTER)
    page = await anna.get("/admin/data/record")
    for table in REGISTER:
        assert f"<code>{table}</code>" in page.text
    # Whatever in the code talks to somebody else belongs to an egress of the record.
    package = Path(processing.__file__).parent
    named = tuple(name for egress in processing.EGRESSES for name in egress.modules)
    for path in package.rglob("*.py"):
        module = ".".join(("fedcomm", *path.relative_to(package).with_suffix("").parts))
        if CONTACTS.search(path.read_text("utf-8")):
            assert module.startswith(named), f"{module} is in no egress of the record"


async def test_no_table_has_a_column_for_addresses_of_visitors(world: World) -> None:
    db = world.site.db
    for table in REGISTER:
        if db.dialect == "sqlite":
            columns = [row["name"] for row in await db.all(f"PRAGMA table_info({table})")]
        else:
            rows = await db.all(
                "SELECT column_name FROM information_schema.columns WHERE table_name = ?", table
            )
            columns = [row["column_name"] for row in rows]
        for column in columns:
            assert not re.search(r"(^|_)(ip|ip_address|remote_addr|user_agent)($|_)", column), (
                column
            )
