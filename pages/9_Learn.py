"""Short lessons, illustrated by the person's own run."""

import streamlit as st

from pages.ui.app.page import run_page
from pages.ui.app.run_choice import choose_run
from pages.ui.app.session import Session
from pages.ui.learn.lessons import lessons, show_lesson
from transfer_core.language import _


def show_learn(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    about = (
        _("Nine short lessons, each with a look at your run of {date}.").format(
            date=f"{run.created_at:%Y-%m-%d %H:%M}"
        )
        if run
        else _("Nine short lessons. Once you have trained a model, each shows itself in your own numbers.")
    )
    st.markdown(about)
    for number, lesson in enumerate(lessons(), 1):
        with st.container(border=True, key=f"lesson-{lesson.name}"):
            show_lesson(session, number, lesson, run)


run_page(_("Learn"), show_learn)
