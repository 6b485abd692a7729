"""Other servers' software is named in one module only: what is sent to whom is decided there (`peers.py`)."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

from fedcomm.federation import peers

ROOT = Path(__file__).parents[2]
ONLY_HERE = ROOT / "fedcomm" / "federation" / "peers.py"

NAMES = frozenset(
    {
        *peers.THREADIVERSE, *peers.MICROBLOGS,
        *("mobilizon", "peertube", "owncast", "bookwyrm", "writefreely", "funkwhale", "mitra", "fedify"),
    }
) - {"fedcomm", "ghost", "glitchcafe"}  # fmt: skip

WORD = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(map(re.escape, NAMES), key=len, reverse=True))})(?![a-z])"
)

TERMS = re.compile(r"_misskey_\w+|https?://[\w.-]+/ns#\w*")
"""Words of vocabularies that peers gave to all: whoever uses them is understood, whatever they run."""

VOCABULARIES = ROOT / "activitypub" / "contexts.py"
"""Their prefixes have the names of who gave them."""

NO_PEER = {
    "fedcomm/cli/relay.py": "one of the two styles of relays is called so (FEP-ae0c)",
    "fedcomm/federation/relaying.py": "the same",
    "fedcomm/hub/relays.py": "the same",
    "fedcomm/web/my_data.py": "tells people which servers there are",
}
"""Where a name stands for something else than the software of a peer, and for what."""


def strings_of(path: Path) -> list[tuple[int, str]]:
    """The string literals of a module that are no docstrings, with their lines."""
    found: list[tuple[int, str]] = []
    at_start = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("NL", "COMMENT", "ENCODING"):
            continue
        if kind in ("NEWLINE", "INDENT", "DEDENT"):
            at_start = True
            continue
        if kind in ("STRING", "FSTRING_MIDDLE") and not at_start:
            found.append((token.start[0], token.string))
        at_start = False
    return found


def test_no_other_module_asks_who_the_peer_is() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in ("fedcomm", "activitypub")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path not in (ONLY_HERE, VOCABULARIES)
        and path.relative_to(ROOT).as_posix() not in NO_PEER
        for line, text in strings_of(path)
        if WORD.search(TERMS.sub("", text.lower()))
    ]
    assert named == []


def test_the_search_finds_names_in_code_and_not_in_prose(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Mastodon."""\n# Lemmy\nx = software == "lemmy"\n"""PieFed does."""\n')
    assert [text for _, text in strings_of(module)] == ['"lemmy"']
    assert WORD.search("nodebb") and not WORD.search("nodebbs") and not WORD.search("kitten")
