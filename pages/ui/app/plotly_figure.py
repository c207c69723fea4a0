"""Plotly figures with numbers as the language of the visitor writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from transfer_core.language import number_separators, percent_sign

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STEPS = (2, 5, 10, 20)
_MOST_STEPS = 5
# A smaller part of the axis would make a difference by chance look large.
_LEAST_SPAN = 10


def percent_axis(values: Sequence[float], spreads: Sequence[float] = ()) -> dict[str, Any]:
    """Return an axis that shows values in per cent, with a few round ticks and none above 100.

    Args:
        values: 0-100, at least one.
        spreads: To both sides of each value; none if not given.
    """
    pairs = list(zip(values, spreads or [0.0] * len(values), strict=True))
    highest = min(max(value + spread for value, spread in pairs), 100)
    lowest = max(min(min(value - spread for value, spread in pairs), highest - _LEAST_SPAN), 0)
    step = next((step for step in _STEPS if highest - lowest <= _MOST_STEPS * step), _STEPS[-1])
    # Less than a step above the highest value, so that 100 is the last tick.
    bounds = [max(lowest - 0.75 * step, 0), highest + 0.75 * step]
    return {"ticksuffix": percent_sign(), "dtick": step, "tick0": 0, "range": bounds}


def percent_bars(values: Sequence[float], spreads: Sequence[float]) -> dict[str, Any]:
    """Return the error bars of values in per cent; none leaves 0-100.

    Args:
        values: 0-100.
        spreads: To both sides of each value.
    """
    pairs = list(zip(values, spreads, strict=True))
    return {
        "type": "data",
        "array": [min(spread, 100 - value) for value, spread in pairs],
        "arrayminus": [min(spread, value) for value, spread in pairs],
    }


def show_figure(figure: Figure, key: str, described: str) -> None:
    """Draw a figure without Plotly's own buttons.

    Args:
        figure: The figure.
        key: Unique on the page.
        described: Is read out by screen readers.
    """
    # In the browser the numbers of ticks and hovers get their separators from here.
    figure.update_layout(separators=number_separators())
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=described)
