"""Delete for good: nothing of a photo, photo set, run or own model is left on the disk afterwards.

Each function refuses while a training needs what it deletes. If one is interrupted, the same call finishes its work.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError, TransferStudioError, WorkspaceError
from transfer_core.file_cache import forget_files
from transfer_core.files import move, remove
from transfer_core.language import _
from transfer_core.runs.erasing import (
    erase_from_cache,
    erase_from_dataset,
    erase_from_runs,
    names_of_photos,
    remove_collected,
)
from transfer_core.runs.own_models import delete_source
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.runs.trash import (
    SECONDS_KEPT,
    TrashEntry,
    TrashKind,
    move_to_trash,
    trash_entries,
)
from transfer_core.runs.unlabelled import UNLABELLED_DIR
from transfer_core.workspace import Workspace

# Of a workspace all that a person made; the rest belongs to the server.
_FOLDERS = ("datasets", "runs", "sources", "trash", "cache")
_NUM_TRIES = 3


def delete_dataset(workspace: Workspace, dataset_id: str) -> None:
    """Move a photo set to the trash; `take_from_trash` restores it for some days.

    Raises:
        NotFoundError: If there is no such photo set.
        TrainingError: If a training uses it.
        WorkspaceError: If writing fails.
    """
    _check_inside(workspace)
    _check_unused(workspace, dataset_id)
    move_to_trash(workspace, "dataset", dataset_id)


def delete_photos_for_good(workspace: Workspace, dataset_id: str, ids: Collection[str]) -> ImageDataset:
    """Delete photos of a photo set for good, also from the results of its runs and from their test photos.

    Models that learned from them are kept.

    Args:
        workspace: Of the photo set.
        dataset_id: Its id.
        ids: Of the photos, excluded or not. Unknown ones are ignored.

    Returns:
        The photo set without them.

    Raises:
        NotFoundError: If there is no such photo set.
        TrainingError: If a training uses it.
        WorkspaceError: If something cannot be deleted or written.
    """
    dataset = ImageDataset.load(workspace, dataset_id)
    names = {image_id: name for image_id, name in names_of_photos(dataset).items() if image_id in set(ids)}
    if not names:
        return dataset
    _check_unused(workspace, dataset_id)
    with _deleting(workspace, dataset.folder):
        erase_from_runs(workspace, dataset_id, names)
        _erase_from_unlabelled(dataset, names.keys())
        changed = _erase_from_latest(workspace, dataset_id, names.keys())
        erase_from_cache(workspace, dataset_id)
    return changed


def delete_for_good(workspace: Workspace, kind: TrashKind, identifier: str) -> None:
    """Delete a photo set, run or own model for good, wherever it lies: in its place or in the trash.

    Raises:
        NotFoundError: If there is none with this id.
        TrainingError: If a training uses it, or other models build on an own model.
        WorkspaceError: If something cannot be deleted.
    """

    def entries() -> list[TrashEntry]:
        return [entry for entry in trash_entries(workspace) if (entry.kind, entry.id) == (kind, identifier)]

    _check_inside(workspace)
    thrown_before = entries()
    try:
        _throw_away(workspace, kind, identifier)
    except TransferStudioError:
        if not thrown_before:
            raise
    for entry in entries():
        _delete_entry(workspace, entry)


def empty_trash(workspace: Workspace) -> None:
    """Delete everything in the trash for good, and the deleted classes of all photo sets.

    Raises:
        TrainingError: If a training uses photos of a deleted class.
        WorkspaceError: If something cannot be deleted.
    """
    for entry in trash_entries(workspace):
        _delete_entry(workspace, entry)
    for dataset in _datasets(workspace):
        delete_photos_for_good(workspace, dataset.id, dataset.deleted_ids())


def delete_expired(workspace: Workspace) -> None:
    """Delete for good what was deleted more than seven days ago. What cannot be deleted now is tried again later."""
    before = time.time() - SECONDS_KEPT
    for entry in trash_entries(workspace):
        # Other visitors tidy up as well.
        with suppress(OSError, TransferStudioError):
            if entry.seconds_left < 0:
                _delete_entry(workspace, entry)
    for dataset in _datasets(workspace):
        with suppress(TransferStudioError):
            delete_photos_for_good(workspace, dataset.id, dataset.deleted_ids(before))


def delete_everything(workspace: Workspace) -> None:
    """Delete all photo sets, runs, own models, the trash and the cache of a workspace for good.

    People, the facts of a class, and the runtimes of exported web pages are kept.

    Raises:
        TrainingError: If a training runs or waits.
        WorkspaceError: If something cannot be deleted.
    """
    _check_inside(workspace)
    if any(run_status(run) in ACTIVE for run in runs_of(workspace)):
        raise TrainingError(_("A training is running. Stop it first, then delete everything."))
    for name in _FOLDERS:
        with _deleting(workspace, workspace.root / name):
            _remove_whole(workspace, workspace.root / name)
    remove_collected(workspace.server)
    forget_files(workspace.root)


def clear_cache(workspace: Workspace) -> None:
    """Delete what can be made again: features, saved projects and measured rates.

    Raises:
        WorkspaceError: If something cannot be deleted.
    """
    with _deleting(workspace, workspace.root / "cache"):
        _remove_whole(workspace, workspace.root / "cache")


def _remove_whole(workspace: Workspace, folder: Path) -> None:
    """Delete a folder. After an interruption the rest is deleted at the next start."""
    if not folder.is_dir() or folder.is_symlink() or folder == workspace.trash_dir:
        remove(folder)
        return
    with workspace.scratch_folder() as scratch:
        move(folder, scratch / folder.name)
        remove(scratch / folder.name)


def _throw_away(workspace: Workspace, kind: TrashKind, identifier: str) -> None:
    if kind == "dataset":
        delete_dataset(workspace, identifier)
    elif kind == "source":
        delete_source(workspace, identifier)
    else:
        # A damaged run has no status, and may be deleted.
        with suppress(WorkspaceError):
            if run_status(TrainingRun.load(workspace, identifier)) in ACTIVE:
                raise TrainingError(_("A running training cannot be deleted. Stop it first."))
        move_to_trash(workspace, "run", identifier)


def _delete_entry(workspace: Workspace, entry: TrashEntry) -> None:
    with _deleting(workspace, entry.folder):
        if entry.kind == "dataset":
            # A damaged list names no photos; their files and features are deleted all the same.
            with suppress(TransferStudioError):
                names = names_of_photos(ImageDataset.read(entry.folder))
                erase_from_runs(workspace, entry.id, names)
        of_dataset = entry.id if entry.kind == "dataset" else ""
        erase_from_cache(workspace, of_dataset, without=entry.folder)
        # Last, so that an entry whose deletion was interrupted is still in the trash.
        remove(entry.folder)


def _erase_from_unlabelled(dataset: ImageDataset, ids: Collection[str]) -> None:
    below = Workspace(dataset.folder / UNLABELLED_DIR)
    if below.root.is_dir():
        for dataset_id in below.dataset_ids():
            waiting = ImageDataset.load(below, dataset_id)
            if found := names_of_photos(waiting).keys() & set(ids):
                erase_from_dataset(waiting, found)


def _erase_from_latest(workspace: Workspace, dataset_id: str, ids: Collection[str]) -> ImageDataset:
    """Erase photos from the latest version of a photo set, which another window may be changing."""
    for _try in range(_NUM_TRIES - 1):
        with suppress(WorkspaceError):
            return erase_from_dataset(ImageDataset.load(workspace, dataset_id), ids)
    return erase_from_dataset(ImageDataset.load(workspace, dataset_id), ids)


def _datasets(workspace: Workspace) -> Iterator[ImageDataset]:
    # Looking for photo sets would create their folder.
    for dataset_id in workspace.dataset_ids() if (workspace.root / "datasets").is_dir() else ():
        # A damaged one must not keep the others from being tidied up.
        with suppress(TransferStudioError):
            yield ImageDataset.load(workspace, dataset_id)


def _check_unused(workspace: Workspace, dataset_id: str) -> None:
    for run in runs_of(workspace):
        if run.dataset_id == dataset_id and run_status(run) in ACTIVE:
            raise TrainingError(_("A training uses these photos. Stop it first, then delete them."))


def _check_inside(workspace: Workspace) -> None:
    """Refuse to follow a link out of the workspace."""
    for name in _FOLDERS:
        folder = workspace.root / name
        if folder.exists() and not folder.resolve().is_relative_to(workspace.root.resolve()):
            raise WorkspaceError(
                _("{folder} is a link to a folder elsewhere. Delete its files by hand.").format(folder=folder)
            )


@contextmanager
def _deleting(workspace: Workspace, folder: Path) -> Iterator[None]:
    """Turn errors into sentences, and free the memory of what is deleted."""
    _check_inside(workspace)
    try:
        yield
    except OSError as error:
        raise WorkspaceError(
            _("Not everything could be deleted: {reason}. Close other programs, then try again.").format(
                reason=error
            )
        ) from error
    finally:
        forget_files(folder)
