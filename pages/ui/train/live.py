"""A run that is queued or training."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import (
    head_words,
    memory_words,
    part_words,
    plain,
    run_backbone_title,
    run_depth_words,
    status_words,
    time_left_words,
)
from pages.ui.train.charts import show_curves
from transfer_core.data.damage import damaged_photos_sentence
from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.curves import read_curves


def show_live(session: Session) -> None:
    """Draw a run that is queued or training. Called every second."""
    run_id = session.run_id
    if run_id is None or trainings().status(run_id) not in ACTIVE:
        st.rerun()
    run = TrainingRun.load(workspace(), run_id)
    show_heading(run)
    place = trainings().place(run_id)
    if place:
        text = plural(
            "Another training goes first: {count} before yours. Yours starts by itself.",
            "Other trainings go first: {count} before yours. Yours starts by itself.",
            place,
        )
        st.info(text, icon=":material/hourglass_empty:")
    elif trainings().status(run_id) == "queued":
        text = _("Other work goes first, such as trying models. Your training starts by itself.")
        st.info(text, icon=":material/hourglass_empty:")
    else:
        _show_progress(trainings().snapshot(run_id))
    _show_buttons(run_id, is_waiting=place > 0)
    snapshot = trainings().snapshot(run_id)
    show_left_out(snapshot)
    show_head_choice(snapshot)
    if snapshot.epochs or snapshot.batch_losses:
        for sentence in read_curves(snapshot, len(run.class_names)):
            st.caption(f":material/lightbulb: {sentence}")
        show_curves(snapshot)


def show_heading(run: TrainingRun) -> None:
    """Draw dataset, backbone and depth of a run in one line."""
    title = plain(run_backbone_title(run))
    st.markdown(f"**{plain(run.dataset_name)}** · {title} · {run_depth_words(run)}")


def show_left_out(snapshot: RunSnapshot) -> None:
    """Draw a warning about damaged photos that were left out, if there are any."""
    if snapshot.left_out:
        st.warning(plain(damaged_photos_sentence(snapshot.left_out)), icon=":material/broken_image:")


def show_head_choice(snapshot: RunSnapshot) -> None:
    """Draw the head that was chosen by a comparison, if there was one."""
    chosen = snapshot.head
    if chosen is None:
        return
    compared = ", ".join(f"{head_words(head)} {share:.0%}" for head, share in chosen.accuracies.items())
    reason = _(" (right in the comparison: {compared})").format(compared=compared) if compared else ""
    text = _("New layers: {head}{reason}.").format(head=head_words(chosen.head), reason=reason)
    st.caption(f":material/category: {text}")


def _show_progress(snapshot: RunSnapshot) -> None:
    paused = status_words("paused")
    beginning = f"{paused.icon} {paused.state} · " if snapshot.is_paused else ""
    st.progress(snapshot.phase_share, text=f"{beginning}{part_words(snapshot)}")
    left, rate, best = snapshot.seconds_left, snapshot.images_per_second, snapshot.best
    with st.container(horizontal=True, key="facts-live"):
        st.metric(
            _("Left in all"), time_left_words(left) if left is not None else "–", help=explain("time left")
        )
        if best:
            st.metric(
                _("Best so far"),
                f"{best.val_accuracy:.0%}",
                delta=_("epoch {epoch}").format(epoch=best.epoch),
                delta_color="off",
                delta_arrow="off",
                help=explain("best epoch"),
            )
        st.metric(
            _("Epoch"),
            _("{epoch} of {total}").format(epoch=snapshot.epoch, total=snapshot.num_epochs or "–"),
            help=explain("epoch"),
        )
        if snapshot.num_steps:
            unit = _("Image") if snapshot.phase in ("teacher", "features") else _("Batch")
            st.metric(unit, _("{step:,} of {total:,}").format(step=snapshot.step, total=snapshot.num_steps))
        st.metric(_("Images a second"), f"{rate:,.0f}" if rate else "–")
        if snapshot.phase not in ("teacher", "features") and snapshot.batch_loss is not None:
            _show_step(snapshot)
        if snapshot.memory_bytes:
            st.metric(_("Memory"), memory_words(snapshot.memory_bytes), help=explain("memory"))


def _show_step(snapshot: RunSnapshot) -> None:
    """Draw the metrics of the current epoch."""
    st.metric(_("Right so far"), f"{snapshot.batch_accuracy:.0%}", help=explain("accuracy"))
    st.metric(_("Loss so far"), f"{snapshot.batch_loss:.3f}", help=explain("loss"))
    if snapshot.learning_rate is not None:
        st.metric(_("Learning rate"), f"{snapshot.learning_rate:.1e}", help=explain("learning rate"))


def _show_buttons(run_id: str, *, is_waiting: bool) -> None:
    queue = trainings()
    is_stopping, is_to_pause = queue.is_stopping(run_id), queue.is_to_pause(run_id)
    has_best = queue.snapshot(run_id).best is not None
    stop = _("Stop and keep the best") if has_best else _("Cancel")
    with st.container(horizontal=True, vertical_alignment="center"):
        if queue.is_here(run_id) and not is_waiting:
            st.button(
                _("Go on") if is_to_pause else _("Pause"),
                icon=":material/play_arrow:" if is_to_pause else ":material/pause:",
                key="pause",
                disabled=is_stopping,
                on_click=queue.go_on if is_to_pause else queue.pause,
                args=(run_id,),
            )
        st.button(
            _("Leave the queue") if is_waiting else stop,
            icon=":material/stop:",
            key="stop",
            disabled=is_stopping,
            on_click=queue.request_stop,
            args=(run_id,),
        )
        _show_request(run_id, is_stopping=is_stopping, is_to_pause=is_to_pause)


def _show_request(run_id: str, *, is_stopping: bool, is_to_pause: bool) -> None:
    status = trainings().status(run_id)
    if is_stopping and trainings().snapshot(run_id).phase == "evaluation":
        st.caption(_("Stopped. The best model is being checked …"))
    elif is_stopping:
        st.caption(_("Stopping after the present step …"))
    elif is_to_pause and status != "paused":
        st.caption(_("Pausing after the present step …"))
    elif status == "paused":
        st.caption(_("Nothing is lost while it waits; other runs wait as well."))
    elif not trainings().is_here(run_id):
        st.caption(_("Another program on this computer trains this run."))
