"""Collect the projects of all pupils as one zip."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.network import here_address
from pages.ui.app.process import work_queue
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.words import memory_words, plain
from pages.ui.classroom.handing import show_missed
from pages.ui.classroom.teacher import callback_for_teacher
from pages.ui.server.class_routes import COLLECTED_PREFIX
from pages.ui.server.service import service
from transfer_core.classroom.collect import Collected, collect_task, collected_path
from transfer_core.errors import NotFoundError
from transfer_core.language import _, plural
from transfer_core.work.task import Task


def show_collecting(_session: Session) -> None:
    """Draw the button that collects, the progress, and the way to the file."""
    st.markdown(
        _("One zip with a folder for each pupil: their latest photos and the models trained on them.")
    )
    task: Task[Collected] | None = work_queue().find("collecting", "class")
    if task and not task.is_over:
        show_task(task, lambda _progress: _("Collecting …"), name="collecting")
        return
    is_there = bool(task and _show_end(task))
    st.button(
        _("Collect again") if is_there else _("Collect all projects"),
        icon=":material/inventory_2:",
        type="secondary" if is_there else "primary",
        key="collect",
        on_click=callback_for_teacher(_start),
    )


def _start() -> None:
    work_queue().start(collect_task(service().workspace))


def _show_end(task: Task[Collected]) -> bool:
    """Draw how the collecting ended. Returns whether there is a file."""
    if task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    if task.result is None:
        return False
    result = task.result
    try:
        collected_path(service().workspace, result.id)
    except NotFoundError:
        return False
    words = plural("{count} project is in the file.", "{count} projects are in the file.", result.num_people)
    st.success(words, icon=":material/check:")
    show_missed(result.missed)
    st.link_button(
        _("Download ({size})").format(size=memory_words(result.num_bytes)),
        here_address(f"{COLLECTED_PREFIX}/{result.id}"),
        icon=":material/download:",
        type="primary",
        key="download-collected",
    )
    return True
