"""Column 2 of the quick start: train, and watch it."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.computers import show_cluster_problem, waiting_for_computer_words, with_computer
from pages.ui.app.page import guarded, guarded_callback
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.run_choice import shown_run_id
from pages.ui.app.sample_run import start_recommended
from pages.ui.app.session import Session
from pages.ui.app.words import (
    accuracy_words,
    expected_sentence,
    phase_words,
    plain,
    time_left_words,
    waiting_words,
)
from pages.ui.train.charts import show_accuracy_chart
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.events import RunSnapshot
from transfer_core.language import _, percent, plural, said
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun

_CHART_HEIGHT = 170
_SECONDS_A_TICK = 0.4


def show_training(session: Session) -> None:
    """Draw the Train button, the training while it goes on, and then its accuracy."""
    st.header(_("2 Train"), anchor=False)
    if session.run_id and trainings().status(session.run_id) in ACTIVE:
        st.fragment(guarded(_show_live), run_every=_SECONDS_A_TICK)(session)
        return
    dataset = session.dataset
    missing = _missing(dataset)
    run = _shown_run(session, dataset)
    snapshot = trainings().snapshot(run.id) if run else RunSnapshot()
    has_accuracy = snapshot.outcome in ("finished", "stopped") and snapshot.best is not None
    is_up_to_date = bool(run and dataset and dataset.has_photos_of(run.dataset_version))
    if st.button(
        _("Train again") if run else _("Train"),
        type="secondary" if has_accuracy and is_up_to_date else "primary",
        icon=":material/model_training:",
        width="stretch",
        disabled=bool(missing),
        key="quick-train",
    ):
        guarded(_start)(session)
    with st.container(key="quick-state"):
        if run:
            _show_outcome(run, snapshot)
        elif missing:
            st.caption(missing)
        elif dataset:
            st.caption(_ready_words(dataset))
    show_accuracy_chart(snapshot, height=_CHART_HEIGHT)
    if run and missing:
        st.caption(missing)
    elif has_accuracy and dataset:
        st.caption(_again_words(dataset, is_up_to_date=is_up_to_date))


def _shown_run(session: Session, dataset: ImageDataset | None) -> TrainingRun | None:
    """Return the run that the person looks at; beside photos only a run that was trained on them."""
    run_id = shown_run_id(session) or session.run_id
    run = TrainingRun.load(workspace(), run_id) if run_id else None
    return run if run and (dataset is None or run.dataset_id == dataset.id) else None


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


def _ready_words(dataset: ImageDataset) -> str:
    photos = plural("{count} photo", "{count} photos", len(dataset.images))
    classes = plural("{count} class", "{count} classes", len(dataset.class_names))
    return _("{photos} in {classes}. Ready to train.").format(photos=photos, classes=classes)


def _show_live(session: Session) -> None:
    """Draw a run that waits or trains. Called several times a second."""
    run_id = session.run_id
    if run_id is None or trainings().status(run_id) not in ACTIVE:
        st.rerun()
    queue = trainings()
    snapshot = queue.snapshot(run_id).at(time.time())
    st.button(
        _("Stop and keep the model") if snapshot.best else _("Cancel"),
        icon=":material/stop:",
        width="stretch",
        key="quick-stop",
        disabled=queue.is_stopping(run_id),
        on_click=guarded_callback(queue.request_stop),
        args=(run_id,),
    )
    with st.container(key="quick-state"):
        st.progress(snapshot.share, text=_progress_words(run_id, snapshot))
        if snapshot.is_lost or queue.status(run_id) == "queued":
            show_cluster_problem()
        if snapshot.accuracy is not None:
            st.markdown(f"**{percent(snapshot.accuracy)}**")
        elif snapshot.first_guess is not None:
            first_guess = _("First guess: {accuracy}").format(accuracy=percent(snapshot.first_guess))
            st.markdown(f"**{first_guess}**")
    show_accuracy_chart(snapshot, height=_CHART_HEIGHT)


def _progress_words(run_id: str, snapshot: RunSnapshot) -> str:
    if place := trainings().place(run_id):
        return waiting_words(place, trainings().waiting_seconds(run_id))
    is_waiting = trainings().is_remote and trainings().status(run_id) == "queued"
    if snapshot.is_lost or is_waiting:
        return waiting_for_computer_words()
    words = with_computer(phase_words(snapshot), snapshot)
    left = snapshot.seconds_left
    return f"{words} · {time_left_words(left)}" if left is not None else words


def _show_outcome(run: TrainingRun, snapshot: RunSnapshot) -> None:
    """Draw what came of a run that has ended."""
    evaluation = stored_evaluation(run.id)
    if evaluation:
        st.markdown(f"**{accuracy_words(evaluation)}**")
        st.caption(expected_sentence(evaluation))
    elif snapshot.outcome == "finished" and snapshot.accuracy is not None:
        st.markdown(f"**{percent(snapshot.accuracy)}**")
    elif snapshot.outcome == "stopped":
        st.caption(plain(said(snapshot.message)))
    else:
        cut_off = _("This training was cut off. Train again.")
        st.error(plain(said(snapshot.message)) or cut_off, icon=":material/error:")


def _again_words(dataset: ImageDataset, *, is_up_to_date: bool) -> str:
    """Return how to make the model better, in a sentence or two."""
    if not is_up_to_date:
        return _("Your photos have changed. Train again: it takes seconds.")
    if once := dataset.classes_of_one_recording:
        return _("Record {class_name} once more, from another angle. Then train again.").format(
            class_name=plain(once[0])
        )
    return _("Add ten more photos of each class, then train again.")
