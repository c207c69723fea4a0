"""The split into training and validation images."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from transfer_core.config import MAX_FOLDS, MIN_FOLDS, bounds_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import SplitBy
from transfer_core.language import _


def show_split_choice(dataset: ImageDataset) -> None:
    """Draw the choice of split; a change is saved at once."""
    with st.expander(_("Change the split"), icon=":material/call_split:"):
        split_by = _choose_way(dataset)
        share, num_folds = dataset.validation_split, dataset.num_folds
        if split_by == "share":
            share = _choose_share(dataset)
        elif split_by == "folds":
            num_folds = st.slider(
                _("Number of parts"), MIN_FOLDS, MAX_FOLDS, num_folds, help=explain("cross-validation")
            )
            st.caption(
                _(
                    "Each part takes its turn: the network is trained {count} times, each time without one part, and "
                    "checked with that part. You see the mean and the spread. Good for fewer than 200 images."
                ).format(count=num_folds)
            )
        else:
            st.caption(_("The photos stay in the parts that your folders or your table give them."))
        seed = dataset.seed
        if split_by != "folders":
            lowest, highest = map(int, bounds_of("seed"))
            seed = int(st.number_input(_("Draw number"), lowest, highest, seed, help=explain("seed")))
        st.caption(
            _("Images that show the same, or come from one recording, always stay together on one side.")
        )
    chosen = (share, seed, split_by, num_folds)
    if chosen != (dataset.validation_split, dataset.seed, dataset.split_by, dataset.num_folds):
        guarded(_save)(dataset, *chosen)


def _choose_way(dataset: ImageDataset) -> SplitBy:
    words: dict[SplitBy, str] = {"share": _("A share of each class"), "folds": _("Parts that take turns")}
    if dataset.has_given_split:
        words = {"folders": _("As in my folders"), **words}
    return st.segmented_control(
        _("Which images are kept to check with?"),
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
        _("Share of each class to check with"),
        5,
        50,
        min(max(percent, 5), 50),
        step=5,
        format="%d %%",
        help=explain("validation"),
    )
    # Keep a share that the slider cannot show, such as one from the command line, until the slider is moved.
    return dataset.validation_split if share == min(max(percent, 5), 50) else share / 100


def _save(dataset: ImageDataset, share: float, seed: int, split_by: SplitBy, num_folds: int) -> None:
    dataset.with_split(share, seed, split_by=split_by, num_folds=num_folds).save()
    st.rerun()
