"""What a workspace stores: photo sets, models, the trash and the cache, with their sizes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.files import read_json
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import TrashEntry, TrashKind, trash_entries
from transfer_core.workspace import Workspace

_SECONDS_OF_A_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class StoredItem:
    """A photo set, a run or an own model.

    Args:
        kind: Which of these.
        id: Its id.
        name: For a person; empty when its file is damaged.
        num_bytes: On the disk.
        num_photos: Of a photo set, excluded ones included.
        num_deleted: Those of its photos whose class was deleted, which can be undone for some days.
        num_days_left: In the trash: until it is deleted for good.
    """

    kind: TrashKind
    id: str
    name: str
    num_bytes: int
    num_photos: int = 0
    num_deleted: int = 0
    num_days_left: int = 0


@dataclass(frozen=True)
class Storage:
    """Everything in a workspace, newest first.

    Args:
        photo_sets: With all their photos.
        models: Runs with their exports and test photos.
        own_models: From which others can start.
        trash: Deleted ones of all three kinds.
        num_cache_bytes: Features and saved projects, which can be made again.
    """

    photo_sets: tuple[StoredItem, ...]
    models: tuple[StoredItem, ...]
    own_models: tuple[StoredItem, ...]
    trash: tuple[StoredItem, ...]
    num_cache_bytes: int

    @property
    def num_bytes(self) -> int:
        """Of everything."""
        items = (*self.photo_sets, *self.models, *self.own_models, *self.trash)
        return sum(item.num_bytes for item in items) + self.num_cache_bytes


def storage_of(workspace: Workspace) -> Storage:
    """Measure everything in a workspace. This reads all its folders."""
    return Storage(
        tuple(_photo_set(workspace.dataset_dir(found)) for found in workspace.dataset_ids()),
        tuple(_model(workspace.run_dir(found)) for found in workspace.run_ids()),
        tuple(_own_model(workspace.source_dir(found)) for found in workspace.source_ids()),
        tuple(_in_trash(entry) for entry in reversed(trash_entries(workspace))),
        folder_size(workspace.root / "cache"),
    )


def storage_version(workspace: Workspace) -> tuple[tuple[str, int], ...]:
    """Return facts that change when something is added, changed or deleted; quickly."""
    folders = (workspace.root / name for name in ("datasets", "runs", "sources", "trash", "cache"))
    found = []
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            found += [(entry.path, entry.stat(follow_symlinks=False).st_mtime_ns) for entry in entries]
    return tuple(sorted(found))


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder, without those that links lead to; 0 if it does not exist."""
    num_bytes = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                num_bytes += os.lstat(f"{parent}/{name}").st_size
    return num_bytes


def _photo_set(folder: Path, identifier: str = "") -> StoredItem:
    name, num_photos, num_deleted = "", 0, 0
    with suppress(TransferStudioError):
        dataset = ImageDataset.read(folder)
        name, num_photos = dataset.name, len(dataset.images) + len(dataset.excluded)
        num_deleted = len(dataset.deleted_ids())
    size = folder_size(folder)
    return StoredItem("dataset", identifier or folder.name, name, size, num_photos, num_deleted)


def _model(folder: Path) -> StoredItem:
    name = ""
    with suppress(TransferStudioError):
        run = TrainingRun.read(folder)
        name = run.files.notes().name or run.dataset_name
    return StoredItem("run", folder.name, name, folder_size(folder))


def _own_model(folder: Path, identifier: str = "") -> StoredItem:
    name = ""
    with suppress(TransferStudioError):
        name = str(read_json(folder / "facts.json").get("title", ""))
    return StoredItem("source", identifier or folder.name, name, folder_size(folder))


def _in_trash(entry: TrashEntry) -> StoredItem:
    if entry.kind == "dataset":
        item = _photo_set(entry.folder, entry.id)
    elif entry.kind == "run":
        item = _model(entry.folder)
    else:
        item = _own_model(entry.folder, entry.id)
    num_days = 0
    with suppress(OSError):
        num_days = max(1, round(entry.seconds_left / _SECONDS_OF_A_DAY))
    return StoredItem(
        item.kind, item.id, item.name, item.num_bytes, item.num_photos, item.num_deleted, num_days
    )
