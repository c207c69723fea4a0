"""Step 4: train, and watch it learn."""

import streamlit as st

from pages.ui.page import guarded, require, run_page
from pages.ui.process import run_queue
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.train_form import show_train_form
from pages.ui.training import show_live, show_result
from transfer_core.language import _

ACTIVE = ("queued", "running")


def show_train(session: Session) -> None:
    """Draw the page: the form, or the run that is going on, or what came of it."""
    is_active = session.run_id is not None and run_queue().status(session.run_id) in ACTIVE
    if is_active:
        st.fragment(guarded(show_live), run_every="1s")(session)
        return
    if session.run_id:
        show_result(session)
        st.divider()
        st.subheader(_("Train again"), anchor=False)
    if require(session, Step.MODEL, Step.IMAGES, Step.LAYERS):
        show_train_form(session)


run_page(_("Train"), show_train, step=Step.TRAIN)
