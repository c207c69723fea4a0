"""Column 1 of the quick start: the classes and their photos."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.layout_question import forgetting_lost_questions
from pages.ui.app.page import guarded
from pages.ui.app.session import Session
from pages.ui.app.uploads import archive_field
from pages.ui.components.class_cards import show_class_cards
from pages.ui.components.folder_upload import show_folder_upload
from pages.ui.images.add_photos import take_archive
from pages.ui.images.your_phone import show_use_my_phone
from transfer_core.language import _


def show_examples(session: Session) -> None:
    """Draw the classes of the chosen photos as cards, and the ways to bring a whole folder."""
    st.header(_("1 Show examples"), anchor=False)
    show_class_cards(session)
    show_use_my_phone(session)
    with st.expander(_("A whole folder or zip"), icon=":material/folder_open:", key="whole-folder"):
        dataset = session.dataset
        # A person's own folder is no part of a ready-made set.
        extended = None if dataset and dataset.sample else dataset
        with forgetting_lost_questions(session):
            show_folder_upload(session, extended)
            file = archive_field(_("A zip of such a folder"), f"zip-{session.num_files_taken}")
            if file:
                guarded(take_archive)(session, extended, file)
