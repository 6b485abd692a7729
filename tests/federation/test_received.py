"""An activity as it is kept for those to whom it is repeated."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fedcomm.federation import received

KEYS = st.sampled_from(["to", "bto", "bcc", "object", "name"])
ACTIVITIES = st.recursive(
    st.none() | st.just("https://a.example/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, ACTIVITIES, max_size=4))
def test_inv_17_an_activity_is_kept_as_it_came_only_if_nobody_was_addressed_blindly(
    raw: dict[str, Any],
) -> None:
    kept = received._without_blind_copies(raw)
    assert received._has_blind_copies(raw) == (kept != raw)
    assert not received._has_blind_copies(kept)
