"""Stored photos that can no longer be read: work goes on without them, and people hear which to add again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import DamagedPhotosError
from transfer_core.language import _, plural

Result = TypeVar("Result")

_MOST_NAMED = 3


def damaged_photos(images: Sequence[ImageRecord]) -> DamagedPhotosError:
    """Return the error that names photos which are damaged or missing.

    Args:
        images: The photos, at least one.
    """
    message = plural(
        "{names} is damaged. Add it again, or exclude it.",
        "{count} photos are damaged: {names}. Add them again, or exclude them.",
        len(images),
        names=_names([(image.name, image.class_name) for image in images]),
    )
    return DamagedPhotosError(message, frozenset(image.id for image in images))


def damaged_photos_sentence(photos: Sequence[tuple[str, str]]) -> str:
    """Say which photos were left out because they are damaged or missing, and how to use them again.

    Args:
        photos: Original name and class of each, at least one.
    """
    return plural(
        "{names} is damaged and was left out. Add it again to use it.",
        "{count} photos are damaged and were left out: {names}. Add them again to use them.",
        len(photos),
        names=_names(photos),
    )


def without_images(dataset: ImageDataset, image_ids: Collection[str]) -> ImageDataset:
    """Return a dataset without some images. All others keep their class, and their side of the split."""
    return replace(dataset, images=tuple(image for image in dataset.images if image.id not in image_ids))


def leave_out_damaged(
    images: Sequence[ImageRecord],
    work: Callable[[list[ImageRecord]], Result],
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
) -> Result:
    """Do something with photos; where some turn out to be damaged, do it again without them.

    Args:
        images: The photos.
        work: Called with those that are left.
        on_left_out: Called with photos that turned out to be damaged.

    Returns:
        What `work` returned.

    Raises:
        DamagedPhotosError: If no photo would be left.
    """
    left = list(images)
    while True:
        try:
            return work(left)
        except DamagedPhotosError as error:
            damaged = [image for image in left if image.id in error.image_ids]
            if not damaged or len(damaged) == len(left):
                raise
            on_left_out(damaged)
            left = [image for image in left if image.id not in error.image_ids]


def _names(photos: Sequence[tuple[str, str]]) -> str:
    named = [_("{name} ({class_name})").format(name=name, class_name=label) for name, label in photos]
    return ", ".join(named[:_MOST_NAMED]) + (", …" if len(named) > _MOST_NAMED else "")
