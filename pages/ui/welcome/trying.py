"""Column 3 of the quick start: try the model."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.run_choice import shown_run_id
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from transfer_core.language import _


def show_trying(session: Session) -> None:
    """Draw the link to the Test page once there is a model."""
    st.subheader(_("3 Try it"), anchor=False)
    if session.run_id and shown_run_id(session) == session.run_id:
        st.page_link(Step.TEST.page, label=_("Try it"), icon=Step.TEST.icon, query_params=session.query())
    else:
        st.caption(_("Your model answers here."))
