"""Step 4: train, and watch the training."""

import streamlit as st

from pages.ui.app.deleted_run import show_deleted_run
from pages.ui.app.page import guarded, require, run_page
from pages.ui.app.process import trainings
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.train.form import show_train_form
from pages.ui.train.live import show_live
from pages.ui.train.outcome import show_result
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE


def show_train(session: Session) -> None:
    """Draw the page: the form, the active run, or the result of a run."""
    show_deleted_run(session)
    if session.run_id is None:
        if require(session, Step.MODEL, Step.IMAGES, Step.LAYERS):
            show_train_form(session)
    elif trainings().status(session.run_id) in ACTIVE:
        st.fragment(guarded(show_live), run_every="1s")(session)
    else:
        show_result(session)


run_page(_("Train"), show_train, step=Step.TRAIN)
