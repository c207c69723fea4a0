"""The work of a server: one queue for all people, their trainings, and the models that were loaded last."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.inference.rejection import Rejection
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.run_folder import RunFolder
from transfer_core.work.executor import chosen_executor
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Predictor

_NUM_MODELS_KEPT = 3

# Folder of a run, and the version of its model.
_ModelKey = tuple[Path, tuple[int, ...]]


class Service:
    """What the people of a server share. A server makes one; any thread may use it.

    Args:
        workspace: Of the server.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.queue = WorkQueue()
        self._execute = chosen_executor()
        self._lock = threading.Lock()
        self._prepared: set[Path] = set()
        self._predictors: dict[_ModelKey, Predictor] = {}

    def trainings(self, workspace: Workspace) -> Trainings:
        """Return the trainings of one person. Those of others are unknown to it, but wait in the same queue."""
        self._prepare(workspace)
        return Trainings(workspace, self._execute, self.queue)

    def predictor(self, workspace: Workspace, run_id: str) -> Predictor:
        """Return the model of a finished run, loaded once, with its current limits.

        Raises:
            NotFoundError: If the run has no model.
            WorkspaceError: If a file of it is damaged.
        """
        key = _model_key(workspace, run_id)
        loaded = self._predictors.get(key) or self._load_predictor(key)
        return loaded.with_rejection(stored_rejection(workspace, run_id) if loaded.rejection else None)

    def is_model_loaded(self, workspace: Workspace, run_id: str) -> bool:
        """Whether `predictor` returns at once."""
        return _model_key(workspace, run_id) in self._predictors

    def forget_models(self, workspace: Workspace) -> None:
        """Drop the loaded models of a person."""
        with self._lock:
            for key in [key for key in self._predictors if key[0].is_relative_to(workspace.root)]:
                del self._predictors[key]

    def _prepare(self, workspace: Workspace) -> None:
        if workspace.root not in self._prepared:
            self._prepared.add(workspace.root)
            remove_leftovers(workspace)

    def _load_predictor(self, key: _ModelKey) -> Predictor:
        from transfer_core.inference.predictor import Predictor

        with self._lock:
            # Another thread may have loaded it meanwhile.
            loaded = self._predictors.get(key) or Predictor.load(key[0])
            self._predictors[key] = loaded
            for other in list(self._predictors)[:-_NUM_MODELS_KEPT]:
                del self._predictors[other]
        return loaded


def stored_rejection(workspace: Workspace, run_id: str) -> Rejection | None:
    """Return the rejection of a run with its current limits; None if it was never measured.

    Raises:
        WorkspaceError: If a file of it is damaged.
    """
    folder = workspace.run_dir(run_id)
    return Rejection.load(folder) if any(RunFolder(folder).thresholds_version) else None


def _model_key(workspace: Workspace, run_id: str) -> _ModelKey:
    folder = workspace.run_dir(run_id)
    return folder, RunFolder(folder).model_version
