"""Column 2 of the quick start: train, and watch it."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.sample_run import start_recommended
from pages.ui.app.session import Session
from pages.ui.app.words import accuracy_words, expected_sentence, phase_words, plain, time_left_words
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun

_SECONDS_A_TICK = 0.4


def show_training(session: Session) -> None:
    """Draw the Train button, the training while it goes on, and then its accuracy."""
    st.header(_("2 Train"), anchor=False)
    run_id = session.run_id
    if run_id and trainings().status(run_id) in ACTIVE:
        st.fragment(guarded(_show_live), run_every=_SECONDS_A_TICK)(session)
        return
    dataset = session.dataset
    missing = _missing(dataset)
    run = TrainingRun.load(workspace(), run_id) if run_id else None
    has_changed = run is None or dataset is None or not dataset.has_photos_of(run.dataset_version)
    if st.button(
        _("Train again") if run else _("Train"),
        type="primary" if has_changed else "secondary",
        width="stretch",
        disabled=bool(missing),
        key="quick-train",
    ):
        guarded(_start)(session)
    if missing:
        st.caption(missing)
    if run:
        _show_outcome(run, dataset)


def _start(session: Session) -> None:
    start_recommended(session)
    st.rerun()


def _missing(dataset: ImageDataset | None) -> str:
    """Return what is still missing for a training, as a sentence; empty if nothing is."""
    counts = dataset.counts() if dataset else {}
    if len(counts) < 2:
        return _("Add photos of two things first.")
    smallest = min(counts, key=counts.__getitem__)
    if counts[smallest] < 2:
        return _("Add another photo of {class_name}.").format(class_name=plain(smallest))
    assert dataset is not None
    try:
        dataset.check_trainable()
    except TransferStudioError as error:
        return plain(str(error))
    return ""


def _show_live(session: Session) -> None:
    """Draw a run that waits or trains. Called several times a second."""
    run_id = session.run_id
    if run_id is None or trainings().status(run_id) not in ACTIVE:
        st.rerun()
    queue = trainings()
    snapshot = queue.snapshot(run_id).at(time.time())
    has_best = snapshot.best is not None
    st.button(
        _("Stop and keep the model") if has_best else _("Cancel"),
        icon=":material/stop:",
        width="stretch",
        key="quick-stop",
        disabled=queue.is_stopping(run_id),
        on_click=queue.request_stop,
        args=(run_id,),
    )
    st.progress(snapshot.share, text=_progress_words(run_id, snapshot))


def _progress_words(run_id: str, snapshot: RunSnapshot) -> str:
    if place := trainings().place(run_id):
        return plural(
            "{count} training goes first. Yours starts by itself.",
            "{count} trainings go first. Yours starts by itself.",
            place,
        )
    words = phase_words(snapshot)
    left = snapshot.seconds_left
    return f"{words} · {time_left_words(left)}" if left is not None else words


def _show_outcome(run: TrainingRun, dataset: ImageDataset | None) -> None:
    """Draw what came of a run that has ended."""
    snapshot = trainings().snapshot(run.id)
    evaluation = stored_evaluation(run.id)
    if evaluation:
        with st.container(key="quick-accuracy"):
            st.markdown(f"**{accuracy_words(evaluation)}**")
            st.caption(expected_sentence(evaluation))
    elif snapshot.message:
        st.error(plain(snapshot.message), icon=":material/error:")
    if dataset and evaluation:
        st.caption(_again_words(run, dataset))


def _again_words(run: TrainingRun, dataset: ImageDataset) -> str:
    if dataset.has_photos_of(run.dataset_version):
        return _("Better? Add ten more photos of each class, then train again.")
    return _("Your photos have changed. Train again: it takes seconds.")
