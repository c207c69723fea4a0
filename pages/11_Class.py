"""The teacher's page: who is in the class and what they do."""

import streamlit as st

from pages.ui.app.page import run_page
from pages.ui.app.process import visitor
from pages.ui.app.session import Session
from pages.ui.classroom.board import show_board
from transfer_core.language import _


def show_class(session: Session) -> None:
    """Draw the board for the teacher, and a sentence for everyone else."""
    match visitor().role:
        case "teacher":
            show_board(session)
        case "pupil":
            st.info(_("Only your teacher can open this page."), icon=":material/lock:")
        case _:
            st.info(_("There is no class on this server."), icon=":material/info:")
            st.markdown(_("To begin one, start the app like this: `python3 start.py --class`."))


run_page(_("Your class"), show_class)
