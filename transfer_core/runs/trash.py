"""Deleted runs and own models, which can be had back for some days."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.language import _
from transfer_core.runs.training_run import CONFIG_FILE
from transfer_core.workspace import Workspace

_SECONDS_KEPT = 7 * 24 * 60 * 60
# A run and the own model that was made from it have the same id.
_SOURCE = "source-"


def move_to_trash(workspace: Workspace, run_id: str) -> None:
    """Take a run out of the workspace, and for good those that were deleted more than seven days ago.

    Args:
        workspace: Where the run is.
        run_id: Its id.

    Raises:
        NotFoundError: If there is no such run.
        WorkspaceError: If the disk refuses.
    """
    _throw_away(workspace, workspace.run_dir(run_id), run_id)


def take_from_trash(workspace: Workspace, run_id: str) -> None:
    """Put a deleted run back to where it was.

    Args:
        workspace: Where the run was.
        run_id: Its id.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If the disk refuses.
    """
    run_dir = workspace.run_dir(run_id)
    if (workspace.trash_dir / run_id).is_dir() and not (run_dir / CONFIG_FILE).is_file():
        # What somebody wrote there after the deletion, such as a note from another window, belongs to no run.
        shutil.rmtree(run_dir, ignore_errors=True)
    _move(workspace.trash_dir / run_id, run_dir)


def move_source_to_trash(workspace: Workspace, source_id: str) -> None:
    """Take an own model out of the workspace, and for good what was deleted more than seven days ago.

    Args:
        workspace: Where the model is.
        source_id: Its id.

    Raises:
        NotFoundError: If there is no such model.
        WorkspaceError: If the disk refuses.
    """
    _throw_away(workspace, workspace.source_dir(source_id), _SOURCE + source_id)


def take_source_from_trash(workspace: Workspace, source_id: str) -> None:
    """Put a deleted own model back to where it was.

    Args:
        workspace: Where the model was.
        source_id: Its id.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If the disk refuses.
    """
    source_dir = workspace.source_dir(source_id)
    _move(workspace.trash_dir / (_SOURCE + source_id), source_dir)


def _throw_away(workspace: Workspace, folder: Path, name: str) -> None:
    _move(folder, workspace.trash_dir / name)
    os.utime(workspace.trash_dir / name)
    for old in workspace.trash_dir.iterdir():
        if time.time() - old.stat().st_mtime > _SECONDS_KEPT:
            shutil.rmtree(old, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise NotFoundError(
            _("There is nothing with the id {id} any more.").format(id=source.name.removeprefix(_SOURCE))
        )
    try:
        source.replace(target)
    except OSError as error:
        raise WorkspaceError(
            _("The folder {id} could not be moved: {reason}. Close other programs that use it.").format(
                id=source.name.removeprefix(_SOURCE), reason=error.strerror or error
            )
        ) from error
