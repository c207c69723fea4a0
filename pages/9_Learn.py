"""Short lessons, bound to the person's own runs."""

import streamlit as st

from pages.ui.app.page import guarded, run_page
from pages.ui.app.process import run_queue, workspace
from pages.ui.app.run_choice import wanted_run_id
from pages.ui.app.session import Session
from pages.ui.app.words import plain
from pages.ui.learn.lessons import Lesson, go_to, lessons
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun


def show_learn(session: Session) -> None:
    """Draw the page."""
    st.title(_("Learn"), anchor=False)
    run_id = wanted_run_id(session)
    run = TrainingRun.load(workspace(), run_id) if run_id else None
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


def show_lesson(session: Session, number: int, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw one lesson."""
    st.subheader(f"{number} · {lesson.title}", anchor=False)
    st.markdown(lesson.text)
    guarded(show_sight)(session, lesson, run)


def show_sight(session: Session, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw what there is to see of a lesson, with the way there."""
    sight = lesson.see(run, run_queue().snapshot(run.id)) if run else lesson.begin
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/visibility: {sight.text}")
        if st.button(sight.label, key=f"see-{lesson.name}", help=plain(lesson.title)):
            go_to(session, sight, run)
            st.switch_page(sight.page)


run_page(_("Learn"), show_learn)
