"""How good a run is, in a few numbers and words."""

from __future__ import annotations

import streamlit as st

from pages.ui.charts import show_confusion_matrix
from pages.ui.glossary import explain
from pages.ui.page import link_to_next
from pages.ui.process import stored_evaluation
from pages.ui.session import Session
from pages.ui.steps import Step
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun


def show_overview(session: Session, run: TrainingRun) -> None:
    """Draw the first part of the Results page."""
    evaluation = stored_evaluation(run.id)
    if evaluation is None:
        st.info(_("This run has not been checked on photos yet."), icon=":material/info:")
        return
    st.subheader(_("What was taken for what"), anchor=False, help=explain("confusion matrix"))
    show_confusion_matrix(evaluation)
    link_to_next(Step.TEST, _("Next: test it on new photos"))
