"""Find photos that cannot test a model, because they, or photos that look the same, were in its training."""

from __future__ import annotations

from collections.abc import Sequence

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.similarity import are_alike
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun


def seen_in_training(
    run: TrainingRun, dataset: ImageDataset | None, photos: Sequence[tuple[str, str]]
) -> list[bool]:
    """Return for each photo whether a run was trained or validated on it, or on a near-duplicate of it.

    Args:
        run: The run.
        dataset: Its images. Without it, and for images that were deleted since, only the very same pixels count.
        photos: Id and fingerprint of each, as an `ImageRecord` has them.

    Raises:
        WorkspaceError: If it is not known which images the run was trained on.
    """
    seen_ids = run.train_ids() | run.validation_ids()
    images = (*dataset.images, *dataset.excluded) if dataset else ()
    seen = tuple(image.fingerprint for image in images if image.id in seen_ids and image.fingerprint)
    alike = are_alike(tuple(fingerprint for _id, fingerprint in photos), seen)
    return [
        image_id in seen_ids or is_alike
        for (image_id, _fingerprint), is_alike in zip(photos, alike, strict=True)
    ]


def all_seen() -> str:
    """Say that photos cannot test a run, because all of them were in its training."""
    return _(
        "The model has already seen all of these photos, or copies of them. Add photos that it has "
        "never seen."
    )
