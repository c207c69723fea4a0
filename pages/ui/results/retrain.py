"""Training again with the same settings after labels were fixed."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.language import _, plural
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun

_COMPARE_PAGE = "pages/8_Compare.py"


def show_retrain(session: Session, run: TrainingRun, dataset: ImageDataset) -> None:
    """Offer to train again if labels have changed since a run, and link to the new run.

    Args:
        session: Keeps the id of the new run.
        run: The run with the mistakes.
        dataset: The current version of its photos.
    """
    again = _run_trained_again(session, run)
    learned_version = run.dataset_version
    if again is not None:
        is_active = trainings().status(again.id) in ACTIVE
        _show_links(session, again, is_active=is_active)
        if is_active:
            return
        learned_version = again.dataset_version
    edits = [edit for edit in dataset.edits if edit.version > learned_version]
    if not edits:
        return
    changed = {image_id for edit in edits for image_id, _name, _is_out in edit.before}
    with st.container(border=True):
        st.markdown(
            plural(
                "**{count} photo** has changed since this model was trained.",
                "**{count} photos** have changed since this model was trained.",
                len(changed),
            )
        )
        if st.button(
            _("Train again with these changes"),
            icon=":material/restart_alt:",
            help=_("With the same settings, so any difference comes from the photos."),
            key="retrain",
        ):
            guarded(_retrain)(session, run, dataset)


def _run_trained_again(session: Session, run: TrainingRun) -> TrainingRun | None:
    """Return the run that was trained again with fixed labels, or None."""
    try:
        return TrainingRun.load(workspace(), session.retrained[run.id])
    except (KeyError, TransferStudioError):
        session.retrained.pop(run.id, None)
        return None


def _retrain(session: Session, run: TrainingRun, dataset: ImageDataset) -> None:
    again = trainings().submit(dataset, run.config)
    session.retrained[run.id] = session.run_id = again
    session.compared_run_ids = (run.id, again)
    st.rerun()


def _show_links(session: Session, again: TrainingRun, *, is_active: bool) -> None:
    st.success(
        _("The same settings are being trained on the changed photos. This page shows the earlier model.")
        if is_active
        else _(
            "The same settings have been trained on the changed photos. This page shows the earlier model."
        ),
        icon=":material/model_training:",
    )
    with st.container(horizontal=True):
        st.page_link(
            Step.TRAIN.page,
            label=_("Watch it train") if is_active else _("See its training"),
            icon=Step.TRAIN.icon,
            query_params={**session.query(), "run": again.id},
        )
        st.page_link(
            _COMPARE_PAGE,
            label=_("Compare the two"),
            icon=":material/compare_arrows:",
            query_params=session.query(),
        )
