"""What reading costs is measured with today's functions."""

from __future__ import annotations

import pytest

from benchmarks import parsing


@pytest.mark.parametrize("kind", parsing.KINDS)
def test_the_steps_of_reading_can_be_measured_for_each_kind_of_answer(kind: str) -> None:
    steps = parsing.measure(parsing.KINDS[kind], 2)
    assert len(steps) == 7 and all(cost >= 0 for cost in steps.values())
    body = parsing._wire(parsing.KINDS[kind](1))
    read = parsing._whole(body, parsing._request(body))
    assert "1" in read.plain and "<p>" in read.html
