"""The tasks that pages start, other than trainings. Each function returns one to be put into the `WorkQueue`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.zoo_weights import WeightsFile, download_weights
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files
from transfer_core.data.quota import check_space
from transfer_core.data.records import Split
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.video import video_photos
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.audition import AuditionScore, audition
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.label_suspicion import suspicious_labels
from transfer_core.export.bundle import EXPORT_STAGES, ExportBundle, export_run
from transfer_core.export.formats import get_format
from transfer_core.export.preparation import prepare
from transfer_core.inference.answers import Answer, answer_files
from transfer_core.inference.explanation import ClassAverage, GradCam
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _, language, speaking
from transfer_core.projects.open import OpenedProject, open_project
from transfer_core.projects.plan import ProjectPlan
from transfer_core.projects.save import save_project
from transfer_core.runs.corrections import dataset_of
from transfer_core.runs.new_photos import evaluate_new_photos, new_photos_of
from transfer_core.runs.run_evaluation import evaluate_split, split_images
from transfer_core.runs.run_learning_curve import MeasuredCurve, measure_curve
from transfer_core.runs.storage import Storage, storage_of, storage_version
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unlabelled import propose_classes, sort_by_looks, unlabelled_of
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.rate_finder import RateCurve, find_learning_rate
from transfer_core.work.task import Task, TaskProgress
from transfer_core.workspace import Workspace

OpenPhotos = Callable[[], AbstractContextManager[Sequence[ImportedFile]]]


def download_task(key: Hashable, title: str, file: WeightsFile) -> Task[None]:
    """Download a weights file.

    Args:
        key: Name of the backbone.
        title: Of the backbone, for a person.
        file: Address, size and checksum.
    """

    def work(task: Task[None]) -> None:
        download_weights(file, on_progress=task.reporter(title), should_stop=task.should_stop)

    return Task("download", key, work, lane="light")


def audition_task(
    workspace: Workspace, dataset: ImageDataset, backbones: list[Backbone]
) -> Task[list[AuditionScore]]:
    """Compare backbones, whose weights are available, on a dataset.

    Args:
        workspace: Its cache keeps the features.
        dataset: The images.
        backbones: The candidates.
    """
    work = audition_work(workspace, dataset, backbones)
    return Task("audition", (dataset.id, dataset.version), work, subject=dataset.id, owner=workspace.owner)


def audition_work(
    workspace: Workspace, dataset: ImageDataset, backbones: list[Backbone]
) -> Callable[[Task[list[AuditionScore]]], list[AuditionScore]]:
    """Return the work of `audition_task`."""
    names = [backbone.name for backbone in backbones]

    def work(task: Task[list[AuditionScore]]) -> list[AuditionScore]:
        def report(backbone: Backbone, num_images: int) -> None:
            number = names.index(backbone.name)
            task.report(TaskProgress(backbone.title, num_images, len(dataset.images), number, len(names)))

        load_keras()
        return audition(
            dataset, backbones, workspace.cache_dir, on_progress=report, should_stop=task.should_stop
        )

    return work


def rate_search_task(
    workspace: Workspace, dataset: ImageDataset, config: TrainingConfig, subject: object = None
) -> Task[RateCurve]:
    """Find a learning rate.

    Args:
        workspace: Its cache keeps the features.
        dataset: The images.
        config: The choices of the run that is to come.
        subject: The version of the images and the choices, for the caller to compare.
    """

    def work(task: Task[RateCurve]) -> RateCurve:
        def report(part: str, number: int, num_done: int, num_all: int) -> None:
            task.report(TaskProgress(part, num_done, num_all, number, 2))

        return find_learning_rate(
            dataset,
            config,
            get_backbone(config.backbone, workspace),
            workspace.cache_dir,
            on_features=partial(report, _("Reading your photos"), 0),
            on_step=partial(report, _("Trying learning rates"), 1),
            should_stop=task.should_stop,
        )

    return Task("rate search", dataset.id, work, subject=subject, owner=workspace.owner)


def export_task(workspace: Workspace, run: TrainingRun, format_name: str) -> Task[ExportBundle]:
    """Export a run. A runtime that is missing is downloaded first, and only the download can be stopped.

    Its texts are in the language of whoever calls this.

    Args:
        workspace: Keeps the runtime of exported web pages.
        run: The run.
        format_name: Name of the export format.
    """
    visitors_language = language()

    def download(task: Task[ExportBundle]) -> None:
        report = task.reporter(get_format(format_name).title)
        prepare(workspace, format_name, on_progress=report, should_stop=task.should_stop)

    def work(task: Task[ExportBundle]) -> ExportBundle:
        def report(step: str) -> None:
            # Notices about the model are for the command line.
            if step in EXPORT_STAGES:
                number, count = EXPORT_STAGES.index(step), len(EXPORT_STAGES)
                task.report(TaskProgress(step, num_parts_done=number, num_parts=count))

        check_space(workspace)
        with speaking(visitors_language):
            return export_run(workspace, run, format_name, on_step=report)

    return Task("export", (run.id, format_name), work, preparation=download, owner=workspace.owner)


def label_check_task(
    workspace: Workspace, dataset: ImageDataset, backbone_name: str
) -> Task[tuple[Suspicion, ...]]:
    """Look for labels that are likely wrong.

    Args:
        workspace: Its cache keeps the features.
        dataset: The images.
        backbone_name: Name of the feature extractor.
    """

    def work(task: Task[tuple[Suspicion, ...]]) -> tuple[Suspicion, ...]:
        found = suspicious_labels(
            dataset,
            workspace.cache_dir,
            backbone=get_backbone(backbone_name, workspace),
            on_progress=_counter(task, len(dataset.images)),
            should_stop=task.should_stop,
        )
        return tuple(found)

    return Task("label check", (dataset.id, dataset.version, backbone_name), work, owner=workspace.owner)


def split_scoring_task(
    workspace: Workspace, run_id: str, split: Split, version: Hashable
) -> Task[Evaluation]:
    """Score a run on a part of its images.

    Args:
        workspace: Where the run and its images are.
        run_id: Id of the run.
        split: The part.
        version: Of the model and the images; other versions are scored again.
    """

    def work(task: Task[Evaluation]) -> Evaluation:
        run = TrainingRun.load(workspace, run_id)
        dataset = ImageDataset.load(workspace, run.dataset_id)
        count = len(split_images(run, dataset, split))
        return evaluate_split(run, dataset, split, workspace.cache_dir, _counter(task, count))

    return Task("scoring", (run_id, split, version), work, lane="light", owner=workspace.owner)


def learning_curve_task(workspace: Workspace, run_id: str, version: Hashable) -> Task[MeasuredCurve]:
    """Measure the accuracy of a run by number of photos, and store it with the run.

    Args:
        workspace: Where the run and its images are.
        run_id: Id of the run.
        version: Of the model and the images; other versions are measured again.
    """

    def work(task: Task[MeasuredCurve]) -> MeasuredCurve:
        run = TrainingRun.load(workspace, run_id)
        dataset = ImageDataset.load(workspace, run.dataset_id)
        return measure_curve(
            run,
            dataset,
            get_backbone(run.config.backbone, workspace),
            workspace.cache_dir,
            on_progress=_counter(task, len(run.train_ids() | run.validation_ids())),
            should_stop=task.should_stop,
        )

    return Task("learning curve", (run_id, version), work, lane="light", owner=workspace.owner)


def new_photos_scoring_task(workspace: Workspace, run_id: str, version: Hashable) -> Task[Evaluation]:
    """Score a run on the photos that were brought to test it.

    Args:
        workspace: Where the run and its images are.
        run_id: Id of the run.
        version: Of the model, the photos and the images of the run, whose near-duplicates do not count.
    """

    def work(task: Task[Evaluation]) -> Evaluation:
        run = TrainingRun.load(workspace, run_id)
        photos = new_photos_of(run, dataset_of(workspace, run))
        if photos is None or not photos.images:
            raise NotFoundError(_("The test photos of this model were deleted."))
        return evaluate_new_photos(run, photos, workspace.cache_dir, _counter(task, len(photos.images)))

    return Task("scoring", (run_id, "new", version), work, lane="light", owner=workspace.owner)


def answers_task(
    key: Hashable, predictor: Predictor, photos: OpenPhotos, owner: str = ""
) -> Task[list[Answer]]:
    """Score files that a person brought to test a run.

    Args:
        key: Of the photos and of the version of the model.
        predictor: The model.
        photos: Opens the files; they are closed when all are scored.
        owner: Id of the pupil whose photos and model these are; empty for the server's own.
    """

    def work(task: Task[list[Answer]]) -> list[Answer]:
        def report(num_done: int, num_all: int) -> None:
            _counter(task, num_all)(num_done)

        with photos() as files:
            return answer_files(predictor, files, report)

    return Task("answers", key, work, lane="light", owner=owner)


def class_averages_task(
    key: Hashable,
    build_grad_cam: Callable[[], GradCam],
    paths: Mapping[str, Sequence[Path]],
    owner: str = "",
) -> Task[list[ClassAverage]]:
    """Average the heat of each class over photos of it.

    Args:
        key: Of the photos and of the version of the model.
        build_grad_cam: Returns that of the model, which may have to be loaded first.
        paths: Photos by class; at least one photo a class.
        owner: Id of the pupil whose photos and model these are; empty for the server's own.
    """

    def work(task: Task[list[ClassAverage]]) -> list[ClassAverage]:
        averages: list[ClassAverage] = []
        grad_cam = build_grad_cam()
        for class_name, files in paths.items():
            _counter(task, len(paths))(len(averages))
            averages.append(grad_cam.average(files, class_name))
        return averages

    return Task("average heat", key, work, lane="light", owner=owner)


def save_project_task(workspace: Workspace, plan: ProjectPlan, path: Path) -> Task[Path]:
    """Save a project.

    Args:
        workspace: Where the images and runs are.
        plan: The content of the file.
        path: Of the file.
    """

    def work(task: Task[Path]) -> Path:
        check_space(workspace)
        save_project(workspace, plan, path, task.reporter(_("Saving")), task.should_stop)
        return path

    return Task("project saving", plan.dataset.id, work, lane="light", subject=plan, owner=workspace.owner)


def open_project_task(workspace: Workspace, key: Hashable, content: BinaryIO) -> Task[OpenedProject]:
    """Open a project.

    Args:
        workspace: Where its images and runs go.
        key: Id of the file that nobody else can guess.
        content: The file.
    """

    def work(task: Task[OpenedProject]) -> OpenedProject:
        return open_project(workspace, content, task.reporter(_("Opening")), task.should_stop)

    return Task("project opening", key, work, lane="light", owner=workspace.owner)


@dataclass(frozen=True)
class AddedPhotos:
    """Photos that a task has added to a class of a dataset."""

    dataset_id: str
    class_name: str
    num_photos: int


def video_task(
    workspace: Workspace, dataset: ImageDataset, file: BinaryIO, name: str, class_name: str, num_photos: int
) -> Task[AddedPhotos]:
    """Add frames of a video to a dataset.

    Args:
        workspace: Where the dataset is.
        dataset: Gets the photos, in its version at that time.
        file: The video.
        name: Of its file.
        class_name: Label of the photos.
        num_photos: The most photos to take from it.
    """

    def work(task: Task[AddedPhotos]) -> AddedPhotos:
        def report(num_done: int, num_all: int) -> None:
            _counter(task, num_all)(num_done)

        photos = video_photos(file, name, class_name, num_photos, report)
        before = ImageDataset.load(workspace, dataset.id) if dataset.version else dataset
        after = add_files(before, photos, class_name=class_name)
        return AddedPhotos(after.id, after.images[-1].class_name, len(after.images) - len(before.images))

    return Task("video", dataset.id, work, lane="light", owner=workspace.owner)


def proposals_task(
    dataset: ImageDataset, run_id: str, load_predictor: Callable[[], Predictor], owner: str = ""
) -> Task[str]:
    """Sort the photos that wait beside a dataset by the classes that a model predicts. The result is its id.

    Args:
        dataset: The dataset that they wait beside.
        run_id: Of the model.
        load_predictor: Returns the model, which may have to be loaded first.
        owner: Id of the pupil whose photos and model these are; empty for the server's own.
    """

    def work(task: Task[str]) -> str:
        def report(num_done: int, num_all: int) -> None:
            _counter(task, num_all)(num_done)

        propose_classes(dataset, run_id, load_predictor(), report)
        return run_id

    return Task("piles", dataset.id, work, lane="light", owner=owner)


def piles_task(
    workspace: Workspace, dataset: ImageDataset, backbone_name: str, num_piles: int | None = None
) -> Task[str]:
    """Sort the photos that wait beside a dataset by how they look.

    Args:
        workspace: Its cache keeps the features.
        dataset: The dataset that they wait beside.
        backbone_name: Name of the feature extractor.
        num_piles: Chosen by the photos if not given.
    """

    def work(task: Task[str]) -> str:
        found = unlabelled_of(dataset)
        sort_by_looks(
            dataset,
            get_backbone(backbone_name, workspace),
            workspace.cache_dir,
            num_piles,
            on_progress=_counter(task, len(found.photos.images) if found else 0),
            should_stop=task.should_stop,
        )
        return backbone_name

    return Task("piles", dataset.id, work, owner=workspace.owner)


def storage_task(workspace: Workspace) -> Task[Storage]:
    """Measure what a workspace stores; once for each version of it."""

    def work(_task: Task[Storage]) -> Storage:
        return storage_of(workspace)

    key = workspace.root, storage_version(workspace)
    return Task("storage", key, work, lane="light", owner=workspace.owner)


def _counter(task: Task[Any], num_all: int) -> Callable[[int], None]:
    """Return a callback for work that counts images. It ends the work when a stop was requested."""

    def report(num_done: int) -> None:
        task.report(TaskProgress("", num_done, num_all))
        if task.should_stop():
            raise FeaturesStoppedError

    return report
