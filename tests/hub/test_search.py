from __future__ import annotations

import asyncio

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
