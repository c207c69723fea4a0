"""Which process works on a run: a lock that the system takes back when that process dies, however it dies."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import BinaryIO

from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.language import _

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK_FILE = "lock"
_NUM_TRIES = 20
_SECONDS_BETWEEN_TRIES = 0.01


class RunLock:
    """Holds a run for this process until `release`.

    Args:
        folder: The folder of the run.

    Raises:
        TrainingError: If another process, or another queue of this one, works on the run.
        WorkspaceError: If the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        # Somebody who only looks whether the run is held holds it for a moment.
        for _try in range(_NUM_TRIES):
            file = _open_and_lock(folder)
            if file:
                self._file = file
                return
            time.sleep(_SECONDS_BETWEEN_TRIES)
        raise TrainingError(
            _(
                "Another program on this computer works on the run {id}. Wait for it, or stop it there."
            ).format(id=folder.name)
        )

    def release(self) -> None:
        """Let the run go. A second call changes nothing."""
        self._file.close()


def is_locked(folder: Path) -> bool:
    """Say whether any process works on a run.

    Args:
        folder: The folder of the run.

    Raises:
        WorkspaceError: If the disk refuses.
    """
    if not (folder / LOCK_FILE).is_file():
        return False
    file = _open_and_lock(folder)
    if file:
        file.close()
    return file is None


def _open_and_lock(folder: Path) -> BinaryIO | None:
    try:
        file = (folder / LOCK_FILE).open("ab")
    except OSError as error:
        raise WorkspaceError(
            _("The run {id} cannot be opened: {reason}. Free some space on the disk.").format(
                id=folder.name, reason=error.strerror or error
            )
        ) from error
    try:
        _lock(file)
    except OSError:
        file.close()
        return None
    return file
