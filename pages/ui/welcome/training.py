"""Column 2 of the quick start: train, and watch it."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.sample_run import start_recommended
from pages.ui.app.session import Session
from pages.ui.app.steps import Step, step_state
from transfer_core.language import _


def show_training(session: Session) -> None:
    """Draw the Train button."""
    st.subheader(_("2 Train"), anchor=False)
    if st.button(
        _("Train"), type="primary", width="stretch", disabled=not step_state(Step.IMAGES, session).is_done
    ):
        guarded(_start)(session)


def _start(session: Session) -> None:
    start_recommended(session)
    st.switch_page(Step.TRAIN.page)
