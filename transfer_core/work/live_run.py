"""A run that this process trains or will train: its log, its lock, and requests to pause or stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.events import RunContinued, RunPaused
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.locks import hold
from transfer_core.runs.cross_validation import FOLDS_DIR
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import CHECKPOINTS_DIR
from transfer_core.training.train import MODEL_FILE

STOP_FILE = "stop"
# All pauses of a run together, while others wait.
MOST_SECONDS_OF_PAUSE = 180.0
_POLL_SECONDS = 0.1


class LiveRun:
    """Holds a run until `release`. Any thread may request a pause or a stop; the training thread obeys.

    Args:
        run: The run, new or interrupted.
        are_others_waiting: Whether other people wait for its end. Its pauses then last three minutes at most.

    Raises:
        TrainingError: If another process works on it.
        WorkspaceError: If its folder cannot be read or changed. The run is free again then.
    """

    def __init__(self, run: TrainingRun, are_others_waiting: Callable[[], bool] = lambda: False) -> None:
        self.run = run
        self._stop_file = run.folder / STOP_FILE
        self._stop_requested = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._are_others_waiting = are_others_waiting
        self._seconds_paused = 0.0
        self._paused_at = 0.0
        self.is_paused = False
        self.has_pause_ended = False
        self.log = EventLog(run.folder / EVENTS_FILE)
        self._lock = RunLock(run.folder)
        try:
            remove(self._stop_file)
            _remove_unfinished(run.folder)
            self.log.refresh()
        except BaseException as error:
            self._lock.release()
            if not isinstance(error, OSError):
                raise
            raise WorkspaceError(
                _("The run {id} cannot be opened: {reason}. Free some space on the disk.").format(
                    id=run.id, reason=error
                )
            ) from error

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested, here or by another process."""
        return self._stop_requested.is_set() or self._stop_file.exists()

    @property
    def is_to_pause(self) -> bool:
        """Whether a pause was requested and not taken back."""
        return not self._may_go_on.is_set()

    @property
    def seconds_of_pause_left(self) -> float:
        """How much longer it may pause while others wait; 0 at least."""
        paused = self._seconds_paused + (time.monotonic() - self._paused_at if self.is_paused else 0.0)
        return max(MOST_SECONDS_OF_PAUSE - paused, 0.0)

    def request_stop(self) -> None:
        """Make the training end with the weights that it keeps. This ends a pause, too."""
        self._stop_requested.set()

    def pause(self) -> None:
        """Make the training wait at its next batch."""
        self.has_pause_ended = False
        self._may_go_on.clear()

    def go_on(self) -> None:
        """Take the pause back."""
        self._may_go_on.set()

    def should_stop(self) -> bool:
        """Return whether to stop. Called after every batch; blocks while paused.

        Raises:
            WorkspaceError: If the pause cannot be written to the log.
        """
        if self.is_to_pause and not self.is_stopping:
            self._wait()
        return self.is_stopping

    def release(self) -> None:
        """Release the run for other processes."""
        with suppress(OSError):
            remove(self._stop_file)
        # An error here would end the queue's worker thread.
        with suppress(OSError):
            self._lock.release()

    def _wait(self) -> None:
        self.log.append(RunPaused(time.time()))
        self._paused_at = time.monotonic()
        self.is_paused = True
        try:
            while not self._may_go_on.wait(_POLL_SECONDS) and not self.is_stopping:
                if not self.seconds_of_pause_left and self._are_others_waiting():
                    self.has_pause_ended = True
                    self.go_on()
        finally:
            self._seconds_paused += time.monotonic() - self._paused_at
            self.is_paused = False
        self.log.append(RunContinued(time.time()))


def request_stop_elsewhere(run: TrainingRun) -> None:
    """Request the stop of a run that another process trains, through a file in its folder.

    Raises:
        WorkspaceError: If writing fails.
    """
    try:
        (run.folder / STOP_FILE).touch()
    except OSError as error:
        raise WorkspaceError(
            _("The run {id} could not be stopped: {reason}.").format(id=run.id, reason=error)
        ) from error


def _remove_unfinished(folder: Path) -> None:
    """Delete half-written models and checkpoints of a killed training, which may be large.

    Only a training writes these, and no other process trains this run now. Exports and notes are left alone: pages
    may be writing them at this moment.
    """
    model = Path(MODEL_FILE)
    for place in (folder, *(folder / FOLDS_DIR).glob("*")):
        for path in (
            *place.glob(f".{model.stem}-*{model.suffix}"),
            *(place / CHECKPOINTS_DIR).glob(".*"),
        ):
            with suppress(OSError):
                remove(path)


class RunLock:
    """Cross-process run lock. The OS releases it when its owner exits, even after a crash.

    Args:
        folder: The folder of the run.

    Raises:
        TrainingError: If another process, or another queue of this one, holds the run.
        WorkspaceError: If the lock file cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        lock = hold(folder)
        if lock is None:
            raise TrainingError(
                _(
                    "Another program on this computer works on the run {id}. Wait for it, or stop it there."
                ).format(id=folder.name)
            )
        self._lock = lock

    def release(self) -> None:
        """Release the lock. A second call changes nothing."""
        self._lock.release()
