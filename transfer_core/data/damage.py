"""Go on without stored photos that can no longer be read, and name them so that they can be added again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import DamagedPhotosError
from transfer_core.language import _, names_list, plural

Result = TypeVar("Result")

_MOST_NAMED = 3


def damaged_photos(photos: Mapping[str, tuple[str, str]]) -> DamagedPhotosError:
    """Return the error that names photos which are damaged or missing.

    Args:
        photos: Original name and class by id, at least one.
    """
    message = plural(
        "{names} is damaged. Add it again, or exclude it.",
        "{count} photos are damaged: {names}. Add them again, or exclude them.",
        len(photos),
        names=_names(list(photos.values())),
    )
    return DamagedPhotosError(message, frozenset(photos))


def damaged_photos_sentence(photos: Sequence[tuple[str, str]]) -> str:
    """Return the sentence about photos that were left out because they are damaged or missing.

    Args:
        photos: Original name and class of each, at least one.
    """
    return plural(
        "{names} is damaged and was left out. Add it again to use it.",
        "{count} photos are damaged and were left out: {names}. Add them again to use them.",
        len(photos),
        names=_names(photos),
    )


def without_photos(dataset: ImageDataset, image_ids: Collection[str]) -> ImageDataset:
    """Return a dataset without some photos, but with all its classes.

    A class with no photo left for training or for validation is split again; `check_trainable` finds a class with too
    few.
    """
    return replace(dataset.without(image_ids), class_names=dataset.class_names)


def use_readable(
    dataset: ImageDataset,
    work: Callable[[ImageDataset], Result],
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
    known: Collection[str] = (),
) -> Result:
    """Call `work` with a dataset, and again without the photos that turn out to be damaged.

    Args:
        dataset: The photos.
        work: Called with the dataset, then without the damaged photos.
        on_left_out: Called with the photos that turned out to be damaged.
        known: Ids of photos that are left out from the start.

    Returns:
        The result of `work`.

    Raises:
        DamagedPhotosError: If no photo would be left.
    """

    def work_with(images: list[ImageRecord]) -> Result:
        left_out = {image.id for image in dataset.images} - {image.id for image in images}
        return work(without_photos(dataset, left_out))

    readable = [image for image in dataset.images if image.id not in known]
    return leave_out_damaged(readable, work_with, on_left_out)


def leave_out_damaged(
    images: Sequence[ImageRecord],
    work: Callable[[list[ImageRecord]], Result],
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
) -> Result:
    """Call `work` with photos whose split does not matter, and again without the damaged ones.

    Args:
        images: The photos.
        work: Called with the photos that are left.
        on_left_out: Called with the photos that turned out to be damaged.

    Returns:
        The result of `work`.

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
    named = (_("{name} ({class_name})").format(name=name, class_name=label) for name, label in photos)
    return names_list(named, most=_MOST_NAMED)
