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
            "Save your photos and your models as one file. Open it on another computer: the models answer just the "
            "same there."
        )
    )
    with st.container(border=True, key="save-project"):
        st.header(_("Save a project"), anchor=False)
        guarded(show_saving)(session)
    with st.container(border=True, key="open-project"):
        st.header(_("Open a project"), anchor=False)
        guarded(show_opening)(session)


run_page(_("Projects"), show_projects)
