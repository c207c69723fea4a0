"""Labelled photos that a person brings only to test a run. They are kept in its folder and never trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile, matching_class
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.files import remove
from transfer_core.language import _, names_list
from transfer_core.locks import hold
from transfer_core.runs.leakage import all_seen, seen_in_training
from transfer_core.runs.run_evaluation import evaluate_records
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import OnProgress
from transfer_core.workspace import Workspace

NEW_PHOTOS_DIR = "new_photos"


@dataclass(frozen=True)
class NewPhotos:
    """Photos to test a run with.

    Args:
        dataset: All that could be read.
        images: Those that count.
        num_seen_in_training: How many more there are that were in its training, or look like a photo that was.
        unknown_classes: Classes that the model does not know.
    """

    dataset: ImageDataset
    images: tuple[ImageRecord, ...]
    num_seen_in_training: int
    unknown_classes: tuple[str, ...]


def add_new_photos(
    run: TrainingRun,
    files: Iterable[ImportedFile],
    progress: OnProgress | None = None,
    learned_from: ImageDataset | None = None,
) -> NewPhotos:
    """Add labelled photos to test a run with to those that are there already.

    Args:
        run: A run with a model.
        files: Photos in class folders. A folder `Cats` holds photos of the model's class `cats`, unless
            another of its classes differs from these in case alone.
        progress: Called with the number of files done and their number in all.
        learned_from: The images of the run, where they still exist: near-duplicates of them do not count.

    Raises:
        IngestError: If not a single file could be used, or all of them were in the training of the model, or it knows
            none of their classes.
        WorkspaceError: If writing fails, or another window is adding photos to the same run.
    """
    lock = hold(run.folder / NEW_PHOTOS_DIR)
    if lock is None:
        raise WorkspaceError(
            _("Another window is adding photos to test this run. Wait for it, then add yours again.")
        )
    try:
        return _add_new_photos(run, files, progress, learned_from)
    finally:
        lock.release()


def _add_new_photos(
    run: TrainingRun,
    files: Iterable[ImportedFile],
    progress: OnProgress | None,
    learned_from: ImageDataset | None,
) -> NewPhotos:
    before = _dataset(run)
    new = create_dataset(_workspace(run), run.dataset_name)
    # The model must see them as bright as the photos that it was trained on.
    new = structs.replace(new, grey_ranges=run.signature.grey_ranges)
    dataset = add_files(before or new, files, progress=progress)
    for name in dataset.class_names:
        known = matching_class(name, run.signature.class_names)
        if known != name:
            dataset = dataset.renamed_class(name, known).save()
    found = _sorted_out(run, dataset, learned_from)
    if not found.images:
        if before is None:
            forget_new_photos(run)
        raise IngestError(_none_counts(run, found))
    return found


def new_photos_of(run: TrainingRun, learned_from: ImageDataset | None = None) -> NewPhotos | None:
    """Return the photos to test a run with, or None. It may be that none of them counts any more.

    Args:
        run: The run.
        learned_from: The images of the run, where they still exist: near-duplicates of them do not count.

    Raises:
        WorkspaceError: If their file is damaged.
    """
    dataset = _dataset(run)
    return _sorted_out(run, dataset, learned_from) if dataset else None


def evaluate_new_photos(
    run: TrainingRun,
    photos: NewPhotos,
    cache_dir: Path,
    on_progress: Callable[[int], None] = lambda num_done: None,
) -> Evaluation:
    """Score a run on photos that were brought to test it.

    Raises:
        TransferStudioError: Whatever `evaluate_records` raises.
    """
    evaluation = evaluate_records(run, photos.dataset, photos.images, cache_dir, on_progress)
    return replace(evaluation, num_seen_in_training=photos.num_seen_in_training)


def forget_new_photos(run: TrainingRun) -> None:
    """Delete the photos to test a run with."""
    with suppress(OSError):
        remove(_workspace(run).root)


def _workspace(run: TrainingRun) -> Workspace:
    # A workspace of its own, so that these photos are never offered for a training.
    return Workspace(run.folder / NEW_PHOTOS_DIR)


def _dataset(run: TrainingRun) -> ImageDataset | None:
    if not (run.folder / NEW_PHOTOS_DIR).is_dir():
        return None
    ids = _workspace(run).dataset_ids()
    return ImageDataset.load(_workspace(run), ids[0]) if ids else None


def _sorted_out(run: TrainingRun, dataset: ImageDataset, learned_from: ImageDataset | None) -> NewPhotos:
    known = run.signature.class_names
    fitting = [image for image in dataset.images if image.class_name in known]
    is_seen = seen_in_training(run, learned_from, [(image.id, image.fingerprint) for image in fitting])
    images = tuple(image for image, was_there in zip(fitting, is_seen, strict=True) if not was_there)
    num_seen_in_training = sum(is_seen)
    unknown = tuple(name for name in dataset.class_names if name not in known)
    return NewPhotos(dataset, images, num_seen_in_training, unknown)


def _none_counts(run: TrainingRun, found: NewPhotos) -> str:
    if found.num_seen_in_training:
        return all_seen()
    return _("The model does not know the classes of these photos ({found}). It knows: {known}.").format(
        found=names_list(found.unknown_classes), known=names_list(run.signature.class_names)
    )
