"""The second instance of the demonstration: somebody's own small server, on which one person follows
the hub's garden."""

from __future__ import annotations

from typing import Final

from fedcomm.demo.community import Community, Person, Place, Words

BALCONY: Final = Place(
    "balcony",
    "Balcony notes",
    "What grows four floors up, and what does not.",
    "en",
    members=("kim",),
    topics=(
        Words(
            "kim",
            13.0,
            "An old rain gutter, five holes drilled, hung on the railing: strawberries love it, slugs never find "
            "it. The only trouble is the watering can, which finds the neighbour below.",
            title="Strawberries in a rain gutter",
        ),
        Words(
            "kim",
            3.4,
            "Sun from four to six, wind all day. Mint, chard and parsley are fine. The basil has moved to the "
            "kitchen and does not talk to me.",
            title="A north-facing balcony: what does well",
        ),
    ),
)

ELSEWHERE: Final = Community(
    "Elsewhere",
    "A server of its own, run by somebody else.",
    "en",
    days=30,
    people=(
        Person(
            "kim",
            "Kim Jansen",
            "Four floors up, two square metres of balcony.",
            role="administrator",
        ),
    ),
    places=(BALCONY,),
)

ANSWER: Final = Words(
    "kim",
    0,
    "Greetings from another server! If two cucumbers are left on Friday, I know a railing for them.",
)
"""Kim's reply to the hub's fresh topic."""
