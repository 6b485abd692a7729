"""The floor of the rows is measured with today's tables."""

from __future__ import annotations

from benchmarks import rows


def test_the_rows_of_answers_can_be_written_as_the_tables_are() -> None:
    assert rows.measure(2 * rows.TOGETHER) >= 0
