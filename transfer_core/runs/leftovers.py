"""Delete half-written files of killed processes: no page or command lists them, and they fill the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from transfer_core.data.dataset import DATASET_FILE
from transfer_core.errors import WorkspaceError
from transfer_core.files import remove
from transfer_core.locks import LOCK_FILE, hold
from transfer_core.runs.deletion import delete_expired
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR
from transfer_core.runs.run_folder import EVENTS_FILE, RUN
from transfer_core.runs.trash import SECONDS_KEPT
from transfer_core.runs.unlabelled import UNLABELLED_DIR
from transfer_core.training.train import MODEL_FILE
from transfer_core.workspace import ID_PATTERN, SCRATCH_PATTERN, Workspace

# A file that is being written changes all the time, so a day without a change is long enough.
_SECONDS_UNTIL_LEFT = 24 * 60 * 60
_PLACES_OF_DATASETS = (
    "datasets/*",
    f"datasets/*/{UNLABELLED_DIR}/datasets/*",
    f"runs/*/{NEW_PHOTOS_DIR}/datasets/*",
)
_PLACES_OF_TEMPORARY_FILES = (
    "datasets/*/.*",
    "datasets/*/images/.*",
    f"datasets/*/{UNLABELLED_DIR}/.*",
    f"datasets/*/{UNLABELLED_DIR}/datasets/*/.*",
    f"datasets/*/{UNLABELLED_DIR}/datasets/*/images/.*",
    "runs/*/.*",
    "runs/*/exports/.*",
    "sources/.*",
    "sources/*/.*",
    "cache/projects/.*",
    "runtimes/tmp*",
)


def remove_leftovers(workspace: Workspace) -> None:
    """Delete half-written datasets, runs and scratch folders, old temporary files, and expired trash.

    Files that a living process is writing are locked by it and kept. So is a dataset or run that was ever complete: a
    lost file of facts is no reason to delete its photos or its model. Called when the app or a command starts, it
    raises nothing: the next start tries again.
    """
    root = workspace.root
    for folder in root.glob(f"trash/{SCRATCH_PATTERN}"):
        _remove_unless_held(folder, ())
    for folder in _folders(root, *_PLACES_OF_DATASETS):
        # Only a dataset that was never saved has this lock file.
        if (folder / LOCK_FILE).is_file():
            _remove_unless_held(folder, (DATASET_FILE,))
    for folder in _folders(root, "runs/*"):
        _remove_unless_held(folder, (RUN.name, EVENTS_FILE, MODEL_FILE))
    for pattern in _PLACES_OF_TEMPORARY_FILES:
        _remove_older(root.glob(pattern), _SECONDS_UNTIL_LEFT)
    # They can be made again, and after a start no page offers them any more.
    _remove_older(root.glob("cache/projects/[!.]*.zip"), SECONDS_KEPT)
    delete_expired(workspace)


def _folders(root: Path, *patterns: str) -> list[Path]:
    found = (path for pattern in patterns for path in root.glob(pattern))
    return [path for path in found if ID_PATTERN.fullmatch(path.name) and path.is_dir()]


def _remove_unless_held(folder: Path, whole_with: Iterable[str]) -> None:
    """Delete a folder, unless a process holds it or one of the files that it is whole with is there."""

    def is_whole() -> bool:
        return any((folder / name).is_file() for name in whole_with)

    with suppress(OSError, WorkspaceError):
        if is_whole() or (lock := hold(folder)) is None:
            return
        # Between the two checks another process may have finished it.
        if not is_whole():
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        if not is_whole():
            # Windows deletes no file that is open, so the lock file comes last.
            remove(folder)


def _remove_older(paths: Iterable[Path], seconds: float) -> None:
    for path in paths:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > seconds:
                remove(path)
