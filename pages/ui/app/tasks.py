"""The tasks of this server that pages start and follow; all visitors share them."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pages.ui.app.process import model_version, work_queue, workspace
from pages.ui.server.service import service
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.zoo_weights import ZooWeights
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Split
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.audition import AuditionScore
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.export.bundle import ExportBundle
from transfer_core.projects.open import OpenedProject
from transfer_core.projects.plan import ProjectPlan
from transfer_core.runs.run_learning_curve import MeasuredCurve
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.rate_finder import RateCurve
from transfer_core.work.task import Task, TaskKind
from transfer_core.work.tasks import (
    AddedPhotos,
    download_task,
    export_task,
    label_check_task,
    learning_curve_task,
    new_photos_scoring_task,
    open_project_task,
    piles_task,
    proposals_task,
    rate_search_task,
    save_project_task,
    split_scoring_task,
    video_task,
)

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Predictor


def _own(kind: TaskKind, key: Hashable) -> Task[Any] | None:
    """Return the latest task of the person who looks for some work; None if there was none lately."""
    return work_queue().find(kind, key, workspace().owner)


def start_download(backbone: Backbone) -> None:
    """Download the weights of a backbone."""
    if isinstance(weights := backbone.weights, ZooWeights):
        work_queue().start(download_task(backbone.name, backbone.title, weights.download))


def audition_of(dataset: ImageDataset) -> Task[list[AuditionScore]] | None:
    """Return the latest audition of this version of a dataset."""
    return _own("audition", (dataset.id, dataset.version))


def start_audition(dataset: ImageDataset, backbones: list[Backbone]) -> None:
    """Compare backbones on a dataset. An audition of an earlier version of it is stopped."""
    for task in work_queue().tasks("audition"):
        is_own = task.owner == workspace().owner and task.subject == dataset.id
        if is_own and task.key != (dataset.id, dataset.version):
            task.request_stop()
    service().start_audition(workspace(), dataset, backbones)


def forget_audition(dataset: ImageDataset) -> None:
    """Drop the result of an audition, unless another window has started it again."""
    task = audition_of(dataset)
    if task:
        work_queue().forget(task)


def rate_search_of(dataset: ImageDataset, config: TrainingConfig) -> Task[RateCurve] | None:
    """Return the search with these images and choices, or one under way with other choices of them."""
    task = _own("rate search", dataset.id)
    return task if task and (task.subject == _searched(dataset, config) or not task.is_over) else None


def start_rate_search(dataset: ImageDataset, config: TrainingConfig) -> None:
    """Look for a learning rate, unless a search with these images is under way."""
    work_queue().start(rate_search_task(workspace(), dataset, config, _searched(dataset, config)))


def _searched(dataset: ImageDataset, config: TrainingConfig) -> tuple[int, TrainingConfig]:
    # The rate that is looked for changes nothing about the search.
    return dataset.version, config.with_changes(learning_rate=1.0)


def own_sources() -> list[Backbone]:
    """A person's own models that new ones can build on; damaged ones are left out."""
    found = []
    for source_id in workspace().source_ids():
        try:
            found.append(get_backbone(source_id, workspace()))
        except TransferStudioError:
            continue
    return found


def export_of(run: TrainingRun, format_name: str) -> Task[ExportBundle] | None:
    """Return the latest export of a run in a format."""
    return _own("export", (run.id, format_name))


def start_export(run: TrainingRun, format_name: str) -> None:
    """Export a run, unless that is under way."""
    work_queue().start(export_task(workspace(), run, format_name))


def label_check_of(dataset: ImageDataset, backbone_name: str) -> Task[tuple[Suspicion, ...]] | None:
    """Return the latest label check of this version of a dataset."""
    return _own("label check", (dataset.id, dataset.version, backbone_name))


def start_label_check(dataset: ImageDataset, backbone_name: str) -> None:
    """Look for labels that are likely wrong, unless that is under way."""
    work_queue().start(label_check_task(workspace(), dataset, backbone_name))


def split_scoring(run_id: str, split: Split, version: int) -> Task[Evaluation]:
    """Return the scoring of a run on a part of its images, started once for each version of model and images."""
    of_model = model_version(run_id)
    return work_queue().get_or_start(split_scoring_task(workspace(), run_id, split, (of_model, version)))


