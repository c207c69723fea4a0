"""Cross-process run lock. The system releases it when its owner ends, even after a crash."""

from __future__ import annotations

from pathlib import Path

from transfer_core.errors import TrainingError
from transfer_core.language import _
from transfer_core.locks import hold


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
