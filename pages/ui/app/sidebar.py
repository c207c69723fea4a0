"""The seven steps with what has been chosen, and the running training, on every page."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.look_ahead import show_look_ahead
from pages.ui.app.process import trainings
from pages.ui.app.run_choice import show_model_picker
from pages.ui.app.session import Session
from pages.ui.app.steps import Step, step_state
from pages.ui.app.words import phase_words, plain, status_words
from transfer_core.language import _, plural


def show_sidebar(session: Session) -> None:
    """Draw the sidebar."""
    with st.sidebar:
        st.page_link(
            "welcome.py", label="**Transfer Studio**", icon=":material/school:", query_params=session.query()
        )
        show_model_picker(session)
        for number, step in enumerate(Step, 1):
            state = step_state(step, session)
            with st.container(key=f"step-{step.name.lower()}", gap=None):
                st.page_link(
                    step.page, label=f"{number} · {step.title}", icon=step.icon, query_params=session.query()
                )
                mark = ":material/check_circle:" if state.is_done else ":material/radio_button_unchecked:"
                st.caption(f"{mark} {state.text}")
                if step is Step.IMAGES:
                    show_look_ahead(session)
        st.caption(_("More"))
        for page, label, icon in _more_pages():
            st.page_link(page, label=label, icon=icon, query_params=session.query())
        if trainings().running:
            st.divider()
            st.fragment(_show_running_training, run_every="2s")(session)


def _more_pages() -> list[tuple[str, str, str]]:
    """Return file, name and icon of each page beside the journey."""
    return [
        ("pages/8_Compare.py", _("Compare"), ":material/compare_arrows:"),
        ("pages/9_Learn.py", _("Learn"), ":material/school:"),
        ("pages/10_Projects.py", _("Projects"), ":material/inventory_2:"),
    ]


def _show_running_training(session: Session) -> None:
    """Draw the run that is being trained now, whoever started it."""
    run = trainings().running
    if run is None:
        st.rerun()
    snapshot = trainings().snapshot(run.id).at(time.time())
    st.caption(status_words("paused" if snapshot.is_paused else "running").state)
    st.progress(snapshot.share, text=f"{plain(run.dataset_name)}: {phase_words(snapshot)}")
    if session.run_id and trainings().status(session.run_id) == "queued":
        place = trainings().place(session.run_id)
        if place:
            st.caption(
                plural("Your run waits: {count} before it.", "Your run waits: {count} before it.", place)
            )
    if session.run_id != run.id and st.button(
        _("Look at it"), icon=":material/monitoring:", key="look-at-running", type="tertiary"
    ):
        session.run_id = run.id
        st.switch_page(Step.TRAIN.page)
