"""Save images with their runs and settings as one file."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from transfer_core.backbones.registry import published_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.backbones.sources import ARRAYS_FILE, FACTS_FILE, SourceFacts
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.data.dataset_file import facts_to_dict
from transfer_core.errors import ProjectError, TransferStudioError
from transfer_core.evaluation.calibration import CALIBRATION_FILE
from transfer_core.evaluation.rejection import BANK_FILE, REJECTION_FILE
from transfer_core.files import read_json, replacing
from transfer_core.language import _
from transfer_core.projects.archive import Progress, check_size
from transfer_core.projects.manifest import MANIFEST_FILE, MODEL_FACTS_FILE, Manifest, StoredFile, is_packed
from transfer_core.projects.models import write_arrays
from transfer_core.runs.distillation import DISTILLATION_FILE
from transfer_core.runs.new_photos import new_photos_of
from transfer_core.runs.notes import NOTES_FILE
from transfer_core.runs.run_status import run_status
from transfer_core.runs.sweep import SWEEP_FILE
from transfer_core.runs.training_run import (
    CONFIG_FILE,
    EVALUATION_FILE,
    EVENTS_FILE,
    SPLIT_FILE,
    TrainingRun,
)
from transfer_core.training.train import MODEL_FILE, SIGNATURE_FILE
from transfer_core.workspace import Workspace

_RUN_FILES = (
    CONFIG_FILE,
    EVENTS_FILE,
    SPLIT_FILE,
    SIGNATURE_FILE,
    EVALUATION_FILE,
    CALIBRATION_FILE,
    REJECTION_FILE,
    BANK_FILE,
    NOTES_FILE,
    SWEEP_FILE,
    DISTILLATION_FILE,
)
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class ProjectPlan:
    """What a project is to hold.

    Args:
        dataset: The images, as they are now.
        runs: Runs on them that are over and have a model, newest first.
        source_ids: The own models that these runs build on.
        left_out: Ids of the runs on these images that do not go in, because they are not over, have no model or
            are damaged.
        num_bytes: About the size of the file.
    """

    dataset: ImageDataset
    runs: tuple[TrainingRun, ...]
    source_ids: tuple[str, ...]
    left_out: tuple[str, ...]
    num_bytes: int


def plan_project(workspace: Workspace, dataset_id: str, run_ids: Sequence[str] = ()) -> ProjectPlan:
    """Say what a project would hold, and how large it would be.

    Args:
        workspace: Where everything is.
        dataset_id: The images.
        run_ids: Which runs on them; all that can go in, if none is named.

    Raises:
        NotFoundError: If there are no such images, or no such run.
        ProjectError: If a run that is named cannot go in, or there is too much.
        WorkspaceError: If a file is damaged.
    """
    dataset = ImageDataset.load(workspace, dataset_id)
    left_out: list[str] = []
    if run_ids:
        runs = [_chosen_run(workspace, run_id, dataset_id) for run_id in dict.fromkeys(run_ids)]
    else:
        runs, left_out = _runs_that_can_go(workspace, dataset_id)
    backbones = {run.config.backbone for run in runs}
    source_ids = tuple(source_id for source_id in workspace.source_ids() if source_id in backbones)
    paths = [path for run in runs for path in (*_files_of(run), run.folder / MODEL_FILE)]
    paths += [path for _name, path in _image_files(dataset, f"datasets/{dataset.id}")]
    paths += [workspace.source_dir(source_id) / ARRAYS_FILE for source_id in source_ids]
    num_bytes = sum(path.stat().st_size for path in paths)
    check_size(len(paths), num_bytes)
    return ProjectPlan(dataset, tuple(runs), source_ids, tuple(left_out), num_bytes)


def save_project(
    workspace: Workspace,
    plan: ProjectPlan,
    path: Path,
    on_progress: Progress = lambda done, total: None,
) -> None:
    """Write a project, whole or not at all.

    Args:
        workspace: Where everything is.
        plan: What goes in.
        path: Where the file is to be.
        on_progress: Called with the bytes written, and about how many there will be.

    Raises:
        NotFoundError: If something was deleted meanwhile.
        ProjectError: If something was deleted or changed meanwhile.
        WorkspaceError: If a model is damaged, or the disk refuses.
    """
    with (
        replacing(path) as beside,
        tempfile.TemporaryDirectory(prefix=".project-", dir=path.parent) as scratch,
        zipfile.ZipFile(beside, "w") as archive,
    ):
        writer = _Writer(archive, plan.num_bytes, on_progress)
        _write_images(writer, plan.dataset, f"datasets/{plan.dataset.id}")
        for source_id in plan.source_ids:
            for name in (FACTS_FILE, ARRAYS_FILE):
                writer.add_file(f"sources/{source_id}/{name}", workspace.source_dir(source_id) / name)
        for run in plan.runs:
            _write_run(writer, workspace, run, Path(scratch) / ARRAYS_FILE)
        manifest = Manifest(
            plan.dataset.name, plan.dataset.id, tuple(run.id for run in plan.runs), plan.source_ids
        )
        writer.add_json(MANIFEST_FILE, manifest.to_dict(list(writer.files)))


class _Writer:
    """Adds files to a zip and notes their sizes and checksums."""

    def __init__(self, archive: zipfile.ZipFile, num_bytes: int, on_progress: Progress) -> None:
        self.files: list[StoredFile] = []
        self._archive = archive
        self._num_bytes = num_bytes
        self._num_done = 0
        self._on_progress = on_progress

    def add_file(self, name: str, path: Path) -> None:
        """Copy a file in, piece by piece."""
        with path.open("rb") as content:
            self._add(name, content, path.stat().st_size)

    def add_json(self, name: str, values: dict[str, Any]) -> None:
        """Write plain values as JSON."""
        content = json.dumps(values, ensure_ascii=False, indent=1).encode()
        self._add(name, io.BytesIO(content), len(content))

    def _add(self, name: str, content: BinaryIO, num_bytes: int) -> None:
        # No date of this computer: the same project gives the same file.
        member = zipfile.ZipInfo(name)
        member.file_size = num_bytes
        member.compress_type = zipfile.ZIP_DEFLATED if is_packed(name) else zipfile.ZIP_STORED
        digest, num_bytes = hashlib.sha256(), 0
        with self._archive.open(member, "w") as target:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                num_bytes += len(chunk)
                target.write(chunk)
        self.files.append(StoredFile(name, num_bytes, digest.hexdigest()))
        self._num_done += num_bytes
        self._on_progress(min(self._num_done, self._num_bytes), self._num_bytes)


def _chosen_run(workspace: Workspace, run_id: str, dataset_id: str) -> TrainingRun:
    run = TrainingRun.load(workspace, run_id)
    if run.dataset_id != dataset_id:
        raise ProjectError(
            _("The run {id} has learned from other images. A project holds the runs on its images.").format(
                id=run_id
            )
        )
    _check_can_go(workspace, run)
    return run


def _runs_that_can_go(workspace: Workspace, dataset_id: str) -> tuple[list[TrainingRun], list[str]]:
    """Return the runs on some images that can go in, and the ids of those that cannot."""
    runs, left_out = [], []
    for run_id in workspace.run_ids():
        # Of one whose facts cannot be read nobody knows which images it is on.
        with suppress(TransferStudioError):
            run = TrainingRun.load(workspace, run_id)
            if run.dataset_id == dataset_id:
                left_out.append(run_id)
                _check_can_go(workspace, run)
                left_out.remove(run_id)
                runs.append(run)
    return runs, left_out


def _check_can_go(workspace: Workspace, run: TrainingRun) -> None:
    if run_status(run) not in ("finished", "stopped") or not run.has_model:
        raise ProjectError(
            _("The run {id} is not over or has no model, so it cannot go into a project.").format(id=run.id)
        )
    architecture_of(workspace, run)


def architecture_of(workspace: Workspace, run: TrainingRun) -> str:
    """Return the name of the published network that the body of a run's model is.

    Raises:
        NotFoundError: If the own model that it builds on is gone.
        WeightsError: If the facts of that are damaged.
        WorkspaceError: If they cannot be read.
    """
    if run.config.backbone in workspace.source_ids():
        folder = workspace.source_dir(run.config.backbone)
        return SourceFacts.from_dict(read_json(folder / FACTS_FILE)).architecture
    return published_backbone(run.config.backbone).name


def _files_of(run: TrainingRun) -> list[Path]:
    return [path for name in _RUN_FILES if (path := run.folder / name).is_file()]


def _image_files(dataset: ImageDataset, place: str) -> list[tuple[str, Path]]:
    """Name the files of the pictures that are there; one that is missing is missing in the project as well."""
    paths = [dataset.image_path(image) for image in (*dataset.images, *dataset.excluded)]
    return [(f"{place}/images/{path.name}", path) for path in paths if path.is_file()]


def _write_images(writer: _Writer, dataset: ImageDataset, place: str) -> None:
    writer.add_json(f"{place}/{DATASET_FILE}", facts_to_dict(dataset))
    for name, path in _image_files(dataset, place):
        writer.add_file(name, path)


def _write_run(writer: _Writer, workspace: Workspace, run: TrainingRun, arrays: Path) -> None:
    place = f"runs/{run.id}"
    load_keras()
    facts = write_arrays(run, architecture_of(workspace, run), arrays)
    writer.add_json(f"{place}/{MODEL_FACTS_FILE}", facts.to_dict())
    writer.add_file(f"{place}/{ARRAYS_FILE}", arrays)
    for path in _files_of(run):
        writer.add_file(f"{place}/{path.name}", path)
    photos = new_photos_of(run)
    if photos:
        _write_images(writer, photos.dataset, f"{place}/new_photos/datasets/{photos.dataset.id}")
