"""Lists of servers: read with their quirks, compared, applied whole, subscribed to, written again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub import blocklists, impact, policies, policy_changes, policy_drafts
from fedcomm.hub.errors import Invalid
from fedcomm.hub.policies import Entry, Policy
from tests.hub.village import WHY, Village, decide, relations
from tests.hub.world import World

MASTODON = (
    "\ufeff#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\r\n"
    'bad.example,suspend,False,False,"Harassment, ""doxxing"",\nand more",False\r\n'
    "loud.example,silence,true,false,,false\r\n"
    "pics.example,noop,TRUE,True,,false\r\n"
    "ex****e.test,suspend,false,false,,true\r\n"
    "Bad.Example.,suspend,false,false,,false\r\n"
    "nonsense,suspend,false,false,,false\r\n"
    "odd.example,explode,false,false,,false\r\n"
    "idle.example,noop,false,false,,false\r\n"
    "hub.test,suspend,false,false,,false\r\n"
)


def test_a_list_of_mastodon_is_read_with_its_quirks() -> None:
    found = blocklists.read(MASTODON.encode(), own_host="hub.test", source="list")
    assert {domain: entry.policy for domain, entry in found.entries.items()} == {
        "bad.example": Policy("suspend"),
        "loud.example": Policy("limit", reject_media=True),
        "pics.example": Policy("none", reject_media=True, reject_reports=True),
    }
    assert found.entries["bad.example"].public_comment == 'Harassment, "doxxing", and more'
    assert [(row.line, row.text, row.reason) for row in found.refused] == [
        (6, "ex****e.test", blocklists.OBFUSCATED),
        (7, "Bad.Example.", blocklists.TWICE),
        (8, "nonsense", "This is not the name of a server."),
        (9, "odd.example", blocklists.NO_SEVERITY),
        (10, "idle.example", blocklists.ASKS_NOTHING),
        (11, "hub.test", blocklists.OURSELVES),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "bad.example\nworse.example\n",
        "\ufeffbad.example\r\n\r\nworse.example",
        "# my list\nbad.example   # spam\n  worse.example\n",
        "#domain\nbad.example\nworse.example\n",
        "domain\nbad.example\nworse.example\n",
        "bad.example,suspend\nworse.example,suspend\n",
        "severity,domain\nsuspend,bad.example\nsuspend,worse.example\n",
    ],
)
def test_one_domain_a_line_is_a_list_too(text: str) -> None:
    found = blocklists.read(text.encode())
    assert [(e.domain, e.level) for e in found.entries.values()] == [
        ("bad.example", "suspend"),
        ("worse.example", "suspend"),
    ]
    assert found.refused == ()


def test_an_allow_list_is_read_as_entries_of_level_none() -> None:
    found = blocklists.read(b"#domain\ngood.example\n", level="none")
    assert found.entries["good.example"].level == "none"


@pytest.mark.parametrize(
    "body", [b"\xff\xfeb\x00a\x00", b"x" * (blocklists.BYTES + 1), b"a.example,x\n" * 20_001]
)
def test_what_is_no_list_is_refused_whole(body: bytes) -> None:
    with pytest.raises(Invalid):
        blocklists.read(body)


def test_as_many_rows_as_mastodon_takes_are_read() -> None:
    body = "".join(f"h{n}.example\n" for n in range(blocklists.ROWS)).encode()
    assert len(blocklists.read(body).entries) == blocklists.ROWS


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")))
def test_inv_11_any_bytes_are_a_list_or_refused(body: bytes) -> None:
    try:
        found = blocklists.read(body, own_host="hub.test")
    except Invalid:
        return
    for domain, entry in found.entries.items():
        assert policies.normal_domain(domain) == domain == entry.domain
        assert entry.public_comment.isprintable()


ENTRIES = st.builds(
    Entry,
    domain=st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True),
    level=st.sampled_from(["none", "limit", "suspend"]),
    reject_media=st.booleans(),
    reject_reports=st.booleans(),
    public_comment=st.text(max_size=40).map(
        lambda t: " ".join("".join(c if c.isprintable() else " " for c in t).split())
    ),
)


@given(st.lists(ENTRIES, unique_by=lambda entry: entry.domain, max_size=8))
def test_what_is_exported_is_imported_again(entries: list[Entry]) -> None:
    kept = [e for e in entries if e.level != "none" or e.reject_media or e.reject_reports]
    found = blocklists.read(blocklists.as_csv(entries).encode())
    assert (list(found.entries.values()), found.refused) == (kept, ())
    assert blocklists.as_csv(entries).startswith(",".join(blocklists.HEADER))


async def test_a_list_is_compared_before_it_is_applied_and_applied_whole(world: World) -> None:
    await decide(world, "limit", "changed.example", private_comment="Ours.", expires_at=2**50)
    await decide(world, "suspend", "same.example")
    body = (
        b"#domain,#severity\nnew.example,suspend\nchanged.example,suspend\nsame.example,suspend\n"
    )
    draft = await world.do(policy_drafts.add, body, source="a.csv", level="suspend", by=None)
    found = await policy_drafts.difference(world.db, draft, own_host="hub.test")
    assert [entry.domain for entry in found.new] == ["new.example"]
    assert [(b.level, a.level) for b, a in found.changed] == [("limit", "suspend")]
    assert (found.same, found.gone) == (1, ())
    assert await policies.count(world.db) == 2
    change = await world.do(
        policy_drafts.apply, draft, by=None, reason="Agreed.", own_host="hub.test"
    )
    assert await policies.count(world.db) == 3
    changed = await policies.find(world.db, "changed.example")
    assert changed is not None
    assert (changed.level, changed.private_comment, changed.expires_at) == (
        "suspend",
        "Ours.",
        2**50,
    )
    assert await policy_drafts.drafts(world.db) == []
    assert change is not None
    await world.do(policy_changes.undo, change, by=None, reason="Not agreed.")
    assert await policies.count(world.db) == 2


async def test_what_exists_can_be_kept(world: World) -> None:
    await decide(world, "limit", "changed.example")
    draft = await world.do(
        policy_drafts.add, b"changed.example\nnew.example\n", source="x", level="suspend", by=None
    )
    await world.do(
        policy_drafts.apply, draft, by=None, reason=WHY, own_host="hub.test", keep_existing=True
    )
    kept = await policies.find(world.db, "changed.example")
    assert kept is not None and kept.level == "limit"
    assert await policies.find(world.db, "new.example") is not None


async def test_a_subscription_becomes_a_draft_and_shows_what_is_gone(world: World) -> None:
    subscribed = await world.do(
        policy_drafts.subscribe, "https://list.test/a.csv", level="suspend", by=None
    )
    taken = await world.do(policy_drafts.take_due)
    assert taken is not None and taken.id == subscribed
    assert await world.do(policy_drafts.take_due) is None
    await world.do(policy_drafts.fetched, taken, b"a.example\nb.example\n", own_host="hub.test")
    assert await policies.count(world.db) == 0
    (draft,) = await policy_drafts.drafts(world.db)
    await world.do(policy_drafts.apply, draft.id, by=None, reason=WHY, own_host="hub.test")
    assert await policies.count(world.db) == 2
    await decide(world, "limit", "own.example")
    found = await world.do(
        policy_drafts.fetched, taken, b"a.example\n", etag='"2"', own_host="hub.test"
    )
    assert found is not None and [entry.domain for entry in found.gone] == ["b.example"]
    (draft,) = await policy_drafts.drafts(world.db)
    await world.do(policy_drafts.apply, draft.id, by=None, reason=WHY, own_host="hub.test")
    assert set(await policies.all_entries(world.db)) == {"a.example", "own.example"}
    await world.do(policy_drafts.fetched, taken, b"a.example\n", own_host="hub.test")
    assert await policy_drafts.drafts(world.db) == []


async def test_five_thousand_lines_cost_ten_times_what_five_hundred_cost(village: Village) -> None:
    """Acceptance 4: previewed, applied and undone in seconds, since the cost grows with the lines and no faster."""
    world = village.world
    before = await relations(world)
    async with world.db.transaction() as tx:
        await tx.many(
            "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, 0)",
            [(number + 1, f"www.h{number}.example") for number in range(0, 5_000, 5)],
        )

    async def cost(lines: int) -> float:
        """Seconds of CPU for a list of so many servers, one of them with relations here."""
        listed = [
            Entry(f"h{n}.example", "suspend", public_comment="Spam") for n in range(lines - 1)
        ]
        body = blocklists.as_csv([*listed, Entry("far.test", "suspend")]).encode()
        started = time.process_time()
        draft = await world.do(policy_drafts.add, body, source="big.csv", level="suspend", by=None)
        found = await policy_drafts.difference(world.db, draft, own_host="hub.test")
        touched = await impact.of_entries(world.db, blocklists.changes(found))
        assert (len(found.new), touched.relations) == (lines, 5)
        assert touched.hosts_total == lines // 5 + 2
        change = await world.do(
            policy_drafts.apply, draft, by=None, reason=WHY, own_host="hub.test"
        )
        assert await policies.count(world.db) == lines
        assert change is not None
        await world.do(policy_changes.undo, change, by=None, reason="Back.")
        assert await relations(world) == before
        return time.process_time() - started

    few, many = await cost(500), await cost(5_000)
    print(f"500 lines: {few:.2f} s of CPU, 5,000 lines: {many:.2f} s")
    assert many < 40 * few
