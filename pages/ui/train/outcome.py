"""The result of a run that has ended, and the actions on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from statistics import mean, pstdev

import numpy as np
import streamlit as st

from pages.ui.app.computers import show_computers_of_model
from pages.ui.app.deleted_run import delete_run
from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import duration_words, expected_sentence, plain, status_words
from pages.ui.components.photo_grid import show_photo_grid
from pages.ui.train.charts import show_accuracy_chart
from pages.ui.train.live import (
    TITLE_HEIGHT,
    photos_of,
    show_course,
    show_heading,
    show_left_out,
)
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation, measured_sentence
from transfer_core.events import RunSnapshot
from transfer_core.language import _, percent, plural, said, sentences
from transfer_core.runs.run_status import RunStatus
from transfer_core.runs.training_run import TrainingRun

_MOST_PHOTOS = 200
_CHART_HEIGHT = 400  # pixels


def show_result(session: Session) -> None:
    """Draw the result of a run."""
    assert session.run_id is not None
    run = TrainingRun.load(workspace(), session.run_id)
    snapshot, status = trainings().snapshot(run.id), trainings().status(run.id)
    evaluation = None
    show_heading(run)
    try:
        evaluation = stored_evaluation(run.id)
    except WorkspaceError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
    _show_outcome(status, snapshot, evaluation, has_checkpoint=run.has_checkpoint)
    show_computers_of_model(snapshot)
    with st.container(horizontal=True, vertical_alignment="center", key="result-row"):
        _show_numbers(snapshot, evaluation)
        _show_actions(session, run, status)
    show_left_out(snapshot)
    if not snapshot.epochs:
        return
    photos, chart = st.columns([3, 2], gap="medium")
    with photos:
        _show_photos(run, snapshot, evaluation)
    with chart:
        show_accuracy_chart(snapshot, height=_CHART_HEIGHT)
    with st.expander(_("Details"), key="result-details"):
        _show_details(snapshot, evaluation)
        show_course(run, snapshot)


def _show_outcome(
    status: RunStatus, snapshot: RunSnapshot, evaluation: Evaluation | None, *, has_checkpoint: bool
) -> None:
    icon = status_words(status).icon
    expected = f" {expected_sentence(evaluation)}" if evaluation else ""
    match status:
        case "finished":
            done = plain(said(snapshot.message)) or f"**{_('Training is done.')}**"
            st.success(f"{done}{expected}", icon=icon)
        case "stopped":
            st.info(f"{plain(said(snapshot.message))}{expected}", icon=icon)
        case "failed":
            st.error(plain(said(snapshot.message)), icon=icon)
        case "interrupted":
            cut_off = _("This training was cut off, for instance because the app was closed.")
            go_on = (
                _("Go on continues it from its last checkpoint.")
                if has_checkpoint
                else _("Go on starts it again.")
            )
            st.warning(sentences(plain(said(snapshot.message)) or cut_off, go_on), icon=icon)


def _show_numbers(snapshot: RunSnapshot, evaluation: Evaluation | None) -> None:
    best = snapshot.best
    if best is None:
        return
    with st.container(horizontal=True, key="facts-result"):
        accuracy = evaluation.accuracy if evaluation else best.val_accuracy
        has_folds = evaluation is not None and evaluation.num_folds > 1
        st.metric(
            _("Accuracy"), percent(accuracy), help=explain("cross-validation" if has_folds else "validation")
        )
        st.metric(_("Time"), duration_words(snapshot.seconds))


def _show_actions(session: Session, run: TrainingRun, status: RunStatus) -> None:
    can_go_on = status == "interrupted"
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if can_go_on and st.button(_("Go on"), type="primary", icon=":material/play_arrow:", key="resume"):
            guarded(_resume)(run)
        if run.has_model:
            _link_to(session, run, Step.TEST, _("Try it"), is_next=not can_go_on)
            _link_to(session, run, Step.RESULTS, _("What it mixes up"))
        if st.button(
            _("Train again with changes"),
            icon=":material/tune:",
            type="secondary" if run.has_model or can_go_on else "primary",
            help=_("Change the settings of this model, then train a new one."),
        ):
            session.choose_run(run)
            session.change_choices()
            st.rerun()
        with st.popover(_("More"), icon=":material/more_vert:", type="tertiary"):
            if st.button(_("Delete"), icon=":material/delete:"):
                guarded(delete_run)(session, run.id)


def _link_to(session: Session, run: TrainingRun, step: Step, label: str, *, is_next: bool = False) -> None:
    """Draw a button that opens a step with this run."""
    if st.button(label, type="primary" if is_next else "secondary", icon=step.icon, key=f"next-{step.name}"):
        session.look_at(run.id)
        st.switch_page(step.page)


def _resume(run: TrainingRun) -> None:
    trainings().resume(run.id)
    st.rerun()


def _show_photos(run: TrainingRun, snapshot: RunSnapshot, evaluation: Evaluation | None) -> None:
    """Draw the photos that the accuracy is from, or the validation photos at the kept epoch."""
    best = snapshot.best
    if evaluation:
        count = evaluation.num_images
        places = np.unique(np.linspace(0, count - 1, min(count, _MOST_PHOTOS)).round().astype(int))
        outcomes = [evaluation.outcomes[place] for place in places]
        ids = [outcome.image_id for outcome in outcomes]
        digits = "".join("01"[outcome.is_right] for outcome in outcomes)
    else:
        ids, digits = list(snapshot.scored_ids), best.val_correct if best else ""
    if not digits:
        return
    with suppress(NotFoundError):
        show_photo_grid(
            f"{run.id}-result",
            lambda: photos_of(run, ids),
            [(None, digits)],
            title=_("Photos it had not seen")
            if evaluation and evaluation.num_folds > 1
            else _("Validation photos"),
            key="photo-grid",
            height=_CHART_HEIGHT - TITLE_HEIGHT,
        )


def _show_details(snapshot: RunSnapshot, evaluation: Evaluation | None) -> None:
    best = snapshot.best
    if best is None:
        return
    with st.container(horizontal=True, key="details-result"):
        st.metric(_("Training accuracy"), percent(best.accuracy), help=explain("accuracy"))
        total = snapshot.epochs[-1].epoch
        st.metric(
            _("Kept epoch"),
            _("{epoch} of {total}").format(epoch=best.epoch, total=total),
            help=explain("kept epoch"),
        )
    if evaluation:
        st.caption(
            measured_sentence(evaluation)
            or plural(
                "Measured on {count} validation photo, which also picked the epoch.",
                "Measured on {count} validation photos, which also picked the epoch.",
                evaluation.num_images,
            )
        )
    if len(snapshot.fold_accuracies) > 1:
        _show_folds(snapshot.fold_accuracies)


def _show_folds(accuracies: Sequence[float]) -> None:
    text = _(
        "{count} folds, each scored by a model that had not seen it: {mean} on average, "
        "{lowest} to {highest} (standard deviation {spread})."
    )
    st.caption(
        text.format(
            count=len(accuracies),
            mean=percent(mean(accuracies)),
            lowest=percent(min(accuracies)),
            highest=percent(max(accuracies)),
            spread=percent(pstdev(accuracies)),
        ),
        help=explain("cross-validation"),
    )
