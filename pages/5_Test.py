"""Step 5: show the model new photos."""

import streamlit as st

from pages.ui.page import run_page
from pages.ui.predictions import show_predictions
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.test_images import choose_run, collect_images
from transfer_core.language import _


def show_test(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    if run is None:
        st.info(_("There is no trained model yet. Train one first."), icon=":material/info:")
        st.page_link(
            Step.TRAIN.page, label=_("Go to Train"), icon=Step.TRAIN.icon, query_params=session.query()
        )
        return
    images = collect_images(run)
    if images:
        show_predictions(run, images)


run_page(_("Test"), show_test, step=Step.TEST)
