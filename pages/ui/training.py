"""A run while it goes on, and what came of it."""

from __future__ import annotations

import streamlit as st

from pages.ui.charts import show_confusion_matrix, show_curves
from pages.ui.glossary import explain
from pages.ui.page import link_to_next
from pages.ui.process import run_queue, workspace
from pages.ui.session import Session
from pages.ui.steps import Step
from pages.ui.words import duration_words, phase_words, plain
from transfer_core.backbones.registry import get_backbone
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural
from transfer_core.runs.training_run import TrainingRun


def show_live(session: Session) -> None:
    """Draw a run that waits or is being trained; called anew each second."""
    run_id = session.run_id
    if run_id is None or run_queue().status(run_id) not in ("queued", "running"):
        st.rerun()
    _show_heading(TrainingRun.load(workspace(), run_id))
    place = run_queue().place(run_id)
    if place:
        text = plural(
            "Another training goes first: {count} before yours. Yours starts by itself.",
            "Other trainings go first: {count} before yours. Yours starts by itself.",
            place,
        )
        st.info(text, icon=":material/hourglass_empty:")
    else:
        _show_progress(run_queue().snapshot(run_id))
    _show_stop_button(run_id, is_waiting=place > 0)


def _show_heading(run: TrainingRun) -> None:
    backbone = get_backbone(run.config.backbone)
    st.markdown(f"**{plain(run.dataset_name)}** · {backbone.title}")


def _show_progress(snapshot: RunSnapshot) -> None:
    words = phase_words(snapshot)
    st.progress(snapshot.phase_share, text=f"{words[:1].upper()}{words[1:]}")
    with st.container(horizontal=True):
        st.metric(
            _("Epoch"),
            _("{epoch} of {total}").format(epoch=snapshot.epoch, total=snapshot.num_epochs or "–"),
            help=explain("epoch"),
        )
        unit = _("Image") if snapshot.phase == "features" else _("Step")
        st.metric(unit, _("{step:,} of {total:,}").format(step=snapshot.step, total=snapshot.num_steps))
        if (
            snapshot.phase != "features"
            and snapshot.batch_loss is not None
            and snapshot.batch_accuracy is not None
        ):
            st.metric(_("Right so far"), f"{snapshot.batch_accuracy:.0%}", help=explain("accuracy"))
            st.metric(_("Loss so far"), f"{snapshot.batch_loss:.3f}", help=explain("loss"))
        rate, left = snapshot.images_per_second, snapshot.seconds_left
        st.metric(_("Images a second"), f"{rate:,.0f}" if rate else "–")
        st.metric(_("Left in this part"), duration_words(left) if left is not None else "–")
    show_curves(snapshot)


def _show_stop_button(run_id: str, *, is_waiting: bool) -> None:
    is_stopping = run_queue().is_stopping(run_id)
    has_best = run_queue().snapshot(run_id).best is not None
    stop = _("Stop and keep the best") if has_best else _("Cancel")
    label = _("Leave the queue") if is_waiting else stop
    st.button(
        label,
        icon=":material/stop:",
        key="stop",
        disabled=is_stopping,
        on_click=run_queue().request_stop,
        args=(run_id,),
    )
    if is_stopping:
        st.caption(_("Stopping after the present step …"))


def show_result(session: Session) -> None:
    """Draw what came of a run."""
    assert session.run_id is not None
    run = TrainingRun.load(workspace(), session.run_id)
    snapshot = run_queue().snapshot(run.id)
    _show_heading(run)
    _show_outcome(run, snapshot)
    evaluation = run.evaluation()
    if snapshot.best:
        _show_numbers(snapshot, evaluation)
    if run.has_model:
        link_to_next(Step.TEST, _("Next: test it on new photos"))
    if snapshot.epochs:
        show_curves(snapshot)
    if evaluation:
        st.subheader(_("What was taken for what"), anchor=False, help=explain("confusion matrix"))
        show_confusion_matrix(evaluation)


def _show_outcome(run: TrainingRun, snapshot: RunSnapshot) -> None:
    match run_queue().status(run.id):
        case "finished":
            st.success(_("Training is done."), icon=":material/check_circle:")
        case "stopped":
            st.info(plain(snapshot.message), icon=":material/stop_circle:")
        case "failed":
            st.error(plain(snapshot.message), icon=":material/error:")
        case "interrupted":
            text = _(
                "This training was cut off, for instance because the app was closed. Start it again below."
            )
            st.warning(text, icon=":material/power_off:")


def _show_numbers(snapshot: RunSnapshot, evaluation: Evaluation | None) -> None:
    best = snapshot.best
    assert best is not None
    # Measured on the saved model from the image files, where that is known.
    accuracy = evaluation.accuracy if evaluation else best.val_accuracy
    num_right = round(accuracy * snapshot.num_validation_images)
    with st.container(horizontal=True):
        st.metric(
            _("Right on validation"),
            f"{accuracy:.0%}",
            delta=_("{right} of {count} images").format(
                right=num_right, count=snapshot.num_validation_images
            ),
            delta_color="off",
            delta_arrow="off",
            help=explain("validation"),
            border=True,
            height="stretch",
        )
        st.metric(
            _("Right on training"),
            f"{best.accuracy:.0%}",
            help=explain("accuracy"),
            border=True,
            height="stretch",
        )
        st.metric(
            _("Best epoch"),
            _("{epoch} of {total}").format(epoch=best.epoch, total=len(snapshot.epochs)),
            help=_("The model is kept as it was after the epoch with the lowest validation loss."),
            border=True,
            height="stretch",
        )
        st.metric(_("Time"), duration_words(snapshot.seconds), border=True, height="stretch")
    if evaluation:
        _show_interval(evaluation)


def _show_interval(evaluation: Evaluation) -> None:
    lowest, highest = evaluation.accuracy_interval
    st.caption(
        _(
            "With {count} photos to check with, the accuracy on new photos of the same kind is probably between "
            "{lowest:.0%} and {highest:.0%}; rather a little lower, since these photos also picked the best epoch."
        ).format(count=evaluation.num_images, lowest=lowest, highest=highest)
    )
