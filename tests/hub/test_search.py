from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub import groups, search, threads
from fedcomm.hub.visibility import ANONYMOUS, member
from tests.hub.world import World, words


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


@pytest.fixture
async def group(world: World, anna: int) -> int:
    return await world.group("ambiente", anna)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Il mercato del sabato", "mercato"),
        ("Il mercato del sabato", "MERC sab"),
        ("Perché no?", "perche"),
        ("perche no", "PERCHÉ"),
        ("Straße", "strasse"),
        ("see https://www.example.org/path/page.html", "page"),
        ("write to anna@example.org", "example"),
        ("hub-and-spoke", "spoke"),
        ("snake_case_name", "case"),
        ("version 3.14 of 2024-05-01", "14 05"),
        ("l'acqua è un bene comune", "acqua"),
        ("C'est déjà l'été", "deja ete"),
        ("Москва — столица", "столи"),
        ("ｆｕｌｌｗｉｄｔｈ", "fullwidth"),
        ("日本語の本", "日本語"),
        ("a 🎉 party", "party 🎉"),
    ],
)
async def test_words_are_found_by_their_beginnings_without_case_and_accents(
    world: World, anna: int, group: int, text: str, query: str
) -> None:
    topic = await world.topic(anna, group, text)
    other = await world.topic(anna, group, "nothing of the kind")
    found = await search.find(world.db, ANONYMOUS, query)
    assert found == [topic] != [other]


async def test_every_word_must_occur_in_title_or_text(world: World, anna: int, group: int) -> None:
    topic = await world.topic(anna, group, "bread and butter", "Breakfast")
    for query, expected in (
        ("bread butter", [topic]),
        ("breakfast butter", [topic]),
        ("bread jam", []),
        ("utter", []),
        ("", []),
        ("  ", []),
        ('"bread" OR jam', []),
        ("bread*", [topic]),
        ("-bread", [topic]),
        ("NOT bread", []),
    ):
        assert await search.find(world.db, ANONYMOUS, query) == expected, query


async def test_results_come_newest_first_in_pages(world: World, anna: int, group: int) -> None:
    topics = [await world.topic(anna, group, f"common word {number}") for number in range(5)]
    seen: list[int] = []
    while page := await search.find(
        world.db, ANONYMOUS, "common", before=seen[-1] if seen else None, limit=2
    ):
        seen += page
    assert seen == topics[::-1]


async def test_inv_20_search_passes_the_gate(world: World, anna: int) -> None:
    secret = await world.group("segreto", anna, mode="private")
    topic = await world.topic(anna, secret, "conspiracy")
    berta = await world.member("berta")
    assert await search.find(world.db, member(anna), "conspiracy") == [topic]
    for viewer in (ANONYMOUS, member(berta)):
        assert await search.find(world.db, viewer, "conspiracy") == []
    await world.do(groups.add_member, secret, anna, berta)
    assert await search.find(world.db, member(berta), "conspiracy") == [topic]


class Library:
    """Topics with words that are everywhere, often, seldom and together nowhere, some of them not for everybody."""

    FREQUENCIES: Final = {"every": 1, "second": 2, "third": 3, "seventh": 7, "thirtieth": 30}

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.said: dict[int, tuple[int, str]] = {}

    async def fill(self, anna: int, groups_: Sequence[int], count: int) -> None:
        for _ in range(count):
            spoken = [
                word for word, each in self.FREQUENCIES.items() if self.chance.randrange(each) == 0
            ]
            text = " ".join([*self.chance.sample(spoken, len(spoken)), "end"])
            group = self.chance.choice(groups_)
            topic = await self.world.topic(anna, group, *text.split(" ", 1))
            self.said[topic] = (group, text)

    def expected(self, groups_: Sequence[int], query: str) -> list[int]:
        """What somebody finds who may read these groups, newest first."""
        return sorted(
            (
                topic
                for topic, (group, text) in self.said.items()
                if group in groups_
                and all(
                    any(said.startswith(word) for said in text.split()) for word in query.split()
                )
            ),
            reverse=True,
        )


