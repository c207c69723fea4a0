"""The learning-rate finder: a button, and its chart when it is done."""

from __future__ import annotations

import streamlit as st

from pages.ui.charts import show_rate_finder
from pages.ui.glossary import explain
from pages.ui.process import rate_search, start_rate_search
from pages.ui.session import Session
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _
from transfer_core.training.rate_finder import RateCurve


def show_rate_finder_button(session: Session, dataset: ImageDataset, config: TrainingConfig) -> None:
    """Draw the button, or what the search with these choices is at, or its result.

    Args:
        session: Gets the suggested rate if the person takes it.
        dataset: What would be learned from.
        config: The choices, all of which the search shares with the training.

    Raises:
        TransferStudioError: If the search failed.
    """
    search = rate_search(dataset, config)
    if search is None:
        if st.button(
            _("Find a learning rate"), icon=":material/search_insights:", help=explain("rate finder")
        ):
            start_rate_search(dataset, config)
            st.rerun()
    elif not search.done():
        st.fragment(_wait, run_every="1s")(dataset, config)
    else:
        _show_found(session, config, search.result())


def _show_found(session: Session, config: TrainingConfig, curve: RateCurve) -> None:
    show_rate_finder(curve)
    rate = float(f"{curve.suggestion:.1e}")
    st.caption(
        _(
            "Suggested: {rate:g}, a tenth of the rate at which the loss was lowest; there it still falls fast."
        ).format(rate=rate)
    )
    if config.learning_rate != rate and st.button(_("Take it"), icon=":material/check:"):
        session.choose_config(config.with_changes(learning_rate=rate))
        st.rerun()


def _wait(dataset: ImageDataset, config: TrainingConfig) -> None:
    search = rate_search(dataset, config)
    if search is None or search.done():
        st.rerun()
    st.caption(_(":material/progress_activity: Trying learning rates, from tiny to too large …"))
