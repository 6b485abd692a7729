"""My data: what a member sees of theirs and of nobody else's, decides, takes along and erases."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fedcomm import access_files
from fedcomm.config import Consents
from fedcomm.hub import access_requests, consents, erasure, holds, reactions, threads
from fedcomm.hub.composition import Draft
from fedcomm.store.ids import new_id
from fedcomm.store.pseudonyms import Pseudonyms
from fedcomm.web import leaving, my_data
from tests.hub.test_query_plans import WALKS, Recorder, Statement, plan_of, tables_of
from tests.web.world import PASSWORD, World, make_world

HOUR_MS = 3_600_000


async def reached(world: World, subject: int, host: str, *, status: int | None = None) -> None:
    """`host` got the object or actor, and answered so when it was asked back."""
    async with world.site.db.transaction() as tx:
        host_id = await tx.value("SELECT id FROM hosts WHERE name = ?", host)
        if host_id is None:
            host_id = new_id()
            await tx.execute(
                "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, 1)", host_id, host
            )
        await tx.execute(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at, recalled_at,"
            " recall_status) VALUES (?, ?, 1, 1600000000000, 1600000000000, ?, ?)",
            subject,
            host_id,
            1600000001000 if status is not None else None,
            status,
        )


async def age_session(world: World, name: str) -> None:
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE sessions SET created_at = created_at - ? WHERE member_id = ?",
            HOUR_MS,
            world.people[name],
        )


async def test_a_member_sees_where_each_of_their_posts_went(world: World) -> None:
    topic, profile = world.topics["garden"], world.people["chiara"]
    await reached(world, topic, "mastodon.example")
    await reached(world, topic, "lemmy.example", status=410)
    await reached(world, profile, "mastodon.example")
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    page = await chiara.get("/settings/data")
    assert page.status == 200 and "2 other servers have something of yours." in page.text
    page = await chiara.get("/settings/data/reach")
    assert (
        "mastodon.example" in page.text and "2 copies" in page.text and "Sowing beans" in page.text
    )
    page = await chiara.get(f"/settings/data/reach/{topic}")
    assert "asked back: it refused (410)" in page.text and "not asked back" in page.text
    assert (await chiara.get(f"/settings/data/reach/{profile}")).status == 200
    # Nobody else's.
    assert (await dario.get(f"/settings/data/reach/{topic}")).status == 404
    assert "mastodon.example" not in (await dario.get("/settings/data/reach")).text
    assert (await world.stranger().get("/settings/data")).status == 303


async def test_the_ledger_is_exported_whole_and_pages_by_its_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedcomm.hub import reach

    monkeypatch.setattr(reach, "PAGE", 2)
    topics = [
        await world.topic("garden", "chiara", Draft("Words", title=f"=Number {number}"))
        for number in range(5)
    ]
    for topic in topics:
        for host in ("a.example", "b.example", "c.example"):
            await reached(world, topic, host, status=202)
    chiara = await world.browser("chiara")
    told = json.loads((await chiara.get("/settings/data/reach.json")).text)
    assert len(told) == 15 and {line["answer"] for line in told} == {"acknowledged"}
    assert {line["object"] for line in told} == {str(topic) for topic in topics}
    rows = list(csv.DictReader(io.StringIO((await chiara.get("/settings/data/reach.csv")).text)))
    assert len(rows) == 15 and all(row["words"].startswith("'=Number") for row in rows)
    page = await chiara.get(f"/settings/data/reach/{topics[0]}")
    following = re.search(r'href="(/settings/data/reach/\d+\?after=\d+)"', page.text)
    assert following and "c.example" in (await chiara.get(following[1])).text
    elsa = await world.browser("elsa")
    assert (await elsa.get("/settings/data/reach.json")).text.strip() == "[]"


async def test_consent_is_explained_before_it_is_withdrawn_and_can_be_granted_again(
    world: World,
) -> None:
    await reached(world, world.topics["garden"], "mastodon.example")
    chiara = await world.browser("chiara")
    page = await chiara.get("/settings/data/consent/activitypub")
    assert "1 server that has something of yours is asked to delete it:" in page.text
    assert "mastodon.example" in page.text and "Here nothing is deleted." in page.text
    sent = await chiara.post("/settings/data/consent/activitypub", {"granted": "no"})
    assert sent.location == "/settings/data?said=consent_withdrawn"
    db, me = world.site.db, world.people["chiara"]
    assert not await world.site.consent.allows(db, me, "activitypub")
    assert await world.site.consent.allows(db, me, "feeds")
    page = await chiara.get("/settings/data")
    assert "stays here" in page.text and "earlier copies are being asked back" in page.text
    await chiara.post("/settings/data/consent/activitypub", {"granted": "yes"})
    assert await world.site.consent.allows(db, me, "activitypub")
    assert [one.granted for one in await consents.decisions(db, me)].count(True) == 1
    assert (await chiara.get("/settings/data/consent/pigeons")).status == 404
    assert (await chiara.post("/settings/data/consent/feeds", {"granted": "?"})).status == 400
    # The feed is a channel of its own.
    assert "Sowing beans" in (await world.stranger().get("/feed.atom")).text
    await chiara.post("/settings/data/consent/feeds", {"granted": "no"})
    assert "Sowing beans" not in (await world.stranger().get("/feed.atom")).text
    assert "Sowing beans" not in (await world.stranger().get("/g/garden/feed.atom")).text
    assert "Sowing beans" in (await world.stranger().get("/g/garden")).text


async def test_inv_53_a_copy_of_everything_is_made_for_who_asked_and_for_nobody_else(
    world: World,
) -> None:
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    sent = await chiara.post("/settings/data/copy")
    assert sent.location == "/settings/data?said=copy_asked#copy"
    await chiara.post("/settings/data/copy")
    db, me = world.site.db, world.people["chiara"]
    [asked] = await access_requests.of_subject(db, me)
    assert "Being made" in (await chiara.get("/settings/data")).text
    assert (await chiara.get(f"/settings/data/copy/{asked.id}")).status == 404
    assert await access_files.proceed(world.site) == 1
    page = await chiara.get("/settings/data")
    assert f'href="/settings/data/copy/{asked.id}"' in page.text
    for other in (dario, await world.browser("anna")):
        assert (await other.get(f"/settings/data/copy/{asked.id}")).status == 404
    assert (await world.stranger().get(f"/settings/data/copy/{asked.id}")).status == 303
    answer = await chiara.get(f"/settings/data/copy/{asked.id}")
    assert answer.status == 200 and "no-store" in answer.headers["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        names = archive.namelist()
        read = archive.read("index.html").decode()
        assert archive.testzip() is None
    assert "tables/objects.jsonl" in names or "tables/objects.json" in names, names
    assert "Sowing beans" in read and "chiara@hub.test" in read
    assert any(name.startswith("media/") for name in names)
    assert "bruno@hub.test" not in read
    # A week later it is gone, and its bytes with it.
    [file] = access_files.folder_of(world.site).iterdir()
    assert file.stat().st_mode & 0o077 == 0
    async with db.transaction() as tx:
        await tx.execute("UPDATE access_requests SET expires_at = 1")
    assert (await chiara.get(f"/settings/data/copy/{asked.id}")).status == 404
    await access_files.proceed(world.site)
    assert not file.exists()
    [over] = await access_requests.of_subject(db, me)
    assert (over.state, over.file) == ("gone", "")


async def test_inv_53_copies_vanish_on_erasure_and_what_a_crash_left_is_swept(
    world: World,
) -> None:
    db, me = world.site.db, world.people["chiara"]
    async with db.transaction() as tx:
        await access_requests.ask(tx, "member", me, requested_by=me)
    await access_files.proceed(world.site)
    folder = access_files.folder_of(world.site)
    (folder / "broken.zip").write_bytes(b"half of it")
    [file] = [path for path in folder.iterdir() if path.name != "broken.zip"]
    await access_files.proceed(world.site)
    assert file.exists() and not (folder / "broken.zip").exists()
    async with db.transaction() as tx:
        await erasure.request(tx, "member", me, requested_by=me, own=True)
    await access_files.proceed(world.site)
    assert list(folder.iterdir()) == []


async def test_an_account_is_erased_with_the_password_and_leaves_a_receipt(world: World) -> None:
    world.site.db.pseudonyms = Pseudonyms(b"a secret of this hub")
    await reached(world, world.topics["garden"], "mastodon.example")
    async with world.site.db.transaction() as tx:
        await reactions.add(tx, world.people["chiara"], world.replies["garden"], "like")
    chiara = await world.browser("chiara")
    await age_session(world, "chiara")
    page = await chiara.get("/settings/data/erase")
    for words in (
        "posts with all their earlier versions",
        "1 server has something of yours",
        "mastodon.example",
        "This cannot be undone",
    ):
        assert words in page.text, words
    for form, words in (
        ({"password": PASSWORD}, "Say that you have read"),
        ({"sure": "1", "password": "wrong"}, "not your password"),
        ({"sure": "1"}, "not your password"),
    ):
        refused = await chiara.post("/settings/data/erase", form)
        assert refused.status == 422 and words in refused.text
    assert await erasure.case_of(world.site.db, world.people["chiara"]) is None

    done = await chiara.post("/settings/data/erase", {"sure": "1", "password": PASSWORD})
    assert done.status == 200 and "Goodbye" in done.text
    assert not any(name.endswith("session") for name in chiara.cookies)
    found = re.search(r'href="https://hub\.test(/erasures/[0-9a-f-]+)"', done.text)
    assert found
    case = await erasure.case_of(world.site.db, world.people["chiara"])
    assert case is not None and case.own
    # Written down outside of the database before it was said (INV-51).
    assert str(world.people["chiara"]) in world.site.erasure_journal.path.read_text()
    stranger = world.stranger()
    page = await stranger.get(found[1])
    assert page.status == 200 and "being erased here" in page.text
    assert "chiara" not in page.text.lower() and page.headers["X-Robots-Tag"] == "noindex"
    while case.state in ("objects", "rows"):
        case = await erasure.advance(world.site.db, case, origin=world.site.origin)
    told = json.loads((await stranger.get(f"{found[1]}.json")).text)
    assert told["objects"] >= 2 and told["recipients"] == [
        {
            "server": "mastodon.example",
            "copies": 1,
            "told": None,
            "answered": None,
            "status": None,
            "progress": "waiting",
        }
    ]
    assert "everywhere" not in (await stranger.get(found[1])).text
    assert (await stranger.get(f"{found[1]}/certificate.json")).status == 404
    wrong = found[1][:-1] + ("0" if found[1][-1] != "0" else "1")
    for path in (wrong, f"{wrong}.json", f"/erasures/{case.id}", f"/erasures/{case.id}-0"):
        assert (await stranger.get(path)).status == 404, path


async def test_a_session_of_ten_minutes_needs_no_password(world: World) -> None:
    elsa = await world.browser("elsa")
    assert 'name="password"' not in (await elsa.get("/settings/data/erase")).text
    assert (await elsa.post("/settings/data/erase", {"sure": "1"})).status == 200


async def test_a_hold_and_the_last_administrator_are_told_honestly(world: World) -> None:
    elsa, anna = await world.browser("elsa"), await world.browser("anna")
    async with world.site.db.transaction() as tx:
        await holds.place(tx, "member", world.people["elsa"], reason="A court asks.", by=None)
    page = await elsa.get("/settings/data/erase")
    assert "A legal hold keeps your account" in page.text and "A court asks" not in page.text
    refused = await elsa.post("/settings/data/erase", {"sure": "1"})
    assert refused.status == 422 and "legal hold" in refused.text
    refused = await anna.post("/settings/data/erase", {"sure": "1"})
    assert refused.status == 422 and "only administrator" in refused.text


async def test_deleting_a_post_is_written_down_before_it_is_said(world: World) -> None:
    chiara = await world.browser("chiara")
    topic = world.topics["garden"]
    assert (await chiara.post(f"/o/{topic}/delete")).status == 303
    assert f'"{topic}"' in world.site.erasure_journal.path.read_text()
    known = await threads.thing(world.site.db, topic)
    assert known is not None and known.deleted_at is not None


async def test_a_topic_can_be_kept_here_by_its_author(world: World) -> None:
    chiara = await world.browser("chiara")
    form = {"title": "Kept", "text": "For us alone.", "only_here": "1"}
    assert 'name="only_here"' in (await chiara.get("/g/garden/new")).text
    preview = await chiara.post("/g/garden/new", form | {"action": "preview"})
    assert "It does not leave this server." in preview.text
    sent = await chiara.post("/g/garden/new", form)
    assert sent.status == 303
    kept = int(re.findall(r"/t/(\d+)", sent.location)[0])
    known = await threads.thing(world.site.db, kept)
    assert known is not None and known.visibility == "local"
    assert (await (await world.browser("elsa")).follow(f"/o/{kept}")).status == 200
    assert (await world.stranger().follow(f"/o/{kept}")).status == 404
    answered = await chiara.post(f"/o/{kept}/reply", {"text": "An answer."})
    reply = int(re.findall(r"/o/(\d+)", answered.location)[0])
    below = await threads.thing(world.site.db, reply)
    assert below is not None and below.visibility == "local"


async def test_where_nothing_leaves_by_default_one_is_asked_before_the_first_post(
    database_url: str, tmp_path: Path
) -> None:
    async with make_world(database_url, tmp_path, consents=Consents(activitypub=False)) as world:
        chiara, me = await world.browser("chiara"), world.people["chiara"]
        page = await chiara.get("/g/garden/new")
        assert "May your words go to other servers?" in page.text
        assert "May your words go" not in (await chiara.get("/g/workshop/new")).text
        form = {"title": "First", "text": "Words."}
        refused = await chiara.post("/g/garden/new", form)
        assert refused.status == 422 and "Say whether your words may go" in refused.text
        assert "First" in refused.text
        assert (await chiara.post("/g/garden/new", form | {"consent": "yes"})).status == 303
        assert await world.site.consent.allows(world.site.db, me, "activitypub")
        assert "May your words go" not in (await chiara.get("/g/garden/new")).text
        dario = await world.browser("dario")
        # Who keeps it here need not decide.
        assert (await dario.post("/g/garden/new", form | {"only_here": "1"})).status == 303
        assert await consents.decisions(world.site.db, world.people["dario"]) == []


async def test_what_is_counted_about_oneself_is_found_by_indexes(world: World) -> None:
    db, me = world.site.db, world.people["chiara"]
    seen: dict[str, Statement] = {}
    recorder: Any = Recorder(db, seen)
    held = await my_data.held_about(recorder, me)
    await leaving._counts(recorder, me)
    assert held and len(seen) > 30
    walked = [
        f"{line}: {statement.sql}"
        for statement in seen.values()
        for line in await plan_of(db, statement)
        if (match := WALKS[db.dialect].search(line)) and match[1] in tables_of(statement.sql)
    ]
    assert walked == []
