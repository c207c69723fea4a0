"""The model that the person looks at: named and picked at the top of the sidebar, shown on every page."""

from __future__ import annotations

from contextlib import suppress
from html import escape

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session, set_widget_value, widget_value
from pages.ui.app.words import distinct_labels, labelled, model_name
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.work.trainings import Trainings

_PICKER = "picked-run"


def choose_run(session: Session, by_id: dict[str, TrainingRun] | None = None) -> TrainingRun | None:
    """Return the run that the person looks at; where none was picked yet, pick the newest that has a model.

    The sidebar names the run and lets the person pick another.

    Args:
        session: Keeps the choice.
        by_id: The runs to pick from. By default those of `runs_with_a_model`.

    Returns:
        The run, or None if no run has a model.
    """
    by_id = runs_with_a_model() if by_id is None else by_id
    if not by_id:
        return None
    shown = shown_run_id(session)
    if shown not in by_id:
        session.look_at(next(iter(by_id)))
        # The sidebar was drawn before the choice.
        st.rerun()
    return by_id[shown]


def show_model_picker(session: Session) -> None:
    """Draw the name of the model that the person looks at, and let them pick another; nothing without models."""
    by_id = runs_with_a_model()
    if not by_id:
        return
    labels = distinct_labels({run_id: model_name(run) for run_id, run in by_id.items()})
    shown = shown_run_id(session)
    set_widget_value(_PICKER, shown)
    st.selectbox(
        _("Your model"),
        list(by_id),
        # Without a first option it could be cleared again.
        index=0 if shown else None,
        format_func=lambda run_id: labels.get(run_id, run_id),
        placeholder=_("Choose a model to look at"),
        key=_PICKER,
        on_change=_pick,
        args=(session,),
    )


def show_model_name(session: Session) -> None:
    """Draw the name of the model that the person looks at, for narrow screens, on which the sidebar is closed."""
    shown = shown_run_id(session)
    if shown:
        name = model_name(TrainingRun.load(workspace(), shown))
        st.html(f'<p class="shown-model">{labelled(escape(_("Your model")), f"<b>{escape(name)}</b>")}</p>')


def _pick(session: Session) -> None:
    picked = widget_value(_PICKER)
    if picked:
        session.look_at(picked)


def choose_other_run(run: TrainingRun, runs: dict[str, TrainingRun]) -> TrainingRun | None:
    """Let the person pick a second run to compare with the first; draw nothing if there is none."""
    by_id = {run_id: other for run_id, other in runs.items() if run_id != run.id}
    if not by_id:
        return None
    labels = distinct_labels({run_id: model_name(other) for run_id, other in by_id.items()})
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


def shown_run_id(session: Session) -> str | None:
    """Return the id of the run that the person looks at; None if it has no model, or none was picked or trained."""
    queue = trainings()
    for run_id in (session.picked_run_id, session.run_id):
        with suppress(TransferStudioError):
            if run_id and _has_whole_model(queue, TrainingRun.load(workspace(), run_id)):
                return run_id
    return None


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
