"""Short lessons, illustrated by the person's own model."""

import streamlit as st

from pages.ui.app.page import run_page
from pages.ui.app.run_choice import choose_run
from pages.ui.app.session import Session
from pages.ui.app.words import model_name, plain
from pages.ui.learn.lessons import lessons, show_lesson
from transfer_core.language import _


def show_learn(session: Session) -> None:
    """Draw the page."""
    run = choose_run(session)
    about = (
        _("Nine short lessons, shown with your model {name}.").format(name=plain(model_name(run)))
        if run
        else _("Nine short lessons. Train a model, and they use your own results.")
    )
    st.markdown(about)
    for number, lesson in enumerate(lessons(session), 1):
        with st.container(border=True, key=f"lesson-{lesson.name}"):
            show_lesson(session, number, lesson, run)


run_page(_("Learn"), show_learn)
