"""Which trained model the Results and the Test page are about."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from pages.ui.process import workspace
from pages.ui.session import Session
from pages.ui.words import depth_words
from transfer_core.backbones.registry import get_backbone
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import MODEL_FILE


def choose_run(session: Session) -> TrainingRun | None:
    """Let the person pick a run that has a model; the one trained last is chosen at first."""
    by_id = _runs_with_a_model()
    if not by_id:
        return None
    ids = list(by_id)
    wanted = wanted_run_id(session)
    # Not session.run_id: another run may be in training, and looking at this page must not lose it.
    session.picked_run_id = st.selectbox(
        _("Model"),
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=lambda run_id: _describe(by_id[run_id]),
        key="picked-run",
    )
    return by_id[session.picked_run_id]


def wanted_run_id(session: Session) -> str | None:
    """The run that the person picked or trains, if it has a model; otherwise the newest that has one."""
    runs_dir = workspace().runs_dir
    wanted = [run_id for run_id in (session.picked_run_id, session.run_id) if run_id]
    ids = [*wanted, *workspace().run_ids()]
    return next((run_id for run_id in ids if (runs_dir / run_id / MODEL_FILE).is_file()), None)


def say_no_model(session: Session) -> None:
    """Say that nothing has been trained yet, with the way there."""
    st.info(_("There is no trained model yet. Train one first."), icon=":material/info:")
    st.page_link(
        "pages/4_Train.py",
        label=_("Go to Train"),
        icon=":material/model_training:",
        query_params=session.query(),
    )


def _runs_with_a_model() -> dict[str, TrainingRun]:
    """Every run that has a model, the newest first; a damaged one is listed on the welcome page."""
    runs = {}
    for run_id in workspace().run_ids():
        with suppress(TransferStudioError):
            run = TrainingRun.load(workspace(), run_id)
            if run.has_model:
                runs[run_id] = run
    return runs


def _describe(run: TrainingRun) -> str:
    backbone = get_backbone(run.config.backbone)
    depth = depth_words(run.config.num_unfrozen_blocks, len(backbone.blocks))
    return f"{run.dataset_name} · {backbone.title} · {depth} · {run.created_at:%Y-%m-%d %H:%M}"
