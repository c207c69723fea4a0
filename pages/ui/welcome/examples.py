"""Column 1 of the quick start: the classes and their photos."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.session import Session
from pages.ui.components.class_cards import show_class_cards
from pages.ui.components.folder_upload import show_folder_upload
from transfer_core.language import _


def show_examples(session: Session) -> None:
    """Draw the classes of the chosen photos as cards, and the ways to bring photos."""
    st.header(_("1 Show examples"), anchor=False)
    show_class_cards(session)
    with st.expander(_("A whole folder"), icon=":material/folder_open:"):
        show_folder_upload(session, session.dataset)
