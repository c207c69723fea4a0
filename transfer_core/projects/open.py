"""Open a project file: everything in it is added to the workspace, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from transfer_core.backbones.own.source_model import ARRAYS_FILE, FACTS_FILE
from transfer_core.data.dataset import IMAGES_FOLDER, ImageDataset
from transfer_core.data.quota import check_photos, check_runs
from transfer_core.errors import ProjectError, TransferStudioError, WorkspaceError
from transfer_core.files import move, read_json
from transfer_core.language import _
from transfer_core.projects.archive import ProjectStoppedError, unpack
from transfer_core.projects.checks import check_project, model_facts_of, same_images, same_training
from transfer_core.projects.copy import with_new_ids
from transfer_core.projects.manifest import MANIFEST_FILE, MODEL_FACTS_FILE, Manifest
from transfer_core.projects.models import rebuild_model
from transfer_core.projects.version import migrate
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.workspace import Workspace


@dataclass(frozen=True)
class OpenedProject:
    """The result of opening a project.

    Args:
        dataset_id: Of its dataset in the workspace.
        run_ids: Of all its runs in the workspace, newest first.
        new_ids: Of the dataset, runs and own models that were not in the workspace before, or not whole.
        is_copy: Whether everything got new ids, since other content has the old ones in the workspace.
    """

    dataset_id: str
    run_ids: tuple[str, ...]
    new_ids: tuple[str, ...]
    is_copy: bool


def open_project(
    workspace: Workspace,
    content: BinaryIO,
    on_progress: OnProgress = lambda done, total: None,
    should_stop: ShouldStop = lambda: False,
) -> OpenedProject:
    """Add a project to a workspace. No code in it is run, and this app builds its models.

    Content that the workspace has already is kept; missing photos, models and weights are filled in. If anything of the
    project is in the workspace with other content, such as a dataset that was edited since, the whole project is added
    as a copy with new ids.

    Args:
        workspace: The target.
        content: The zip.
        on_progress: Called with the unpacked bytes and all bytes.
        should_stop: Called before each file and each model.

    Raises:
        IngestError: If the person would have more photos than they may, or has no space left.
        ProjectError: If it is no whole project, or unsafe, or of a newer version; the message says why.
        ProjectStoppedError: If `should_stop` returned True.
        TrainingError: If the person would have more models than they may.
        WorkspaceError: If writing fails.
    """
    check_photos(workspace, 0, content.seek(0, os.SEEK_END))
    content.seek(0)
    with _scratch_folder(workspace) as folder:
        migrate(folder, unpack(content, folder, on_progress, should_stop))
        manifest = Manifest.from_dict(read_json(folder / MANIFEST_FILE))
        unpacked = Workspace(folder)

        def stop_if_asked() -> None:
            if should_stop():
                raise ProjectStoppedError

        check_project(unpacked, manifest, stop_if_asked)
        places = manifest.places
        known = {place for place in places if (workspace.root / place).exists()}
        is_copy = not all(_is_same(unpacked, workspace, place) for place in known)
        if is_copy:
            manifest = with_new_ids(unpacked, manifest)
            places, known = manifest.places, set()
        root = workspace.root
        new = {place: _missing_here(folder, root, place) if place in known else [place] for place in places}
        _check_quota(workspace, unpacked, manifest, new)
        _rebuild(unpacked, [run_id for run_id in manifest.runs if new[f"runs/{run_id}"]], should_stop)
        _move_in(folder, root, [part for parts in new.values() for part in parts])
    new_ids = tuple(place.rpartition("/")[2] for place, parts in new.items() if parts)
    return OpenedProject(manifest.dataset, tuple(sorted(manifest.runs, reverse=True)), new_ids, is_copy)


@contextmanager
def _scratch_folder(workspace: Workspace) -> Iterator[Path]:
    """Yield a folder on the disk of the workspace."""
    try:
        with workspace.scratch_folder() as folder:
            yield folder
    except OSError as error:
        raise WorkspaceError(
            _("The project could not be saved here: {reason}. Free some space, then open it again.").format(
                reason=error
            )
        ) from error


def _check_quota(
    workspace: Workspace, unpacked: Workspace, manifest: Manifest, new: Mapping[str, list[str]]
) -> None:
    """Make sure that a person may have what a project brings.

    Raises:
        IngestError: If they would have more photos than they may.
        TrainingError: If they would have more models than they may.
    """
    of_dataset = new[f"datasets/{manifest.dataset}"]
    is_whole = of_dataset == [f"datasets/{manifest.dataset}"]
    photos = unpacked.dataset_dir(manifest.dataset).glob(f"**/{IMAGES_FOLDER}/*.jpg")
    check_photos(workspace, len(list(photos)) if is_whole else len(of_dataset))
    check_runs(workspace, sum(f"runs/{run_id}" in new[f"runs/{run_id}"] for run_id in manifest.runs))


def _is_same(unpacked: Workspace, workspace: Workspace, place: str) -> bool:
    room, _slash, identifier = place.partition("/")
    try:
        if room == "sources":
            one, other = (
                read_json(root.source_dir(identifier) / FACTS_FILE) for root in (unpacked, workspace)
            )
            return one == other
        if room == "datasets":
            return same_images(
                ImageDataset.load(unpacked, identifier), ImageDataset.load(workspace, identifier)
            )
        run = TrainingRun.load(workspace, identifier)
        excluded = _excluded_from(workspace, run.dataset_id)
        return same_training(TrainingRun.load(unpacked, identifier), run, excluded)
    except TransferStudioError:
        # Damaged in the workspace: the project comes in whole, as a copy.
        return False


def _excluded_from(workspace: Workspace, dataset_id: str) -> dict[str, str]:
    with suppress(TransferStudioError):
        return {image.id: image.name for image in ImageDataset.load(workspace, dataset_id).excluded}
    return {}


def _missing_here(folder: Path, root: Path, place: str) -> list[str]:
    """Return the files that are missing in the workspace, of a part that has the same facts there."""
    if place.startswith("datasets/"):
        needed = [f"{place}/images/{path.name}" for path in (folder / place / "images").glob("*.jpg")]
    else:
        needed = [f"{place}/{MODEL_FILE if place.startswith('runs/') else ARRAYS_FILE}"]
    return [name for name in needed if not (root / name).is_file()]


def _rebuild(unpacked: Workspace, run_ids: list[str], should_stop: ShouldStop) -> None:
    for run_id in run_ids:
        if should_stop():
            raise ProjectStoppedError
        run = TrainingRun.load(unpacked, run_id)
        try:
            rebuild_model(run, model_facts_of(run))
        except (TransferStudioError, ValueError) as error:
            raise ProjectError(
                _("The project was not opened, because of the model of the run {id}: {reason}").format(
                    id=run.id, reason=error
                )
            ) from error
        (run.folder / MODEL_FACTS_FILE).unlink()


def _move_in(folder: Path, root: Path, places: list[str]) -> None:
    moved: list[str] = []
    try:
        for place in places:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            move(folder / place, root / place)
            moved.append(place)
    except OSError:
        for place in reversed(moved):
            with suppress(OSError):
                move(root / place, folder / place)
        raise
