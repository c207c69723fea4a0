"""A run that this process trains or is going to train: its log, its lock, and whether it is to wait or stop."""

from __future__ import annotations

import threading
import time
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
_SECONDS_BETWEEN_LOOKS = 0.1


class LiveRun:
    """Holds a run until `release`. Any thread may ask it to pause or stop; the training thread obeys.

    Args:
        run: The run, new or interrupted.

    Raises:
        TrainingError: If another process works on it.
        WorkspaceError: If its folder cannot be read or changed. The run is free again then.
    """

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self._stop_file = run.folder / STOP_FILE
        self._stop_requested = threading.Event()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self.is_paused = False
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
                    id=run.id, reason=error.strerror or error
                )
            ) from error

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was asked for, here or by another process."""
        return self._stop_requested.is_set() or self._stop_file.exists()

    @property
    def is_to_pause(self) -> bool:
        """Whether a pause was asked for and has not been taken back."""
        return not self._may_go_on.is_set()

    def request_stop(self) -> None:
        """Ask the training to end with its best weights. A pause ends with it."""
        self._stop_requested.set()

    def pause(self) -> None:
        """Ask the training to wait at its next batch."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        """Take the pause back."""
        self._may_go_on.set()

    def should_stop(self) -> bool:
        """Answer the training, which asks after each batch. While paused the answer lets it wait.

        Raises:
            WorkspaceError: If the pause could not be written down.
        """
        if self.is_to_pause and not self.is_stopping:
            self._wait()
        return self.is_stopping

    def release(self) -> None:
        """Let other processes have the run."""
        with suppress(OSError):
            remove(self._stop_file)
        # The thread that goes through the queue must live on, whatever the system says.
        with suppress(OSError):
            self._lock.release()

    def _wait(self) -> None:
        self.log.append(RunPaused(time.time()))
        self.is_paused = True
        try:
            while not self._may_go_on.wait(_SECONDS_BETWEEN_LOOKS) and not self.is_stopping:
                pass
        finally:
            self.is_paused = False
        self.log.append(RunContinued(time.time()))


def ask_to_stop(run: TrainingRun) -> None:
    """Ask another process, which works on a run, to stop it.

    Args:
        run: The run.

    Raises:
        WorkspaceError: If writing fails.
    """
    try:
        (run.folder / STOP_FILE).touch()
    except OSError as error:
        raise WorkspaceError(
            _("The run {id} could not be asked to stop: {reason}.").format(
                id=run.id, reason=error.strerror or error
            )
        ) from error


def _remove_unfinished(folder: Path) -> None:
    """Delete the halves of models and checkpoints that a killed training left, which may be large.

    Only a training writes these, and nobody else trains this run now; exports and notes are written all the time.
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
    """Holds a run for this process until `release`.

    Args:
        folder: The folder of the run.

    Raises:
        TrainingError: If another process, or another queue of this one, works on the run.
        WorkspaceError: If the lock file cannot be made.
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
        """Let the run go. A second call changes nothing."""
        self._lock.release()
