"""The choice of a trained run on the Results, Test and Export pages."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import distinct_labels, run_backbone_title, run_depth_words
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.work.trainings import Trainings


def choose_run(session: Session, by_id: dict[str, TrainingRun] | None = None) -> TrainingRun | None:
    """Let the person pick a run that has a model; the newest is picked at first.

    Args:
        session: Keeps the choice.
        by_id: The runs to pick from. By default those of `runs_with_a_model`.

    Returns:
        The run, or None if there are none.
    """
    by_id = runs_with_a_model() if by_id is None else by_id
    if not by_id:
        return None
    ids = list(by_id)
    labels = distinct_labels({run_id: describe_run(run) for run_id, run in by_id.items()})
    wanted = wanted_run_id(session)
    # Not session.run_id: another run may be in training, and looking at this page must not lose it.
    session.picked_run_id = st.selectbox(
        _("Model"),
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=labels.__getitem__,
        key="picked-run",
    )
    return by_id[session.picked_run_id]


def choose_other_run(run: TrainingRun, runs: dict[str, TrainingRun]) -> TrainingRun | None:
    """Let the person pick a second run to compare with the first; draw nothing if there is none."""
    by_id = {run_id: other for run_id, other in runs.items() if run_id != run.id}
    if not by_id:
        return None
    labels = distinct_labels({run_id: describe_run(other) for run_id, other in by_id.items()})
    chosen = st.selectbox(
        _("Compare with"),
        list(by_id),
        index=None,
        format_func=labels.__getitem__,
        placeholder=_("No other model"),
        help=explain("two models"),
        # Keyed by the run too: a model is not compared with itself.
        key=f"other-run-{run.id}",
    )
    return by_id.get(chosen) if chosen else None


def wanted_run_id(session: Session) -> str | None:
    """Return the id of the run that was picked or trained, or of the newest if that has no model."""
    queue = trainings()
    for run_id in (session.picked_run_id, session.run_id):
        with suppress(TransferStudioError):
            if run_id and _has_whole_model(queue, TrainingRun.load(workspace(), run_id)):
                return run_id
    return next((run.id for run in runs_of(workspace()) if _has_whole_model(queue, run)), None)


def show_no_model(session: Session) -> None:
    """Draw the hint that there is no trained model yet, with a link to the Train page."""
    st.info(_("There is no trained model yet. Train one first."), icon=":material/info:")
    st.page_link(
        "pages/4_Train.py",
        label=_("Go to Train"),
        icon=":material/model_training:",
        query_params=session.query(),
    )


def runs_with_a_model() -> dict[str, TrainingRun]:
    """Return the runs that have a model by id, newest first. Damaged ones are left out."""
    queue = trainings()
    return {run.id: run for run in runs_of(workspace()) if _has_whole_model(queue, run)}


def _has_whole_model(queue: Trainings, run: TrainingRun) -> bool:
    """Return whether a run has ended with a model. Before the end its file may be incomplete."""
    with suppress(TransferStudioError):
        return run.has_model and not queue.is_here(run.id) and run_status(run) not in ACTIVE
    return False


def describe_run(run: TrainingRun) -> str:
    """Return the name of a run or its dataset, its backbone, depth and date in one line."""
    name = run.files.notes().name or run.dataset_name
    title = run_backbone_title(run)
    # To the second: the runs of a sweep begin within a minute.
    return f"{name} · {title} · {run_depth_words(run)} · {run.created_at:%Y-%m-%d %H:%M:%S}"
