"""The status of a run, derived from its folder alone, whichever process trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.events import RunSnapshot
from transfer_core.language import _
from transfer_core.locks import is_held
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

RunStatus = Literal["queued", "running", "paused", "finished", "stopped", "failed", "interrupted"]
ACTIVE: tuple[RunStatus, ...] = ("queued", "running", "paused")


def status_of(snapshot: RunSnapshot, folder: Path) -> RunStatus:
    """Return the status of a run.

    Args:
        snapshot: The fold of its events.
        folder: Of the run.

    Raises:
        WorkspaceError: If writing fails.
    """
    if snapshot.outcome not in (None, "interrupted"):
        return snapshot.outcome
    if not is_held(folder):
        return "interrupted"
    if snapshot.is_paused:
        return "paused"
    return "running" if snapshot.started_at else "queued"


def run_status(run: TrainingRun) -> RunStatus:
    """Read the status of a run.

    Raises:
        WorkspaceError: If writing fails.
    """
    outcome = run.outcome
    return outcome if outcome not in (None, "interrupted") else status_of(run.snapshot(), run.folder)


def resumable_run(workspace: Workspace, run_id: str) -> TrainingRun:
    """Load a run whose training is to be resumed.

    Raises:
        NotFoundError: If there is no such run, or its dataset was deleted.
        TrainingError: If it was not interrupted, or its images have changed since.
        WorkspaceError: If a file is damaged.
    """
    run = TrainingRun.load(workspace, run_id)
    if run_status(run) != "interrupted":
        raise TrainingError(_("Only an interrupted training can continue, and this one was not interrupted."))
    run.check_resumable(ImageDataset.load(workspace, run.dataset_id))
    return run
