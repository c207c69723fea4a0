"""A run that is queued or training."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import streamlit as st

from pages.ui.app.computers import show_cluster_problem, show_computer, waiting_for_computer_words
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded_callback
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import spoken_share
from pages.ui.app.words import (
    head_words,
    memory_words,
    phase_words,
    plain,
    precision_words,
    run_backbone_title,
    run_depth_words,
    status_words,
    time_left_words,
    waiting_words,
)
from pages.ui.components.photo_grid import Photo, show_photo_grid, show_photo_strip
from pages.ui.train.charts import show_accuracy_chart, show_loss_chart
from transfer_core.data.damage import damaged_photos_sentence
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.events import RunSnapshot
from transfer_core.language import _, number, percent, sentences
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.batches import photos_at, scored_images
from transfer_core.training.curves import read_curves

# As many as stand in a line on a wide screen, and cost a page nothing.
NUM_PHOTOS_READ = 12
_CHART_HEIGHT = 300  # pixels
# The line above the tiles of a grid.
TITLE_HEIGHT = 32  # pixels


def show_live(session: Session) -> None:
    """Draw a run that is queued or training. Called every second."""
    run_id = session.run_id
    if run_id is None or trainings().status(run_id) not in ACTIVE:
        st.rerun()
    run = TrainingRun.load(workspace(), run_id)
    snapshot = trainings().snapshot(run_id).at(time.time())
    place = trainings().place(run_id)
    show_heading(run)
    st.progress(snapshot.share, text=_stage_words(run_id, snapshot, place))
    is_waiting = trainings().status(run_id) == "queued"
    if is_waiting:
        show_cluster_problem()
    else:
        show_computer(snapshot)
    if trainings().has_pause_ended(run_id):
        st.caption(f":material/play_arrow: {_('Your pause ended because others wait.')}")
    _show_photos(run, snapshot)
    with st.container(horizontal=True, vertical_alignment="center", key="live-row"):
        _show_facts(snapshot)
        _show_buttons(run_id, is_waiting=is_waiting)
    photos, chart = st.columns([3, 2], gap="medium")
    with photos:
        _show_validation_photos(run, snapshot)
    with chart:
        show_accuracy_chart(snapshot, height=_CHART_HEIGHT)
    with st.expander(_("Details"), key="live-details"):
        _show_details(snapshot)
        show_course(run, snapshot)
    show_left_out(snapshot)


def show_heading(run: TrainingRun) -> None:
    """Draw dataset, backbone and depth of a run in one line."""
    title = plain(run_backbone_title(run))
    st.caption(f"**{plain(run.dataset_name)}** · {title} · {run_depth_words(run)}")


def show_course(run: TrainingRun, snapshot: RunSnapshot) -> None:
    """Draw what the curves say, the head that was chosen, the precision, and the loss."""
    for sentence in read_curves(snapshot, len(run.class_names)):
        st.caption(f":material/lightbulb: {sentence}")
    _show_head_choice(snapshot)
    if snapshot.precision:
        st.caption(f":material/memory: {precision_words(snapshot.precision)}")
    if snapshot.start or snapshot.epochs or snapshot.batch_losses:
        show_loss_chart(snapshot)


def show_left_out(snapshot: RunSnapshot) -> None:
    """Draw a warning about damaged photos that were left out, if there are any."""
    if snapshot.left_out:
        st.warning(plain(damaged_photos_sentence(snapshot.left_out)), icon=":material/broken_image:")


def photos_of(run: TrainingRun, image_ids: Iterable[str]) -> list[Photo]:
    """Return path and class of images of a run's dataset. A deleted image has a path without a file."""
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    found = (dataset.find(image_id) for image_id in image_ids)
    return [
        (dataset.image_path(image), image.class_name) if image else (dataset.folder, "") for image in found
    ]


def _stage_words(run_id: str, snapshot: RunSnapshot, place: int) -> str:
    if place:
        return waiting_words(place, trainings().waiting_seconds(run_id))
    if trainings().status(run_id) == "queued":
        if trainings().is_remote:
            return sentences(waiting_for_computer_words(), _("Yours starts by itself."))
        return _("Other work goes first. Your training starts by itself.")
    waiting = waiting_for_computer_words() if snapshot.is_lost else ""
    return _words_of_request(run_id, snapshot) or waiting or phase_words(snapshot)


def _words_of_request(run_id: str, snapshot: RunSnapshot) -> str:
    """Return what becomes of a request to stop or to pause; empty where there is none."""
    queue = trainings()
    if queue.is_stopping(run_id):
        if snapshot.phase == "evaluation":
            return _("Stopped. The model gets its final check …")
        return _("Stopping after the present step …")
    if snapshot.is_paused:
        left = queue.seconds_of_pause_left(run_id)
        consequence = (
            _("Nothing is lost while it waits.")
            if left is None
            else _("Others wait: it goes on in {time}.").format(time=time_left_words(max(left, 3.0)))
        )
        return f"{status_words('paused').icon} {sentences(_('Paused.'), consequence)}"
    if queue.is_to_pause(run_id):
        return _("Pausing after the present step …")
    if not queue.is_here(run_id):
        return _("{stage}. Another program on this computer trains this run.").format(
            stage=phase_words(snapshot)
        )
    return ""


