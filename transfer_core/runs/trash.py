"""Deleted photo sets, runs and own models, which can be restored for some days."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transfer_core.backbones.own.source_model import FACTS_FILE
from transfer_core.data.dataset import DATASET_FILE
from transfer_core.errors import NotFoundError, TransferStudioError, WorkspaceError
from transfer_core.file_cache import forget_files
from transfer_core.files import move, remove
from transfer_core.language import _
from transfer_core.runs.run_folder import RUN
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import ID_PATTERN, Workspace

SECONDS_KEPT = 7 * 24 * 60 * 60
TrashKind = Literal["dataset", "run", "source"]
# A run and the own model that was made from it have the same id.
_PREFIXES: dict[TrashKind, str] = {"dataset": "dataset-", "run": "", "source": "source-"}


@dataclass(frozen=True)
class TrashEntry:
    """A deleted photo set, run or own model.

    Args:
        kind: Which of these.
        id: Its id, as before.
        folder: Where it lies now.
    """

    kind: TrashKind
    id: str
    folder: Path

    @property
    def seconds_left(self) -> float:
        """Until it is deleted for good.

        Raises:
            OSError: If it has just been deleted.
        """
        return self.folder.stat().st_mtime + SECONDS_KEPT - time.time()


def trash_entries(workspace: Workspace) -> list[TrashEntry]:
    """Return what is in the trash of a workspace."""
    found = []
    for folder in sorted((workspace.root / "trash").glob("[!.]*")):
        for kind, prefix in _PREFIXES.items():
            if folder.name.startswith(prefix) and ID_PATTERN.fullmatch(folder.name[len(prefix) :]):
                found.append(TrashEntry(kind, folder.name[len(prefix) :], folder))
    return found


def is_in_trash(workspace: Workspace, kind: TrashKind, identifier: str) -> bool:
    """Whether a photo set, run or own model was deleted and can still be restored."""
    return any((entry.kind, entry.id) == (kind, identifier) for entry in trash_entries(workspace))


def move_to_trash(workspace: Workspace, run_id: str) -> None:
    """Move a run to the trash.

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
    """Move an own model to the trash.

    Raises:
        NotFoundError: If there is no such model.
        WorkspaceError: If writing fails.
    """
    source_dir = workspace.source_dir(source_id)
    with workspace.moving():
        if not source_dir.is_dir():
            raise NotFoundError(_no_source(source_id))
        _throw_away(workspace, source_dir, _PREFIXES["source"] + source_id)


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
        if not (workspace.trash_dir / (_PREFIXES["source"] + source_id)).is_dir():
            raise NotFoundError(_no_source(source_id))
        with suppress(OSError):
            remove(source_dir)
        _move(workspace.trash_dir / (_PREFIXES["source"] + source_id), source_dir)


def move_dataset_to_trash(workspace: Workspace, dataset_id: str) -> None:
    """Move a photo set to the trash. Its runs are kept.

    Raises:
        NotFoundError: If there is no such photo set.
        WorkspaceError: If writing fails.
    """
    folder = workspace.dataset_dir(dataset_id)
    with workspace.moving():
        if not folder.is_dir():
            raise NotFoundError(_no_photos(dataset_id))
        _throw_away(workspace, folder, _PREFIXES["dataset"] + dataset_id)
    forget_files(folder)


def take_dataset_from_trash(workspace: Workspace, dataset_id: str) -> None:
    """Restore a deleted photo set.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If writing fails.
    """
    folder = workspace.dataset_dir(dataset_id)
    with workspace.moving():
        thrown = workspace.trash_dir / (_PREFIXES["dataset"] + dataset_id)
        if not thrown.is_dir():
            raise NotFoundError(_no_photos(dataset_id))
        if not (folder / DATASET_FILE).is_file():
            # A lock file that another window has left there.
            with suppress(OSError):
                remove(folder)
        _move(thrown, folder)


def _throw_away(workspace: Workspace, folder: Path, name: str) -> None:
    # An older one with the same id, such as that of a project that was opened again.
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


def _no_photos(dataset_id: str) -> str:
    return _("There are no photos with the id {id}.").format(id=dataset_id)


def _no_source(source_id: str) -> str:
    return _("The own model {id} does not exist any more.").format(id=source_id)
