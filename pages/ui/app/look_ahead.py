"""Read the chosen photos with the chosen model before the person presses Start, and show quietly how far that is."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from pages.ui.app.process import work_queue, workspace
from pages.ui.app.session import Session
from transfer_core.backbones.registry import DEFAULT_BACKBONE
from transfer_core.classroom.facts import is_class_mode
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.work.look_ahead import backbones_to_read_with, has_look_ahead, look_ahead_task
from transfer_core.work.task import Task


def look_ahead(session: Session) -> None:
    """Start to read the chosen photos, unless they are read already. The reading of an earlier choice is stopped.

    Called whenever a page is drawn or photos arrive, so it does no more than compare versions. The page itself reports
    what is wrong with its dataset or model.
    """
    with suppress(TransferStudioError):
        _look_ahead(session)


def _look_ahead(session: Session) -> None:
    # Thirty people share the processor of a class, and its trainings run in another process.
    dataset = session.dataset if has_look_ahead() and not is_class_mode() else None
    key = None
    if dataset and dataset.images and not session.is_from_scratch:
        names = backbones_to_read_with(workspace(), dataset, session.backbone_name or DEFAULT_BACKBONE)
        key = (dataset.id, *names) if names else None
    task = _task_of(session)
    if task and session.looked_ahead != key:
        task.request_stop()
    session.looked_ahead = key
    task = _task_of(session)
    if dataset and key and (task is None or _is_behind(task, dataset)):
        queue = work_queue()
        queue.start(look_ahead_task(workspace(), dataset.id, key[1:], queue.is_anybody_waiting))


def show_look_ahead(session: Session) -> None:
    """Draw one line that counts the photos that were read; nothing when none are read ahead."""
    task = _task_of(session)
    if task:
        st.fragment(_show_count, run_every=None if task.is_over else "2s")(session)


def num_photos_read(session: Session) -> int:
    """Return how many of the chosen photos the chosen model has read, of those read ahead."""
    task = _task_of(session)
    return task.progress.num_done if task else 0


def _show_count(session: Session) -> None:
    task = _task_of(session)
    if task and task.progress.num_all:
        text = _("{num_read:,} of {num_photos:,} photos read").format(
            num_read=task.progress.num_done, num_photos=task.progress.num_all
        )
        st.caption(f":material/visibility: {text}")


def _task_of(session: Session) -> Task[int] | None:
    return work_queue().find("look-ahead", session.looked_ahead, workspace().owner)


def _is_behind(task: Task[int], dataset: ImageDataset) -> bool:
    return task.is_over and not task.error and task.result != dataset.version
