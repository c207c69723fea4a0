"""Plan a project: its content and size, and the runs that cannot go in, with reasons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.own.source_model import ARRAYS_FILE, FACTS_FILE
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.errors import ProjectError
from transfer_core.file_cache import Signature, signature_of
from transfer_core.language import _
from transfer_core.projects.archive import check_size
from transfer_core.projects.checks import (
    MISFITS,
    check_dataset,
    check_run,
    check_source,
    known_network,
    reason_of,
)
from transfer_core.projects.manifest import is_packed
from transfer_core.projects.texts import check_text
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR, new_photos_of
from transfer_core.runs.run_folder import PORTABLE_FILES
from transfer_core.runs.run_status import ACTIVE, run_status
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.training.train import MODEL_FILE
from transfer_core.workspace import ID_PATTERN, Workspace


@dataclass(frozen=True)
class RunLeftOut:
    """A run that does not go into a project.

    Args:
        id: Of the run.
        reason: For a person.
    """

    id: str
    reason: str


@dataclass(frozen=True)
class ProjectPlan:
    """The content of a project that is to be saved.

    Args:
        dataset: In its present version.
        runs: On the dataset, newest first.
        source_ids: Own models that these runs start from.
        left_out: Runs on the dataset that cannot go in.
        num_bytes: Approximate size of the file.
    """

    dataset: ImageDataset
    runs: tuple[TrainingRun, ...]
    source_ids: tuple[str, ...]
    left_out: tuple[RunLeftOut, ...]
    num_bytes: int


def plan_project(workspace: Workspace, dataset_id: str, run_ids: Sequence[str] = ()) -> ProjectPlan:
    """Return the content and the size of a project. Everything is checked as when a project is opened.

    Args:
        workspace: Of the dataset and the runs.
        dataset_id: The dataset.
        run_ids: Runs on it; all that can go in, if empty.

    Raises:
        NotFoundError: If there is no such dataset or run.
        ProjectError: If the dataset or a run in `run_ids` cannot go in, or the project is too large.
        WorkspaceError: If a file is damaged.
    """
    dataset = ImageDataset.load(workspace, dataset_id)
    images = _scored_images(workspace, dataset_id, signature_of(dataset.folder / DATASET_FILE))
    if images.flaw:
        raise ProjectError(_("These photos cannot go into a project: {reason}").format(reason=images.flaw))
    left_out: list[RunLeftOut] = []
    if run_ids:
        checked = [_chosen_run(workspace, run_id, dataset_id) for run_id in dict.fromkeys(run_ids)]
    else:
        checked, left_out = _runs_that_can_go(workspace, dataset_id)
    runs = [run for run, _size_of_run in checked]
    backbones = {run.config.backbone for run in runs}
    source_ids = tuple(source_id for source_id in workspace.source_ids() if source_id in backbones)
    parts = [
        images.size,
        *(_size(_source_files(workspace, source_id)) for source_id in source_ids),
        *(size for _run, size in checked),
    ]
    num_bytes = sum(part.num_bytes for part in parts)
    # Each run has one more file, the facts of its network.
    check_size(sum(part.num_files for part in parts) + len(runs), num_bytes)
    return ProjectPlan(dataset, tuple(runs), source_ids, tuple(left_out), num_bytes)


def contents(
    workspace: Workspace, dataset: ImageDataset, runs: Sequence[TrainingRun], source_ids: Sequence[str]
) -> list[tuple[str, Path]]:
    """Return the names of all files in a project, each with the path it comes from.

    The weights of a run come from its `model.keras`, which does not go in itself.

    Raises:
        WorkspaceError: If a file is damaged.
    """
    files = _image_files(dataset, f"datasets/{dataset.id}")
    for source_id in source_ids:
        files += _source_files(workspace, source_id)
    for run in runs:
        files += _files_of_run(run)
    return files


def network_of(workspace: Workspace, run: TrainingRun) -> Backbone:
    """Return the published backbone of a run's model.

    Raises:
        Exception: One of `MISFITS`, if this app does not know it, or the own model that it starts from is damaged.
        ProjectError: If the own model or its weights were deleted.
    """
    source_id = run.config.backbone
    if not ID_PATTERN.fullmatch(source_id):
        return known_network(source_id)
    folder = workspace.source_dir(source_id)
    if not all((folder / name).is_file() for name in (FACTS_FILE, ARRAYS_FILE)):
        raise ProjectError(_("the model that it builds on has been deleted."))
    return check_source(folder)[0]


def _files_of_run(run: TrainingRun) -> list[tuple[str, Path]]:
    place = f"runs/{run.id}"
    files = [(f"{place}/{ARRAYS_FILE}", run.folder / MODEL_FILE)]
    files += [
        (f"{place}/{name}", run.folder / name) for name in PORTABLE_FILES if (run.folder / name).is_file()
    ]
    photos = new_photos_of(run)
    if photos:
        files += _image_files(photos.dataset, f"{place}/{NEW_PHOTOS_DIR}/datasets/{photos.dataset.id}")
    return files


def _source_files(workspace: Workspace, source_id: str) -> list[tuple[str, Path]]:
    folder = workspace.source_dir(source_id)
    return [(f"sources/{source_id}/{name}", folder / name) for name in (FACTS_FILE, ARRAYS_FILE)]


def _image_files(dataset: ImageDataset, place: str) -> list[tuple[str, Path]]:
    """Return the files of a dataset, without the photos that are missing or excluded: those are for nobody else."""
    paths = [dataset.image_path(image) for image in dataset.images]
    pictures = [(f"{place}/images/{path.name}", path) for path in paths if path.is_file()]
    return [(f"{place}/{DATASET_FILE}", dataset.folder / DATASET_FILE), *pictures]


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ProjectError(
            _("{file} cannot be read: {reason}. It may have been deleted; try again.").format(
                file=path.name, reason=error
            )
        ) from error


@dataclass(frozen=True)
class _Size:
    num_files: int
    num_bytes: int


@dataclass(frozen=True)
class _Checked:
    """The result of a check: the reason why files cannot go in (empty if they can), and their size."""

    flaw: str
    size: _Size


def _size(files: Sequence[tuple[str, Path]]) -> _Size:
    return _Size(len(files), sum(_size_of(path) for _name, path in files))


@lru_cache(maxsize=8)
def _scored_images(workspace: Workspace, dataset_id: str, _version: Signature) -> _Checked:
    """Check all photos, once for each version of a dataset: the files of the photos never change."""
    dataset = ImageDataset.load(workspace, dataset_id)
    try:
        check_text(dataset.folder / DATASET_FILE, len(dataset.images))
        check_dataset(dataset)
    except MISFITS as error:
        return _flaw(reason_of(error))
    return _Checked("", _size(_image_files(dataset, dataset_id)))


@lru_cache(maxsize=2000)
def _checked(workspace: Workspace, run: TrainingRun, _version: tuple[object, ...]) -> _Checked:
    """Check all files of a run, once for each version of them: it takes up to a tenth of a second."""
    try:
        dataset = ImageDataset.load(workspace, run.dataset_id)
        for name in PORTABLE_FILES:
            if is_packed(name) and (run.folder / name).is_file():
                check_text(run.folder / name, len(dataset.images))
        check_run(run, dataset, network_of(workspace, run))
    except MISFITS as error:
        return _flaw(reason_of(error))
    return _Checked("", _size(_files_of_run(run)))


def _version_of(workspace: Workspace, run: TrainingRun) -> tuple[object, ...]:
    """Return a value that changes with any file of a run, its dataset, its new photos and its own model."""
    files = _versions_in(run.folder)
    if any(name == NEW_PHOTOS_DIR for name, *_version in files):
        for folder in (run.folder / NEW_PHOTOS_DIR / "datasets").glob("*"):
            files += _versions_in(folder)
    if ID_PATTERN.fullmatch(run.config.backbone):
        files += _versions_in(workspace.source_dir(run.config.backbone))
    return signature_of(workspace.dataset_dir(run.dataset_id) / DATASET_FILE), *sorted(files)


def _versions_in(folder: Path) -> list[tuple[str, int, int, int]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        statuses = [(entry.name, entry.stat()) for entry in entries]
        return [(name, found.st_mtime_ns, found.st_size, found.st_ino) for name, found in statuses]
    return []


def _chosen_run(workspace: Workspace, run_id: str, dataset_id: str) -> tuple[TrainingRun, _Size]:
    run = TrainingRun.load(workspace, run_id)
    if run.dataset_id != dataset_id:
        raise ProjectError(
            _(
                "The run {id} was trained on other photos. A project holds the models of its own photos."
            ).format(id=run_id)
        )
    checked = _check_run(workspace, run)
    if checked.flaw:
        raise ProjectError(
            _("The run {id} cannot go into a project: {reason}").format(id=run.id, reason=checked.flaw)
        )
    return run, checked.size


def _runs_that_can_go(
    workspace: Workspace, dataset_id: str
) -> tuple[list[tuple[TrainingRun, _Size]], list[RunLeftOut]]:
    runs, left_out = [], []
    # Without readable facts nobody knows which dataset a run is on; `runs_of` skips such a run.
    for run in runs_of(workspace):
        if run.dataset_id != dataset_id:
            continue
        checked = _check_run(workspace, run)
        if checked.flaw:
            left_out.append(RunLeftOut(run.id, checked.flaw))
        else:
            runs.append((run, checked.size))
    return runs, left_out


def _check_run(workspace: Workspace, run: TrainingRun) -> _Checked:
    """Return the reason why a run cannot go into a project, if any, and its size."""
    try:
        status = run_status(run)
        if status in ACTIVE:
            return _flaw(_("it has not ended."))
        if status not in ("finished", "stopped"):
            return _flaw(_("its training failed or was interrupted."))
        if not run.has_model:
            return _flaw(_("it has no model."))
        return _checked(workspace, run, _version_of(workspace, run))
    except MISFITS as error:
        return _flaw(reason_of(error))


def _flaw(reason: str) -> _Checked:
    return _Checked(reason, _Size(0, 0))
