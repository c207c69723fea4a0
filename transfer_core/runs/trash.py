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
_FACTS_FILES: dict[TrashKind, str] = {"dataset": DATASET_FILE, "run": RUN.name, "source": FACTS_FILE}


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


def move_to_trash(workspace: Workspace, kind: TrashKind, identifier: str) -> None:
    """Move something to the trash. The runs of a photo set are kept.

    Args:
        workspace: Where it is.
        kind: Of it.
        identifier: Of it.

    Raises:
        NotFoundError: If there is none with this id.
        WorkspaceError: If writing fails.
    """
    folder, thrown = _place(workspace, kind, identifier), workspace.trash_dir / (_PREFIXES[kind] + identifier)
    with workspace.moving():
        if not folder.is_dir():
            raise _not_there(kind, identifier)
        # An older one with the same id, such as that of a project that was opened again.
        with suppress(OSError):
            remove(thrown)
        _move(folder, thrown)
    forget_files(folder)


def take_from_trash(workspace: Workspace, kind: TrashKind, identifier: str) -> None:
    """Restore something, and with a run the own model that it builds on.

    An own model that was made again meanwhile is left alone.

    Raises:
        NotFoundError: If it is not in the trash any more.
        WorkspaceError: If writing fails.
    """
    folder, thrown = _place(workspace, kind, identifier), workspace.trash_dir / (_PREFIXES[kind] + identifier)
    with workspace.moving():
        is_here = (folder / _FACTS_FILES[kind]).is_file()
        if is_here and kind == "source":
            return
        if not thrown.is_dir():
            raise _not_there(kind, identifier)
        if not is_here:
            # Files that were written there after the deletion, such as an export or a lock, belong to nothing.
            with suppress(OSError):
                remove(folder)
        _move(thrown, folder)
    if kind == "run":
        # A damaged run, or one of a published network, has no own model to bring along.
        with suppress(TransferStudioError):
            take_from_trash(workspace, "source", TrainingRun.load(workspace, identifier).config.backbone)


def _place(workspace: Workspace, kind: TrashKind, identifier: str) -> Path:
    places = {"dataset": workspace.dataset_dir, "run": workspace.run_dir, "source": workspace.source_dir}
    return places[kind](identifier)


def _move(source: Path, target: Path) -> None:
    try:
        # The trash counts the days from now.
        os.utime(source)
        move(source, target)
    except OSError as error:
        raise WorkspaceError(
            _("The folder {folder} could not be moved: {reason}. Close other programs that use it.").format(
                folder=source, reason=error
            )
        ) from error


def _not_there(kind: TrashKind, identifier: str) -> NotFoundError:
    sentence = {
        "dataset": _("There are no photos with the id {id}."),
        "run": _("The run {id} does not exist any more."),
        "source": _("The own model {id} does not exist any more."),
    }[kind]
    return NotFoundError(sentence.format(id=identifier))
