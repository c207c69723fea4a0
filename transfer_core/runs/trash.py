"""Deleted runs and own models, which can be restored for some days."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from transfer_core.backbones.own.source_model import FACTS_FILE
from transfer_core.errors import NotFoundError, TransferStudioError, WorkspaceError
from transfer_core.files import move, remove
from transfer_core.language import _
from transfer_core.runs.run_folder import RUN
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

SECONDS_KEPT = 7 * 24 * 60 * 60
# A run and the own model that was made from it have the same id.
_SOURCE = "source-"


def move_to_trash(workspace: Workspace, run_id: str) -> None:
    """Move a run to the trash, and delete for good what was moved there more than seven days ago.

    Raises:
        NotFoundError: If there is no such run.
        WorkspaceError: If writing fails.
    """
    run_dir = workspace.run_dir(run_id)
    with workspace.moving():
        if not run_dir.is_dir():
            raise NotFoundError(_no_run(run_id))
        _throw_away(workspace, run_dir, run_id)


def take_from_trash(workspace: Workspace, run_id: str) -> None:
    """Restore a deleted run, and with it the own model that it builds on.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If writing fails.
    """
    run_dir = workspace.run_dir(run_id)
    with workspace.moving():
        if not (workspace.trash_dir / run_id).is_dir():
            raise NotFoundError(_no_run(run_id))
        if not (run_dir / RUN.name).is_file():
            # Files that were written there after the deletion, such as an export, belong to no run.
            with suppress(OSError):
                remove(run_dir)
        _move(workspace.trash_dir / run_id, run_dir)
    # A damaged run, or one of a published network, has no own model to bring along.
    with suppress(TransferStudioError):
        take_source_from_trash(workspace, TrainingRun.load(workspace, run_id).config.backbone)


def move_source_to_trash(workspace: Workspace, source_id: str) -> None:
    """Move an own model to the trash, and delete for good what was moved there more than seven days ago.

    Raises:
        NotFoundError: If there is no such model.
        WorkspaceError: If writing fails.
    """
    source_dir = workspace.source_dir(source_id)
    with workspace.moving():
        if not source_dir.is_dir():
            raise NotFoundError(_no_source(source_id))
        _throw_away(workspace, source_dir, _SOURCE + source_id)


def take_source_from_trash(workspace: Workspace, source_id: str) -> None:
    """Restore a deleted own model, unless it was made again meanwhile.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If writing fails.
    """
    source_dir = workspace.source_dir(source_id)
    with workspace.moving():
        if (source_dir / FACTS_FILE).is_file():
            return
        if not (workspace.trash_dir / (_SOURCE + source_id)).is_dir():
            raise NotFoundError(_no_source(source_id))
        with suppress(OSError):
            remove(source_dir)
        _move(workspace.trash_dir / (_SOURCE + source_id), source_dir)


def delete_expired(workspace: Workspace) -> None:
    """Delete for good what was moved to the trash more than seven days ago."""
    for old in (workspace.root / "trash").glob("[!.]*"):
        # Other visitors tidy up as well.
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > SECONDS_KEPT:
                remove(old)


def _throw_away(workspace: Workspace, folder: Path, name: str) -> None:
    delete_expired(workspace)
    with suppress(OSError):
        remove(workspace.trash_dir / name)
    _move(folder, workspace.trash_dir / name)


def _move(source: Path, target: Path) -> None:
    try:
        # The trash counts the days from now.
        os.utime(source)
        move(source, target)
    except OSError as error:
        raise WorkspaceError(
            _("The folder {folder} could not be moved: {reason}. Close other programs that use it.").format(
                folder=source, reason=error.strerror or error
            )
        ) from error


def _no_run(run_id: str) -> str:
    return _("The run {id} does not exist any more.").format(id=run_id)


def _no_source(source_id: str) -> str:
    return _("The own model {id} does not exist any more.").format(id=source_id)
