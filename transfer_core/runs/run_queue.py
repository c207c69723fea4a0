"""One training at a time: later runs wait their turn, and anyone may look on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.events import RunEnded, RunSnapshot, TrainingEvent
from transfer_core.language import _
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.execute import execute_run_safely
from transfer_core.runs.training_run import CONFIG_FILE, EVENTS_FILE, TrainingRun
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

RunStatus = Literal["queued", "running", "finished", "stopped", "failed", "interrupted"]
Execute = Callable[[Workspace, TrainingRun, Callable[[TrainingEvent], None], Callable[[], bool]], None]
Executor = Callable[[Callable[[], None]], None]


def in_background_thread(work: Callable[[], None]) -> None:
    """Start work in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="training", daemon=True).start()


@dataclass
class _Job:
    run: TrainingRun
    log: EventLog
    stop_requested: threading.Event = field(default_factory=threading.Event)


class RunQueue:
    """Takes runs, trains them one after the other, and answers how each is.

    Args:
        workspace: Where runs and datasets are.
        execute: Carries out one run; must not raise.
        executor: Starts the worker.
    """

    def __init__(
        self,
        workspace: Workspace,
        execute: Execute = execute_run_safely,
        executor: Executor = in_background_thread,
    ) -> None:
        self.workspace = workspace
        self._execute = execute
        self._executor = executor
        self._lock = threading.Lock()
        self._jobs: list[_Job] = []
        self._ended: dict[str, RunSnapshot] = {}

    def submit(self, dataset: ImageDataset, config: TrainingConfig) -> str:
        """Put a run on disk and in the queue, and return its id.

        Args:
            dataset: What to learn from; the run takes it as it is when its turn comes.
            config: Every choice.

        Returns:
            The id of the run.

        Raises:
            IngestError: If the dataset cannot be learned from.
            TrainingError: If the worker cannot start.
            WorkspaceError: If the disk refuses.
        """
        dataset.check_trainable()
        run = TrainingRun.create(self.workspace, dataset, config)
        with self._lock:
            self._jobs.append(_Job(run, EventLog(run.folder / EVENTS_FILE)))
            is_first = len(self._jobs) == 1
        if is_first:
            self._start_worker()
        return run.id

    def request_stop(self, run_id: str) -> None:
        """Ask a run to stop and keep its best weights. A run that still waits leaves the queue.

        Raises:
            WorkspaceError: If the disk refuses.
        """
        with self._lock:
            job = self._find(run_id)
            if job is None:
                return
            job.stop_requested.set()
            if job is not self._jobs[0]:
                job.log.append(RunEnded(time.time(), "stopped", _("Stopped before its turn had come.")))
                self._jobs.remove(job)

    def snapshot(self, run_id: str) -> RunSnapshot:
        """Return how a run is now.

        Raises:
            NotFoundError: If there is no such run.
        """
        job = self._find(run_id)
        if job:
            return job.log.snapshot
        # A person may have deleted its folder since it ended.
        if run_id in self._ended and (self.workspace.run_dir(run_id) / CONFIG_FILE).is_file():
            return self._ended[run_id]
        snapshot = TrainingRun.load(self.workspace, run_id).snapshot()
        # Without an end it may be the run of another process, which goes on writing.
        if snapshot.outcome:
            self._ended[run_id] = snapshot
        return snapshot

    def status(self, run_id: str) -> RunStatus:
        """Return in one word how a run is.

        Raises:
            NotFoundError: If there is no such run.
        """
        job = self._find(run_id)
        if job:
            return "running" if job.log.snapshot.started_at or self.place(run_id) == 0 else "queued"
        return self.snapshot(run_id).outcome or "interrupted"

    def place(self, run_id: str) -> int:
        """Return how many runs are before this one; 0 when it is being trained or is over."""
        ids = [job.run.id for job in list(self._jobs)]
        return ids.index(run_id) if run_id in ids else 0

    def is_stopping(self, run_id: str) -> bool:
        """Whether a stop was asked for and has not been carried out yet."""
        job = self._find(run_id)
        return job is not None and job.stop_requested.is_set()

    @property
    def running(self) -> TrainingRun | None:
        """The run that is being trained, if any."""
        jobs = list(self._jobs)
        return jobs[0].run if jobs else None

    def _find(self, run_id: str) -> _Job | None:
        return next((job for job in list(self._jobs) if job.run.id == run_id), None)

    def _start_worker(self) -> None:
        try:
            self._executor(self._work)
        except (RuntimeError, OSError) as error:
            message = _(
                "The training could not start, because the system would not begin the work ({reason}). Close "
                "other programs, then start the training again."
            ).format(reason=error)
            with self._lock:
                # With those that came in meanwhile: no worker would ever take them either.
                jobs, self._jobs = self._jobs, []
            for job in jobs:
                with suppress(WorkspaceError):
                    job.log.append(RunEnded(time.time(), "failed", message))
            raise TrainingError(message) from error

    def _work(self) -> None:
        while True:
            job = self._jobs[0]
            try:
                self._execute(self.workspace, job.run, job.log.append, job.stop_requested.is_set)
            except Exception:  # a full disk may refuse even the note that a run failed
                _logger.exception("Run %s ended without a word", job.run.id)
            with self._lock:
                self._jobs.pop(0)
                if not self._jobs:
                    return
