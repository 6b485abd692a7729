"""Writing from the command line: what is printed, what is refused."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from fedcomm.cli.post import object_id_in
from fedcomm.config import load
from fedcomm.hub import threads
from fedcomm.hub.threads import Thing
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub


def stored(hub: Hub, object_id: str) -> Thing:
    async def read() -> Thing | None:
        db = await open_database(load(hub.config, {}).database.url)
        try:
            return await threads.thing(db, int(object_id))
        finally:
            await db.close()

    thing = asyncio.run(read())
    assert thing is not None
    return thing


def picture(folder: Path) -> Path:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(data, "PNG")
    path = folder / "beans.png"
    path.write_bytes(data.getvalue())
    return path


def test_a_topic_has_a_page_a_number_and_an_activitypub_id(
    community: Hub, topic: dict[str, str]
) -> None:
    number = topic["id"]
    assert topic == {
        "url": f"https://hub.example/g/garden/t/{number}",
        "id": number,
        "uri": f"https://hub.example/ap/o/{number}",
    }
    thing = stored(community, number)
    assert (thing.title, thing.source, thing.language) == ("Beans", "They *grow*.", "en")


def test_a_topic_without_json_prints_its_page_and_its_id(community: Hub) -> None:
    lines = community.run(
        "post", "garden", "--as", "bob", "--title", "T", "--text", "x"
    ).splitlines()
    assert lines[0].startswith("https://hub.example/g/garden/t/")
    assert lines[1].startswith("https://hub.example/ap/o/")


def test_the_text_comes_from_standard_input(community: Hub) -> None:
    made = community.json(
        *("post", "garden", "--as", "anna", "--title", "Fagioli", "--summary", "lumache"),
        *("--language", "it"),
        stdin="Crescono.\n\nMolto.",
    )
    thing = stored(community, made["id"])
    assert thing.source == "Crescono.\n\nMolto."
    assert (thing.summary, thing.sensitive, thing.language) == ("lumache", True, "it")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("garden", "--as", "nobody"), "no member"),
        (("nowhere", "--as", "bob"), "no group"),
        (("cellar", "--as", "bob"), "private group"),
    ],
)
def test_a_topic_that_may_not_be_is_refused(
    arguments: tuple[str, ...], reason: str, community: Hub
) -> None:
    refusal = community.refusal("post", *arguments, "--title", "T", "--text", "x")
    assert reason in refusal


def test_an_empty_text_is_refused(community: Hub) -> None:
    refusal = community.refusal("post", "garden", "--as", "bob", "--title", "T", stdin=" \n")
    assert "Write something" in refusal


def test_somebody_outside_the_group_is_refused(community: Hub) -> None:
    community.run("member", "create", "carl")
    refusal = community.refusal("post", "garden", "--as", "carl", "--title", "T", "--text", "x")
    assert "Join the group" in refusal


def test_a_picture_is_stored_with_its_description(community: Hub, tmp_path: Path) -> None:
    made = community.json(
        *("post", "garden", "--as", "bob", "--title", "T", "--text", "x"),
        *("--image", str(picture(tmp_path)), "--alt", "A green field"),
    )
    files = list((community.folder / "media").iterdir())
    assert len(files) == 2
    community.run("delete", made["url"], "--as", "bob")
    assert list((community.folder / "media").iterdir()) == []


def test_a_picture_without_description_is_wrong_usage(community: Hub, tmp_path: Path) -> None:
    result = community.invoke(
        *("post", "garden", "--as", "bob", "--title", "T", "--text", "x"),
        *("--image", str(picture(tmp_path))),
    )
    assert result.exit_code == 2
    assert "--alt" in result.stderr


def test_what_is_no_picture_is_refused(community: Hub) -> None:
    refusal = community.refusal(
        *("post", "garden", "--as", "bob", "--title", "T", "--text", "x"),
        *("--image", str(community.config), "--alt", "no picture"),
    )
    assert len(refusal.splitlines()) == 1


def test_a_reply_is_found_under_every_name_of_its_parent(
    community: Hub, topic: dict[str, str]
) -> None:
    names = (topic["url"], topic["url"] + "/beans", topic["id"], topic["uri"])
    for name in names:
        made = community.json("reply", name, "--as", "anna", "--text", "Indeed.")
        thing = stored(community, made["id"])
        assert (thing.parent_id, thing.topic_id) == (int(topic["id"]), int(topic["id"]))
        assert made["url"] == f"https://hub.example/o/{made['id']}"
    nested = community.json("reply", made["url"], "--as", "bob", "--text", "So it is.")
    assert stored(community, nested["id"]).parent_id == int(made["id"])


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("123", 123),
        ("https://hub.example/o/123", 123),
        ("https://hub.example/g/garden/t/123", 123),
        ("https://hub.example/g/garden/t/123/2024", 123),
        ("https://hub.example/g/garden/t/123/beans?after=7#r456", 456),
        ("https://hub.example/ap/o/123", 123),
        ("https://hub.example/", None),
        ("https://hub.example/@anna", None),
        ("https://hub.example.evil.example/o/123", None),
        ("https://elsewhere.example/o/123", None),
        ("-1", None),
        ("0123", None),
    ],
)
def test_addresses_of_ours_name_a_number(target: str, number: int | None) -> None:
    assert object_id_in(target, "https://hub.example") == number


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("12345", "nothing at"),
        ("https://hub.example/g/garden", "nothing at"),
        ("beans", "neither an address nor a number"),
    ],
)
@pytest.mark.parametrize("command", [("reply", "--text", "x"), ("like",), ("delete",)])
def test_what_is_not_there_is_refused(
    command: tuple[str, ...], target: str, reason: str, community: Hub
) -> None:
    assert reason in community.refusal(command[0], target, "--as", "bob", *command[1:])


def test_what_a_member_cannot_read_is_as_if_it_were_not_there(community: Hub) -> None:
    secret = community.json(
        "post", "cellar", "--as", "anna", "--title", "Wine", "--text", "Hidden."
    )
    for command in (("reply", "--text", "x"), ("like",), ("delete",), ("edit", "--text", "x")):
        refusal = community.refusal(command[0], secret["url"], "--as", "bob", *command[1:])
        assert "nothing at" in refusal
        assert "Wine" not in refusal


def test_an_edit_changes_what_is_named_and_nothing_else(community: Hub, tmp_path: Path) -> None:
    made = community.json(
        *("post", "garden", "--as", "bob", "--title", "T", "--text", "x", "--summary", "odd"),
        *("--image", str(picture(tmp_path)), "--alt", "A green field"),
    )
    assert community.json("edit", made["url"], "--as", "bob", "--text", "y") == made
    thing = stored(community, made["id"])
    assert (thing.title, thing.source, thing.summary) == ("T", "y", "odd")
    assert thing.edited_at is not None
    assert len(list((community.folder / "media").iterdir())) == 2
    community.run(
        *("edit", made["id"], "--as", "bob", "--title", "New", "--summary", "", "--text", "z")
    )
    thing = stored(community, made["id"])
    assert (thing.title, thing.summary, thing.sensitive) == ("New", "", False)


def test_only_the_author_edits_and_only_author_or_moderators_delete(
    community: Hub, topic: dict[str, str]
) -> None:
    assert "Only its author" in community.refusal(
        "edit", topic["url"], "--as", "anna", "--text", "mine now"
    )
    other = community.json("post", "garden", "--as", "anna", "--title", "T", "--text", "x")
    assert "moderators" in community.refusal("delete", other["url"], "--as", "bob")
    assert "moderators" in community.refusal(
        "delete", other["url"], "--as", "bob", "--reason", "I do not like it"
    )
    # A moderator removes with a reason; the words stay for an appeal.
    assert "--reason" in community.refusal("delete", topic["url"], "--as", "anna")
    said = community.run("delete", topic["url"], "--as", "anna", "--reason", "Off topic")
    assert "removed" in said
    removed = stored(community, topic["id"])
    assert removed.deleted_at is None
    assert removed.withheld == "removed"


def test_what_is_deleted_is_gone(community: Hub, topic: dict[str, str]) -> None:
    assert community.json("delete", topic["uri"], "--as", "bob") == topic
    thing = stored(community, topic["id"])
    assert (thing.title, thing.source, thing.html) == ("", "", "")
    assert "nothing at" in community.refusal("delete", topic["uri"], "--as", "bob")


def test_a_like_counts_once_and_can_be_taken_back(community: Hub, topic: dict[str, str]) -> None:
    assert community.json("like", topic["url"], "--as", "anna") == {**topic, "changed": True}
    assert community.json("like", topic["url"], "--as", "anna")["changed"] is False
    assert stored(community, topic["id"]).like_count == 1
    assert community.run("like", topic["url"], "--as", "anna", "--undo").startswith("The like is")
    assert stored(community, topic["id"]).like_count == 0


def test_a_private_address_elsewhere_is_not_fetched(community: Hub) -> None:
    # INV-22: the command line goes out through the same client as the server.
    refusal = community.refusal("reply", "http://127.0.0.1:9/o/1", "--as", "bob", "--text", "x")
    assert "nothing at" in refusal
