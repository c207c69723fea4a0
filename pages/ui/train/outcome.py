"""The result of a run that has ended, and the actions on it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, pstdev

import streamlit as st

from pages.ui.app.deleted_run import delete_run
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import duration_words, plain, status_words
from pages.ui.train.charts import show_curves
from pages.ui.train.live import show_head_choice, show_heading, show_left_out
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation, measured_sentence
from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural
from transfer_core.runs.run_status import RunStatus
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.curves import read_curves


def show_result(session: Session) -> None:
    """Draw the result of a run."""
    assert session.run_id is not None
    run = TrainingRun.load(workspace(), session.run_id)
    snapshot, status = trainings().snapshot(run.id), trainings().status(run.id)
    show_heading(run)
    _show_outcome(status, snapshot)
    show_left_out(snapshot)
    evaluation = None
    try:
        evaluation = stored_evaluation(run.id)
    except WorkspaceError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
    if snapshot.best:
        _show_numbers(snapshot, evaluation)
    _show_actions(session, run, status)
    show_head_choice(snapshot)
    for sentence in read_curves(snapshot, len(run.class_names)):
        st.info(sentence, icon=":material/lightbulb:")
    if snapshot.epochs:
        show_curves(snapshot)


def _show_outcome(status: RunStatus, snapshot: RunSnapshot) -> None:
    icon = status_words(status).icon
    match status:
        case "finished":
            text = plain(snapshot.message) or _("Training is done.")
            st.success(text, icon=icon)
        case "stopped":
            st.info(plain(snapshot.message), icon=icon)
        case "failed":
            st.error(plain(snapshot.message), icon=icon)
        case "interrupted":
            cut_off = _("This training was cut off, for instance because the app was closed.")
            go_on = _("Go on continues it from its last checkpoint.")
            st.warning(f"{plain(snapshot.message) or cut_off} {go_on}", icon=icon)


def _show_actions(session: Session, run: TrainingRun, status: RunStatus) -> None:
    with st.container(horizontal=True):
        if status == "interrupted" and st.button(
            _("Go on"), type="primary", icon=":material/play_arrow:", key="resume"
        ):
            guarded(_resume)(run)
        if run.has_model:
            _link_to(session, run, Step.RESULTS, _("See where it fails"), is_next=True)
            _link_to(session, run, Step.TEST, _("Next: test it on new photos"))
        if st.button(
            _("Run again with changes"),
            icon=":material/tune:",
            help=_("Go back to the choices of this run, change what you like, and train once more."),
        ):
            session.change_choices()
            st.rerun()
        if st.button(_("Delete"), icon=":material/delete:", type="tertiary"):
            guarded(delete_run)(session, run.id)


def _link_to(session: Session, run: TrainingRun, step: Step, label: str, *, is_next: bool = False) -> None:
    """Draw a button that opens a step with this run."""
    if st.button(label, type="primary" if is_next else "secondary", icon=step.icon, key=f"next-{step.name}"):
        session.look_at(run.id)
        st.switch_page(step.page)


def _resume(run: TrainingRun) -> None:
    trainings().resume(run.id)
    st.rerun()


def _show_numbers(snapshot: RunSnapshot, evaluation: Evaluation | None) -> None:
    best = snapshot.best
    assert best is not None
    accuracy = evaluation.accuracy if evaluation else best.val_accuracy
    count = evaluation.num_images if evaluation else snapshot.num_validation_images
    has_folds = evaluation is not None and evaluation.num_folds > 1
    with st.container(horizontal=True):
        st.metric(
            _("Accuracy"),
            f"{accuracy:.0%}",
            delta=_("{right} of {count} images").format(right=round(accuracy * count), count=count),
            delta_color="off",
            delta_arrow="off",
            help=explain("cross-validation" if has_folds else "validation"),
            border=True,
            height="stretch",
        )
        st.metric(
            _("Training accuracy"),
            f"{best.accuracy:.0%}",
            help=explain("accuracy"),
            border=True,
            height="stretch",
        )
        st.metric(
            _("Kept epoch"),
            _("{epoch} of {total}").format(epoch=best.epoch, total=snapshot.epochs[-1].epoch),
            help=explain("kept epoch"),
            border=True,
            height="stretch",
        )
        st.metric(_("Time"), duration_words(snapshot.seconds), border=True, height="stretch")
    if evaluation:
        _show_interval(evaluation)
    if len(snapshot.fold_accuracies) > 1:
        _show_folds(snapshot.fold_accuracies)


def _show_interval(evaluation: Evaluation) -> None:
    lowest, highest = evaluation.accuracy_interval
    measured = measured_sentence(evaluation) or plural(
        "Measured on {count} validation photo, which also picked the epoch.",
        "Measured on {count} validation photos, which also picked the epoch.",
        evaluation.num_images,
    )
    interval = _("Expect {lowest:.0%} to {highest:.0%} on new photos of the same kind.")
    st.caption(f"{measured} {interval.format(lowest=lowest, highest=highest)}")


def _show_folds(accuracies: Sequence[float]) -> None:
    text = _(
        "Checked {count} times, each time with another part of the images: {mean:.0%} right on average, "
        "{lowest:.0%} at worst and {highest:.0%} at best (standard deviation {spread:.0%})."
    )
    st.caption(
        text.format(
            count=len(accuracies),
            mean=mean(accuracies),
            lowest=min(accuracies),
            highest=max(accuracies),
            spread=pstdev(accuracies),
        ),
        help=explain("cross-validation"),
    )
