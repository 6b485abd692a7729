"""Erasure from the command line, from the request to the check."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fedcomm import erasures
from fedcomm.config import load
from fedcomm.hub import erasure
from fedcomm.server import close_site, open_site
from tests.cli.conftest import Hub, can_log_in

WHY = ("--reason", "They asked by letter.", "--yes")


def serve_until_done(hub: Hub, case_id: str) -> None:
    """What the running server does with the case."""

    async def work() -> None:
        site = await open_site(load(hub.config, {}))
        try:
            assert site.federation is not None
            await site.federation.start()
            for _ in range(200):
                case = await erasure.case(site.db, int(case_id))
                assert case is not None
                if (await erasures.proceed(site, case)).state == "done":
                    await erasures.certify_late(site)
                    return
                await asyncio.sleep(0.02)
            raise AssertionError("not done")
        finally:
            await close_site(site)

    asyncio.run(work())


@pytest.fixture
def erased(hub: Hub) -> tuple[Hub, str]:
    """A hub whose member bob was erased, and the case."""
    hub.run(
        "member", "create", "bobzqz", "--email", "bobzqz@hub.example", "--display-name", "Bob Zqz"
    )
    made: dict[str, Any] = hub.json("erasure", "request", "bobzqz", *WHY)
    assert made["state"] == "scrub"
    assert made["kind"] == "member"
    serve_until_done(hub, made["case"])
    return hub, made["case"]


def test_a_member_is_erased_checked_and_certified(erased: tuple[Hub, str], tmp_path: Any) -> None:
    hub, case = erased
    shown = hub.json("erasure", "show", case)
    assert shown["state"] == "done"
    assert shown["reason"] == "They asked by letter."
    assert [each["case"] for each in hub.json("erasure", "list")] == [case]
    clean = hub.json("erasure", "verify", case, "--word", "bobzqz", "--word", "Bob Zqz")
    assert clean["found"] == []
    assert clean["files"] >= 2
    assert clean["bytes"] > 10_000
    file = tmp_path / "certificate.json"
    file.write_text(hub.run("erasure", "certificate", case))
    assert "bob" not in file.read_text().lower().replace("blob", "")
    facts = hub.json("erasure", "verify-certificate", str(file), "--name", "bobzqz")
    assert facts == {"valid": True, "fault": None, "about_this_name": True}
    changed = json.loads(file.read_text()) | {"erased": "2020-01-01T00:00:00Z"}
    file.write_text(json.dumps(changed))
    result = hub.invoke("erasure", "verify-certificate", str(file))
    assert result.exit_code == 1
    assert "changed" in result.stderr


def test_what_is_left_somewhere_is_found(erased: tuple[Hub, str]) -> None:
    hub, case = erased
    folder = load(hub.config, {}).media.folder
    folder.mkdir(exist_ok=True)
    (folder / "forgotten.bin").write_bytes(b"x" * 5000 + b"Bob Zqz")
    result = hub.invoke("erasure", "verify", case, "--word", "Bob Zqz", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["found"] == ["forgotten.bin at byte 5000: a word"]


def test_it_cannot_be_done_to_nobody_or_to_the_last_administrator(hub: Hub) -> None:
    assert "neither a member nor a server" in hub.refusal("erasure", "request", "nobody", *WHY)
    assert "no such group" in hub.refusal("erasure", "request", "!nothing", *WHY)
    assert "only administrator" in hub.refusal("erasure", "request", "anna", *WHY)
    assert "no case" in hub.refusal("erasure", "show", "12")
    assert can_log_in(hub.config, "anna", "correct horse")


def test_the_server_refuses_to_start_without_its_journal(erased: tuple[Hub, str]) -> None:
    hub, _ = erased
    path = load(hub.config, {}).erasure.journal
    kept = path.read_bytes()
    path.unlink()
    assert "begin-journal" in hub.refusal("serve", "--port", "0")
    path.write_bytes(kept[:-30])
    assert "journal" in hub.refusal("serve", "--port", "0")
    path.unlink()
    hub.run("erasure", "begin-journal", "--yes")
    hub.run("member", "list")


def test_one_post_goes_at_once_and_its_author_is_told_why(hub: Hub) -> None:
    hub.run("member", "create", "bob", "--password-stdin", stdin="a-long-password\n")
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    hub.run("group", "add", "garden", "bob")
    words = ("--title", "A topic", "--text", "zqonepostzq words")
    post = hub.json("post", "garden", "--as", "bob", *words)
    number = post["url"].rstrip("/").split("/t/")[1].split("/")[0]
    asked = ("--reason", "It must not be kept.", "--yes")
    facts = hub.json("erasure", "object", number, *asked)
    assert facts["left_on_disk"] == []
    database = load(hub.config, {}).database.file
    assert database is not None
    for file in database.parent.glob(f"{database.name}*"):
        assert b"zqonepostzq" not in file.read_bytes()
    assert "no post" in hub.refusal("erasure", "object", number, *asked)


def test_a_list_shows_a_dash_where_there_is_nothing(hub: Hub) -> None:
    hub.run("erasure", "hold", "anna", "--reason", "A court asked.")
    titles, line = hub.run("erasure", "holds").splitlines()
    assert titles.split() == ["HOLD", "KIND", "TARGET", "REASON", "SINCE", "ENDED"]
    assert line.split()[1:3] == ["member", "@anna"]
    assert line.endswith(" -")
