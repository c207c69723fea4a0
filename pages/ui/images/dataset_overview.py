"""A dataset in a few numbers: its classes, its split, and the images of each class as a chart."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.words import plain, short_names
from pages.ui.images.split import show_split_choice
from transfer_core.data.checks.notices import read_as_sentence
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _


def show_overview(dataset: ImageDataset) -> None:
    """Draw name, counts and the split."""
    st.subheader(plain(dataset.name), anchor=False)
    if dataset.read_as:
        st.caption(plain(read_as_sentence(dataset.read_as)))
    with st.container(horizontal=True):
        st.metric(_("Classes"), len(dataset.class_names), border=True)
        st.metric(_("To learn from"), f"{len(dataset.images_in('train')):,}", border=True)
        st.metric(
            _("To check with"),
            f"{len(dataset.images_in('validation')):,}",
            help=explain("validation"),
            border=True,
        )
        if tested := dataset.images_in("test"):
            st.metric(_("To test with"), f"{len(tested):,}", help=explain("test images"), border=True)
    _show_class_counts(dataset)
    show_split_choice(dataset)


def _show_class_counts(dataset: ImageDataset) -> None:
    """Draw how many images each class has in each part of the split."""
    parts = [
        (_("to learn from"), dataset.counts("train"), "", "#0072b2", "#ffffff"),
        (_("✓ to check with"), dataset.counts("validation"), " ✓", "#e69f00", "#000000"),
    ]
    if dataset.images_in("test"):
        parts.append((_("◆ to test with"), dataset.counts("test"), " ◆", "#009e73", "#000000"))
    labels = short_names(dataset.class_names)
    figure = go.Figure(
        [
            go.Bar(
                name=title,
                y=[escape(labels[name]) for name in counts],
                x=list(counts.values()),
                orientation="h",
                text=[f"{count:,}{mark}" for count in counts.values()],
                textposition="inside",
                textangle=0,
                insidetextanchor="middle",
                insidetextfont={"color": text_color, "size": 13},
                marker={"color": color},
            )
            for title, counts, mark, color, text_color in parts
        ]
    )
    figure.update_layout(
        barmode="stack",
        height=90 + 34 * len(dataset.class_names),
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"title": _("images")},
        yaxis={"autorange": "reversed", "type": "category"},
    )
    described = "; ".join(
        f"{name}: " + ", ".join(f"{counts[name]} {title}" for title, counts, *_look in parts)
        for name in dataset.class_names
    )
    st.plotly_chart(figure, key="class-counts", config={"displayModeBar": False}, alt=described)
