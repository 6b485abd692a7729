"""What becomes of every activity under every policy: the rules, and the table in docs/federating.md.

`python -m tests.federation.policy_matrix` writes the table anew; `test_policy.py` walks every cell over the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

Word = Literal[
    "403", "waits", "takes effect", "no effect", "seen by followers", "hidden", "asks first",
    "without media",
]  # fmt: skip

Policy = Literal[
    "none", "queue", "limit", "reject media", "reject reports", "suspend", "cautious", "allow-list"
]
POLICIES: Final[tuple[Policy, ...]] = (
    "none", "queue", "limit", "reject media", "reject reports", "suspend", "cautious", "allow-list"
)  # fmt: skip

Acquaintance = Literal["new", "known", "followed"]
ACQUAINTANCES: Final[tuple[Acquaintance, ...]] = ("new", "known", "followed")

ACTIVITIES: Final = (
    *("Follow", "Accept", "TentativeAccept", "Reject", "TentativeReject", "Create", "Update"),
    *("Delete", "Delete of the actor", "Like", "EmojiReact", "Dislike", "Announce", "Undo", "Flag"),
    *("Add", "Remove", "Lock", "Move", "Block", "PollVote", "QuoteRequest", "Join", "Leave"),
    "Arrive",
)
"""Every type that has a handler, a Delete of oneself, and one that has none."""

NEEDS_MORE_THAN_A_NAME: Final = frozenset(
    {
        *("Accept", "TentativeAccept", "Reject", "TentativeReject", "Update", "Delete"),
        *("Delete of the actor", "Undo", "Add", "Remove", "Lock", "Block", "Leave"),
    }
)
"""They concern something between us: our request, words or a reaction of theirs, a moderator's place."""

WITHOUT_EFFECT: Final = frozenset({"Arrive", "PollVote"})
"""Of a type that nobody handles; about a topic that is no poll."""

SHOWS_WORDS: Final = frozenset({"Create", "Update"})

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "federating.md"
BEGIN: Final = "<!-- the table is written by tests/federation/policy_matrix.py -->\n"
END: Final = "<!-- end of the table -->\n"


def plain(activity: str, acquaintance: Acquaintance) -> Word:
    """What happens when nothing is held against the host."""
    if activity in WITHOUT_EFFECT or (acquaintance == "new" and activity in NEEDS_MORE_THAN_A_NAME):
        return "no effect"
    if activity == "Block" and acquaintance == "known":
        # They block somebody who does not follow them: there is nothing to end.
        return "no effect"
    return "takes effect"


def expected(activity: str, policy: Policy, acquaintance: Acquaintance) -> Word:
    """What happens under a policy."""
    usual = plain(activity, acquaintance)
    if policy in ("suspend", "allow-list"):
        return "403"
    if policy == "queue" or (policy == "cautious" and acquaintance == "new"):
        if activity == "Delete of the actor" and acquaintance == "new":
            # Somebody of whom we know nothing says that they are gone: there is nothing to keep.
            return "no effect"
        return "waits"
    if usual == "takes effect":
        if policy == "limit" and activity == "Follow":
            return "asks first"
        if policy == "limit" and activity in SHOWS_WORDS:
            return "seen by followers" if acquaintance == "followed" else "hidden"
        if policy == "reject media" and activity in SHOWS_WORDS:
            return "without media"
        if policy == "reject reports" and activity == "Flag":
            return "no effect"
    return usual


def table() -> str:
    """The matrix in Markdown: a cell says one word where it is the same for new, known and followed."""
    lines = [
        "| Activity | " + " | ".join(POLICIES) + " |",
        "| --- |" + " --- |" * len(POLICIES),
    ]
    for activity in ACTIVITIES:
        lines.append(f"| {activity} | " + " | ".join(_cell(activity, p) for p in POLICIES) + " |")
    return "\n".join(lines) + "\n"


def _cell(activity: str, policy: Policy) -> str:
    words = [expected(activity, policy, acquaintance) for acquaintance in ACQUAINTANCES]
    if len(set(words)) == 1:
        return words[0]
    return "; ".join(f"{' and '.join(who)}: {word}" for who, word in _together(words))


def _together(words: list[Word]) -> Iterator[tuple[list[Acquaintance], Word]]:
    for word in dict.fromkeys(words):
        yield [a for a, w in zip(ACQUAINTANCES, words, strict=True) if w == word], word


def with_table(text: str) -> str:
    """The document with the table of today."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8")), "utf-8")
