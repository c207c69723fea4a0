"""The trainings of a workspace: submit, resume, pause, stop, delete and look up runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from heapq import heapify, heapreplace
from typing import Any

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.quota import check_runs, check_waiting
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError, WorkspaceError
from transfer_core.events import RunEnded, RunSnapshot
from transfer_core.files import remove
from transfer_core.language import _, stored
from transfer_core.runs.run_status import ACTIVE, RunStatus, resumable_run, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash, take_from_trash
from transfer_core.training.stages import measured_seconds, rates_version
from transfer_core.work.execute import remember_times
from transfer_core.work.executor import Execute, RemoteExecutor, chosen_executor
from transfer_core.work.live_run import LiveRun, request_stop_elsewhere
from transfer_core.work.queue import WorkQueue
from transfer_core.work.stored_queue import StoredTraining
from transfer_core.work.task import Lane, Priority, Task, TaskState
from transfer_core.workspace import Workspace


def lane_of(execute: Execute) -> Lane:
    """Return the lane of the trainings that an executor carries out."""
    return "remote" if isinstance(execute, RemoteExecutor) else "models"


class TrainingTask(Task[None]):
    """A training in the work queue.

    Args:
        workspace: Where the dataset and the cache are.
        live: The run; its lock is released when the task is over.
        execute: Carries out the run.
        num_deaths: How often a server has died while it trained this run.
    """

    def __init__(self, workspace: Workspace, live: LiveRun, execute: Execute, num_deaths: int = 0) -> None:
        def train(_task: Task[None]) -> None:
            execute(workspace, live.run, live.log.append, live.should_stop)
            if self._remote:
                self._remember_times()

        super().__init__(
            "training",
            live.run.id,
            train,
            lane=lane_of(execute),
            priority=Priority.TRAINING,
            owner=workspace.owner,
        )
        self.workspace = workspace
        self.live = live
        self._remote = execute if isinstance(execute, RemoteExecutor) else None
        self._num_deaths = num_deaths
        self._estimate: float | None = None
        self._estimated_at: tuple[int, tuple[int, int]] | None = None

    @property
    def stored(self) -> StoredTraining:
        """Its facts for the next start of the server."""
        is_trained_here = self.state == "running" and not self._remote
        return StoredTraining(self.owner, self.live.run.id, is_trained_here, self._num_deaths)

    @property
    def holds_a_place(self) -> bool:
        """Whether it is trained now. A run that has lost its computer waits for the next one first of all."""
        return self.state == "running" and not self.live.log.snapshot.is_lost

    def may_begin(self) -> bool:
        """Reserve room on a cluster, and return whether there was enough."""
        return not self._remote or self._remote.reserve(self.workspace, self.live.run)

    def seconds_left(self) -> float | None:
        """Estimate how long it keeps the others waiting from now on; None when that is not known."""
        if self.state == "over":
            return 0.0
        snapshot = self.live.log.snapshot.at(time.time())
        if self.state == "running" and snapshot.seconds_left is not None:
            return snapshot.seconds_left + (self.live.seconds_of_pause_left if self.live.is_paused else 0.0)
        whole = self._whole_seconds()
        return None if whole is None else max(whole - snapshot.seconds, 0.0)

    def _whole_seconds(self) -> float | None:
        """Estimate the seconds of the whole run. Pages ask every second, so each estimate is kept until it changes."""
        run, cache_dir = self.live.run, self.workspace.cache_dir
        try:
            dataset = ImageDataset.load(self.workspace, run.dataset_id)
            version = dataset.version, rates_version(cache_dir)
            if version != self._estimated_at:
                backbone = get_backbone(run.config.backbone, self.workspace)
                self._estimate = measured_seconds(run.config, dataset, backbone, cache_dir)
                self._estimated_at = version
        except TransferStudioError:
            return None
        return self._estimate

    def _remember_times(self) -> None:
        """Keep here how long the run took there, for the estimates of later ones."""
        run = self.live.run
        with suppress(TransferStudioError):
            dataset = ImageDataset.load(self.workspace, run.dataset_id)
            backbone = get_backbone(run.config.backbone, self.workspace)
            remember_times(self.workspace, run, dataset, backbone)

    def request_stop(self) -> None:
        """Make a waiting run leave the queue, and a running one end with the weights that it keeps."""
        self.live.request_stop()
        super().request_stop()

    def should_stop(self) -> bool:
        """Whether a stop was requested, here or by another process."""
        return self.live.is_stopping

    def end_unstarted(self, error: Exception | None = None) -> None:
        """Write down why the run did not begin. What was trained before can still be resumed.

        Raises:
            WorkspaceError: If writing fails for a run that was stopped; the run waits on then.
        """
        log = self.live.log
        if error:
            message = _(
                "The training could not start ({reason}). Close other programs, then start it again."
            ).format(reason=error)
            self.error = error if isinstance(error, TransferStudioError) else TrainingError(message)
            with suppress(WorkspaceError):
                log.append(RunEnded(time.time(), "interrupted", stored(str(self.error))))
        elif log.snapshot.started_at is None:
            log.append(RunEnded(time.time(), "stopped", stored(_("Stopped before it began."))))
        if self._remote:
            self._remote.release(self.workspace, self.live.run)
        self.close()

    def close(self) -> None:
        """Release the run for other processes and mark the task as over."""
        self.live.release()
        super().close()


class Trainings:
    """Submits runs to the work queue and answers how each is, whichever process trains it.

    Args:
        workspace: Where runs and datasets are.
        execute: Carries out one run. By default the executor that the environment names.
        queue: The queue that the trainings share with other work. By default a new one.
    """

    def __init__(
        self, workspace: Workspace, execute: Execute | None = None, queue: WorkQueue | None = None
    ) -> None:
        self.workspace = workspace
        self._execute = execute or chosen_executor()
        self._queue = queue or WorkQueue()
        if queue is None and isinstance(self._execute, RemoteExecutor):
            self._execute.on_room(self._queue.begin_waiting)

    def submit(
        self,
        dataset: ImageDataset,
        config: TrainingConfig,
        marks: Mapping[str, dict[str, Any]] | None = None,
    ) -> str:
        """Put a run on disk and in the queue, and return its id.

        Args:
            dataset: The images; the run takes them as they are on disk when its turn comes.
            config: Every choice.
            marks: Other facts of the run, as JSON files by their names.

        Raises:
            IngestError: If the dataset cannot be trained on.
            TrainingError: If the person has as many models, or waiting trainings, as they may, or no thread can be
                started.
            WorkspaceError: If writing fails.
        """
        dataset.check_trainable()
        self.check_quota(1)
        run = TrainingRun.create(self.workspace, dataset, config, marks)
        try:
            live = self._live(run)
        except TransferStudioError:
            # Nobody wants to see it later: it would be listed as interrupted though it never began.
            with suppress(OSError):
                remove(run.folder)
            raise
        self._start(live)
        return run.id

    def check_quota(self, num_new: int) -> None:
        """Make sure that the person may start some trainings.

        Raises:
            TrainingError: If they would have more models, or more waiting trainings, than they may.
        """
        check_runs(self.workspace, num_new)
        self._check_waiting(num_new)

    def _check_waiting(self, num_new: int) -> None:
        own = [task for task in self._queue.in_order("training") if task.owner == self.workspace.owner]
        check_waiting(self.workspace, sum(task.state == "waiting" for task in own), num_new)

    def resume(self, run_id: str) -> None:
        """Queue an interrupted run again; its training goes on from its last checkpoint.

        Raises:
            NotFoundError: If there is no such run, or its images were deleted.
            TrainingError: If it is not interrupted, its images have changed, as many trainings wait as may, or no
                thread can be started.
            WorkspaceError: If writing fails.
        """
        self._check_waiting(1)
        self._start(self._live(resumable_run(self.workspace, run_id)))

    def restore(self, run_id: str, num_deaths: int) -> None:
        """Queue a run of a server that was stopped or died, behind all that wait.

        Args:
            run_id: Id of the run.
            num_deaths: How often a server has died while it trained this run.

        Raises:
            NotFoundError: If there is no such run, or its images were deleted.
            TrainingError: If it is not interrupted, its images have changed, or no thread can be started.
            WorkspaceError: If writing fails.
        """
        self._queue.move_last(self._start(self._live(resumable_run(self.workspace, run_id)), num_deaths))

    def write_interrupted(self, run_id: str, message: str) -> None:
        """Write down why an interrupted run does not go on by itself.

        Raises:
            NotFoundError: If there is no such run.
            TrainingError: If another process works on it.
            WorkspaceError: If writing fails.
        """
        live = LiveRun(TrainingRun.load(self.workspace, run_id))
        try:
            live.log.append(RunEnded(time.time(), "interrupted", stored(message)))
        finally:
            live.release()

    def request_stop(self, run_id: str) -> None:
        """Stop a run, which keeps the weights of its lowest validation loss. A run that still waits leaves the queue.

        A run that is over or unknown is left alone; for a run of another process a stop file is written.

        Raises:
            WorkspaceError: If writing fails.
        """
        task = self._find(run_id)
        if task:
            task.request_stop()
            return
        with suppress(NotFoundError):
            if self.status(run_id) in ACTIVE:
                request_stop_elsewhere(TrainingRun.load(self.workspace, run_id))

    def pause(self, run_id: str) -> None:
        """Make a run of this process wait at its next batch. It keeps its place, for which those behind it wait."""
        task = self._find(run_id)
        if task:
            task.live.pause()

    def go_on(self, run_id: str) -> None:
        """Let a paused run go on."""
        task = self._find(run_id)
        if task:
            task.live.go_on()

    def delete(self, run_id: str) -> None:
        """Move a run to the trash; `undo_delete` restores it for some days.

        Raises:
            NotFoundError: If there is no such run.
            TrainingError: If it is being trained or waits for it.
            WorkspaceError: If writing fails.
        """
        if self.status(run_id) in ACTIVE:
            raise TrainingError(_("A running training cannot be deleted. Stop it first."))
        move_to_trash(self.workspace, "run", run_id)

    def undo_delete(self, run_id: str) -> None:
        """Restore a deleted run.

        Raises:
            NotFoundError: If it is not in the trash any more.
            WorkspaceError: If writing fails.
        """
        take_from_trash(self.workspace, "run", run_id)

    def snapshot(self, run_id: str) -> RunSnapshot:
        """Return the fold of a run's events so far.

        Raises:
            NotFoundError: If there is no such run.
        """
        task = self._find(run_id)
        if task:
            return task.live.log.snapshot
        return TrainingRun.load(self.workspace, run_id).snapshot()

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run, whichever process trains it.

        Raises:
            NotFoundError: If there is no such run.
        """
        task = self._find(run_id)
        if task:
            if task.state == "waiting":
                return "queued"
            return "paused" if task.live.is_paused else "running"
        return run_status(TrainingRun.load(self.workspace, run_id))

    def place(self, run_id: str) -> int:
        """Return how many trainings must end before a run begins: none when it is being trained or is over.

        Where several run at once, the first to end makes room.
        """
        before = self._before(run_id)
        num_waiting = sum(task.state == "waiting" for task in before)
        return num_waiting + any(task.state == "running" for task in before)

    def waiting_seconds(self, run_id: str) -> float | None:
        """Estimate when a waiting run begins, from what earlier runs took on this machine.

        Each run that waits takes the place that is free first: list scheduling (Graham, 1966). A run of unknown length
        counts as endless, so that the run may begin earlier than estimated.

        Returns:
            Seconds until it begins; 0 if it does not wait; None when that is not known.
        """
        task = self._find(run_id)
        if task is None or task.state != "waiting":
            return 0.0
        before = self._before(run_id)
        free_in = [_or_endless(other.seconds_left()) for other in before if other.holds_a_place]
        if not free_in and not self.is_remote:
            free_in = [0.0]
        heapify(free_in)
        for other in before:
            if free_in and not other.holds_a_place:
                heapreplace(free_in, free_in[0] + _or_endless(other.seconds_left()))
        seconds = free_in[0] if free_in else math.inf
        return seconds if math.isfinite(seconds) else None

    def _before(self, run_id: str) -> list[TrainingTask]:
        task = self._find(run_id)
        ahead = self._queue.ahead_of(task) if task else []
        return [other for other in ahead if isinstance(other, TrainingTask)]

    def seconds_of_pause_left(self, run_id: str) -> float | None:
        """Return how much longer a run may pause while others wait; None when nobody else waits for it."""
        task = self._find(run_id)
        if task is None or not self._are_others_waiting():
            return None
        return task.live.seconds_of_pause_left

    def has_pause_ended(self, run_id: str) -> bool:
        """Whether the last pause of a run ended by itself because others waited."""
        task = self._find(run_id)
        return task is not None and task.live.has_pause_ended

    def is_here(self, run_id: str) -> bool:
        """Whether this process trains a run or will; another process may train one as well."""
        return self._find(run_id) is not None

    def is_stopping(self, run_id: str) -> bool:
        """Whether a stop was requested and has not been carried out yet."""
        task = self._find(run_id)
        return task is not None and task.should_stop()

    def is_to_pause(self, run_id: str) -> bool:
        """Whether a pause was requested; it begins at the next batch."""
        task = self._find(run_id)
        return task is not None and task.live.is_to_pause

    @property
    def is_remote(self) -> bool:
        """Whether runs are trained on the computers of a cluster."""
        return isinstance(self._execute, RemoteExecutor)

    @property
    def sends_photos(self) -> bool:
        """Whether photos leave this computer for a training."""
        return isinstance(self._execute, RemoteExecutor) and not self._execute.is_on_this_computer

    @property
    def running_runs(self) -> list[TrainingRun]:
        """The runs of this workspace that are being trained in this process or for it, the earliest first."""
        return self._runs("running")

    @property
    def waiting(self) -> TrainingRun | None:
        """The run of this workspace that waits in this process and begins before its others, if any."""
        return next(iter(self._runs("waiting")), None)

    def _runs(self, state: TaskState) -> list[TrainingRun]:
        return [
            task.live.run
            for task in self._queue.in_order("training")
            if isinstance(task, TrainingTask) and task.workspace == self.workspace and task.state == state
        ]

    def _live(self, run: TrainingRun) -> LiveRun:
        if isinstance(self._execute, RemoteExecutor):
            self._execute.prepare(self.workspace, run)
        return LiveRun(run, self._are_others_waiting)

    def _are_others_waiting(self) -> bool:
        return self._queue.are_others_waiting(self.workspace.owner, lane_of(self._execute))

    def _start(self, live: LiveRun, num_deaths: int = 0) -> TrainingTask:
        task = TrainingTask(self.workspace, live, self._execute, num_deaths)
        self._queue.start(task)
        if task.error and not task.has_begun:
            raise task.error
        return task

    def _find(self, run_id: str) -> TrainingTask | None:
        task = self._queue.find("training", run_id, self.workspace.owner)
        if isinstance(task, TrainingTask) and task.workspace == self.workspace and not task.is_over:
            return task
        return None


def _or_endless(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
