from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.store import ids
from fedcomm.store.ids import (
    EPOCH_MS,
    MAX_ID,
    TAIL_BITS,
    first_id_at,
    milliseconds_of,
    new_id,
    now_ms,
    parse_id,
)

LATEST_MS = EPOCH_MS + (MAX_ID >> TAIL_BITS)
"""The last millisecond that an id can name, in 2093."""


def test_ids_grow_within_a_process_also_within_a_millisecond() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_ids_of_several_threads_are_all_different() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [new_id() for _ in range(2_000)], range(8)))
    for numbers in made:
        assert numbers == sorted(numbers)
    assert len({number for numbers in made for number in numbers}) == 16_000


def test_an_id_tells_when_it_was_made() -> None:
    before = now_ms()
    made = milliseconds_of(new_id())
    assert before <= made <= now_ms() + 1


@given(st.integers(min_value=EPOCH_MS, max_value=LATEST_MS))
def test_an_id_for_a_time_lies_in_the_range_of_that_time(at_ms: int) -> None:
    identifier = new_id(at_ms)
    assert milliseconds_of(identifier) == at_ms
    assert first_id_at(at_ms) <= identifier <= MAX_ID
    if at_ms < LATEST_MS:
        assert identifier < first_id_at(at_ms + 1)


@given(st.integers(), st.integers())
def test_ids_sort_as_their_times_do_and_fit_64_bits(one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    assert 0 <= first_id_at(earlier) <= first_id_at(later) <= MAX_ID
    assert 0 <= new_id(one) <= MAX_ID


@given(st.integers(min_value=1, max_value=MAX_ID))
def test_an_id_survives_being_written_out(identifier: int) -> None:
    assert parse_id(str(identifier)) == identifier


@pytest.mark.parametrize(
    "text",
    ["", "0", "01", "-1", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "٣", "²", "x", str(MAX_ID + 1)],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_id(text) is None


@given(st.text())
def test_any_text_is_an_id_or_none(text: str) -> None:
    parsed = parse_id(text)
    assert parsed is None or (str(parsed) == text and 0 < parsed <= MAX_ID)


def test_after_a_start_with_the_clock_set_back_ids_go_on_where_they_were() -> None:
    ahead = ids.first_id_at(ids.now_ms() + 3_600_000)
    before = ids._last
    try:
        ids.go_on_after(ahead)
        assert ahead < ids.new_id() < ids.new_id()
        far = ids.first_id_at(ids.now_ms() + 10 * ids.AHEAD_MS)
        ids.go_on_after(far)
        assert ids.new_id() < far, "a clock that was days ahead once must not spoil every id since"
    finally:
        ids._last = before
