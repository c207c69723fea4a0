"""Plotly figures with numbers as the language of the visitor writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from transfer_core.language import number_separators

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


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