@pytest.mark.parametrize("seed", range(3))
async def test_inv_20_whichever_way_it_is_found_everything_is_found_once_and_nothing_private(
    world: World, anna: int, group: int, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    secret = await world.group("segreto", anna, mode="private")
    library = Library(world, chance)
    await library.fill(anna, [group, group, secret], 60)
    queries = [*library.FREQUENCIES, "e", "every seventh", "sec thirt", "third sec", "thirtieth se"]
    queries += ["every nothing", "nothing", "second third seventh thirtieth"]
    for query in queries:
        monkeypatch.setattr(search, "GLANCE", chance.choice([1, 3, 10, 256]))
        monkeypatch.setattr(search, "OFTEN", chance.choice([1, 2, 4, 1000]))
        monkeypatch.setattr(search, "ROOM", chance.choice([1, 8]))
        monkeypatch.setattr(search, "MOST_LOOKED_AT", chance.choice([1, 7, 40, 4096]))
        for viewer, read in ((ANONYMOUS, [group]), (member(anna), [group, secret])):
            found: list[int] = []
            while page := await search.find(
                world.db,
                viewer,
                query,
                before=found[-1] if found else None,
                limit=chance.choice([1, 4, 20]),
            ):
                found += page
            assert found == library.expected(read, query), query


async def test_a_word_that_every_text_has_is_not_asked_of_the_index(
    world: World, anna: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's would read all its places, however many there are, before it told the newest."""
    if world.db.search.texts is None:
        pytest.skip("this engine knows by itself when the index is dearer")
    topics = [await world.topic(anna, group, f"common {number}") for number in range(12)]
    asked: list[str] = []

    def noted(words: Sequence[str]) -> str:
        asked.extend(words)
        return query(words)

    query = world.db.search.query
    sql = dataclasses.replace(world.db.search, query=noted)
    monkeypatch.setattr(world.db, "search", sql)
    assert await search.find(world.db, ANONYMOUS, "common", limit=5) == topics[:-6:-1]
    assert asked == []
    assert await search.find(world.db, ANONYMOUS, "common 7") == [topics[7]]
    assert asked == ["7"]


async def test_an_erased_word_finds_nothing(world: World, anna: int, group: int) -> None:
    topic = await world.topic(anna, group, "embarrassing", "Shame")
    await world.do(threads.edit, anna, topic, words("harmless", title="Fine"))
    for query in ("embarrassing", "shame"):
        assert await search.find(world.db, ANONYMOUS, query) == []
    assert await search.find(world.db, ANONYMOUS, "harmless fine") == [topic]
    await world.do(threads.delete, anna, topic)
    assert await search.find(world.db, ANONYMOUS, "harmless") == []
    assert await world.rows("SELECT 1 FROM search_index") == []


async def test_a_text_of_any_length_is_indexed(world: World, anna: int, group: int) -> None:
    many = " ".join(f"word{number}" for number in range(200_000))
    one = "x" * 300_000
    for text in (many, one, many.replace("word", "слово"), "\ufdfa" * 50_000):
        await world.do(threads.create_topic, anna, group, words(text, title="long"))
    assert len(await search.find(world.db, ANONYMOUS, "long")) == 4
    assert await search.find(world.db, ANONYMOUS, "word77")


async def test_a_very_long_word_is_found_by_its_beginning(
    world: World, anna: int, group: int
) -> None:
    topic = await world.topic(anna, group, "y" * 300)
    assert await search.find(world.db, ANONYMOUS, "y" * 150) == [topic]
    assert await search.find(world.db, ANONYMOUS, "\ufdfb" * 200) == []


@given(
    st.one_of(st.text(max_size=250), st.text(alphabet="\"'*():&|!<>-^\\ \0ab\ud800_", max_size=40))
)
def test_any_query_is_answered(
    site_loop: asyncio.AbstractEventLoop, open_world: World, query: str
) -> None:
    found = site_loop.run_until_complete(search.find(open_world.db, ANONYMOUS, query))
    assert found == []


@given(st.text(max_size=200))
def test_the_words_of_a_text_are_the_words_of_its_words(text: str) -> None:
    found = search.words_of(text)
    assert search.words_of(" ".join(found)) == found
    assert all(word and " " not in word for word in found)