def learning_curve_of(run_id: str, version: int) -> Task[MeasuredCurve] | None:
    """Return the latest measurement of the learning curve of a run.

    Args:
        run_id: The run.
        version: Of its photos.
    """
    return _own("learning curve", (run_id, (model_version(run_id), version)))


def start_learning_curve(run_id: str, version: int) -> None:
    """Measure the learning curve of a run, unless that is under way.

    Args:
        run_id: The run.
        version: Of its photos.
    """
    work_queue().start(learning_curve_task(workspace(), run_id, (model_version(run_id), version)))


def new_photos_scoring(run_id: str, dataset_id: str, version: int, images_version: int) -> Task[Evaluation]:
    """Return the scoring of a run on the photos that were brought to test it, started once for each version.

    Args:
        run_id: The run.
        dataset_id: The photos: each folder that is brought after the last was forgotten begins at version 1.
        version: Version of these photos.
        images_version: Version of the run's own images, whose near-duplicates do not count; 0 without any.
    """
    versions = (model_version(run_id), dataset_id, version, images_version)
    return work_queue().get_or_start(new_photos_scoring_task(workspace(), run_id, versions))


def saving_of(plan: ProjectPlan) -> Task[Path] | None:
    """Return the latest saving of a project as it would be now, or one of its images under way."""
    task = _own("project saving", plan.dataset.id)
    return task if task and (task.subject == plan or not task.is_over) else None


def start_saving(plan: ProjectPlan) -> None:
    """Save a project, unless a project with these images is being saved."""
    path = workspace().cache_dir / "projects" / f"{plan.dataset.id}.zip"
    task = save_project_task(workspace(), plan, path)
    earlier = saving_of(plan)
    # The file there remains when the new one is stopped or cannot be written.
    task.result = earlier.result if earlier else None
    work_queue().start(task)


def opening_of(file_id: str) -> Task[OpenedProject] | None:
    """Return the opening of a file that a person brought."""
    return _own("project opening", file_id)


def start_opening(file_id: str, content: BinaryIO) -> None:
    """Open a file that a person brought, unless that is under way.

    Args:
        file_id: Names it; nobody else can guess it.
        content: The file.
    """
    work_queue().start(open_project_task(workspace(), file_id, content))


def video_of(dataset_id: str) -> Task[AddedPhotos] | None:
    """Return the latest video whose frames were or will be added to a dataset."""
    return _own("video", dataset_id)


def start_model_loading(run_id: str) -> Task[Predictor]:
    """Load the model of a run, unless that is under way."""
    version = model_version(run_id)
    load = partial(service().predictor, workspace(), run_id)
    return work_queue().get_or_start(
        Task(
            "model loading",
            (run_id, version),
            lambda _task: load(),
            lane="light",
            owner=workspace().owner,
        )
    )


def start_video(dataset: ImageDataset, file: BinaryIO, name: str, class_name: str, num_photos: int) -> None:
    """Add frames of a video to a dataset, unless another video is being added to it.

    Args:
        dataset: The photos before.
        file: The video.
        name: Of its file.
        class_name: Label of the photos.
        num_photos: The most photos to take from it.
    """
    work_queue().start(video_task(workspace(), dataset, file, name, class_name, num_photos))


def piles_of(dataset: ImageDataset) -> Task[str] | None:
    """Return the latest sorting of the photos that wait beside a dataset."""
    return _own("piles", dataset.id)


def start_piles(dataset: ImageDataset, run: TrainingRun | None = None, num_piles: int | None = None) -> None:
    """Sort the photos that wait beside a dataset, unless that is under way.

    Args:
        dataset: The dataset that they wait beside.
        run: Its model proposes the classes. Without it the photos are sorted by how they look.
        num_piles: By looks; chosen by the photos if not given.
    """
    if run:
        load = partial(service().predictor, workspace(), run.id)
        work_queue().start(proposals_task(dataset, run.id, load, workspace().owner))
    else:
        work_queue().start(piles_task(workspace(), dataset, DEFAULT_BACKBONE, num_piles))
