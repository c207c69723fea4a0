"""The seven steps with what has been chosen, and the running training, on every page."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.computers import show_computers, waiting_for_computer_words, with_computer
from pages.ui.app.language_choice import show_language_choice
from pages.ui.app.look_ahead import show_look_ahead
from pages.ui.app.person import show_person
from pages.ui.app.process import trainings, visitor
from pages.ui.app.run_choice import show_model_picker
from pages.ui.app.session import Session
from pages.ui.app.steps import Step, step_state
from pages.ui.app.task_progress import announce_share
from pages.ui.app.words import labelled, phase_words, plain, status_words, waiting_words
from transfer_core.language import _, plural
from transfer_core.runs.training_run import TrainingRun

# Beside the steps there is room for few.
_MOST_SHOWN = 3


def show_sidebar(session: Session, current: Step | None) -> None:
    """Draw the sidebar.

    Args:
        session: The person's choices.
        current: The step whose page is drawn, if any.
    """
    with st.sidebar:
        st.page_link(
            "welcome.py", label="**Transfer Studio**", icon=":material/school:", query_params=session.query()
        )
        show_person()
        show_model_picker(session)
        for number, step in enumerate(Step, 1):
            state = step_state(step, session)
            with st.container(key=f"{'here' if step is current else 'step'}-{step.name.lower()}", gap=None):
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
        if visitor().is_in_charge:
            show_computers("sidebar")
        if _runs_to_show(session, current):
            st.divider()
            st.fragment(_show_trainings, run_every="2s")(session, current)
        show_language_choice()


def show_step_strip(session: Session, current: Step | None) -> None:
    """Draw where one is in the journey, for narrow screens, on which the sidebar is closed."""
    with st.container(key="journey", gap=None):
        if current:
            place = _("Step {number} of {count}").format(
                number=list(Step).index(current) + 1, count=len(Step)
            )
            st.html(f'<p class="step-place">{place}</p>')
        with st.container(horizontal=True, gap=None, key="journey-links"):
            for step in Step:
                with st.container(key=f"{'at' if step is current else 'to'}-{step.name.lower()}"):
                    st.page_link(step.page, label=step.title, icon=step.icon, query_params=session.query())


def _more_pages() -> list[tuple[str, str, str]]:
    """Return file, name and icon of each page beside the journey, those for the teacher alone among them."""
    of_teacher = [("pages/11_Class.py", _("Your class"), ":material/groups:")]
    return [
        *(of_teacher if visitor().role == "teacher" else []),
        ("pages/8_Compare.py", _("Compare"), ":material/compare_arrows:"),
        ("pages/9_Learn.py", _("Learn"), ":material/school:"),
        ("pages/10_Projects.py", _("Projects"), ":material/inventory_2:"),
        ("pages/12_Your_data.py", _("Your data"), ":material/folder_managed:"),
    ]


def _runs_to_show(session: Session, current: Step | None) -> list[TrainingRun]:
    """Return the runs of the person that are being trained now, or else the first of theirs that waits."""
    queue = trainings()
    runs = queue.running_runs or [run for run in [queue.waiting] if run]
    # The Train page shows its own run larger, and is drawn more often.
    return [run for run in runs if not (current is Step.TRAIN and session.run_id == run.id)]


def _show_trainings(session: Session, current: Step | None) -> None:
    """Draw the person's trainings, a few of many."""
    queue, runs = trainings(), _runs_to_show(session, current)
    if not runs:
        st.rerun()
    for run in runs[:_MOST_SHOWN]:
        _show_training(session, run, is_heard=run is runs[0] and current is not Step.TRAIN)
    if len(runs) > _MOST_SHOWN:
        st.caption(plural("{count} more training now", "{count} more trainings now", len(runs) - _MOST_SHOWN))
    chosen = session.run_id
    if chosen and chosen != runs[0].id and queue.status(chosen) == "queued" and queue.place(chosen):
        st.caption(waiting_words(queue.place(chosen), queue.waiting_seconds(chosen)))


def _show_training(session: Session, run: TrainingRun, *, is_heard: bool) -> None:
    """Draw a run with its status, and where it is trained.

    Args:
        session: Knows the run that the person looks at.
        run: Is trained or waits.
        is_heard: Whether each tenth of the way is read to people who cannot see.
    """
    queue = trainings()
    status, snapshot = queue.status(run.id), queue.snapshot(run.id).at(time.time())
    is_waiting = status == "queued"
    words = phase_words(snapshot)
    if is_waiting and (place := queue.place(run.id)):
        words = waiting_words(place, queue.waiting_seconds(run.id))
    elif snapshot.is_lost or (is_waiting and queue.is_remote):
        words = waiting_for_computer_words()
    elif is_heard:
        announce_share(words, snapshot.share)
    state = status_words("queued" if snapshot.is_lost else status).state
    st.caption(state if is_waiting else with_computer(state, snapshot))
    st.progress(snapshot.share, text=labelled(plain(run.dataset_name), words))
    if session.run_id != run.id and st.button(
        _("Show it"), icon=":material/monitoring:", key=f"look-at-{run.id}", type="tertiary"
    ):
        session.run_id = run.id
        st.switch_page(Step.TRAIN.page)
