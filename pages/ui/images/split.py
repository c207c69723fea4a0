"""The split into training, validation and test photos: a chart by class, and its settings."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.plotly_figure import show_figure
from pages.ui.app.words import labelled, percent_format, short_names
from transfer_core.config import MAX_FOLDS, MIN_FOLDS, bounds_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import SplitBy
from transfer_core.language import _, names_list, number, sort_key


def show_split(dataset: ImageDataset) -> None:
    """Draw the split by class and the choice of another; a change is saved at once."""
    title = _("Training and validation photos")
    with st.expander(title, icon=":material/call_split:", key=f"split-{dataset.id}"):
        _show_class_counts(dataset)
        split_by = _choose_way(dataset)
        share, num_folds = dataset.validation_split, dataset.num_folds
        if split_by == "share":
            share = _choose_share(dataset)
        elif split_by == "folds":
            num_folds = st.slider(
                _("Number of folds"),
                MIN_FOLDS,
                MAX_FOLDS,
                num_folds,
                help=explain("cross-validation"),
                key=f"folds-{dataset.id}-{num_folds}",
            )
            st.caption(
                _(
                    "The model is trained {count} times, each time validated on another fold. "
                    "You see the mean and the spread. Good for fewer than 200 photos."
                ).format(count=num_folds)
            )
        else:
            st.caption(_("Your folders or your table decide."))
        seed = dataset.seed
        if split_by != "folders":
            lowest, highest = map(int, bounds_of("seed"))
            key = f"seed-{dataset.id}-{seed}"
            seed = int(
                st.number_input(_("Seed of the split"), lowest, highest, seed, help=explain("seed"), key=key)
            )
        st.caption(_("With two recordings of a class, we never validate on a recording we trained on."))
    chosen = (share, seed, split_by, num_folds)
    if chosen != (dataset.validation_split, dataset.seed, dataset.split_by, dataset.num_folds):
        guarded(_save)(dataset, *chosen)


def _show_class_counts(dataset: ImageDataset) -> None:
    """Draw how many images each class has in each part of the split."""
    parts = [
        (_("training photos"), dataset.counts("train"), "", "#0072b2", "#ffffff"),
        (_("✓ validation photos"), dataset.counts("validation"), " ✓", "#e69f00", "#000000"),
    ]
    if dataset.images_in("test"):
        parts.append((_("◆ test photos"), dataset.counts("test"), " ◆", "#009e73", "#000000"))
    names = sorted(dataset.class_names, key=sort_key)
    labels = short_names(names)
    figure = go.Figure(
        [
            go.Bar(
                name=title,
                y=[escape(labels[name]) for name in names],
                x=[counts[name] for name in names],
                orientation="h",
                text=[f"{number(counts[name])}{mark}" for name in names],
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
        height=90 + 34 * len(names),
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        xaxis={"title": _("photos")},
        yaxis={"autorange": "reversed", "type": "category"},
    )
    described = "; ".join(
        labelled(name, names_list(labelled(title, number(counts[name])) for title, counts, *_look in parts))
        for name in names
    )
    show_figure(figure, "class-counts", described)


def _choose_way(dataset: ImageDataset) -> SplitBy:
    words: dict[SplitBy, str] = {"share": _("A share of each class"), "folds": _("Folds")}
    if dataset.has_given_split:
        words = {"folders": _("As in my folders"), **words}
    return st.segmented_control(
        _("Which photos are for validation?"),
        list(words),
        default=dataset.split_by if dataset.split_by in words else "share",
        required=True,
        format_func=words.__getitem__,
        help=explain("validation"),
        key=f"split-by-{dataset.id}",
    )


def _choose_share(dataset: ImageDataset) -> float:
    percent = round(dataset.validation_split * 100)
    share = st.slider(
        _("Validation photos of each class"),
        5,
        50,
        min(max(percent, 5), 50),
        step=5,
        format=percent_format(),
        help=explain("validation"),
        key=f"share-{dataset.id}-{percent}",
    )
    # Keep a share that the slider cannot show, such as one from the command line, until the slider is moved.
    return dataset.validation_split if share == min(max(percent, 5), 50) else share / 100


def _save(dataset: ImageDataset, share: float, seed: int, split_by: SplitBy, num_folds: int) -> None:
    dataset.with_split(share, seed, split_by=split_by, num_folds=num_folds).save()
    st.rerun()
