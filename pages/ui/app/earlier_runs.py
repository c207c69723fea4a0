"""The list of earlier runs."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import duration_words, plain, run_backbone_title, run_depth_words, status_words
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

_RUNS_SHOWN = 12


def show_earlier_runs(session: Session) -> None:
    """Draw the newest runs, each with a button that opens it."""
    run_ids = workspace().run_ids()
    if not run_ids:
        return
    st.subheader(_("Earlier runs"), anchor=False)
    for run_id in run_ids[:_RUNS_SHOWN]:
        try:
            _show_run(session, TrainingRun.load(workspace(), run_id))
        except TransferStudioError as error:
            st.caption(f":material/broken_image: {run_id[:15]}: {plain(str(error))}")
    if len(run_ids) > _RUNS_SHOWN:
        st.caption(
            _("The {count} newest of {total} are shown.").format(count=_RUNS_SHOWN, total=len(run_ids))
        )


def _show_run(session: Session, run: TrainingRun) -> None:
    status, snapshot = status_words(trainings().status(run.id)), trainings().snapshot(run.id)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"run-{run.id}"):
        with st.container(gap=None):
            st.markdown(f"**{plain(run.dataset_name)}** · {status.icon} {status.label}")
            title = plain(run_backbone_title(run))
            st.caption(f"{run.created_at:%Y-%m-%d %H:%M} · {title} · {run_depth_words(run)}")
        if snapshot.accuracy is not None:
            right = _("Accuracy {accuracy:.0%}, trained in {time}").format(
                accuracy=snapshot.accuracy, time=duration_words(snapshot.seconds)
            )
            st.markdown(right, width="content")
        if st.button(_("Open"), key=f"open-{run.id}", help=_("Show this run again, with its choices.")):
            session.choose_run(run)
            st.switch_page(Step.TRAIN.page)
