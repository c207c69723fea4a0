"""One training at a time: later runs wait their turn, and anyone may look on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TrainingError, TransferStudioError, WorkspaceError
from transfer_core.events import RunEnded, RunSnapshot
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE, RunStatus, resumable_run, run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash, take_from_trash
from transfer_core.types import ShouldStop
from transfer_core.work.executor import Execute, chosen_executor
from transfer_core.work.live_run import LiveRun, ask_to_stop
from transfer_core.work.turns import Turns
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

StartWorker = Callable[[Callable[[], None]], None]


def in_background_thread(work: Callable[[], None]) -> None:
    """Start work in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="training", daemon=True).start()


class RunQueue:
    """Takes runs, trains them one after the other, and answers how each is.

    Args:
        workspace: Where runs and datasets are.
        execute: Carries out one run; must not raise. As the environment says if not given.
        start_worker: Starts the thread that goes through the queue.
    """

    def __init__(
        self,
        workspace: Workspace,
        execute: Execute | None = None,
        start_worker: StartWorker = in_background_thread,
    ) -> None:
        self.workspace = workspace
        self._execute = execute or chosen_executor()
        self._start_worker = start_worker
        self._lock = threading.Lock()
        self._turns = Turns()
        self._is_lent = False
        self._live: list[LiveRun] = []

    def submit(
        self,
        dataset: ImageDataset,
        config: TrainingConfig,
        marks: Mapping[str, dict[str, Any]] | None = None,
    ) -> str:
        """Put a run on disk and in the queue, and return its id.

        Args:
            dataset: What to learn from; the run takes it as it is when its turn comes.
            config: Every choice.
            marks: Other facts of the run, as JSON files by their names.

        Returns:
            The id of the run.

        Raises:
            IngestError: If the dataset cannot be learned from.
            TrainingError: If the worker cannot start.
            WorkspaceError: If writing fails.
        """
        dataset.check_trainable()
        run = TrainingRun.create(self.workspace, dataset, config, marks)
        try:
            live = LiveRun(run)
        except TransferStudioError:
            # Nobody asked to have it later: it would be listed as interrupted though it never began.
            with suppress(OSError):
                remove(run.folder)
            raise
        self._enqueue(live)
        return run.id

    def resume(self, run_id: str) -> None:
        """Put an interrupted run in the queue again; its training goes on from its last checkpoint.

        Raises:
            NotFoundError: If there is no such run, or its images are gone.
            TrainingError: If it is not interrupted, or its images are not what they were.
            WorkspaceError: If writing fails.
        """
        self._enqueue(LiveRun(resumable_run(self.workspace, run_id)))

    def request_stop(self, run_id: str) -> None:
        """Ask a run to stop and keep its best weights. A run that still waits leaves the queue.

        One that is over or gone is left alone; one that another process trains is asked through its folder.

        Raises:
            WorkspaceError: If writing fails.
        """
        with self._lock:
            live = self._find(run_id)
            if live is not None:
                live.request_stop()
                if live is not self._live[0]:
                    self._leave(live)
                return
        with suppress(NotFoundError):
            if self.status(run_id) in ACTIVE:
                ask_to_stop(TrainingRun.load(self.workspace, run_id))

    def pause(self, run_id: str) -> None:
        """Let a run of this queue wait at its next batch. Runs behind it wait as well."""
        live = self._find(run_id)
        if live:
            live.pause()

    def go_on(self, run_id: str) -> None:
        """Let a paused run go on."""
        live = self._find(run_id)
        if live:
            live.go_on()

    def delete(self, run_id: str) -> None:
        """Move a run to the trash, from where `undo_delete` takes it back for some days.

        Raises:
            NotFoundError: If there is no such run.
            TrainingError: If it is being trained or waits for it.
            WorkspaceError: If writing fails.
        """
        if self.status(run_id) in ACTIVE:
            raise TrainingError(_("A run that is being trained cannot be deleted. Stop it first."))
        move_to_trash(self.workspace, run_id)

    def undo_delete(self, run_id: str) -> None:
        """Take a deleted run back.

        Raises:
            NotFoundError: If it is not in the trash any more.
            WorkspaceError: If writing fails.
        """
        take_from_trash(self.workspace, run_id)

    def snapshot(self, run_id: str) -> RunSnapshot:
        """Return how a run is now.

        Raises:
            NotFoundError: If there is no such run.
        """
        live = self._find(run_id)
        if live:
            return live.log.snapshot
        return TrainingRun.load(self.workspace, run_id).snapshot()

    def status(self, run_id: str) -> RunStatus:
        """Return in one word how a run is, whichever process works on it.

        Raises:
            NotFoundError: If there is no such run.
        """
        live = self._find(run_id)
        if live:
            if self._is_lent or self.place(run_id):
                return "queued"
            return "paused" if live.is_paused else "running"
        return run_status(TrainingRun.load(self.workspace, run_id))

    def place(self, run_id: str) -> int:
        """Return how many runs are before this one; 0 when it is being trained or is over."""
        ids = [live.run.id for live in list(self._live)]
        return ids.index(run_id) if run_id in ids else 0

    def is_here(self, run_id: str) -> bool:
        """Whether this queue trains a run or will; another process may train one as well."""
        return self._find(run_id) is not None

    def is_stopping(self, run_id: str) -> bool:
        """Whether a stop was asked for and has not been carried out yet."""
        live = self._find(run_id)
        return live is not None and live.is_stopping

    def is_to_pause(self, run_id: str) -> bool:
        """Whether a run was told to pause; it does so at its next batch."""
        live = self._find(run_id)
        return live is not None and live.is_to_pause

    @property
    def running(self) -> TrainingRun | None:
        """The run that is being trained here, if any."""
        runs = list(self._live)
        return runs[0].run if runs and not self._is_lent else None

    @contextmanager
    def turn(self, should_stop: ShouldStop) -> Iterator[None]:
        """Wait until nothing is being trained, and keep trainings waiting until the block ends.

        Args:
            should_stop: Asked while waiting.

        Raises:
            StoppedWaitingError: If it said so.
        """
        with self._turns.taken(should_stop):
            self._is_lent = True
            try:
                yield
            finally:
                self._is_lent = False

    def _find(self, run_id: str) -> LiveRun | None:
        return next((live for live in list(self._live) if live.run.id == run_id), None)

    def _enqueue(self, live: LiveRun) -> None:
        with self._lock:
            self._live.append(live)
            is_first = len(self._live) == 1
        if is_first:
            self._start()

    def _leave(self, live: LiveRun) -> None:
        """Take a run that waits out of the queue. What was begun before can still be resumed."""
        if live.log.snapshot.started_at is None:
            live.log.append(RunEnded(time.time(), "stopped", _("Stopped before its turn had come.")))
        self._live.remove(live)
        live.release()

    def _start(self) -> None:
        try:
            self._start_worker(self._work)
        except (RuntimeError, OSError) as error:
            message = _(
                "The training could not start, because the system would not begin the work ({reason}). Close "
                "other programs, then start the training again."
            ).format(reason=error)
            with self._lock:
                # With those that came in meanwhile: no worker would ever take them either.
                waiting, self._live = self._live, []
            for live in waiting:
                with suppress(WorkspaceError):
                    live.log.append(RunEnded(time.time(), "interrupted", message))
                live.release()
            raise TrainingError(message) from error

    def _work(self) -> None:
        while True:
            live = self._live[0]
            try:
                with self._turns.taken():
                    self._execute(self.workspace, live.run, live.log.append, live.should_stop)
            except Exception:  # a full disk may refuse even the note that a run failed
                _logger.exception("Run %s ended without a word", live.run.id)
            with self._lock:
                self._live.pop(0)
                live.release()
                if not self._live:
                    return
