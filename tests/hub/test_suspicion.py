"""What makes a stranger's post look like part of a wave."""

from __future__ import annotations

import pytest

from fedcomm.hub import suspicion
from fedcomm.hub.suspicion import Echoes, Signals, reasons, score
from fedcomm.settings import Abuse

SPAM = "Great new coin, register today at the best exchange and get a bonus of one hundred"
WEIGHTS = {name: getattr(Abuse(), name) for name in (
    "new_account", "new_host", "first_contact", "no_profile", "unrelated_mention", "many_mentions",
    "same_text", "same_link",
)}  # fmt: skip


@pytest.mark.parametrize(
    ("signals", "is_held"),
    [
        # Honest people: a newcomer who answers, an old account from an unknown server that says hello.
        (Signals(new_account=True, new_host=True, first_contact=True, no_profile=True), False),
        (Signals(new_host=True, first_contact=True, unrelated_mention=True), False),
        (Signals(first_contact=True, same_link=9), False),
        (Signals(mentions=9), False),
        # Waves.
        (Signals(True, True, True, True, unrelated_mention=True), True),
        (Signals(new_host=True, first_contact=True, same_text=2), True),
        (Signals(first_contact=True, no_profile=True, same_text=2), True),
        (Signals(new_account=True, first_contact=True, unrelated_mention=True, mentions=5), True),
    ],
)
def test_the_score_lets_honest_newcomers_in_and_holds_waves(
    signals: Signals, is_held: bool
) -> None:
    found = reasons(signals, wave_people=Abuse().wave_people)
    assert (score(found, WEIGHTS) >= Abuse().hold_score) is is_held, found


def test_nearly_the_same_words_from_several_people_are_heard() -> None:
    echoes = Echoes(600)
    said = [f"Hi @anna{n}! {SPAM} https://spam{n}.test/{n} number{n}" for n in range(4)]
    assert [echoes.heard(n, text, [])[0] for n, text in enumerate(said)] == [0, 1, 2, 3]
    # The same person again is one person.
    assert echoes.heard(3, said[3], [])[0] == 3
    assert (
        echoes.heard(9, "Something quite different about clay in the northern garden", [])[0] == 0
    )


@pytest.mark.parametrize("text", ["Thank you very much", "Good morning to all!", "", "🎉 🎉 🎉"])
def test_short_words_are_the_same_by_chance(text: str) -> None:
    echoes = Echoes(600)
    assert {echoes.heard(n, text, [])[0] for n in range(10)} == {0}


def test_the_same_link_is_heard_without_its_query() -> None:
    echoes = Echoes(600)
    found = [
        echoes.heard(n, "", [f"https://spam.test/offer/?ref={n}", "https://else.test/"])[1]
        for n in range(3)
    ]
    assert found == [0, 1, 2]
    assert echoes.heard(5, "", ["https://spam.test/other", "not a link"])[1] == 0


def test_what_was_said_is_forgotten_when_the_window_is_over_and_nothing_can_be_read() -> None:
    now = 0.0
    echoes = Echoes(600, clock=lambda: now)
    echoes.heard(1, SPAM, ["https://spam.test/"])
    assert b"coin" not in b"".join(echoes._marks)
    now = 601
    assert echoes.heard(2, SPAM, ["https://spam.test/"]) == (0, 0)
    assert Echoes(10**9)._seconds == suspicion.LONGEST_S


def test_inv_45_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicion, "MARKS", 100)
    monkeypatch.setattr(suspicion, "PEOPLE_PER_MARK", 5)
    echoes = Echoes(600)
    for n in range(200):
        echoes.heard(n, f"{SPAM} {n} and {n * 7} then {n * 11} so {n * 13} it {n * 17}", [])
        echoes.heard(n, SPAM, [])
    assert len(echoes._marks) <= 100
    assert max(len(people) for people in echoes._marks.values()) <= 5
