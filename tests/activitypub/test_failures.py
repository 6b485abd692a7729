"""What failed is remembered for a while, and a trigger fetches only so much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub.failures import (
    FetchBudget,
    FetchError,
    NegativeCache,
    retry_after_seconds,
)

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def cache(**settings: int) -> tuple[NegativeCache, Clock]:
    clock = Clock()
    return NegativeCache(clock=clock, **settings), clock


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣٠٠", None),
        ("0", 60),
        ("59", 60),
        ("60", 60),
        ("61", 61),
        (" 120 ", 120),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 5000, 86_400),
        ("Tue, 14 Nov 2023 22:18:20 GMT", 300),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 60),
        ("Fri, 14 Nov 2025 22:18:20 GMT", 86_400),
        ("Tue, 14 Nov 2023 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_clamped(
    header: str | None, seconds: int | None
) -> None:
    assert retry_after_seconds(header, NOW) == seconds


@given(st.text())
def test_no_retry_after_header_raises_or_leaves_the_bounds(header: str) -> None:
    seconds = retry_after_seconds(header, NOW)
    assert seconds is None or 60 <= seconds <= 86_400


def test_inv_24_a_trigger_may_fetch_up_to_its_limit_and_not_once_more() -> None:
    budget = FetchBudget()
    for _ in range(30):
        budget.spend()
    with pytest.raises(FetchError) as caught:
        budget.spend()
    assert caught.value.reason == "budget"
    assert budget.left == 0


def test_inv_25_a_failure_is_told_from_memory_until_its_time_is_over() -> None:
    negative, clock = cache()
    negative.check("peer.example", "a")
    negative.remember("peer.example", "a", FetchError("status", status=503))
    clock.seconds = 299.9
    with pytest.raises(FetchError) as caught:
        negative.check("peer.example", "a")
    assert (caught.value.reason, caught.value.status, caught.value.remembered) == (
        "status",
        503,
        True,
    )
    negative.check("peer.example", "b")
    clock.seconds = 300
    negative.check("peer.example", "a")
    assert len(negative) == 0


@pytest.mark.parametrize("status", [404, 410])
def test_inv_25_what_does_not_exist_is_remembered_for_an_hour(status: int) -> None:
    negative, clock = cache()
    negative.remember("peer.example", "a", FetchError("status", status=status))
    clock.seconds = 3599.9
    with pytest.raises(FetchError) as caught:
        negative.check("peer.example", "a")
    assert caught.value.permanent
    clock.seconds = 3600
    negative.check("peer.example", "a")


def test_a_longer_retry_after_is_respected() -> None:
    negative, clock = cache()
    negative.remember("peer.example", "a", FetchError("status", status=429, retry_after=900))
    clock.seconds = 899
    with pytest.raises(FetchError):
        negative.check("peer.example", "a")


def test_inv_25_a_host_that_is_down_fails_for_all_its_urls_until_it_is_forgotten() -> None:
    negative, _ = cache()
    negative.remember("down.example", "a", FetchError("connect", host_down=True))
    negative.remember("up.example", "a", FetchError("json"))
    with pytest.raises(FetchError):
        negative.check("down.example", "another")
    negative.forget("down.example")
    negative.check("down.example", "another")
    negative.check("down.example", "a")
    with pytest.raises(FetchError):
        negative.check("up.example", "a")
    negative.forget("never-seen.example")


def test_a_redirect_to_a_host_that_is_down_does_not_take_the_first_host_down() -> None:
    negative, _ = cache()
    error = FetchError("connect", host="down.example", host_down=True)
    negative.remember("up.example", "a", error)
    negative.check("up.example", "b")
    with pytest.raises(FetchError):
        negative.check("up.example", "a")


def test_inv_25_the_memory_is_bounded_and_drops_what_was_used_least_recently() -> None:
    negative, _ = cache(max_entries=3)
    for name in "abc":
        negative.remember(f"{name}.example", "x", FetchError("json"))
    with pytest.raises(FetchError):
        negative.check("a.example", "x")
    negative.remember("d.example", "x", FetchError("json"))
    assert len(negative) == 3
    negative.check("b.example", "x")
    with pytest.raises(FetchError):
        negative.check("a.example", "x")


def test_neither_a_spent_budget_nor_a_memory_prolongs_a_failure() -> None:
    negative, _ = cache()
    negative.remember("peer.example", "a", FetchError("budget"))
    negative.remember("peer.example", "a", FetchError("json", remembered=True))
    assert len(negative) == 0


def test_the_message_of_a_failure_names_the_host_and_no_path() -> None:
    error = FetchError("status", host="peer.example", status=404)
    assert str(error) == "fetch failed: status 404 (peer.example)"