def _show_photos(run: TrainingRun, snapshot: RunSnapshot) -> None:
    """Draw the photos that are read now. The stage and each tenth of the way are read to people who cannot see."""
    photos: list[Photo] = []
    with suppress(NotFoundError):
        dataset = ImageDataset.load(workspace(), run.dataset_id)
        photos = [
            (dataset.image_path(image), image.class_name)
            for image in photos_at(dataset, run.config, snapshot, NUM_PHOTOS_READ)
        ]
    status = spoken_share(phase_words(snapshot), snapshot.share)
    show_photo_strip(photos, status=status, key="photos-read")


def _show_facts(snapshot: RunSnapshot) -> None:
    """Draw time left, accuracy and epoch in columns of one width."""
    left, best, guess = snapshot.seconds_left, snapshot.best, snapshot.first_guess
    accuracy = best.val_accuracy if best else guess
    with st.container(horizontal=True, key="facts-live"):
        st.metric(
            _("Time left"), time_left_words(left) if left is not None else "–", help=explain("time left")
        )
        st.metric(
            _("Accuracy") if best or guess is None else _("First guess"),
            percent(accuracy) if accuracy is not None else "–",
            help=explain("kept epoch" if best else "cross-validation"),
        )
        total = snapshot.num_epochs
        st.metric(
            _("Epoch"),
            _("{epoch} of {total}").format(epoch=snapshot.epoch, total=total) if total else "–",
            help=explain("epoch"),
        )


def _show_validation_photos(run: TrainingRun, snapshot: RunSnapshot) -> None:
    with suppress(NotFoundError):
        dataset = ImageDataset.load(workspace(), run.dataset_id)
        # The training says which photos it scores when it has loaded everything; until then the dataset does.
        ids = snapshot.scored_ids or tuple(image.id for image in scored_images(dataset))
        show_photo_grid(
            f"{run.id}-{hash(ids)}",
            lambda: photos_of(run, ids),
            snapshot.outcomes,
            title=_("Validation photos"),
            key="photo-grid",
            height=_CHART_HEIGHT - TITLE_HEIGHT,
        )


def _show_details(snapshot: RunSnapshot) -> None:
    """Draw the numbers of the present stage."""
    rate, counts_images = snapshot.images_per_second, snapshot.phase in ("teacher", "features")
    with st.container(horizontal=True, key="details-live"):
        if snapshot.num_steps:
            unit = _("Photo") if counts_images else _("Step")
            st.metric(unit, _("{step:,} of {total:,}").format(step=snapshot.step, total=snapshot.num_steps))
        st.metric(_("Photos a second"), number(rate) if rate else "–")
        if snapshot.batch_loss is not None and snapshot.batch_accuracy is not None:
            accuracy = percent(snapshot.batch_accuracy)
            st.metric(_("Training accuracy"), accuracy, help=explain("accuracy"))
            st.metric(_("Loss"), number(snapshot.batch_loss, 3), help=explain("loss"))
        if snapshot.learning_rate is not None:
            st.metric(_("Learning rate"), f"{snapshot.learning_rate:.1e}", help=explain("learning rate"))
        if snapshot.memory_bytes:
            st.metric(_("Memory"), memory_words(snapshot.memory_bytes), help=explain("memory"))


def _show_head_choice(snapshot: RunSnapshot) -> None:
    """Draw the head that was chosen by a comparison, if there was one."""
    chosen = snapshot.head
    if chosen is None:
        return
    own = chosen.accuracies.get(chosen.head)
    others = {head: share for head, share in chosen.accuracies.items() if head != chosen.head}
    if own is None or not others:
        text = _("Last layer: {head} (too few photos to compare others).").format(
            head=head_words(chosen.head)
        )
    else:
        second = max(others, key=lambda head: others[head])
        text = _("Last layer: {head} ({accuracy} in cross-validation; {other}: {share}).").format(
            head=head_words(chosen.head),
            accuracy=percent(own, 1),
            other=head_words(second),
            share=percent(others[second], 1),
        )
    st.caption(f":material/category: {text}")


def _pause_help(seconds: float) -> str:
    if seconds == 0:
        return _("Others wait, and this training has paused for long enough.")
    return _("Others wait: a pause ends by itself after some minutes.")


def _show_buttons(run_id: str, *, is_waiting: bool) -> None:
    queue = trainings()
    is_stopping, is_to_pause = queue.is_stopping(run_id), queue.is_to_pause(run_id)
    pause_left = queue.seconds_of_pause_left(run_id)
    has_best = queue.snapshot(run_id).best is not None
    stop = _("Stop and keep the model") if has_best else _("Cancel")
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if queue.is_here(run_id) and not is_waiting:
            st.button(
                _("Go on") if is_to_pause else _("Pause"),
                icon=":material/play_arrow:" if is_to_pause else ":material/pause:",
                key="pause",
                disabled=is_stopping or (pause_left == 0 and not is_to_pause),
                help=None if pause_left is None or is_to_pause else _pause_help(pause_left),
                on_click=queue.go_on if is_to_pause else queue.pause,
                args=(run_id,),
            )
        st.button(
            _("Leave the queue") if is_waiting else stop,
            icon=":material/stop:",
            key="stop",
            disabled=is_stopping,
            on_click=guarded_callback(queue.request_stop),
            args=(run_id,),
        )
