from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

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


@pytest.fixture
def heights() -> Iterator[ids.Heights]:
    """Shared with another process, until the test ends."""
    made = ids.Heights(2)
    before = ids._last
    ids.go_on_with(made, 0)
    yield made
    ids._heights, ids._last = None, before


def test_inv_44_ids_of_processes_that_answer_each_other_grow_within_a_millisecond(
    heights: ids.Heights,
) -> None:
    asked, asking = os.pipe()
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        ids.go_on_with(heights, 1)
        while os.read(asked, 1) == b"?":
            os.write(telling, ids.new_id().to_bytes(8, "big"))
        os._exit(0)
    made = []
    for _ in range(500):
        made.append(ids.new_id())
        os.write(asking, b"?")
        made.append(int.from_bytes(os.read(told, 8), "big"))
    os.write(asking, b".")
    os.waitpid(child, 0)
    assert made == sorted(set(made))


def test_inv_44_with_the_clock_set_back_ids_go_on_after_those_of_the_other_process(
    heights: ids.Heights, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = heights.newest[1] = ids.new_id() + (5_000 << TAIL_BITS)
    real = time.time_ns
    monkeypatch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: real() - 3_600_000_000_000))
    assert theirs < ids.new_id() < ids.new_id()
    assert heights.newest[0] == ids._last
