"""Save a dataset with its runs as one file, and open such a file."""

import streamlit as st

from pages.ui.app.page import guarded, run_page
from pages.ui.app.session import Session
from pages.ui.projects.project_file import show_opening, show_saving
from transfer_core.language import _


def show_projects(session: Session) -> None:
    """Draw the page."""
    st.markdown(
        _(
            "Take your photos, your trained models and their settings to another computer, or put them away safely, as "
            "one file. Opened there, the models give the very same answers."
        )
    )
    with st.container(border=True, key="save-project"):
        st.subheader(_("Save a project"), anchor=False)
        guarded(show_saving)(session)
    with st.container(border=True, key="open-project"):
        st.subheader(_("Open a project"), anchor=False)
        guarded(show_opening)(session)


run_page(_("Projects"), show_projects)
