"""A run that is queued or training."""

from __future__ import annotations

import time

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import (
    head_words,
    memory_words,
    phase_words,
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
        _show_progress(trainings().snapshot(run_id).at(time.time()))
    _show_buttons(run_id, is_waiting=place > 0)
    snapshot = trainings().snapshot(run_id)
    show_left_out(snapshot)
    show_head_choice(snapshot)
    if snapshot.start or snapshot.epochs or snapshot.batch_losses:
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
    text = _("Last layer: {head}").format(head=head_words(chosen.head))
    own = chosen.accuracies.get(chosen.head)
    others = {head: share for head, share in chosen.accuracies.items() if head != chosen.head}
    if own is None or not others:
        reason = _("too few photos to compare others")
    else:
        second = max(others, key=lambda head: others[head])
        reason = _("{accuracy:.1%} in cross-validation; {other}: {share:.1%}").format(
            accuracy=own, other=head_words(second), share=others[second]
        )
    st.caption(f":material/category: {text} ({reason}).")


def _show_progress(snapshot: RunSnapshot) -> None:
    paused = status_words("paused")
    beginning = f"{paused.icon} {paused.state} · " if snapshot.is_paused else ""
    st.progress(snapshot.share, text=f"{beginning}{phase_words(snapshot)}")
    left, best = snapshot.seconds_left, snapshot.best
    with st.container(horizontal=True, key="facts-live"):
        st.metric(
            _("Time left"), time_left_words(left) if left is not None else "–", help=explain("time left")
        )
        st.metric(
            _("Accuracy"),
            f"{best.val_accuracy:.0%}" if best else "–",
            delta=_("epoch {epoch} is kept").format(epoch=best.epoch) if best else None,
            delta_color="off",
            delta_arrow="off",
            help=explain("kept epoch"),
        )
        st.metric(
            _("Epoch"),
            _("{epoch} of {total}").format(epoch=snapshot.epoch, total=snapshot.num_epochs or "–"),
            help=explain("epoch"),
        )
    with st.expander(_("Details"), key="live-details"), st.container(horizontal=True, key="details-live"):
        _show_details(snapshot)


def _show_details(snapshot: RunSnapshot) -> None:
    """Draw the numbers of the present stage."""
    rate, counts_images = snapshot.images_per_second, snapshot.phase in ("teacher", "features")
    if snapshot.num_steps:
        unit = _("Photo") if counts_images else _("Step")
        st.metric(unit, _("{step:,} of {total:,}").format(step=snapshot.step, total=snapshot.num_steps))
    st.metric(_("Photos a second"), f"{rate:,.0f}" if rate else "–")
    if snapshot.batch_loss is not None and snapshot.batch_accuracy is not None:
        st.metric(_("Training accuracy"), f"{snapshot.batch_accuracy:.0%}", help=explain("accuracy"))
        st.metric(_("Loss"), f"{snapshot.batch_loss:.3f}", help=explain("loss"))
    if snapshot.learning_rate is not None:
        st.metric(_("Learning rate"), f"{snapshot.learning_rate:.1e}", help=explain("learning rate"))
    if snapshot.memory_bytes:
        st.metric(_("Memory"), memory_words(snapshot.memory_bytes), help=explain("memory"))


def _show_buttons(run_id: str, *, is_waiting: bool) -> None:
    queue = trainings()
    is_stopping, is_to_pause = queue.is_stopping(run_id), queue.is_to_pause(run_id)
    has_best = queue.snapshot(run_id).best is not None
    stop = _("Stop and keep the model") if has_best else _("Cancel")
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
        st.caption(_("Stopped. The model gets its final check …"))
    elif is_stopping:
        st.caption(_("Stopping after the present step …"))
    elif is_to_pause and status != "paused":
        st.caption(_("Pausing after the present step …"))
    elif status == "paused":
        st.caption(_("Nothing is lost while it waits; other runs wait as well."))
    elif not trainings().is_here(run_id):
        st.caption(_("Another program on this computer trains this run."))
