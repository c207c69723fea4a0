"""The work of a server: one queue for all people, their trainings, and the models that were loaded last."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from transfer_core.backbones.backbone import Backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError, TransferStudioError, WorkspaceError
from transfer_core.evaluation.audition import AuditionScore
from transfer_core.file_cache import forget_files
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _
from transfer_core.runs.deletion import delete_expired
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.run_folder import RunFolder
from transfer_core.training.machine import free_memory
from transfer_core.work.cluster.nodes import Node, joined_by_computer
from transfer_core.work.executor import ExecutorName, ProcessExecutor, RemoteExecutor, chosen_executor
from transfer_core.work.queue import WorkQueue
from transfer_core.work.stored_queue import StoredTraining, read_queue, write_queue
from transfer_core.work.task import Task
from transfer_core.work.tasks import audition_task
from transfer_core.work.trainings import Trainings, TrainingTask
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Predictor

_NUM_MODELS_KEPT = 3
# Below this, no more than `_NUM_MODELS_KEPT` models are kept. One of the default network takes 70 MB.
_BYTES_LEFT_FREE = 2 * 10**9
_SECONDS_BETWEEN_TIDYING = 60 * 60
# A run that the server died of twice may be the cause.
_MOST_DEATHS = 2

_logger = logging.getLogger(__name__)

# Folder of a run, and the version of its model.
_ModelKey = tuple[Path, tuple[int, ...]]


@dataclass(frozen=True)
class Computer:
    """A computer of the cluster.

    Args:
        node: Its facts; of several nodes on it, those of all together.
        num_trainings: That run there now.
    """

    node: Node
    num_trainings: int


class Service:
    """What the people of a server share. A server makes one; any thread may use it.

    Args:
        workspace: Of the server.
        default_executor: Where trainings run, unless the environment names another place.
        most_models_kept: Loaded models that are kept while there is enough free memory.
    """

    def __init__(
        self,
        workspace: Workspace,
        default_executor: ExecutorName = "thread",
        most_models_kept: int = _NUM_MODELS_KEPT,
    ) -> None:
        self.workspace = workspace
        self._most_models_kept = most_models_kept
        self.queue = WorkQueue(on_change=self._store)
        self._execute = chosen_executor(default_executor)
        if isinstance(self._execute, RemoteExecutor):
            self._execute.on_room(self.queue.begin_waiting)
        self._lock = threading.Lock()
        self._storing = threading.Lock()
        self._to_restore = list(read_queue(workspace))
        self._stored = list(self._to_restore)
        self._is_closed = False
        self._closed = threading.Event()
        self._prepared: set[Path] = set()
        self._predictors: dict[_ModelKey, Predictor] = {}
        self._used_at: dict[_ModelKey, float] = {}

    def trainings(self, workspace: Workspace) -> Trainings:
        """Return the trainings of one person. Those of others are unknown to it, but wait in the same queue."""
        self._prepare(workspace)
        return Trainings(workspace, self._execute, self.queue)

    def computers(self) -> list[Computer] | None:
        """Return the computers of the cluster by name; None where trainings run on this one."""
        if not isinstance(self._execute, RemoteExecutor):
            return None
        tasks = [task for task in self.queue.in_order("training") if isinstance(task, TrainingTask)]
        places = [task.live.log.snapshot.place for task in tasks if task.holds_a_place]
        counts = Counter(place.address for place in places if place)
        # Ray gives no work to a computer that only coordinates.
        nodes = [node for node in self._execute.nodes if node.num_cpus or node.problem]
        return [Computer(node, counts[node.address]) for node in joined_by_computer(nodes)]

    @property
    def cluster_problem(self) -> str:
        """Why no training can begin on the cluster now, as a sentence for a person; empty where nothing is wrong."""
        return self._execute.problem if isinstance(self._execute, RemoteExecutor) else ""

    def restore(self, seconds_before_the_first: float = 0.0) -> None:
        """Queue the trainings again that waited or ran when the server was stopped or died, in their order.

        A run that the server died of twice is shown as interrupted instead. A problem with one run is written to its
        log, where its page shows it, and keeps no other from the queue.

        Args:
            seconds_before_the_first: How long trainings leave the processor to the first pages.
        """
        if isinstance(self._execute, ProcessExecutor):
            self._execute.warm_up()
        if isinstance(self._execute, RemoteExecutor):
            self._execute.connect()
        if not self._to_restore:
            return
        with self.queue.held():
            while self._to_restore:
                self._restore(self._to_restore.pop(0))
            self._store()
            time.sleep(seconds_before_the_first)

    def close(self) -> None:
        """Store the queue for the next start. A training that runs ends with the process, and a remote one now."""
        self._closed.set()
        with self._storing:
            self._is_closed = True
            self._write([structs.replace(training, is_running=False) for training in self._in_order()])
        if isinstance(self._execute, RemoteExecutor):
            self._execute.close()

    def predictor(self, workspace: Workspace, run_id: str) -> Predictor:
        """Return the model of a finished run, loaded once, with its current limits.

        Raises:
            NotFoundError: If the run has no model.
            WorkspaceError: If a file of it is damaged.
        """
        key = _model_key(workspace, run_id)
        loaded = self._predictors.get(key) or self._load_predictor(key)
        self._used_at[key] = time.monotonic()
        return loaded.with_rejection(stored_rejection(workspace, run_id) if loaded.rejection else None)

    def is_model_loaded(self, workspace: Workspace, run_id: str) -> bool:
        """Whether `predictor` returns at once."""
        return _model_key(workspace, run_id) in self._predictors

    def forget_models(self, workspace: Workspace) -> None:
        """Drop the loaded models of a person."""
        with self._lock:
            for key in [key for key in self._predictors if key[0].is_relative_to(workspace.root)]:
                self._drop_model(key)

    def drop_idle_models(self, seconds: float) -> int:
        """Drop the loaded models that nobody has used for so long, and return how many these were."""
        with self._lock:
            since = time.monotonic() - seconds
            idle = [key for key in self._predictors if self._used_at.get(key, 0.0) < since]
            for key in idle:
                self._drop_model(key)
        return len(idle)

    def start_audition(
        self, workspace: Workspace, dataset: ImageDataset, backbones: list[Backbone]
    ) -> Task[list[AuditionScore]]:
        """Compare backbones, whose weights are available, on a dataset: on a cluster where there is one."""
        task = audition_task(workspace, dataset, backbones)
        if isinstance(self._execute, RemoteExecutor):
            from transfer_core.work.cluster.cluster_executor import ClusterExecutor
            from transfer_core.work.cluster.spread_audition import spread_audition_task

            if isinstance(self._execute, ClusterExecutor):
                task = spread_audition_task(self._execute, self.queue, workspace, dataset, backbones)
        return self.queue.start(task)

    def delete(self, workspace: Workspace, delete: Callable[[], object]) -> Task[bool]:
        """Start a deletion of a person's, unless one is under way, and free the memory of what is deleted.

        Args:
            workspace: Of the person.
            delete: Deletes something in it.
        """

        def work(_task: Task[bool]) -> bool:
            try:
                delete()
            finally:
                self.forget_data(workspace)
            return True

        task = Task("deletion", workspace.root, work, lane="light", owner=workspace.owner)
        return self.queue.start(task)

    def forget_data(self, workspace: Workspace) -> None:
        """Drop the loaded models, the results of tasks and the contents of files of a person from memory."""
        from transfer_core.inference.predictor import forget_loaded_models

        self.forget_models(workspace)
        forget_loaded_models()
        forget_files(workspace.root)
        self.queue.forget_results(workspace.owner)

    def tidy_up(self) -> None:
        """Delete for good what everyone has deleted some days ago."""
        for workspace in (self.workspace, *map(self.workspace.person, self.workspace.person_ids())):
            delete_expired(workspace)

    def tidy_up_regularly(self) -> None:
        """Tidy up each hour until the server is stopped."""
        while not self._closed.wait(_SECONDS_BETWEEN_TIDYING):
            try:
                self.tidy_up()
            except Exception:
                _logger.exception("The trash could not be emptied")

    def _restore(self, stored: StoredTraining) -> None:
        with suppress(TransferStudioError):
            workspace = stored.workspace_in(self.workspace)
            if not workspace.root.is_dir():  # the person was removed
                return
            trainings = self.trainings(workspace)
            if trainings.status(stored.run_id) != "interrupted":
                return
            num_deaths = stored.num_deaths + stored.is_running
            try:
                if num_deaths >= _MOST_DEATHS:
                    raise TrainingError(
                        _("The app ended twice during this training. Try a smaller model or fewer photos.")
                    )
                trainings.restore(stored.run_id, num_deaths)
            except TransferStudioError as error:
                _logger.warning("Run %s was not queued again: %s", stored.run_id, error)
                trainings.write_interrupted(stored.run_id, str(error))

    def _store(self) -> None:
        with self._storing:
            trainings = self._in_order()
            if not self._is_closed and trainings != self._stored:
                self._write(trainings)

    def _in_order(self) -> list[StoredTraining]:
        tasks = [task for task in self.queue.in_order("training") if isinstance(task, TrainingTask)]
        return [*(task.stored for task in tasks), *self._to_restore]

    def _write(self, trainings: list[StoredTraining]) -> None:
        try:
            write_queue(self.workspace, trainings)
            self._stored = trainings
        except WorkspaceError as error:
            # The trainings go on; only a restart would not.
            _logger.warning("The queue was not stored: %s", error)

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
            self._used_at[key] = time.monotonic()
            by_use = sorted(self._predictors, key=lambda one: self._used_at.get(one, 0.0))
            for other in by_use[: -self._num_models_kept()]:
                self._drop_model(other)
        return loaded

    def _num_models_kept(self) -> int:
        has_room = free_memory() > _BYTES_LEFT_FREE
        return self._most_models_kept if has_room else min(_NUM_MODELS_KEPT, self._most_models_kept)

    def _drop_model(self, key: _ModelKey) -> None:
        del self._predictors[key]
        self._used_at.pop(key, None)


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
