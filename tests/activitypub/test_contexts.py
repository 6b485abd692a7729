from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from activitypub import contexts
from activitypub.contexts import context_for, with_context
from activitypub.ijson import dumps

AS = "https://www.w3.org/ns/activitystreams"


def test_a_plain_activity_needs_activitystreams_only() -> None:
    follow = {"id": "https://h.example/1", "type": "Follow", "actor": "a", "object": "b"}
    assert context_for(follow) == [AS]
    assert list(with_context(follow)) == ["@context", "id", "type", "actor", "object"]


def test_terms_come_from_keys_and_types_at_any_depth_with_their_prefixes() -> None:
    activity = {
        "type": "Create",
        "object": {
            "type": "Page",
            "sensitive": False,
            "tag": [{"type": "Hashtag", "name": "#a"}, {"type": ["Emoji"], "name": ":b:"}],
            "attachment": [{"type": "Image", "blurhash": "x"}],
        },
    }
    assert context_for(activity) == [
        AS,
        {
            "toot": "http://joinmastodon.org/ns#",
            "sensitive": "as:sensitive",
            "Hashtag": "as:Hashtag",
            "Emoji": "toot:Emoji",
            "blurhash": "toot:blurhash",
        },
    ]


def test_key_and_webfinger_contexts_come_with_actors() -> None:
    actor = {
        "type": "Group",
        "webfinger": "gardening@hub.example",
        "publicKey": {"publicKeyPem": "…"},
        "assertionMethod": [{"type": "Multikey", "publicKeyMultibase": "z6Mk"}],
        "moderators": "https://hub.example/m",
    }
    assert context_for(actor)[:5] == [
        AS,
        contexts.SECURITY,
        contexts.DID,
        contexts.MULTIKEY,
        contexts.WEBFINGER,
    ]
    assert contexts.DATA_INTEGRITY in context_for({"type": "Note", "proof": {"type": "x"}})


def test_a_wrapped_foreign_activity_keeps_its_own_context() -> None:
    inner = {"@context": [AS, {"sensitive": "as:sensitive"}], "type": "Create", "sensitive": True}
    announce = {"type": "Announce", "object": inner}
    assert context_for(announce) == [AS]
    assert with_context(announce)["object"] is inner


def test_an_older_context_of_the_document_itself_is_replaced() -> None:
    note = {"type": "Note", "@context": "https://evil.example/", "sensitive": True}
    assert with_context(note) == {
        "@context": [AS, {"sensitive": "as:sensitive"}],
        "type": "Note",
        "sensitive": True,
    }


def test_every_term_has_a_prefix_that_is_known() -> None:
    for term in contexts._TERMS:
        *_, terms = context_for({term: 1})
        meaning = terms[term]
        prefix = (meaning if isinstance(meaning, str) else meaning["@id"]).partition(":")[0]
        assert prefix == "as" or prefix in terms


@given(
    st.recursive(
        st.none() | st.sampled_from([*contexts._TERMS, "Note"]),
        lambda v: (
            st.lists(v, max_size=4)
            | st.dictionaries(
                st.sampled_from([*contexts._TERMS, "type", "publicKey"]), v, max_size=4
            )
        ),
        max_leaves=20,
    )
)
def test_the_same_terms_give_the_same_bytes_in_any_order(value: Any) -> None:
    document = {"type": "Note", "value": value}
    turned = json.loads(json.dumps(document), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert dumps(context_for(document)) == dumps(context_for(turned))
