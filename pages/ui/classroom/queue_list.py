"""All trainings of the class that run or wait, in order, for the teacher to stop or to move."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.computers import show_computers, waiting_for_computer_words, with_computer
from pages.ui.app.session import Session
from pages.ui.app.words import phase_words, plain, status_words, time_left_words
from pages.ui.classroom.teacher import callback_for_teacher, for_teacher
from pages.ui.server.service import service
from transfer_core.classroom.board import queued_trainings
from transfer_core.classroom.people import people
from transfer_core.language import _, plural
from transfer_core.work.trainings import TrainingTask

# Each row costs a tick a millisecond.
_MOST_SHOWN = 12


def show_queue(_session: Session) -> None:
    """Draw the queue, every two seconds."""
    st.fragment(for_teacher(_show_queue), run_every="2s")()


def _show_queue() -> None:
    show_computers("class")
    tasks = queued_trainings(service().queue)
    if not tasks:
        st.info(_("No training runs or waits now."), icon=":material/done_all:")
        return
    names = {person.id: person.name for person in people(service().workspace)}
    for place, task in enumerate(tasks[:_MOST_SHOWN]):
        with st.container(border=True, key=f"queue-{place}"):
            _show_task(task, names.get(task.owner, _("You")))
    if len(tasks) > _MOST_SHOWN:
        st.caption(
            plural(
                "{count} more training runs or waits.",
                "{count} more trainings run or wait.",
                len(tasks) - _MOST_SHOWN,
            )
        )


def _show_task(task: TrainingTask, name: str) -> None:
    run = task.live.run
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(name)}** · {plain(run.dataset_name)}", width="stretch")
        if task.state == "waiting":
            st.caption(status_words("queued").state, width="content")
            queue = service().queue
            for kind, label, icon, move in (
                ("first", _("First"), ":material/vertical_align_top:", queue.move_first),
                ("last", _("Last"), ":material/vertical_align_bottom:", queue.move_last),
            ):
                st.button(
                    label,
                    icon=icon,
                    key=f"queue-{kind}-{run.id}",
                    on_click=callback_for_teacher(move),
                    args=(task,),
                )
        is_stopping = task.should_stop()
        st.button(
            _("Stopping …") if is_stopping else _("Stop"),
            icon=":material/stop:",
            key=f"queue-stop-{run.id}",
            disabled=is_stopping,
            on_click=callback_for_teacher(task.request_stop),
        )
    if task.state == "running":
        snapshot = task.live.log.snapshot.at(time.time())
        left = snapshot.seconds_left
        words = status_words("paused").state if task.live.is_paused else phase_words(snapshot)
        words = waiting_for_computer_words() if snapshot.is_lost else with_computer(words, snapshot)
        st.progress(snapshot.share, text=words if left is None else f"{words} · {time_left_words(left)}")
