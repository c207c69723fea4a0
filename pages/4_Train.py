"""Step 4: train, and watch it learn."""

import streamlit as st

from pages.ui.page import guarded, require, run_page
from pages.ui.process import run_queue
from pages.ui.results import show_result, show_undo
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.train_form import show_train_form
from pages.ui.training import show_live
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE


def show_train(session: Session) -> None:
    """Draw the page: the form, or the run that is going on, or what came of it."""
    show_undo(session)
    if session.run_id is None:
        if require(session, Step.MODEL, Step.IMAGES, Step.LAYERS):
            show_train_form(session)
    elif run_queue().status(session.run_id) in ACTIVE:
        st.fragment(guarded(show_live), run_every="1s")(session)
    else:
        show_result(session)


run_page(_("Train"), show_train, step=Step.TRAIN)
