"""Labelled photos that a person brings only to test a run; they lie in its folder and are never trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources import SourceFile
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.locks import hold
from transfer_core.runs.assess import evaluate_records, model_class_names
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

NEW_PHOTOS_DIR = "new_photos"


@dataclass(frozen=True)
class NewPhotos:
    """Photos to test a run with.

    Args:
        dataset: All that were brought and could be read.
        images: Those that count.
        num_met: How many more there are that the run has learned from or was checked with.
        unknown_classes: Classes of others, which the model does not know.
    """

    dataset: ImageDataset
    images: tuple[ImageRecord, ...]
    num_met: int
    unknown_classes: tuple[str, ...]


def add_new_photos(
    run: TrainingRun,
    files: Iterable[SourceFile],
    progress: Callable[[int, int], None] | None = None,
) -> NewPhotos:
    """Keep labelled photos for tests of a run, besides those that are there already.

    Args:
        run: A run with a model.
        files: Photos in class folders. A folder `Cats` holds photos of the model's class `cats`.
        progress: Called with the number of files done and their number in all.

    Raises:
        IngestError: If not a single file could be used, or the model has met all of them or knows none of
            their classes.
        WorkspaceError: If writing fails, or another window is adding photos to the same run.
    """
    lock = hold(run.folder / NEW_PHOTOS_DIR)
    if lock is None:
        raise WorkspaceError(
            _("Another window is adding photos to test this run. Wait for it, then add yours again.")
        )
    try:
        return _add_new_photos(run, files, progress)
    finally:
        lock.release()


def _add_new_photos(
    run: TrainingRun, files: Iterable[SourceFile], progress: Callable[[int, int], None] | None
) -> NewPhotos:
    before = _dataset(run)
    dataset = add_files(before or create_dataset(_workspace(run), run.dataset_name), files, progress=progress)
    spelling = {name.casefold(): name for name in model_class_names(run)}
    for name in dataset.class_names:
        if spelling.get(name.casefold(), name) != name:
            dataset = dataset.renamed_class(name, spelling[name.casefold()]).save()
    found = _sorted_out(run, dataset)
    if not found.images:
        if before is None:
            forget_new_photos(run)
        raise IngestError(_none_counts(run, found))
    return found


def new_photos_of(run: TrainingRun) -> NewPhotos | None:
    """Return the photos that were brought to test a run, or None.

    Raises:
        WorkspaceError: If their file is damaged.
    """
    dataset = _dataset(run)
    found = _sorted_out(run, dataset) if dataset else None
    return found if found and found.images else None


def evaluate_new_photos(run: TrainingRun, photos: NewPhotos, cache_dir: Path) -> Evaluation:
    """Score a run on photos that were brought to test it.

    Raises:
        TransferStudioError: Whatever `evaluate_records` raises.
    """
    return evaluate_records(run, photos.dataset, photos.images, cache_dir)


def forget_new_photos(run: TrainingRun) -> None:
    """Delete the photos that were brought to test a run."""
    with suppress(OSError):
        remove(_workspace(run).root)


def _workspace(run: TrainingRun) -> Workspace:
    # A workspace of its own: what lies there is not among the images that can be trained on.
    return Workspace(run.folder / NEW_PHOTOS_DIR)


def _dataset(run: TrainingRun) -> ImageDataset | None:
    if not (run.folder / NEW_PHOTOS_DIR).is_dir():
        return None
    ids = _workspace(run).dataset_ids()
    return ImageDataset.load(_workspace(run), ids[0]) if ids else None


def _sorted_out(run: TrainingRun, dataset: ImageDataset) -> NewPhotos:
    met = run.train_ids() | run.validation_ids()
    known = model_class_names(run)
    images = tuple(image for image in dataset.images if image.id not in met and image.class_name in known)
    num_met = sum(image.id in met for image in dataset.images)
    unknown = tuple(name for name in dataset.class_names if name not in known)
    return NewPhotos(dataset, images, num_met, unknown)


def _none_counts(run: TrainingRun, found: NewPhotos) -> str:
    if found.num_met:
        return _(
            "The model has met all of these photos in its training, so they cannot test it. Bring photos that "
            "it has never seen."
        )
    return _("The model does not know the classes of these photos ({found}). It knows: {known}.").format(
        found=", ".join(found.unknown_classes), known=", ".join(model_class_names(run))
    )
