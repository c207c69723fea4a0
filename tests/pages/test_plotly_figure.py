"""Axes and error bars in per cent."""

from __future__ import annotations

import pytest

from pages.ui.app.plotly_figure import percent_axis, percent_bars


def ticks(axis: dict) -> list[int]:
    lowest, highest = axis["range"]
    return [tick for tick in range(0, 200, axis["dtick"]) if lowest <= tick <= highest]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([85.3, 97.9], [85, 90, 95, 100]),
        ([91.1, 95.1], [84, 86, 88, 90, 92, 94, 96]),
        ([100], [90, 92, 94, 96, 98, 100]),
        ([2, 98], [0, 20, 40, 60, 80, 100]),
        ([0, 3], [0, 2, 4]),
        ([31, 62], [30, 40, 50, 60]),
    ],
)
def test_an_axis_has_some_round_ticks_and_none_above_100(values: list[float], expected: list[int]) -> None:
    axis = percent_axis(values)
    assert ticks(axis) == expected
    lowest, highest = axis["range"]
    assert all(lowest <= value < highest for value in values)


def test_error_bars_count_as_far_as_they_are_drawn() -> None:
    axis = percent_axis([50, 98], [20, 5])
    assert ticks(axis) == [20, 40, 60, 80, 100]
    assert axis["range"] == [15, 115]


def test_a_small_difference_looks_small() -> None:
    lowest, highest = percent_axis([94.1, 94.3])["range"]
    assert highest - lowest > 50 * 0.2


def test_no_error_bar_leaves_the_axis() -> None:
    bars = percent_bars([98, 2, 50], [5, 5, 5])
    assert bars["array"] == [2, 5, 5]
    assert bars["arrayminus"] == [5, 2, 5]
